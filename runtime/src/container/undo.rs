//! What one relink replaced in the upper directory: enough to put it back bit by bit.
//!
//! The record is written before the first edit and names a copy (a hard link: an edit never writes into a file) of
//! every private file that an edit replaces or removes. Only the record of the latest relink is kept.

use super::link::Link;
use super::upper_edits::UpperEdit;
use super::wire;
use std::path::{Path, PathBuf};
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::{Meta, Node};

/// Where the copy with this number lies in an undo directory.
pub(super) fn slot(undo: &Path, number: u32) -> PathBuf {
    undo.join("old").join(number.to_string())
}

/// What stood at a path before the relink.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "was")]
pub enum Before {
    /// Nothing private: the version's own entry showed.
    Nothing,
    /// A whiteout.
    Whiteout,
    /// A directory.
    Directory {
        /// Its metadata.
        #[serde(with = "wire::meta")]
        meta: Meta,
        /// Whether it was opaque.
        opaque: bool,
    },
    /// A private entry that stays; its metadata alone may change.
    Changed {
        /// What it was.
        #[serde(with = "wire::node")]
        node: Node,
    },
    /// Anything else, kept aside in a slot.
    Kept {
        /// The number of the file below `undo/<generation>/old/`.
        slot: u32,
        /// What it was.
        #[serde(with = "wire::node")]
        node: Node,
    },
}

/// One path that a relink changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UndoEntry {
    /// Where.
    #[serde(with = "wire::path")]
    pub path: RelPath,
    /// What was there.
    pub before: Before,
}

/// Everything that one relink changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UndoRecord {
    /// The link before.
    pub from: Link,
    /// The link after.
    pub to: Link,
    /// What was done, in order.
    pub edits: Vec<UpperEdit>,
    /// What was there before, one for each path that an edit changed, by path.
    pub before: Vec<UndoEntry>,
}

impl UndoRecord {
    /// What stood at `path` before, if the relink changed that.
    pub fn before(&self, path: &RelPath) -> Option<&Before> {
        let found = self.before.binary_search_by(|entry| entry.path.cmp(path));
        found
            .ok()
            .and_then(|at| self.before.get(at))
            .map(|entry| &entry.before)
    }

    /// The edits that lead back, all of them: for a relink that has to be undone before the container ran.
    pub fn inverse(&self) -> Vec<UpperEdit> {
        let mut edits: Vec<UpperEdit> = self
            .before
            .iter()
            .rev()
            .filter(|entry| entry.before == Before::Nothing)
            .map(|entry| UpperEdit::Reveal {
                path: entry.path.clone(),
            })
            .collect();
        edits.extend(self.moves_back());
        for entry in &self.before {
            edits.extend(entry.put_back(self.from.generation));
        }
        edits
    }

    /// Undoes the renames, last first.
    pub fn moves_back(&self) -> impl Iterator<Item = UpperEdit> {
        self.edits.iter().rev().filter_map(|edit| match edit {
            UpperEdit::MoveAside { path, to } => Some(UpperEdit::MoveAside {
                path: to.clone(),
                to: path.clone(),
            }),
            _ => None,
        })
    }
}

impl UndoEntry {
    /// The edits that put back what stood here; none where nothing did. `generation` is that of the record.
    pub fn put_back(&self, generation: u64) -> Vec<UpperEdit> {
        let path = self.path.clone();
        match &self.before {
            Before::Nothing => Vec::new(),
            Before::Whiteout => vec![UpperEdit::Hide { path }],
            Before::Changed { node } => vec![UpperEdit::SetMeta {
                path,
                meta: node.meta.clone(),
            }],
            Before::Kept { slot, node } => vec![UpperEdit::Restore {
                path,
                generation,
                slot: *slot,
                node: node.clone(),
            }],
            Before::Directory { meta, opaque } => vec![
                UpperEdit::EnsureDirectory {
                    path: path.clone(),
                    meta: meta.clone(),
                },
                UpperEdit::SetMeta {
                    path: path.clone(),
                    meta: meta.clone(),
                },
                UpperEdit::SetOpaque {
                    path,
                    opaque: *opaque,
                },
            ],
        }
    }
}
