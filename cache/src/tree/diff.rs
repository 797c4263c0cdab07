//! What differs between two trees, name by name. Says nothing about packages; that is for whoever knows the locks.

use std::collections::BTreeMap;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::{Entry, Node, NodeKind, Tree};

/// One name that is not the same in both trees.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The name.
    #[serde(serialize_with = "as_text")]
    pub path: RelPath,
    /// How it differs.
    #[serde(flatten)]
    pub change: Change,
}

/// How a name differs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Change {
    /// Only the second tree has it.
    Added {
        /// Whether it is an executable that runs as its owner or group.
        setuid: bool,
    },
    /// Only the first tree has it.
    Removed,
    /// Both have it.
    Changed {
        /// In what it differs, at least one.
        aspects: Vec<Aspect>,
        /// Whether it is setuid or setgid in the second tree and was not in the first.
        setuid: bool,
    },
}

/// One way in which two names differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// File, directory, link, device or pipe.
    Type,
    /// Bytes, link target or device numbers.
    Content,
    /// Permission bits.
    Mode,
    /// User or group.
    Owner,
    /// Extended attributes, capabilities among them.
    Attributes,
    /// Time of modification.
    Time,
    /// With which other names it shares its inode.
    Links,
}

/// Compares two trees; differences come in path order. Linear.
pub fn diff(first: &Tree, second: &Tree) -> Vec<Difference> {
    let (first_groups, second_groups) = (groups(first), groups(second));
    let mut found = Vec::new();
    for (path, entry) in second.iter() {
        let Some(node) = second.node(path) else {
            continue;
        };
        let change = match first.get(path) {
            None => Some(Change::Added {
                setuid: is_setuid(node),
            }),
            Some(before) => changed(
                first.node(path),
                node,
                links(&first_groups, path, before) != links(&second_groups, path, entry),
            ),
        };
        found.extend(change.map(|change| Difference {
            path: path.clone(),
            change,
        }));
    }
    let gone = first.iter().filter(|(path, _)| second.get(path).is_none());
    found.extend(gone.map(|(path, _)| Difference {
        path: path.clone(),
        change: Change::Removed,
    }));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn changed(before: Option<&Node>, after: &Node, links: bool) -> Option<Change> {
    let before = before?;
    let same_type = std::mem::discriminant(&before.kind) == std::mem::discriminant(&after.kind);
    let (old, new) = (&before.meta, &after.meta);
    let candidates = [
        (Aspect::Type, !same_type),
        (Aspect::Content, same_type && before.kind != after.kind),
        (Aspect::Mode, old.mode != new.mode),
        (Aspect::Owner, (old.uid, old.gid) != (new.uid, new.gid)),
        (Aspect::Attributes, old.xattrs != new.xattrs),
        (Aspect::Time, old.mtime != new.mtime),
        (Aspect::Links, links),
    ];
    let aspects: Vec<Aspect> = candidates
        .into_iter()
        .filter_map(|(aspect, differs)| differs.then_some(aspect))
        .collect();
    (!aspects.is_empty()).then(|| Change::Changed {
        aspects,
        setuid: is_setuid(after) && !is_setuid(before),
    })
}

fn is_setuid(node: &Node) -> bool {
    matches!(node.kind, NodeKind::File { .. }) && node.meta.mode & 0o6000 != 0
}

/// The names of each inode that has several, by the name that holds it.
fn groups(tree: &Tree) -> BTreeMap<&RelPath, Vec<&RelPath>> {
    let mut groups: BTreeMap<&RelPath, Vec<&RelPath>> = BTreeMap::new();
    for (path, entry) in tree.iter() {
        if let Entry::HardLink(target) = entry {
            groups.entry(target).or_default().push(path);
        }
    }
    groups
}

fn links<'a>(
    groups: &'a BTreeMap<&'a RelPath, Vec<&'a RelPath>>,
    path: &'a RelPath,
    entry: &'a Entry,
) -> Option<(&'a RelPath, &'a [&'a RelPath])> {
    let home = match entry {
        Entry::HardLink(target) => target,
        Entry::Node(_) => path,
    };
    groups.get(home).map(|names| (home, names.as_slice()))
}

fn as_text<S: serde::Serializer>(path: &RelPath, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(path)
}
