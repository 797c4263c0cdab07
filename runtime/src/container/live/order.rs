//! What the command and its helper say to each other about a live relink.

use super::freezer::Freezer;
use super::report::Process;
use super::watch::Watched;
use crate::container::ContainerPaths;
use crate::rootfs::MountSpec;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use vzpkg_metadata::ContainerId;

/// What the helper is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(super) id: ContainerId,
    pub(super) private: PathBuf,
    /// The host's number of process 1.
    pub(super) init: u32,
    pub(super) freezer: Freezer,
    /// The new root file system.
    pub(super) mount: MountSpec,
    /// The name of its work directory, by which it is known again.
    pub(super) label: String,
    /// The generation that the container comes from: names the record with the edits.
    pub(super) from: u64,
    /// Paths, absolute, of private files that the edits replace.
    pub(super) replaced: Vec<Vec<u8>>,
    /// What must not have changed.
    pub(super) watched: Watched,
    /// Whether an interrupted relink is to be finished, whatever ties processes: it was decided before.
    pub(super) finish: bool,
}

impl Order {
    pub(super) fn paths(&self) -> ContainerPaths {
        ContainerPaths {
            id: self.id.clone(),
            private: self.private.clone(),
            root: PathBuf::new(),
            bundle: PathBuf::new(),
        }
    }
}

/// What the helper answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Every mount namespace of the container is on the new overlay, and it moves.
    Moved {
        /// How long it stood still.
        pause: Duration,
        /// Whether the edits, if there are any, are on the disk, and the mark says so.
        durable: bool,
    },
    /// Nothing was changed: these processes are tied.
    Bound(Vec<Process>),
    /// Nothing was changed: this path is not what the plan was made from.
    Changed(Vec<u8>),
    /// Nothing was changed, or everything was taken back; the container moves.
    Refused(String),
    /// It can neither go on nor be taken back: the container stands still until it can.
    Stuck(String),
}

/// An error with its causes, as one line.
pub(super) fn line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}
