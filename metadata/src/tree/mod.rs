//! The canonical tree: every name of a file system with its metadata, file contents by digest.
//!
//! A package manifest, a version and an upper directory are all trees. [`encoding`] turns one into bytes and back; the
//! sha256 of those bytes is the digest of a version. Nothing here touches a file system.

mod encoding;
mod node;

pub use encoding::{FORMAT, TreeDecodeError};
pub use node::{Entry, Meta, Node, NodeKind};

use crate::{Digest, RelPath};
use std::collections::BTreeMap;

/// Names and what they are, sorted by path, so that a directory precedes its content. The root directory is the entry
/// of the empty path. About 250 bytes of memory per name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<RelPath, Entry>,
}

/// A rule of trees that is broken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TreeError {
    /// A name whose directory is missing or is not a directory.
    #[error("`{0}` lies in no directory of the tree")]
    NoParent(RelPath),
    /// A hard link to nothing, to a directory, or to another hard link.
    #[error("`{path}` is a hard link to `{target}`, which is no file of the tree")]
    DanglingLink {
        /// The link.
        path: RelPath,
        /// What it names.
        target: RelPath,
    },
}

impl Tree {
    /// A tree without any name, not even a root.
    pub const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
        }
    }

    /// The entry of `path` itself.
    pub fn get(&self, path: &RelPath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The node of `path`, through a hard link if it is one.
    pub fn node(&self, path: &RelPath) -> Option<&Node> {
        match self.entries.get(path)? {
            Entry::Node(node) => Some(node),
            Entry::HardLink(target) => match self.entries.get(target)? {
                Entry::Node(node) => Some(node),
                Entry::HardLink(_) => None,
            },
        }
    }

    /// The node of `path` for changing; a hard link is followed.
    pub fn node_mut(&mut self, path: &RelPath) -> Option<&mut Node> {
        let target = match self.entries.get(path)? {
            Entry::Node(_) => path.clone(),
            Entry::HardLink(target) => target.clone(),
        };
        match self.entries.get_mut(&target)? {
            Entry::Node(node) => Some(node),
            Entry::HardLink(_) => None,
        }
    }

    /// Puts `entry` at `path` and returns what was there.
    pub fn insert(&mut self, path: RelPath, entry: impl Into<Entry>) -> Option<Entry> {
        self.entries.insert(path, entry.into())
    }

    /// Removes the entry of `path` alone. What lies below it stays, and [`Tree::check`] then objects.
    pub fn remove(&mut self, path: &RelPath) -> Option<Entry> {
        self.entries.remove(path)
    }

    /// Removes `path` and everything below it; returns how many names went. A hard link elsewhere to a file that went
    /// takes over its node.
    pub fn remove_subtree(&mut self, path: &RelPath) -> usize {
        let going: Vec<RelPath> = self.below(path).map(|(path, _)| path.clone()).collect();
        let mut gone = BTreeMap::new();
        for path in &going {
            if let Some(Entry::Node(node)) = self.entries.remove(path) {
                gone.insert(path.clone(), node);
            }
        }
        self.rehome(gone);
        going.len()
    }

    /// Gives the nodes of removed names to the first hard link that named each.
    fn rehome(&mut self, mut gone: BTreeMap<RelPath, Node>) {
        gone.retain(|_, node| !matches!(node.kind, NodeKind::Directory));
        if gone.is_empty() {
            return;
        }
        let mut moved: BTreeMap<RelPath, RelPath> = BTreeMap::new();
        for (path, entry) in &mut self.entries {
            let Entry::HardLink(target) = entry else {
                continue;
            };
            if let Some(home) = moved.get(target) {
                *entry = Entry::HardLink(home.clone());
            } else if let Some(node) = gone.remove(target) {
                moved.insert(target.clone(), path.clone());
                *entry = Entry::Node(node);
            }
        }
    }

    /// `path` and everything below it, in order.
    pub fn below(&self, path: &RelPath) -> impl Iterator<Item = (&RelPath, &Entry)> {
        let ancestor = path.clone();
        self.entries
            .range(path.clone()..)
            .take_while(move |(path, _)| path.is_within(&ancestor))
    }

    /// Every name and entry, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&RelPath, &Entry)> {
        self.entries.iter()
    }

    /// Every name and entry for changing, in order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&RelPath, &mut Entry)> {
        self.entries.iter_mut()
    }

    /// The number of names, the root included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no name at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The digests of all file contents, in path order, with repetitions.
    pub fn objects(&self) -> impl Iterator<Item = (Digest, u64)> {
        self.entries.values().filter_map(|entry| match entry {
            Entry::Node(Node {
                kind: NodeKind::File { digest, size },
                ..
            }) => Some((*digest, *size)),
            _ => None,
        })
    }

    /// Makes hard links canonical: of each group, the first name in order holds the node and the others name it.
    pub fn canonicalize_links(&mut self) {
        let backward: Vec<(RelPath, RelPath)> = self
            .entries
            .iter()
            .filter_map(|(path, entry)| match entry {
                Entry::HardLink(target) if path < target => Some((path.clone(), target.clone())),
                _ => None,
            })
            .collect();
        let mut home: BTreeMap<RelPath, RelPath> = BTreeMap::new();
        for (path, target) in backward {
            if home.contains_key(&target) {
                continue;
            }
            if let Some(node @ Entry::Node(_)) = self.entries.get(&target).cloned() {
                self.entries.insert(path.clone(), node);
                self.entries
                    .insert(target.clone(), Entry::HardLink(path.clone()));
                home.insert(target, path);
            }
        }
        for (path, entry) in &mut self.entries {
            if let Entry::HardLink(target) = entry
                && let Some(first) = home.get(target)
                && first != path
            {
                *target = first.clone();
            }
        }
    }

    /// Checks that every name lies in a directory and every hard link names a file.
    ///
    /// # Errors
    /// [`TreeError`] names the first path that breaks a rule.
    pub fn check(&self) -> Result<(), TreeError> {
        for (path, entry) in &self.entries {
            if let Some(parent) = path.parent() {
                let holds = self
                    .get(&parent)
                    .and_then(Entry::as_node)
                    .is_some_and(Node::is_directory);
                if !holds {
                    return Err(TreeError::NoParent(path.clone()));
                }
            }
            if let Entry::HardLink(target) = entry {
                let file = self
                    .get(target)
                    .and_then(Entry::as_node)
                    .is_some_and(|node| !node.is_directory());
                if !file {
                    return Err(TreeError::DanglingLink {
                        path: path.clone(),
                        target: target.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

impl FromIterator<(RelPath, Entry)> for Tree {
    fn from_iter<I: IntoIterator<Item = (RelPath, Entry)>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().collect(),
        }
    }
}
