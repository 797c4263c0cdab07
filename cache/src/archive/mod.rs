//! Export: a tree as an archive or as a plain directory. Not for reading archives.

mod directory;
mod tarball;

pub use directory::{DirectoryError, write_directory};
pub use tarball::{Compression, TarballError, write_tarball};

use std::borrow::Cow;
use std::collections::BTreeMap;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::{Node, Tree, TreeError};

/// A node file: written on export, never part of a tree. Takes the place of what the tree has at its path, symbolic
/// links included; directories above it that the tree lacks are made with mode 0755.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraFile {
    /// Where.
    pub path: RelPath,
    /// What. The digest and size of a file are not looked at.
    pub node: Node,
    /// The bytes of a file; empty for anything else.
    pub bytes: Vec<u8>,
}

/// A tree with the node files in it, and where their bytes are.
struct Export<'a> {
    tree: Cow<'a, Tree>,
    bytes: BTreeMap<&'a RelPath, &'a [u8]>,
}

impl<'a> Export<'a> {
    fn new(tree: &'a Tree, extra: &'a [ExtraFile]) -> Result<Self, TreeError> {
        let mut bytes = BTreeMap::new();
        let mut tree = Cow::Borrowed(tree);
        for ExtraFile {
            path,
            node,
            bytes: content,
        } in extra
        {
            let tree = tree.to_mut();
            tree.remove_subtree(path);
            let mut above = path.parent();
            while let Some(directory) = above.filter(|directory| tree.get(directory).is_none()) {
                above = directory.parent();
                tree.insert(directory, Node::directory(0o755, node.meta.mtime));
            }
            tree.insert(path.clone(), node.clone());
            bytes.insert(path, content.as_slice());
        }
        // A name below something that is no directory would be written wherever that points to.
        tree.check()?;
        Ok(Self { tree, bytes })
    }
}
