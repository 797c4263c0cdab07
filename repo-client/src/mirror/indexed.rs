//! The package indexes of a state, of both families alike: a verified file that names packages, read as a stream.

use super::error::MirrorError;
use super::list::{Entry, Kind, ListWriter};
use super::selection::Chosen;
use super::work::{self, Job};
use crate::apt::{self, Packed};
use crate::decompress::{self, Compression};
use crate::error::RepositoryProblem;
use crate::source::{self, UrlError};
use crate::yum::YumError;
use std::fs::File;
use std::path::PathBuf;
use vzpkg_metadata::apt::source_index::SourceFile;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::package::PackageRecord;
use vzpkg_metadata::yum::primary;
use vzpkg_metadata::{Family, RelPath, RepoId, limits};

/// What an index names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Packages,
    /// The files of source packages (deb).
    Sources,
}

/// One index that is here, whole and verified.
#[derive(Debug)]
pub(super) struct PackageIndex {
    pub(super) family: Family,
    pub(super) names: Names,
    /// Its name upstream: says how it is compressed.
    pub(super) name: String,
    /// Its one copy.
    pub(super) path: PathBuf,
    /// Unpacked, where that is signed.
    pub(super) open_size: Option<u64>,
    /// For errors: the repository, and the server it came from.
    pub(super) repository: RepoId,
    pub(super) place: String,
}

impl PackageIndex {
    /// Hands every package to `visit`, in order; its first failure is the result.
    pub(super) fn each(
        &self,
        visit: &mut dyn FnMut(&PackageRecord<'_>) -> Result<(), MirrorError>,
    ) -> Result<(), MirrorError> {
        let packed = self.packed()?;
        let mut visited = Ok(());
        let mut take = |record: &PackageRecord<'_>| {
            if visited.is_ok() {
                visited = visit(record);
            }
        };
        let scanned = match self.family {
            Family::Deb => apt::each_package(packed, &mut take),
            Family::Rpm => self.scan_rpm(packed.file, &mut take),
        };
        scanned.map_err(|problem| work::error(&self.repository, &self.place, problem))?;
        visited
    }

    /// Lists every package, and whether it was chosen.
    pub(super) fn list(
        &self,
        job: &Job<'_>,
        chosen: &Chosen,
        list: &mut ListWriter,
    ) -> Result<(), MirrorError> {
        if self.names == Names::Sources {
            return self.list_sources(job, chosen, list);
        }
        let kind = match self.family {
            Family::Deb => Kind::Deb,
            Family::Rpm => Kind::Rpm,
        };
        self.each(&mut |record| {
            let package = [
                record.name.to_owned(),
                record.version.to_string(),
                record.arch.to_owned(),
            ];
            list.add(&Entry {
                digest: record.sha256,
                size: record.size,
                kind,
                path: job.below(self.path_of(record.location)?)?,
                package: Some(package),
                brought: chosen.has(&record.sha256),
            })
        })
    }

    fn list_sources(
        &self,
        job: &Job<'_>,
        chosen: &Chosen,
        list: &mut ListWriter,
    ) -> Result<(), MirrorError> {
        let mut listed = Ok(());
        let mut add = |file: &SourceFile<'_>| {
            let location = format!("{}/{}", file.directory, file.name);
            // A package is counted and compared once, by the file that describes it.
            let named = file
                .name
                .rsplit_once('.')
                .is_some_and(|(_, end)| end == "dsc");
            let package = [file.package, file.version, "source"].map(str::to_owned);
            list.add(&Entry {
                digest: file.sha256,
                size: file.size,
                kind: Kind::Source,
                path: job.below(source::checked_location(&location)?)?,
                package: named.then_some(package),
                brought: chosen.has(&file.sha256),
            })
        };
        let scanned = apt::each_source(self.packed()?, &mut |file| {
            if listed.is_ok() {
                listed = add(file);
            }
        });
        scanned.map_err(|problem| work::error(&self.repository, &self.place, problem))?;
        listed
    }

    fn packed(&self) -> Result<Packed<'_, File>, FileError> {
        Ok(Packed {
            name: &self.name,
            file: File::open(&self.path).map_err(FileError::on("read", &self.path))?,
            size: self.open_size.map(|size| size.min(limits::INDEX_BYTES)),
        })
    }

    fn path_of(&self, location: &str) -> Result<RelPath, UrlError> {
        match self.family {
            Family::Deb => source::checked_location(location),
            Family::Rpm => decoded(location),
        }
    }

    fn scan_rpm(
        &self,
        file: File,
        visit: &mut dyn FnMut(&PackageRecord<'_>),
    ) -> Result<(), RepositoryProblem> {
        let compression = Compression::of_name(&self.name);
        let (scanned, unpacked) = decompress::beside(compression, file, self.open_size, |reader| {
            primary::scan(reader, visit)
        });
        unpacked.map_err(|source| {
            let file = source::shown(&self.name);
            RepositoryProblem::Decompress { file, source }
        })?;
        scanned.map_err(YumError::from)?;
        Ok(())
    }
}

/// The path under which a server finds what a client asks for: locations of yum are parts of URLs. A package that lies
/// elsewhere (`xml:base`) would not be fetched from a mirror, so there is no mirror of its repository.
pub(super) fn decoded(location: &str) -> Result<RelPath, UrlError> {
    let refuse = || UrlError::Location {
        text: source::shown(location),
        source: None,
    };
    if location.contains("://") {
        return Err(refuse());
    }
    source::checked_location(location)?;
    let mut bytes = Vec::with_capacity(location.len());
    let mut rest = location.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (code, tail) = tail.split_at_checked(2).ok_or_else(refuse)?;
        let digits = code.iter().all(u8::is_ascii_hexdigit);
        let code = std::str::from_utf8(code).ok().filter(|_| digits);
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        // A blank that is written `%25`, once decoded, would be decoded again.
        bytes.push(code.filter(|code| *code != b'%').ok_or_else(refuse)?);
        rest = tail;
    }
    let text = String::from_utf8(bytes).ok().ok_or_else(refuse)?;
    source::checked_location(&text)
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn a_location_is_the_path_that_a_server_finds() {
        for (location, path) in [
            ("Packages/a-1.rpm", "Packages/a-1.rpm"),
            ("./a%2B%2b-1.rpm", "a++-1.rpm"),
            ("a b", "a b"),
        ] {
            assert_eq!(decoded(location).unwrap().as_bytes(), path.as_bytes());
        }
        for location in [
            "http://h/a.rpm",
            "../a",
            "%2e%2e/a",
            "a%2fb",
            "a%252e",
            "%zz",
            "%+5",
            "a%4",
            "a%0ab",
            "/a",
            "%ff",
        ] {
            assert!(decoded(location).is_err(), "{location}");
        }
    }
}
