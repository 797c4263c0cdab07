//! What a relink is and why it may fail; how one that a crash cut short is finished, and what is known of the last one.
//! How a stopped container is relinked is in [`super::stopped`], a running one in [`super::live`].

use super::guard::ContainerGuard;
use super::link::{JournalError, Link, LinkJournal};
use super::live::Process;
use super::prepare::Regenerate;
use super::stopped;
use super::{ContainerError, ContainerPaths, ObjectSource, UndoRecord, UpperEdit, keep};
use std::collections::BTreeMap;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::{ContainerId, Digest, RelPath};

/// A change of link, decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelinkPlan {
    /// What to change in the upper directory, in order.
    pub edits: Vec<UpperEdit>,
    /// Contents that the merge made and that no store has, by digest.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    /// What the next start makes again.
    pub regenerate: Vec<Regenerate>,
}

/// Why a relink did not happen.
#[derive(Debug, thiserror::Error)]
pub enum RelinkError {
    /// There is no container of this name.
    #[error("there is no container `{0}`")]
    Unknown(ContainerId),
    /// The container runs; only a stopped one is relinked this way.
    #[error("container `{0}` is running")]
    Running(ContainerId),
    /// Its link is not what the plan was made for.
    #[error("the link of container `{container}` changed since the plan was made")]
    Stale {
        /// Which.
        container: ContainerId,
        /// The link now.
        now: Link,
    },
    /// There is nothing to go back to.
    #[error("container `{0}` was not relinked, so there is nothing to go back to")]
    NoUndo(ContainerId),
    /// An edit of the upper directory.
    #[error("cannot {operation} `{path}` in the private area")]
    Edit {
        /// What was tried.
        operation: &'static str,
        /// The path in the container.
        path: RelPath,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the plan or undo record.
    #[error(transparent)]
    File(#[from] FileError),
    /// A plan or undo record that cannot be read: damaged, or written by a newer vzpkg.
    #[error("the record `{}` cannot be read", path.display())]
    Record {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The link.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Its plan file is not the one that was recorded.
    #[error("the record `{}` is not the one that the relink began with", path.display())]
    OtherPlan {
        /// Which.
        path: std::path::PathBuf,
    },
    /// A process of it is tied to the version it stands on.
    #[error("{} of container `{container}` {} tied to the version it stands on", if processes.len() == 1 { "a process" } else { "processes" }, if processes.len() == 1 { "is" } else { "are" })]
    Bound {
        /// Which container.
        container: ContainerId,
        /// Which processes, and by what.
        processes: Vec<Process>,
    },
    /// A private entry changed after the plan was made.
    #[error("`{path}` in container `{container}` changed while its relink was being worked out")]
    Changed {
        /// Which container.
        container: ContainerId,
        /// Which path.
        path: RelPath,
    },
    /// The kernel or the container would not have it; everything is as it was.
    #[error("running container `{container}` cannot be relinked: {why}")]
    Refused {
        /// Which container.
        container: ContainerId,
        /// Why.
        why: String,
    },
    /// Some of it may be on one version and some on the other, so it stands still. Stopping it helps.
    #[error("container `{container}` stands still between two versions: {why}")]
    Stuck {
        /// Which container.
        container: ContainerId,
        /// Why, with the process that is in the way.
        why: String,
    },
    /// The helper that relinks a running container.
    #[error("the helper that relinks container `{container}` does not answer")]
    Helper {
        /// Which container.
        container: ContainerId,
        /// Why.
        source: std::io::Error,
    },
    /// Whether it runs, clearing up.
    #[error(transparent)]
    Container(Box<ContainerError>),
}

impl From<ContainerError> for RelinkError {
    fn from(error: ContainerError) -> Self {
        Self::Container(Box::new(error))
    }
}

/// What [`recover`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovered {
    /// There was nothing to do.
    Nothing,
    /// An unfinished relink was finished: the link is this now.
    Finished(Link),
    /// An unfinished relink could not be finished and was undone: the link is this still.
    Undone(Link),
}

/// What a relink works with.
#[derive(Debug, Clone, Copy)]
pub struct RelinkTools<'a> {
    /// Where the contents of the new version come from.
    pub objects: &'a dyn ObjectSource,
    /// Holds the link.
    pub journal: &'a dyn LinkJournal,
}

/// Finishes a relink that a crash cut short, or undoes it where it cannot be finished. Cheap where there is none.
///
/// # Errors
/// [`RelinkError`]; the intent stays recorded then.
pub fn recover(paths: &ContainerPaths, tools: &RelinkTools<'_>) -> Result<Recovered, RelinkError> {
    if tools.journal.intent(&paths.id)?.is_none() {
        return Ok(Recovered::Nothing);
    }
    let guard = ContainerGuard::take(paths)?;
    // Whoever held the container may have finished it meanwhile.
    let Some(intent) = tools.journal.intent(&paths.id)? else {
        return Ok(Recovered::Nothing);
    };
    stopped::go_on(paths, guard, intent, tools)
}

/// The record of the relink that led to `link`: what a rollback needs to know.
///
/// # Errors
/// [`RelinkError::NoUndo`], [`RelinkError::Record`], [`RelinkError::File`]
pub fn undo_record(paths: &ContainerPaths, link: Link) -> Result<UndoRecord, RelinkError> {
    let generation = link.generation.saturating_sub(1);
    if generation == 0 || !paths.undo(generation).exists() {
        return Err(RelinkError::NoUndo(paths.id.clone()));
    }
    let (record, _) = keep::read(paths, generation)?;
    if record.to == link {
        Ok(record)
    } else {
        Err(RelinkError::NoUndo(paths.id.clone()))
    }
}

/// The files that a relink kept aside or made, by digest, with `behind` asked for everything else: what a merge that
/// rolls back reads from.
#[derive(Debug)]
pub struct UndoObjects<'a> {
    /// The container.
    pub paths: &'a ContainerPaths,
    /// The record.
    pub record: &'a UndoRecord,
    /// The store.
    pub behind: &'a dyn ObjectSource,
}

impl ObjectSource for UndoObjects<'_> {
    fn open(&self, digest: &Digest) -> std::io::Result<Box<dyn std::io::Read + '_>> {
        match keep::open_kept(self.paths, self.record, digest) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.behind.open(digest),
            Err(error) => Err(error),
        }
    }
}
