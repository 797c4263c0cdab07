//! A repository of a folder of packages: found, read, and handed to the mirrors, which index and sign them.

use super::node;
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vzpkg_cache::import::describe;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::{Digest, Family, MirrorName};
use vzpkg_repo_client::mirror::{FolderPackage, Mirrors, Synced};

/// Directories below the folder that are looked into.
const DEPTH: usize = 16;

/// What a folder became.
pub(crate) struct ImportedFolder {
    pub(crate) synced: Synced,
    pub(crate) family: Family,
}

/// A folder that can be published.
pub(crate) struct Folder {
    place: PathBuf,
    family: Family,
    pub(crate) packages: Vec<FolderPackage>,
}

/// Publishes the packages of a folder, or of the one that the mirror was made of.
///
/// # Errors
/// As [`read`]; what is published stays then.
pub(crate) fn run(
    context: &Context,
    mirrors: &Mirrors,
    name: &MirrorName,
    folder: &Path,
) -> CommandResult<ImportedFolder> {
    let folder = read(context, folder)?;
    let family = folder.family;
    let synced = mirrors.import(name, &folder.place, family, &folder.packages)?;
    Ok(ImportedFolder { synced, family })
}

/// Reads every package of a folder.
///
/// # Errors
/// [`Kind::Usage`] for a folder without packages, or with those of both families; [`Kind::Verification`] for a package
/// that cannot be read.
pub(crate) fn read(context: &Context, folder: &Path) -> CommandResult<Folder> {
    let folder = std::fs::canonicalize(folder);
    let folder = folder.map_err(|source| {
        let message = "the folder cannot be read";
        CommandError::message(Kind::Usage, format!("{message}: {source}"))
    })?;
    let mut files = Vec::new();
    find(&folder, DEPTH, &mut files)?;
    files.sort();
    let family = family(&folder, &files)?;
    let mut seen: BTreeMap<[String; 3], Digest> = BTreeMap::new();
    let mut packages = Vec::new();
    for path in files {
        node::check_interrupt(context)?;
        let location = location(&folder, &path)?;
        let described = describe::describe(family, &path, &location)
            .map_err(|error| CommandError::new(Kind::Verification, error))?;
        let known = seen.insert(described.package.clone(), described.digest);
        if known.is_some_and(|known| known != described.digest) {
            let text = format!(
                "the folder has {} in two forms, one of them `{location}`",
                described.package.join(" ")
            );
            return Err(CommandError::message(Kind::Usage, text));
        }
        if known.is_none() {
            packages.push(FolderPackage {
                path,
                location,
                digest: described.digest,
                size: described.size,
                package: described.package,
                texts: described.texts,
            });
        }
    }
    Ok(Folder {
        place: folder,
        family,
        packages,
    })
}

/// Every package file below a directory; links are not followed.
fn find(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> CommandResult {
    let failed = |source| {
        let error = FileError::on("list", directory)(source);
        CommandError::new(Kind::Environment, error)
    };
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (kind, path) = (entry.file_type().map_err(failed)?, entry.path());
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_source = path.to_string_lossy().ends_with(".src.rpm");
        if kind.is_dir() && depth > 0 {
            find(&path, depth - 1, files)?;
        } else if kind.is_file() && matches!(extension, Some("deb" | "rpm")) && !is_source {
            files.push(path);
        }
    }
    Ok(())
}

fn family(folder: &Path, files: &[PathBuf]) -> CommandResult<Family> {
    let is_deb = |path: &&PathBuf| path.extension().is_some_and(|end| end == "deb");
    let debs = files.iter().filter(is_deb).count();
    let (problem, family) = match (debs, files.len() - debs) {
        (0, 0) => (Some("no .deb and no .rpm"), Family::Deb),
        (_, 0) => (None, Family::Deb),
        (0, _) => (None, Family::Rpm),
        _ => (Some("both .deb and .rpm files"), Family::Deb),
    };
    problem.map_or(Ok(family), |problem| {
        let text = format!("there are {problem} in `{}`", folder.display());
        Err(CommandError::message(Kind::Usage, text))
    })
}

/// Where a package will lie: as it does in the folder.
fn location(folder: &Path, path: &Path) -> CommandResult<String> {
    let relative = path.strip_prefix(folder).ok().and_then(Path::to_str);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._+~/=:@^".contains(c);
    let relative = relative.filter(|text| text.chars().all(plain));
    let relative = relative.ok_or_else(|| {
        let text = format!("`{}` has a name that no client asks for", path.display());
        CommandError::message(Kind::Usage, text)
    })?;
    Ok(format!("pool/{relative}"))
}
