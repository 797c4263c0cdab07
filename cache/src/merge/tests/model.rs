//! The model: what overlayfs makes of a container's changes, and what a relink makes of edits.

use crate::merge::{Merge, MergeInput, UnionPackage, differing, merge};
use std::collections::BTreeMap;
use std::io::{self, Read};
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind, Tree};
use vzpkg_metadata::{Digest, Family, RelPath, Timestamp};
use vzpkg_runtime::container::{
    Before, Link, ObjectSource, PrivateSource, UndoEntry, UndoRecord, UpperEdit, UpperEntry,
    UpperKind, UpperScan,
};

pub(super) fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

/// Something to put at a path: a node, and a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thing {
    pub(super) node: Node,
    bytes: Vec<u8>,
}

pub(super) fn file(content: &str) -> Thing {
    data(content.as_bytes())
}

pub(super) fn data(bytes: &[u8]) -> Thing {
    Thing {
        node: Node::file(0o644, Timestamp::default(), bytes),
        bytes: bytes.to_vec(),
    }
}

pub(super) fn link(target: &str) -> Thing {
    Thing {
        node: Node::symlink(target, Timestamp::default()),
        bytes: Vec::new(),
    }
}

pub(super) fn dir() -> Thing {
    Thing {
        node: Node::directory(0o755, Timestamp::default()),
        bytes: Vec::new(),
    }
}

impl Thing {
    pub(super) fn mode(mut self, mode: u16) -> Self {
        self.node.meta.mode = mode;
        self
    }

    pub(super) fn owner(mut self, uid: u32) -> Self {
        self.node.meta.uid = uid;
        self
    }
}

/// A version: things by path; directories above them are made.
#[derive(Debug, Clone, Default)]
pub(super) struct Version(pub(super) BTreeMap<RelPath, Thing>);

pub(super) fn tree(things: &[(&str, Thing)]) -> Version {
    let mut version = Version::default();
    version.0.insert(RelPath::root(), dir());
    for (at, thing) in things {
        version.put(&path(at), thing.clone());
    }
    version
}

impl Version {
    pub(super) fn put(&mut self, at: &RelPath, thing: Thing) {
        let mut above = at.parent();
        while let Some(directory) = above {
            self.0.entry(directory.clone()).or_insert_with(dir);
            above = directory.parent();
        }
        self.0.insert(at.clone(), thing);
    }

    pub(super) fn tree(&self) -> Tree {
        let entries = self.0.iter();
        entries
            .map(|(path, thing)| (path.clone(), Entry::Node(thing.node.clone())))
            .collect()
    }
}

/// Private entries with their bytes; all objects of all versions.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// The metadata of the root directory of the upper.
    pub(super) root: Meta,
    pub(super) upper: BTreeMap<RelPath, (UpperEntry, Vec<u8>)>,
    objects: BTreeMap<Digest, Vec<u8>>,
    /// What the record of the latest relink has: contents that its merge made, and what it kept aside. Earlier records are
    /// forgotten.
    recorded: BTreeMap<Digest, Vec<u8>>,
    /// What relinks kept aside, by generation and slot.
    kept: BTreeMap<(u64, u32), (UpperEntry, Vec<u8>)>,
}

fn private(thing: &Thing) -> UpperEntry {
    let kind = match &thing.node.kind {
        NodeKind::File { size, .. } => UpperKind::File { size: *size },
        NodeKind::Symlink { target } => UpperKind::Symlink {
            target: target.clone(),
        },
        NodeKind::Directory => UpperKind::Directory { opaque: false },
        _ => UpperKind::Special,
    };
    UpperEntry {
        meta: thing.node.meta.clone(),
        kind,
    }
}

const WHITEOUT: UpperEntry = UpperEntry {
    meta: Meta {
        mode: 0,
        uid: 0,
        gid: 0,
        mtime: Timestamp::from_seconds(0),
        xattrs: BTreeMap::new(),
    },
    kind: UpperKind::Whiteout,
};

