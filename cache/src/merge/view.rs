//! The two trees that a merge compares: the versions themselves, or in a rollback the versions with what the relink
//! put over them.

use super::MergeInput;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::{Meta, Node, NodeKind, Tree};
use vzpkg_runtime::container::{Before, UndoRecord, UpperEdit};

/// What both sides start from and what is to show.
#[derive(Debug)]
pub(super) struct Views<'a> {
    /// What the container saw when its private changes were last right.
    pub(super) base: Cow<'a, Tree>,
    /// What it shall see where nothing is private.
    pub(super) target: Cow<'a, Tree>,
    /// The paths at which the trees themselves differ.
    of_trees: &'a BTreeSet<RelPath>,
}

impl<'a> Views<'a> {
    pub(super) fn new(input: &MergeInput<'a>) -> Self {
        // A relink that changed nothing private leaves nothing to put over them.
        let undo = input.undo.filter(|undo| !undo.edits.is_empty());
        let of_trees = input.differing;
        let Some(undo) = undo else {
            return Self {
                base: Cow::Borrowed(input.from),
                target: Cow::Borrowed(input.to),
                of_trees,
            };
        };
        Self {
            base: Cow::Owned(after(input.from, undo)),
            target: Cow::Owned(before(input.to, undo)),
            of_trees,
        }
    }

    /// The paths at which the two views differ.
    pub(super) fn differing(&self) -> BTreeSet<RelPath> {
        match (&self.base, &self.target) {
            (Cow::Borrowed(_), Cow::Borrowed(_)) => self.of_trees.clone(),
            (base, target) => super::differing(base, target),
        }
    }
}

/// The old version with what was private before the relink, as far as the relink changed it.
fn before(tree: &Tree, undo: &UndoRecord) -> Tree {
    let mut tree = tree.clone();
    for entry in &undo.before {
        match &entry.before {
            Before::Nothing => {}
            Before::Whiteout => {
                tree.remove_subtree(&entry.path);
            }
            Before::Directory { meta, opaque } => {
                put_directory(&mut tree, &entry.path, meta, *opaque);
            }
            Before::Changed { node } | Before::Kept { node, .. } => {
                put(&mut tree, &entry.path, node.clone());
            }
        }
    }
    tree
}

/// The new version with what the relink put over it.
fn after(tree: &Tree, undo: &UndoRecord) -> Tree {
    let kept: BTreeMap<&RelPath, &Before> = undo
        .before
        .iter()
        .map(|entry| (&entry.path, &entry.before))
        .collect();
    let mut tree = tree.clone();
    for edit in &undo.edits {
        match edit {
            UpperEdit::Reveal { .. } | UpperEdit::MoveAside { .. } => {}
            UpperEdit::Keep { path } => match kept.get(path) {
                Some(Before::Changed { node }) => put(&mut tree, path, node.clone()),
                Some(Before::Directory { meta, opaque }) => {
                    put_directory(&mut tree, path, meta, *opaque);
                }
                Some(Before::Whiteout) => drop(tree.remove_subtree(path)),
                _ => {}
            },
            UpperEdit::Hide { path } => {
                tree.remove_subtree(path);
            }
            UpperEdit::EnsureDirectory { path, meta } => {
                put_directory(&mut tree, path, meta, false);
            }
            UpperEdit::Put { path, node } | UpperEdit::Restore { path, node, .. } => {
                put(&mut tree, path, node.clone());
            }
            UpperEdit::SetMeta { path, meta } => match kept.get(path) {
                Some(Before::Changed { node }) => {
                    let node = Node {
                        meta: meta.clone(),
                        kind: node.kind.clone(),
                    };
                    put(&mut tree, path, node);
                }
                Some(Before::Directory { .. }) => put_directory(&mut tree, path, meta, false),
                _ => {}
            },
            UpperEdit::SetOpaque { path, opaque } => {
                if *opaque {
                    empty(&mut tree, path);
                }
            }
        }
    }
    tree
}

fn put(tree: &mut Tree, path: &RelPath, node: Node) {
    tree.remove_subtree(path);
    tree.insert(path.clone(), node);
}

fn put_directory(tree: &mut Tree, path: &RelPath, meta: &Meta, opaque: bool) {
    let there = tree
        .get(path)
        .and_then(vzpkg_metadata::tree::Entry::as_node);
    if opaque || !there.is_some_and(Node::is_directory) {
        tree.remove_subtree(path);
    }
    let node = Node {
        meta: meta.clone(),
        kind: NodeKind::Directory,
    };
    tree.insert(path.clone(), node);
}

fn empty(tree: &mut Tree, path: &RelPath) {
    if let Some(entry) = tree.get(path).cloned() {
        tree.remove_subtree(path);
        tree.insert(path.clone(), entry);
    }
}
