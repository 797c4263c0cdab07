//! What stands in an upper directory: private files, whiteouts, opaque directories. A value; made by
//! [`super::UpperDir`], judged by the merge.
//!
//! Contents are not hashed here: only the few paths that a relink touches need that ([`super::PrivateSource`]).

use std::collections::BTreeMap;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::Meta;

/// What kind of private entry a path has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpperKind {
    /// The container removed what the version has here: a character device 0:0, or a file with the whiteout attribute.
    Whiteout,
    /// A directory.
    Directory {
        /// Whether it hides everything that the version has below it.
        opaque: bool,
    },
    /// A regular file.
    File {
        /// Its length in bytes.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to.
        target: Vec<u8>,
    },
    /// A device node, FIFO or socket.
    Special,
}

/// One private entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpperEntry {
    /// Its metadata, without overlayfs' own attributes; the default for a whiteout.
    pub meta: Meta,
    /// What it is.
    pub kind: UpperKind,
}

/// Every private entry by path, the root of the upper directory left out: that is always there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpperScan {
    /// The metadata of the root directory, which an overlay shows whatever the version says.
    pub root: Meta,
    /// By path, so that a directory precedes its content.
    pub entries: BTreeMap<RelPath, UpperEntry>,
}

impl UpperScan {
    /// The private entry of `path` itself.
    pub fn get(&self, path: &RelPath) -> Option<&UpperEntry> {
        self.entries.get(path)
    }

    /// `path` and everything private below it, in order.
    pub fn below(&self, path: &RelPath) -> impl Iterator<Item = (&RelPath, &UpperEntry)> {
        let ancestor = path.clone();
        self.entries
            .range(path.clone()..)
            .take_while(move |(path, _)| path.is_within(&ancestor))
    }

    /// Whether a private entry above `path` keeps the version's entry of `path` from showing: a whiteout, an opaque
    /// directory, or something that is no directory. Returns that entry's path.
    pub fn hidden_by(&self, path: &RelPath) -> Option<RelPath> {
        let mut above = path.parent();
        let mut found = None;
        while let Some(directory) = above {
            match self.get(&directory).map(|entry| &entry.kind) {
                None | Some(UpperKind::Directory { opaque: false }) => {}
                Some(_) => found = Some(directory.clone()),
            }
            above = directory.parent();
        }
        found
    }
}
