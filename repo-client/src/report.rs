//! What the client tells while it works. The command draws bars from it; a test records it.

use crate::error::TransportError;
use std::time::Duration;
use vzpkg_metadata::{ByteSize, RepoId};

/// Whether loading a repository changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// The cache was young enough, or the work was offline: nothing was asked.
    Cached,
    /// The server has nothing newer.
    Unchanged,
    /// A newer index was fetched and parsed.
    Updated,
}

/// Receives progress from several threads at once. Every method does nothing unless overridden.
pub trait FetchReporter: Send + Sync {
    /// A batch of `files` files with `bytes` bytes in all begins; files that are already there are not counted.
    fn started(&self, files: usize, bytes: ByteSize) {
        let _ = (files, bytes);
    }

    /// `bytes` more bytes of the batch (or of an index) have arrived.
    fn progressed(&self, bytes: ByteSize) {
        let _ = bytes;
    }

    /// Bytes that had been reported are worthless: the file begins again.
    fn lost(&self, bytes: ByteSize) {
        let _ = bytes;
    }

    /// One file of the batch is whole and verified. `name` is for people: the package's name and version.
    fn file_finished(&self, name: &str) {
        let _ = name;
    }

    /// The batch is done or has failed.
    fn finished(&self) {}

    /// Work that may take longer than a moment begins, and ends what began before; `steps` where it is known how much.
    fn stage(&self, name: &str, steps: Option<u64>) {
        let _ = (name, steps);
    }

    /// The stage is at `what`, so many steps further.
    fn advanced(&self, steps: u64, what: &str) {
        let _ = (steps, what);
    }

    /// The stage is done or has failed.
    fn stage_finished(&self) {}

    /// Loading a repository begins.
    fn repository_started(&self, repository: &RepoId) {
        let _ = repository;
    }

    /// A repository is ready.
    fn repository_finished(&self, repository: &RepoId, packages: usize, loaded: Loaded) {
        let _ = (repository, packages, loaded);
    }

    /// `url` failed and another attempt (on it or on the next mirror) comes after `wait`.
    fn retrying(&self, url: &str, error: &TransportError, wait: Duration) {
        let _ = (url, error, wait);
    }

    /// Something the user should know and may act on; printable, without line ends.
    fn message(&self, text: &str) {
        let _ = text;
    }
}

/// Reports to nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl FetchReporter for Silent {}
