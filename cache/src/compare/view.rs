//! A tree with the contents of its files, read for facts: bounded, symbolic links followed only inside the tree.

use crate::store::{ObjectError, Objects};
use std::io::ErrorKind;
use vzpkg_metadata::tree::{Node, NodeKind, Tree};
use vzpkg_metadata::{Digest, RelPath};

/// The largest file that is read for facts; one that is larger says nothing.
const FILE_BYTES: u64 = 1 << 20;

/// One version's tree and where its contents are.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) tree: &'a Tree,
    objects: &'a Objects,
}

impl<'a> View<'a> {
    pub(super) const fn new(tree: &'a Tree, objects: &'a Objects) -> Self {
        Self { tree, objects }
    }

    /// Whether this user may read objects: only root may.
    pub(super) fn may_read_contents(&self) -> bool {
        let first = self.tree.objects().find(|(_, size)| *size > 0);
        match first.map(|(digest, _)| self.objects.open(&digest)) {
            Some(Err(ObjectError::File(error)))
                if error.source.kind() == ErrorKind::PermissionDenied =>
            {
                false
            }
            // What is missing is found, and named, by whoever needs it.
            _ => true,
        }
    }

    /// The node at a path of this code's own.
    pub(super) fn node(&self, path: &str) -> Option<&'a Node> {
        self.tree.node(&RelPath::parse(path.as_bytes()).ok()?)
    }

    /// The text of a file; `None` if there is none, or a very large one.
    pub(super) fn text(&self, path: &str) -> Result<Option<String>, ObjectError> {
        match self.node(path).map(|node| &node.kind) {
            Some(NodeKind::File { digest, size }) if *size <= FILE_BYTES => {
                self.content(digest, *size, FILE_BYTES).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The text of a file of this tree.
    fn content(&self, digest: &Digest, size: u64, limit: u64) -> Result<String, ObjectError> {
        Ok(String::from_utf8_lossy(&self.bytes(digest, size, limit)?).into_owned())
    }

    /// The bytes of a file of this tree; the empty file needs no object.
    pub(super) fn bytes(
        &self,
        digest: &Digest,
        size: u64,
        limit: u64,
    ) -> Result<Vec<u8>, ObjectError> {
        if size == 0 {
            return Ok(Vec::new());
        }
        self.objects.read(digest, limit)
    }

    /// The names in a directory and what they are, in order; not those below them.
    pub(super) fn entries(
        self,
        directory: &str,
    ) -> impl Iterator<Item = (String, &'a Node)> + use<'a> {
        let directory = RelPath::parse(directory.as_bytes()).unwrap_or_default();
        let depth = directory.components().count();
        let tree = self.tree;
        let below: Vec<_> = tree
            .below(&directory)
            .filter(|(path, _)| path.components().count() == depth + 1)
            .collect();
        below.into_iter().filter_map(move |(path, _)| {
            let name = String::from_utf8_lossy(path.file_name()).into_owned();
            Some((name, tree.node(path)?))
        })
    }
}