impl Model {
    /// Knows the objects of these versions.
    pub(super) fn new(versions: &[&Version]) -> Self {
        let mut model = Self {
            root: versions[0].0[&RelPath::root()].node.meta.clone(),
            ..Self::default()
        };
        for thing in versions.iter().flat_map(|version| version.0.values()) {
            model
                .objects
                .insert(Digest::of(&thing.bytes), thing.bytes.clone());
        }
        model
    }

    /// Puts a private entry as it lies in the upper, without the overlay's help but for the directories above.
    pub(super) fn with(mut self, version: &Version, at: &str, thing: Thing) -> Self {
        self.write(version, &path(at), thing);
        self
    }

    pub(super) fn scan(&self) -> UpperScan {
        let entries = self.upper.iter();
        UpperScan {
            root: self.root.clone(),
            entries: entries
                .map(|(path, (entry, _))| (path.clone(), entry.clone()))
                .collect(),
        }
    }

    /// What the container sees on a version.
    pub(super) fn view(&self, version: &Version) -> BTreeMap<RelPath, Thing> {
        let scan = self.scan();
        let mut seen: BTreeMap<RelPath, Thing> = version
            .0
            .iter()
            .filter(|(path, _)| scan.get(path).is_none() && scan.hidden_by(path).is_none())
            .map(|(path, thing)| (path.clone(), thing.clone()))
            .collect();
        // The upper's, whatever the version says.
        if let Some(root) = seen.get_mut(&RelPath::root()) {
            root.node.meta = self.root.clone();
        }
        for (path, (entry, bytes)) in &self.upper {
            let kind = match &entry.kind {
                UpperKind::Whiteout => continue,
                UpperKind::Directory { .. } => NodeKind::Directory,
                UpperKind::File { size } => NodeKind::File {
                    digest: Digest::of(bytes),
                    size: *size,
                },
                UpperKind::Symlink { target } => NodeKind::Symlink {
                    target: target.clone(),
                },
                UpperKind::Special => NodeKind::Fifo,
            };
            let node = Node {
                meta: entry.meta.clone(),
                kind,
            };
            let bytes = bytes.clone();
            seen.insert(path.clone(), Thing { node, bytes });
        }
        seen
    }

    fn copy_up_parents(&mut self, version: &Version, at: &RelPath) {
        let mut above = at.parent();
        while let Some(directory) = above {
            if !directory.is_root() && !self.upper.contains_key(&directory) {
                let thing = version.0.get(&directory).cloned().unwrap_or_else(dir);
                self.upper
                    .insert(directory.clone(), (private(&thing), Vec::new()));
            }
            above = directory.parent();
        }
    }

    /// The container writes something where a file, a link or nothing is.
    pub(super) fn write(&mut self, version: &Version, at: &RelPath, thing: Thing) {
        self.copy_up_parents(version, at);
        let mut entry = private(&thing);
        if let UpperKind::Directory { opaque } = &mut entry.kind {
            // As overlayfs: a new directory in a merged one is opaque, needed or not.
            *opaque = true;
        }
        self.upper.insert(at.clone(), (entry, thing.bytes));
    }

    /// The container changes the mode of something it sees.
    pub(super) fn chmod(&mut self, version: &Version, at: &RelPath, mode: u16) {
        let Some(thing) = self.view(version).get(at).cloned() else {
            return;
        };
        self.copy_up_parents(version, at);
        let entry = self.upper.entry(at.clone());
        let (entry, _) = entry.or_insert_with(|| (private(&thing), thing.bytes));
        entry.meta.mode = mode;
    }

    /// The container removes something it sees, with all below it.
    pub(super) fn remove(&mut self, version: &Version, at: &RelPath) {
        if !self.view(version).contains_key(at) {
            return;
        }
        self.upper.retain(|path, _| !path.is_within(at));
        let hidden = self.scan().hidden_by(at).is_some();
        if version.0.contains_key(at) && !hidden {
            self.copy_up_parents(version, at);
            self.upper.insert(at.clone(), (WHITEOUT, Vec::new()));
        }
    }

