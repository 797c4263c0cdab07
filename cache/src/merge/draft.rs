//! The growing result of a merge: edits by path, contents, report. Puts edits into the order in which they can be
//! carried out, makes the directories they need, and drops those that nothing private is left in.

use super::judge::same_meta;
use super::records::{is_read, read_record};
use super::view::Views;
use super::{
    Again, Blobs, Decision, Merge, MergeError, MergeInput, MergeReport, Obstacle, RECORD_BYTES,
    ReportLine,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use vzpkg_metadata::tree::{Meta, Node, NodeKind};
use vzpkg_metadata::{Digest, RelPath, Timestamp};
use vzpkg_runtime::container::{
    Before, Regenerate, RelinkPlan, UpperEdit, UpperEntry, UpperKind, UpperScan,
};

/// A merge under way.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) input: &'a MergeInput<'a>,
    views: &'a Views<'a>,
    /// Private entries that go.
    reveals: BTreeSet<RelPath>,
    /// Private directories that go if nothing is left in them, and are moved aside else.
    in_the_way: BTreeSet<RelPath>,
    moves: Vec<(RelPath, RelPath)>,
    /// What is made or changed, by path.
    changes: BTreeMap<RelPath, Vec<UpperEdit>>,
    /// Private entries that stay.
    kept: Vec<UpperEdit>,
    /// Paths that are decided.
    settled: BTreeSet<RelPath>,
    blobs: Blobs,
    again: Again,
    report: Vec<ReportLine>,
    obstacles: Vec<Obstacle>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(input: &'a MergeInput<'a>, views: &'a Views<'a>) -> Self {
        Self {
            input,
            views,
            reveals: BTreeSet::new(),
            in_the_way: BTreeSet::new(),
            moves: Vec::new(),
            changes: BTreeMap::new(),
            kept: Vec::new(),
            settled: BTreeSet::new(),
            blobs: Blobs::new(),
            again: Again::new(),
            report: Vec::new(),
            obstacles: Vec::new(),
        }
    }

    pub(super) const fn views(&self) -> &'a Views<'a> {
        self.views
    }

    pub(super) fn old(&self, path: &RelPath) -> Option<&'a Node> {
        self.views.base.node(path)
    }

    pub(super) fn new_node(&self, path: &RelPath) -> Option<&'a Node> {
        self.views.target.node(path)
    }

    pub(super) const fn upper(&self) -> &'a UpperScan {
        self.input.upper
    }

    pub(super) fn private(&self, path: &RelPath) -> Option<&'a UpperEntry> {
        self.input.upper.get(path)
    }

    pub(super) fn is_settled(&self, path: &RelPath) -> bool {
        self.settled.contains(path)
    }

    pub(super) fn settle(&mut self, path: &RelPath) {
        self.settled.insert(path.clone());
    }

    /// The digest of a private regular file.
    pub(super) fn private_digest(&self, path: &RelPath) -> Result<Digest, MergeError> {
        let digest = self.input.private.digest(path);
        digest.map_err(|source| MergeError::Private {
            path: path.clone(),
            source,
        })
    }

    /// All bytes of a private regular file.
    pub(super) fn read_private(&self, path: &RelPath) -> Result<Vec<u8>, MergeError> {
        let bytes = self.input.private.read(path, RECORD_BYTES);
        bytes.map_err(|source| MergeError::Private {
            path: path.clone(),
            source,
        })
    }

    /// All bytes of a regular file of one of the trees; nothing for anything else. In a rollback a tree may have the
    /// container's own file, which no store has: where it was not touched since, it still lies in its place.
    pub(super) fn read_node(
        &self,
        path: &RelPath,
        node: Option<&Node>,
    ) -> Result<Vec<u8>, MergeError> {
        let read = read_record(self.input.objects, path, node);
        match node.map(|node| &node.kind) {
            Some(NodeKind::File { digest, .. })
                if read.is_err() && self.is_own(path, digest)? =>
            {
                self.read_private(path)
            }
            _ => read,
        }
    }

    /// Whether what has this digest is the private file at `path`, as it is, or as it was before the relink that is rolled
    /// back, which left it where it was.
    fn is_own(&self, path: &RelPath, digest: &Digest) -> Result<bool, MergeError> {
        if !matches!(
            self.private(path).map(|entry| &entry.kind),
            Some(UpperKind::File { .. })
        ) {
            return Ok(false);
        }
        let stayed = matches!(
            self.before(path),
            Some(Before::Changed { node })
                if matches!(node.kind, NodeKind::File { digest: of, .. } if of == *digest)
        );
        Ok(stayed || self.private_digest(path)? == *digest)
    }

    /// What was private at `path` before the relink that is rolled back, if that changed it.
    pub(super) fn before(&self, path: &RelPath) -> Option<&'a Before> {
        self.input.undo.and_then(|undo| undo.before(path))
    }

    /// Nothing of the container's stays: the new version's shows, or what was private before is put back.
    pub(super) fn take(&mut self, path: &RelPath) {
        self.settle(path);
        let undo = self.input.undo;
        let kept = undo.and_then(|undo| {
            let entry = undo.before.iter().find(|entry| entry.path == *path)?;
            Some(entry.put_back(undo.from.generation))
        });
        match kept {
            Some(edits) if !edits.is_empty() => drop(self.changes.insert(path.clone(), edits)),
            _ if self.private(path).is_some() => drop(self.reveals.insert(path.clone())),
            _ => {}
        }
    }

    /// The private entry stays as it is.
    pub(super) fn keep(&mut self, path: &RelPath) {
        self.settle(path);
        let path = path.clone();
        self.kept.push(UpperEdit::Keep { path });
    }

    pub(super) fn put(&mut self, path: &RelPath, node: Node) {
        self.settle(path);
        let path = path.clone();
        let edit = match node.kind {
            NodeKind::Directory => UpperEdit::EnsureDirectory {
                path: path.clone(),
                meta: node.meta,
            },
            _ => UpperEdit::Put {
                path: path.clone(),
                node,
            },
        };
        self.changes.insert(path, vec![edit]);
    }

    /// Puts what the new side has at `path` to `place`, as `node` says. What a relink kept aside comes as the very file that
    /// it was, for no store has its bytes.
    pub(super) fn put_new(&mut self, path: &RelPath, place: &RelPath, node: Node) {
        let kept = match (self.input.undo, self.before(path)) {
            (Some(undo), Some(Before::Kept { slot, .. })) => Some((undo.from.generation, *slot)),
            _ => None,
        };
        let Some((generation, slot)) = kept else {
            self.put(place, node);
            return;
        };
        self.settle(place);
        let path = place.clone();
        let edit = UpperEdit::Restore {
            path: path.clone(),
            generation,
            slot,
            node,
        };
        self.changes.insert(path, vec![edit]);
    }

    /// Puts a file with bytes that no store has.
    pub(super) fn put_bytes(&mut self, path: &RelPath, meta: Meta, bytes: Vec<u8>) {
        let digest = Digest::of(&bytes);
        let kind = NodeKind::File {
            digest,
            size: bytes.len() as u64,
        };
        self.blobs.insert(digest, bytes);
        self.put(path, Node { meta, kind });
    }

    pub(super) fn hide(&mut self, path: &RelPath) {
        self.settle(path);
        let path = path.clone();
        self.changes
            .insert(path.clone(), vec![UpperEdit::Hide { path }]);
    }

    pub(super) fn set_meta(&mut self, path: &RelPath, meta: Meta) {
        self.settle(path);
        let path = path.clone();
        self.changes
            .entry(path.clone())
            .or_default()
            .push(UpperEdit::SetMeta { path, meta });
    }

    /// What the version has below a private directory shows, or not.
    pub(super) fn set_opaque(&mut self, path: &RelPath, opaque: bool) {
        let path = path.clone();
        let edits = self.changes.entry(path.clone()).or_default();
        edits.push(UpperEdit::SetOpaque { path, opaque });
    }

    /// Renames a private entry and returns where to.
    pub(super) fn move_aside(&mut self, path: &RelPath, to: RelPath) {
        self.settle(path);
        self.moves.push((path.clone(), to));
    }

    /// A private directory goes if nothing is left in it, and is moved aside else.
    pub(super) fn clear_the_way(&mut self, path: &RelPath) {
        self.settle(path);
        self.in_the_way.insert(path.clone());
    }

    pub(super) fn make_again(&mut self, what: Regenerate) {
        self.again.insert(what);
    }

    pub(super) fn say(&mut self, subject: &dyn fmt::Display, decision: Decision) {
        self.report.push(ReportLine {
            subject: subject.to_string(),
            decision,
        });
    }

    pub(super) fn object_to(&mut self, obstacle: Obstacle) {
        self.obstacles.push(obstacle);
    }

    pub(super) fn is_taken(&self, name: &RelPath) -> bool {
        self.private(name).is_some()
            || self.new_node(name).is_some()
            || self.changes.contains_key(name)
            || self.moves.iter().any(|(_, to)| to == name)
    }

    /// The finished merge.
    pub(super) fn finish(mut self) -> Result<Merge, MergeError> {
        self.drop_empty_directories();
        self.make_parents();
        self.remember_contents()?;
        // What was kept at first may go with its directory, or change after all.
        self.kept.retain(|edit| {
            let path = edit.path();
            let moved = self.moves.iter().any(|(from, _)| path.is_within(from));
            !moved && !self.reveals.contains(path) && !self.changes.contains_key(path)
        });
        let reveals = self
            .reveals
            .iter()
            .rev()
            .map(|path| UpperEdit::Reveal { path: path.clone() });
        let moves = self.moves.iter().map(|(path, to)| UpperEdit::MoveAside {
            path: path.clone(),
            to: to.clone(),
        });
        let changes = self.changes.values().flatten().cloned();
        let edits = self
            .kept
            .into_iter()
            .chain(reveals)
            .chain(moves)
            .chain(changes)
            .collect();
        self.report
            .sort_by(|one, other| one.subject.cmp(&other.subject));
        Ok(Merge {
            plan: RelinkPlan {
                edits,
                blobs: self.blobs,
                regenerate: self.again.into_iter().collect(),
            },
            report: MergeReport {
                lines: self.report,
                obstacles: self.obstacles,
            },
        })
    }

    /// A file that is put back is the container's own, which may write into it: of those that a merge reads, the undo record
    /// gets the bytes, so that the way back from here has something to compare with.
    fn remember_contents(&mut self) -> Result<(), MergeError> {
        let restored = self.changes.values().flatten();
        let restored = restored.filter_map(|edit| match edit {
            UpperEdit::Restore { path, node, .. } if is_read(path) => Some((path, node)),
            _ => None,
        });
        let mut contents = Blobs::new();
        for (path, node) in restored {
            if let NodeKind::File { digest, .. } = node.kind {
                contents.insert(digest, self.read_node(path, Some(node))?);
            }
        }
        self.blobs.append(&mut contents);
        Ok(())
    }

    /// From the innermost out: a directory that only held what has gone goes too, unless it is private itself.
    fn drop_empty_directories(&mut self) {
        let upper = self.input.upper;
        // How many private names each directory will have.
        let mut names: BTreeMap<RelPath, usize> = BTreeMap::new();
        let staying = upper
            .entries
            .keys()
            .filter(|path| !self.reveals.contains(*path));
        let made = self.changes.keys().filter(|path| upper.get(path).is_none());
        let moved = self.moves.iter().map(|(_, to)| to);
        for parent in staying.chain(made).chain(moved).filter_map(RelPath::parent) {
            *names.entry(parent).or_default() += 1;
        }
        for (_, from) in self.moves.iter().map(|(path, to)| (to, path)) {
            if let Some(count) = from.parent().and_then(|parent| names.get_mut(&parent)) {
                *count = count.saturating_sub(1);
            }
        }
        let touched: BTreeSet<RelPath> = self.reveals.iter().filter_map(RelPath::parent).collect();
        let mut touched = touched;
        for (path, entry) in upper.entries.iter().rev() {
            let UpperKind::Directory { opaque } = entry.kind else {
                continue;
            };
            let empty = names.get(path).copied().unwrap_or(0) == 0;
            if empty && self.goes(path, entry, opaque, touched.contains(path)) {
                self.changes.remove(path);
                self.in_the_way.remove(path);
                self.reveals.insert(path.clone());
                if let Some(parent) = path.parent() {
                    if let Some(count) = names.get_mut(&parent) {
                        *count = count.saturating_sub(1);
                    }
                    touched.insert(parent);
                }
            }
        }
        for path in std::mem::take(&mut self.in_the_way) {
            // State that is copied into it keeps it where it is.
            if self.changes.keys().any(|change| change.is_within(&path)) {
                let why = super::Why::OtherType;
                self.say(&path, Decision::Kept { why });
                continue;
            }
            if let Some(to) = super::beside::free_name(self, &path, super::beside::OLD) {
                self.say(&path, Decision::MovedAside { to: to.to_string() });
                self.moves.push((path, to));
            }
        }
    }

    /// Whether an emptied private directory may go.
    fn goes(&self, path: &RelPath, entry: &UpperEntry, opaque: bool, touched: bool) -> bool {
        if self.moves.iter().any(|(from, _)| path.is_within(from)) {
            return self.before(path) == Some(&Before::Nothing);
        }
        match self.before(path) {
            Some(Before::Nothing) => return true,
            Some(_) => return false,
            None => {}
        }
        if self.in_the_way.contains(path) {
            return true;
        }
        let changed = self.changes.get(path).and_then(|edits| {
            edits.iter().find_map(|edit| match edit {
                UpperEdit::SetMeta { meta, .. } => Some(meta),
                _ => None,
            })
        });
        let meta = changed.unwrap_or(&entry.meta);
        match (self.old(path), self.new_node(path)) {
            (_, Some(new)) if new.is_directory() => {
                touched && !opaque && same_meta(meta, &new.meta)
            }
            (Some(old), None) if old.is_directory() => !opaque && same_meta(meta, &old.meta),
            _ => false,
        }
    }

    /// Every directory that an edit needs and that is not private yet.
    fn make_parents(&mut self) {
        let mut missing = BTreeMap::new();
        for path in self.changes.keys() {
            let mut above = path.parent();
            while let Some(directory) = above {
                let there = self.private(&directory).is_some_and(|entry| {
                    matches!(entry.kind, UpperKind::Directory { .. })
                        && !self.reveals.contains(&directory)
                });
                let returns = self.moves.iter().any(|(_, to)| directory.is_within(to));
                if directory.is_root()
                    || there
                    || returns
                    || self.changes.contains_key(&directory)
                    || missing.contains_key(&directory)
                {
                    break;
                }
                missing.insert(directory.clone(), self.directory_meta(&directory));
                above = directory.parent();
            }
        }
        for (path, meta) in missing {
            self.changes.insert(
                path.clone(),
                vec![UpperEdit::EnsureDirectory { path, meta }],
            );
        }
    }

    fn directory_meta(&self, path: &RelPath) -> Meta {
        let node = [self.new_node(path), self.old(path)]
            .into_iter()
            .flatten()
            .find(|node| node.is_directory());
        node.map_or_else(
            || Node::directory(0o755, Timestamp::default()).meta,
            |node| node.meta.clone(),
        )
    }
}
