//! The link of a container, and the seam to where it is kept.
//!
//! The one truth is a row in the state database, which this crate does not know: `vzpkg` implements [`LinkJournal`]
//! over it. Each method is one durable transaction.

use std::fmt;
use vzpkg_metadata::{ContainerId, Digest};

/// Which tree a container stands on, and how many times that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Link {
    /// The digest of the tree (of a version or an appcache).
    pub tree: Digest,
    /// 1 for a new container; one more with each relink, rollbacks included. Names work and undo directories.
    pub generation: u64,
}

/// A change of link that has begun and is not finished.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Intent {
    /// The link before.
    pub from: Link,
    /// The link after; its generation is one more.
    pub to: Link,
    /// The sha256 of the plan file below `undo/<from.generation>/`, which is durable before the intent is.
    pub plan: Digest,
    /// Whether the container runs: how far it is, is told by the kernel and a file beside the plan then.
    #[serde(default)]
    pub live: bool,
}

/// What the keeper of the links said.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} of container `{container}`")]
pub struct JournalError {
    /// What was tried: "read the link", "record the relink" …
    pub operation: &'static str,
    /// For which container.
    pub container: ContainerId,
    /// The database's own error.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Where links and unfinished relinks are kept. Every method is durable when it returns.
pub trait LinkJournal: fmt::Debug {
    /// The present link of a container.
    ///
    /// # Errors
    /// [`JournalError`], also for a container that has no row.
    fn link(&self, container: &ContainerId) -> Result<Link, JournalError>;

    /// The relink that has begun and is neither finished nor undone.
    ///
    /// # Errors
    /// [`JournalError`]
    fn intent(&self, container: &ContainerId) -> Result<Option<Intent>, JournalError>;

    /// Records that a relink begins. Refused where another one is recorded, or where the link is not `intent.from`.
    ///
    /// # Errors
    /// [`JournalError`]
    fn begin(&self, container: &ContainerId, intent: &Intent) -> Result<(), JournalError> {
        self.begin_all(&[(container, intent)])
    }

    /// Makes the link `intent.to` and forgets the intent, in one transaction.
    ///
    /// # Errors
    /// [`JournalError`]
    fn finish(&self, container: &ContainerId, intent: &Intent) -> Result<(), JournalError> {
        self.finish_all(&[(container, intent)])
    }

    /// [`LinkJournal::begin`] for several containers: all of them in one transaction, or none.
    ///
    /// # Errors
    /// [`JournalError`]
    fn begin_all(&self, intents: &[(&ContainerId, &Intent)]) -> Result<(), JournalError>;

    /// [`LinkJournal::finish`] for several containers, also where no intent was recorded: all of them in one transaction,
    /// or none.
    ///
    /// # Errors
    /// [`JournalError`]
    fn finish_all(&self, intents: &[(&ContainerId, &Intent)]) -> Result<(), JournalError>;

    /// Forgets the intent and keeps the link: the relink was undone.
    ///
    /// # Errors
    /// [`JournalError`]
    fn abandon(&self, container: &ContainerId, intent: &Intent) -> Result<(), JournalError>;
}