    /// Works out a relink; every union is accepted.
    pub(super) fn merge(&self, from: &Version, to: &Version, undo: Option<&UndoRecord>) -> Merge {
        self.merge_checked(from, to, undo, &mut |_| Ok(()))
    }

    pub(super) fn merge_checked(
        &self,
        from: &Version,
        to: &Version,
        undo: Option<&UndoRecord>,
        check: &mut dyn FnMut(&[UnionPackage]) -> Result<(), String>,
    ) -> Merge {
        self.merge_of(Family::Deb, from, to, undo, check)
    }

    pub(super) fn merge_of(
        &self,
        family: Family,
        from: &Version,
        to: &Version,
        undo: Option<&UndoRecord>,
        check: &mut dyn FnMut(&[UnionPackage]) -> Result<(), String>,
    ) -> Merge {
        let (from, to, upper) = (from.tree(), to.tree(), self.scan());
        let input = MergeInput {
            family,
            from: &from,
            to: &to,
            differing: &differing(&from, &to),
            upper: &upper,
            private: self,
            objects: self,
            undo,
        };
        merge(&input, check).unwrap()
    }

    /// Keeps aside what edits change, and carries them out.
    pub(super) fn relink(&mut self, merge: &Merge, generation: u64) -> UndoRecord {
        assert_eq!(merge.report.obstacles, []);
        self.recorded.clone_from(&merge.plan.blobs);
        let record = self.keep(&merge.plan.edits, generation);
        self.apply(&merge.plan.edits);
        self.kept.retain(|(of, _), _| *of == generation);
        record
    }

    fn keep(&mut self, edits: &[UpperEdit], generation: u64) -> UndoRecord {
        let mut before: BTreeMap<RelPath, Before> = BTreeMap::new();
        for edit in edits {
            if matches!(edit, UpperEdit::MoveAside { .. }) || before.contains_key(edit.path()) {
                continue;
            }
            let slot = u32::try_from(before.len()).unwrap();
            if edit.path().is_root() {
                let (meta, opaque) = (self.root.clone(), false);
                before.insert(RelPath::root(), Before::Directory { meta, opaque });
                continue;
            }
            let found = self.upper.get(edit.path()).cloned();
            let was = found.map_or(Before::Nothing, |found| {
                let node = node_of(&found);
                match (&found.0.kind, edit) {
                    (UpperKind::Whiteout, _) => Before::Whiteout,
                    (UpperKind::Directory { opaque }, _) => Before::Directory {
                        meta: found.0.meta.clone(),
                        opaque: *opaque,
                    },
                    (_, UpperEdit::SetMeta { .. } | UpperEdit::Keep { .. }) => {
                        Before::Changed { node }
                    }
                    _ => {
                        self.recorded.insert(Digest::of(&found.1), found.1.clone());
                        self.kept.insert((generation, slot), found);
                        Before::Kept { slot, node }
                    }
                }
            });
            before.insert(edit.path().clone(), was);
        }
        let link = |generation| Link {
            tree: Digest::of(b""),
            generation,
        };
        UndoRecord {
            from: link(generation),
            to: link(generation + 1),
            edits: edits.to_vec(),
            before: before
                .into_iter()
                .map(|(path, before)| UndoEntry { path, before })
                .collect(),
        }
    }

    /// Carries edits out by the rules of `runtime::container::apply`.
    pub(super) fn apply(&mut self, edits: &[UpperEdit]) {
        for edit in edits {
            let at = edit.path().clone();
            if let Some(parent) = at.parent().filter(|parent| !parent.is_root()) {
                let gone = matches!(
                    edit,
                    UpperEdit::Keep { .. } | UpperEdit::Reveal { .. } | UpperEdit::MoveAside { .. }
                );
                let there = self.upper.get(&parent).map(|(entry, _)| &entry.kind);
                assert!(
                    gone || matches!(there, Some(UpperKind::Directory { .. })),
                    "{edit:?} has no directory"
                );
            }
            self.apply_one(edit, at);
        }
    }

