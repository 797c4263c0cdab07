//! Back to what the version has: which private entries go, as edits that a relink to the same version carries out, so
//! that it is finished or undone after a crash and can be rolled back like any other.

use super::is_node_file;
use crate::merge::{Decision, Merge, MergeReport, ReportLine};
use std::collections::BTreeSet;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::{Meta, Node, Tree};
use vzpkg_runtime::container::{RelinkPlan, UpperEdit, UpperEntry, UpperKind, UpperScan};

/// Why a path cannot be reset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResetError {
    /// Nothing private stands there or below.
    #[error("nothing at or below `/{path}` is private")]
    NotPrivate {
        /// The path.
        path: RelPath,
    },
    /// It would stay hidden.
    #[error("`/{path}` is hidden: the container removed or replaced `/{above}`")]
    Hidden {
        /// The path.
        path: RelPath,
        /// What hides it.
        above: RelPath,
    },
}

/// What has to go for the version to show at and below `paths`; without any, everywhere but in the files that each
/// container is given (host name, name servers, machine id, repositories). No edits where nothing would change.
///
/// # Errors
/// [`ResetError`] for a path of which nothing is private, or that would not show.
pub fn reset(tree: &Tree, upper: &UpperScan, paths: &[RelPath]) -> Result<Merge, ResetError> {
    for path in paths {
        check(tree, upper, path)?;
    }
    let whole = paths.is_empty();
    let chosen = |path: &RelPath| {
        if whole {
            !is_node_file(path)
        } else {
            paths.iter().any(|chosen| path.is_within(chosen))
        }
    };
    let mut work = Work {
        tree,
        going: BTreeSet::new(),
        edits: Vec::new(),
        lines: Vec::new(),
    };
    // From the innermost out, so that a directory is empty when its turn comes.
    for (path, entry) in upper.entries.iter().rev() {
        let stays = upper
            .below(path)
            .any(|(below, _)| below != path && !work.going.contains(below));
        match (chosen(path), stays) {
            (true, false) => work.reveal(path, entry),
            (true, true) => work.as_the_version(path, entry),
            (false, false) if work.is_only_a_way(path, entry) => work.reveal(path, entry),
            (false, _) => {}
        }
    }
    let root = RelPath::root();
    if whole
        && let Some(node) = tree.node(&root)
        && !same(&upper.root, &node.meta)
    {
        let meta = node.meta.clone();
        work.edits.push(UpperEdit::SetMeta { path: root, meta });
    }
    // Ways to nothing alone are no change, and would be all that the way back leads to.
    let only_ways = |edit: &UpperEdit| matches!(edit, UpperEdit::Reveal { .. });
    if work.lines.is_empty() && work.edits.iter().all(only_ways) {
        work.edits.clear();
    }
    work.lines
        .sort_by(|one, other| one.subject.cmp(&other.subject));
    Ok(Merge {
        plan: RelinkPlan {
            edits: work.edits,
            ..RelinkPlan::default()
        },
        report: MergeReport {
            lines: work.lines,
            obstacles: Vec::new(),
        },
    })
}

fn check(tree: &Tree, upper: &UpperScan, path: &RelPath) -> Result<(), ResetError> {
    if let Some(above) = upper.hidden_by(path)
        && tree.get(path).is_some()
    {
        let path = path.clone();
        return Err(ResetError::Hidden { path, above });
    }
    if upper.below(path).next().is_none() && !path.is_root() {
        return Err(ResetError::NotPrivate { path: path.clone() });
    }
    Ok(())
}

struct Work<'a> {
    tree: &'a Tree,
    going: BTreeSet<RelPath>,
    edits: Vec<UpperEdit>,
    lines: Vec<ReportLine>,
}

impl Work<'_> {
    fn reveal(&mut self, path: &RelPath, entry: &UpperEntry) {
        if !self.is_only_a_way(path, entry) {
            self.say(path);
        }
        self.going.insert(path.clone());
        self.edits.push(UpperEdit::Reveal { path: path.clone() });
    }

    /// A directory that has to stay for what is in it becomes as the version's.
    fn as_the_version(&mut self, path: &RelPath, entry: &UpperEntry) {
        let UpperKind::Directory { opaque } = entry.kind else {
            return;
        };
        let Some(node) = self.tree.node(path).filter(|node| node.is_directory()) else {
            return;
        };
        let (changed, meta) = (!same(&entry.meta, &node.meta), node.meta.clone());
        if changed {
            let path = path.clone();
            self.edits.push(UpperEdit::SetMeta { path, meta });
        }
        if opaque {
            let (path, opaque) = (path.clone(), false);
            self.edits.push(UpperEdit::SetOpaque { path, opaque });
        }
        if changed || opaque {
            self.say(path);
        }
    }

    /// Whether a directory is private only because something in it is.
    fn is_only_a_way(&self, path: &RelPath, entry: &UpperEntry) -> bool {
        let is_plain = entry.kind == UpperKind::Directory { opaque: false };
        let node = self
            .tree
            .node(path)
            .filter(|node: &&Node| node.is_directory());
        is_plain && node.is_some_and(|node| same(&entry.meta, &node.meta))
    }

    fn say(&mut self, path: &RelPath) {
        self.lines.push(ReportLine {
            subject: path.to_string(),
            decision: Decision::Reset,
        });
    }
}

/// Equal but for the time.
fn same(one: &Meta, other: &Meta) -> bool {
    (one.mode, one.uid, one.gid, &one.xattrs) == (other.mode, other.uid, other.gid, &other.xattrs)
}
