//! Changes to an upper directory, as values: what a merge yields and a relink carries out.
//!
//! Every edit is idempotent: a list that was carried out in part, once or twice leaves the same upper directory. No
//! edit follows a symbolic link, and none leaves the directory. This file only says what edits are; [`super::apply`]
//! carries them out.

use super::wire;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::{Meta, Node};

/// One change to an upper directory.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "edit")]
pub enum UpperEdit {
    /// Changes nothing: says that the private entry was judged and stays, so that a rollback need not judge it against
    /// another version.
    Keep {
        /// Where.
        #[serde(with = "wire::path")]
        path: RelPath,
    },
    /// Removes the private entry, so that the version's own shows. A directory must be empty by then: what lies in it
    /// is revealed before it.
    Reveal {
        /// Where.
        #[serde(with = "wire::path")]
        path: RelPath,
    },
    /// Puts a whiteout, so that nothing of the version shows.
    Hide {
        /// Where.
        #[serde(with = "wire::path")]
        path: RelPath,
    },
    /// Makes a directory if none is there yet; an existing one stays as it is.
    EnsureDirectory {
        /// Where.
        #[serde(with = "wire::path")]
        path: RelPath,
        /// Its metadata if it is made.
        #[serde(with = "wire::meta")]
        meta: Meta,
    },
    /// Puts a file, symbolic link, device or FIFO in the place of whatever private entry (no directory) is there.
    Put {
        /// Where.
        #[serde(with = "wire::path")]
        path: RelPath,
        /// What; the content of a file comes from the [`super::ObjectSource`].
        #[serde(with = "wire::node")]
        node: Node,
    },
    /// Gives the private entry this owner, mode and extended attributes; its time stays.
    SetMeta {
        /// Where.
        #[serde(with = "wire::path")]
        path: RelPath,
        /// The new metadata.
        #[serde(with = "wire::meta")]
        meta: Meta,
    },
    /// Sets or clears the mark that hides everything of the version below a private directory.
    SetOpaque {
        /// The directory.
        #[serde(with = "wire::path")]
        path: RelPath,
        /// Whether it hides.
        opaque: bool,
    },
    /// Renames a private entry, with everything below it. Nothing is done where `to` is there already.
    MoveAside {
        /// From where.
        #[serde(with = "wire::path")]
        path: RelPath,
        /// To where; in the same directory.
        #[serde(with = "wire::path")]
        to: RelPath,
    },
    /// Puts back the very file that an earlier relink kept aside, in the place of whatever is there.
    Restore {
        /// Where.
        #[serde(with = "wire::path")]
        path: RelPath,
        /// The generation whose undo record holds it.
        generation: u64,
        /// Which of its files.
        slot: u32,
        /// What it was, with its metadata, which is given to it again.
        #[serde(with = "wire::node")]
        node: Node,
    },
}

impl UpperEdit {
    /// The path whose entry changes.
    pub const fn path(&self) -> &RelPath {
        match self {
            Self::Keep { path }
            | Self::Reveal { path }
            | Self::Hide { path }
            | Self::EnsureDirectory { path, .. }
            | Self::Put { path, .. }
            | Self::SetMeta { path, .. }
            | Self::SetOpaque { path, .. }
            | Self::MoveAside { path, .. }
            | Self::Restore { path, .. } => path,
        }
    }
}