    fn apply_one(&mut self, edit: &UpperEdit, at: RelPath) {
        let empty = |model: &Self, at: &RelPath| model.scan().below(at).count() <= 1;
        match edit {
            UpperEdit::SetMeta { meta, .. } if at.is_root() => {
                self.root = Meta {
                    mtime: self.root.mtime,
                    ..meta.clone()
                };
            }
            UpperEdit::EnsureDirectory { .. } | UpperEdit::SetOpaque { opaque: false, .. }
                if at.is_root() => {}
            UpperEdit::Keep { .. } => {}
            UpperEdit::Reveal { .. } => {
                assert!(empty(self, &at), "{at} is not empty");
                self.upper.remove(&at);
            }
            UpperEdit::Hide { .. } => drop(self.upper.insert(at, (WHITEOUT, Vec::new()))),
            UpperEdit::EnsureDirectory { meta, .. } => {
                let there = self.upper.get(&at).map(|(entry, _)| &entry.kind);
                if !matches!(there, Some(UpperKind::Directory { .. })) {
                    let kind = UpperKind::Directory { opaque: false };
                    let meta = meta.clone();
                    self.upper
                        .insert(at, (UpperEntry { meta, kind }, Vec::new()));
                }
            }
            UpperEdit::Put { node, .. } => {
                assert!(empty(self, &at), "{at} is not empty");
                let bytes = match &node.kind {
                    NodeKind::File { digest, .. } => self.object(digest).unwrap().clone(),
                    _ => Vec::new(),
                };
                let thing = Thing {
                    node: node.clone(),
                    bytes: bytes.clone(),
                };
                self.upper.insert(at, (private(&thing), bytes));
            }
            UpperEdit::SetMeta { meta, .. } => {
                let (entry, _) = self.upper.get_mut(&at).unwrap();
                entry.meta = Meta {
                    mtime: entry.meta.mtime,
                    ..meta.clone()
                };
            }
            UpperEdit::SetOpaque { opaque, .. } => {
                let (entry, _) = self.upper.get_mut(&at).unwrap();
                entry.kind = UpperKind::Directory { opaque: *opaque };
            }
            UpperEdit::MoveAside { to, .. } => {
                if self.upper.contains_key(to) {
                    return;
                }
                let moving: Vec<RelPath> = self
                    .scan()
                    .below(&at)
                    .map(|(path, _)| path.clone())
                    .collect();
                for from in moving {
                    let rest = from
                        .as_bytes()
                        .get(at.as_bytes().len()..)
                        .unwrap_or_default();
                    let into = RelPath::parse(&[to.as_bytes(), rest].concat()).unwrap();
                    let entry = self.upper.remove(&from).unwrap();
                    self.upper.insert(into, entry);
                }
            }
            UpperEdit::Restore {
                generation,
                slot,
                node,
                ..
            } => {
                let (mut kept, bytes) = self.kept[&(*generation, *slot)].clone();
                kept.meta = node.meta.clone();
                self.upper.insert(at, (kept, bytes));
            }
        }
    }

    /// Of the store, or of the latest record.
    fn object(&self, digest: &Digest) -> Option<&Vec<u8>> {
        self.recorded
            .get(digest)
            .or_else(|| self.objects.get(digest))
    }
}

fn node_of((entry, bytes): &(UpperEntry, Vec<u8>)) -> Node {
    let kind = match &entry.kind {
        UpperKind::File { size } => NodeKind::File {
            digest: Digest::of(bytes),
            size: *size,
        },
        UpperKind::Symlink { target } => NodeKind::Symlink {
            target: target.clone(),
        },
        _ => NodeKind::Fifo,
    };
    Node {
        meta: entry.meta.clone(),
        kind,
    }
}

impl PrivateSource for Model {
    fn read(&self, path: &RelPath, _: u64) -> io::Result<Vec<u8>> {
        let found = self.upper.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(found.1.clone())
    }

    fn digest(&self, path: &RelPath) -> io::Result<Digest> {
        Ok(Digest::of(&self.read(path, u64::MAX)?))
    }
}

impl ObjectSource for Model {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + '_>> {
        let bytes = self.object(digest).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(bytes.as_slice()))
    }
}
