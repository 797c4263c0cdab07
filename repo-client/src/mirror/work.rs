//! What every step of a sync shares.

use super::config::Part;
use super::error::MirrorError;
use super::layout::{Home, Layout};
use super::list::{Entry, Kind, ListWriter};
use super::selection::Chooser;
use crate::context::Context;
use crate::error::{RepositoryError, RepositoryProblem};
use crate::source;
use crate::transport::Stop;
use crate::verify::verify_file;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::{Digest, RelPath, RepoId};

/// One sync.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) stop: &'a Stop,
    pub(super) layout: &'a Layout,
    pub(super) home: &'a Home,
    /// Held while packages are fetched.
    pub(super) fetching: &'a Mutex<()>,
    /// Who knows what templates need.
    pub(super) chooser: Option<&'a dyn Chooser>,
}

/// One repository of a sync.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) work: &'a Work<'a>,
    pub(super) part: &'a Part,
}

impl Work<'_> {
    /// Tells that an address was passed over for the next.
    pub(super) fn passed_over(&self, error: &RepositoryError) {
        let text = format!("{}; trying the next address", source::told(error));
        self.context.reporter.message(&text);
    }
}

impl Job<'_> {
    /// Keeps bytes that were verified in memory, under their hash, and lists them.
    pub(super) fn keep(
        &self,
        location: &str,
        bytes: &[u8],
        list: &mut ListWriter,
    ) -> Result<(), MirrorError> {
        let digest = Digest::of(bytes);
        let (size, path) = (
            bytes.len() as u64,
            self.work.layout.file(Kind::Metadata, &digest),
        );
        // Another mirror may have it, whose published tree is a link to this very file.
        if verify_file(&path, &digest, size).is_ok() {
            return self.list(location, Kind::Metadata, digest, size, list);
        }
        let (staging, mut file) = durable::stage(&path, 0o444)?;
        let written = file.write_all(bytes);
        written.map_err(FileError::on("write", &staging))?;
        durable::put_in_place_unsynced(&staging, &path)?;
        self.list(location, Kind::Metadata, digest, size, list)
    }

    /// Lists a file that is no package.
    pub(super) fn list(
        &self,
        location: &str,
        kind: Kind,
        digest: Digest,
        size: u64,
        list: &mut ListWriter,
    ) -> Result<(), MirrorError> {
        let path = self.below(source::checked_location(location)?)?;
        list.add(&Entry {
            digest,
            size,
            kind,
            path,
            package: None,
            brought: true,
        })
    }

    /// A path of the repository as a path below the published directory.
    pub(super) fn below(&self, path: RelPath) -> Result<RelPath, MirrorError> {
        let directory = &self.part.directory;
        if directory.is_empty() {
            return Ok(path);
        }
        let text = String::from_utf8_lossy(path.as_bytes());
        Ok(source::checked_location(&format!("{directory}/{text}"))?)
    }
}

/// A problem of one repository as an error that names it.
pub(super) fn error(id: &RepoId, place: &str, problem: RepositoryProblem) -> MirrorError {
    MirrorError::Repository(RepositoryError {
        id: id.clone(),
        place: place.to_owned(),
        problem: Box::new(problem),
    })
}
