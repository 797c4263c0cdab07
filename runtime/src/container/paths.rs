//! Where one container lies on the node. The only file that joins paths below a container's private area.

use std::path::PathBuf;
use vzpkg_metadata::ContainerId;

/// The three places of one container; see the drawing in [`crate::container`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPaths {
    /// Its name, which is also its name in the OCI runtime.
    pub id: ContainerId,
    /// `private/<ctid>`: everything durable.
    pub private: PathBuf,
    /// `root/<ctid>`: where its file system is put together.
    pub root: PathBuf,
    /// `/run/vzpkg/ct/<ctid>`: the OCI bundle while it runs.
    pub bundle: PathBuf,
}

impl ContainerPaths {
    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.private.join("ct.toml")
    }

    /// The private changes.
    pub fn upper(&self) -> PathBuf {
        self.private.join("upper")
    }

    /// The work directory of overlayfs for one generation of the link.
    pub fn work(&self, generation: u64) -> PathBuf {
        self.private.join(format!("work.{generation}"))
    }

    /// Where all undo records lie.
    pub fn undo_area(&self) -> PathBuf {
        self.private.join("undo")
    }

    /// What the relink *from* this generation replaced.
    pub fn undo(&self, generation: u64) -> PathBuf {
        self.undo_area().join(generation.to_string())
    }
}
