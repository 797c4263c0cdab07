//! From the upper of a finished run to the new tree: only what changed is read, its bytes become objects.
//!
//! The upper is no longer mounted. A character device 0:0 is a removed name; a directory with the opaque mark hides all
//! that was there before. Names of the overlay itself (`trusted.overlay.*`) never enter a tree.

mod contents;
mod scan;

pub(super) use contents::Likely;

use super::BuildError;
use crate::store::Store;
use contents::Contents;
use scan::{Scan, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::{Entry, Node, Tree};

/// Merges the changes in `upper` into `base` and stores the bytes of changed files with `threads` threads.
///
/// Reads every changed file once, and hashes those that hold other bytes than the packages in `likely`; cost does not
/// depend on the size of the base but for one copy of its names.
///
/// # Errors
/// [`BuildError::File`], [`BuildError::Object`] and [`BuildError::Path`] by what cannot be read or stored.
pub(super) fn commit(
    base: &Tree,
    upper: &Path,
    store: &Store,
    likely: &Likely<'_>,
    threads: usize,
) -> Result<Tree, BuildError> {
    commit_chosen(base, upper, store, &|_| true, likely, threads)
}

/// The same, of the names that are wanted alone.
///
/// # Errors
/// As [`commit`].
pub(super) fn commit_chosen(
    base: &Tree,
    upper: &Path,
    store: &Store,
    wanted: Wanted<'_>,
    likely: &Likely<'_>,
    threads: usize,
) -> Result<Tree, BuildError> {
    let mut scan = Scan::of(upper, wanted)?;
    let contents = Contents {
        objects: &store.objects,
        likely,
    };
    contents.fill_in(&mut scan, threads)?;
    let mut tree = without(base, &scan.removed, &scan.changed);
    for (path, entry) in scan.changed {
        tree.insert(path, entry);
    }
    tree.canonicalize_links();
    Ok(tree)
}

/// `base` without the names that went or are replaced. A file that lives on under another name moves there.
fn without(base: &Tree, removed: &BTreeSet<RelPath>, changed: &BTreeMap<RelPath, Entry>) -> Tree {
    let mut kept: BTreeMap<RelPath, Entry> = BTreeMap::new();
    let mut moved: BTreeMap<RelPath, Option<RelPath>> = BTreeMap::new();
    let mut hidden: Option<&RelPath> = None;
    for (path, entry) in base.iter() {
        if hidden.is_some_and(|directory| path.is_within(directory)) {
            // Below a directory that went.
        } else if removed.contains(path) {
            hidden = Some(path);
        } else if let Some(new) = changed.get(path) {
            let is_directory = |entry: &Entry| entry.as_node().is_some_and(Node::is_directory);
            if is_directory(entry) && !is_directory(new) {
                hidden = Some(path);
            }
        } else {
            kept.insert(path.clone(), entry.clone());
            continue;
        }
        moved.insert(path.clone(), None);
    }
    for (path, entry) in &mut kept {
        let Entry::HardLink(target) = entry else {
            continue;
        };
        match moved.get_mut(target) {
            None => {}
            Some(Some(home)) => *target = home.clone(),
            Some(home) => {
                if let Some(node) = base.get(target) {
                    *home = Some(path.clone());
                    *entry = node.clone();
                }
            }
        }
    }
    kept.into_iter().collect()
}
