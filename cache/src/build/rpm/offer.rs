//! The package files that the tools see. A package was unpacked when it was imported, so rpm gets it unpacked: lead and
//! headers as they came, the payload as it was before it was compressed, its contents from the store. To rpm, its
//! database and the scripts it is the same package; what they need no longer do is decode it and hash it twice.
//!
//! What rpm would check is checked all the same: every file has the sha256 of the package's header (when it was imported)
//! and every object its own (when it is copied). A package for which that cannot be said goes to rpm as it came.

use super::PACKAGES;
use super::stored::Stored;
use crate::build::{BuildError, Plan, parallel};
use crate::import::rpm::{HEADER, LEAD, Skeleton, Wrapping, unpacked_payload};
use crate::store::{ObjectError, Objects, PackageManifest};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use vzpkg_metadata::Digest;
use vzpkg_metadata::durable::FileError;
use vzpkg_runtime::sandbox::Bind;

/// Large enough that a small package is one write.
const BUFFER: usize = 256 << 10;

/// How the packages are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Unpacked: rpm must be told that their digests do not hold.
    Unpacked,
    /// As they came.
    Original,
}

/// Which form the packages of a plan are offered in: one for all, for rpm is told once what to check.
pub(super) fn form(plan: &Plan<'_>) -> Form {
    let has = |package: &PackageManifest| package.control.contains_key(LEAD);
    if plan.incoming.iter().all(|package| has(package)) {
        Form::Unpacked
    } else {
        Form::Original
    }
}

/// Makes the files of all packages that come visible to the tools.
pub(super) fn packages(plan: &Plan<'_>, staging: &Path) -> Result<Bind, BuildError> {
    let directory = staging.join("packages");
    fs::create_dir(&directory).map_err(FileError::on("create directory", &directory))?;
    let place = |package: &PackageManifest| directory.join(format!("{}.rpm", package.sha256));
    match form(plan) {
        Form::Unpacked => write_all(plan, &place)?,
        Form::Original => {
            for package in plan.incoming {
                link(plan.file(package)?, &place(package))?;
            }
        }
    }
    Ok(Bind::read_only(directory, PACKAGES))
}

fn link(source: &Path, place: &Path) -> Result<(), FileError> {
    // On another file system the file is copied; the sandbox sees either read-only.
    if fs::hard_link(source, place).is_err() {
        fs::copy(source, place).map_err(FileError::on("copy", source))?;
    }
    Ok(())
}

/// Writes the packages with as many threads as the build has, biggest first.
fn write_all(
    plan: &Plan<'_>,
    place: &(dyn Fn(&PackageManifest) -> PathBuf + Sync),
) -> Result<(), BuildError> {
    let objects = &plan.request.store.objects;
    let mut todo: Vec<&PackageManifest> = plan.incoming.iter().map(AsRef::as_ref).collect();
    todo.sort_by_key(|package| std::cmp::Reverse(package.size));
    let threads = plan.request.threads;
    parallel::map(threads, &todo, |package| {
        write(objects, package, &place(package))
    })?;
    Ok(())
}

/// Writes one package, unpacked.
fn write(objects: &Objects, package: &PackageManifest, place: &Path) -> Result<(), BuildError> {
    let part = |name: &str| package.control.get(name).map(Vec::as_slice);
    let payload = unpacked_payload(&package.control);
    let (Some(lead), Some(header), Some((wrapping, skeleton))) =
        (part(LEAD), part(HEADER), payload)
    else {
        return Err(BuildError::Content {
            path: package.name.to_string(),
            problem: "its manifest does not say what its payload was",
        });
    };
    let file = File::create_new(place).map_err(FileError::on("create", place))?;
    let mut out = BufWriter::with_capacity(BUFFER, file);
    let headers = out.write_all(lead).and_then(|()| out.write_all(header));
    headers.map_err(FileError::on("write", place))?;
    expand(objects, &skeleton, wrapping, out).map_err(|failure| match failure {
        Failure::Object(error) => error.into(),
        Failure::Write(error) => FileError::on("write", place)(error).into(),
    })
}

enum Failure {
    Object(ObjectError),
    Write(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

fn expand(
    objects: &Objects,
    skeleton: &Skeleton,
    wrapping: Wrapping,
    out: BufWriter<File>,
) -> Result<(), Failure> {
    let mut stream = Stored::begin(out, wrapping)?;
    let content = |digest: &Digest, size: u64, stream: &mut Stored<_>| {
        let copied = objects.copy_to(digest, size, stream);
        copied.map_err(Failure::Object)
    };
    skeleton.expand(&mut stream, content)?;
    stream.finish()?.flush()?;
    Ok(())
}
