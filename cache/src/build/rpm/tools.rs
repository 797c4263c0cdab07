//! The tree whose rpm does the work. For a bootstrap, every package of the transaction laid over the others, as
//! unpacked, no script run: enough for rpm, a shell and coreutils to work. On a base, the base itself.
//!
//! Nothing of it enters a version. As an image of objects that are in the store anyway it costs one metadata image, and
//! the same packages give the same image.

use super::TARGET;
use crate::build::assemble::Tools;
use crate::build::{BuildError, Plan};
use std::collections::BTreeMap;
use std::path::PathBuf;
use vzpkg_metadata::path::PathError;
use vzpkg_metadata::tree::{Entry, Node, NodeKind, Tree};
use vzpkg_metadata::{RelPath, Timestamp};

/// Directories that the sandbox mounts something on, with the modes that distributions give them.
const MOUNT_POINTS: [(&str, u16); 5] = [
    ("dev", 0o755),
    ("proc", 0o555),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
];

/// How many symbolic links one path may lead through, as Linux has it.
const MOST_LINKS: usize = 40;

/// What a bootstrap starts from: a root with mount points. They are as their package has them, for what rpm does to
/// them it does to what is mounted there.
pub(super) fn empty_target(plan: &Plan<'_>) -> Result<Tree, PathError> {
    let mut tree = Tree::new();
    let time = Timestamp::from_seconds(plan.lock.epoch);
    tree.insert(RelPath::root(), Node::directory(0o755, time));
    for (name, _) in MOUNT_POINTS {
        let path = RelPath::parse(name.as_bytes())?;
        let mut trees = plan.incoming.iter().map(|package| &package.tree);
        let shipped = trees.find_map(|tree| tree.node(&path).filter(|node| node.is_directory()));
        if let Some(node) = shipped {
            tree.insert(path, node.clone());
        }
    }
    add_mount_points(&mut tree, time)?;
    Ok(tree)
}

/// The tools of a bootstrap.
pub(super) fn from_packages(plan: &Plan<'_>) -> Result<Tools, BuildError> {
    let mut builder = Builder {
        tree: Tree::new(),
        real: BTreeMap::new(),
        time: Timestamp::from_seconds(plan.lock.epoch),
    };
    builder
        .tree
        .insert(RelPath::root(), Node::directory(0o755, builder.time));
    // Where `/bin` is a link, the package that ships it comes before those that ship something below.
    let is_first = |name: &str| matches!(name, "filesystem" | "setup");
    let mut packages: Vec<_> = plan.incoming.iter().collect();
    packages.sort_by_key(|package| (&package.name, &package.sha256));
    let (first, rest): (Vec<_>, Vec<_>) = packages
        .into_iter()
        .partition(|package| is_first(package.name.as_str()));
    for package in first.into_iter().chain(rest) {
        builder.add(&package.tree)?;
    }
    add_mount_points(&mut builder.tree, builder.time)?;
    // A link that came through `/bin` may now stand before the file it names.
    builder.tree.canonicalize_links();
    checked(builder.tree)
}

/// The tools of a transaction on `base`.
pub(super) fn from_base(base: &Tree) -> Result<Tools, BuildError> {
    let mut tree = base.clone();
    let time = tree.node(&RelPath::root()).map(|root| root.meta.mtime);
    add_mount_points(&mut tree, time.unwrap_or_default())?;
    checked(tree)
}

fn checked(tree: Tree) -> Result<Tools, BuildError> {
    let rpm = RelPath::parse(b"usr/bin/rpm")?;
    let old = RelPath::parse(b"bin/rpm")?;
    if tree.get(&rpm).is_none() && tree.get(&old).is_none() {
        return Err(BuildError::Content {
            path: rpm.to_string(),
            problem: "the packages of the template do not bring rpm, which must install them",
        });
    }
    Ok(Tools {
        tree,
        at: PathBuf::from(TARGET),
    })
}

fn add_mount_points(tree: &mut Tree, time: Timestamp) -> Result<(), PathError> {
    for (name, mode) in MOUNT_POINTS {
        let path = RelPath::parse(name.as_bytes())?;
        let is_directory = tree.node(&path).is_some_and(Node::is_directory);
        if !is_directory {
            tree.insert(path, Node::directory(mode, time));
        }
    }
    Ok(())
}

/// Lays packages over each other. The last one to ship a path has it; a directory stays a directory.
struct Builder {
    tree: Tree,
    /// Directories as shipped, and where they really are.
    real: BTreeMap<RelPath, RelPath>,
    time: Timestamp,
}

impl Builder {
    fn add(&mut self, package: &Tree) -> Result<(), PathError> {
        for (path, entry) in package.iter() {
            let Some(place) = self.place(path)? else {
                continue;
            };
            let entry = match entry {
                Entry::HardLink(target) => match self.place(target)? {
                    Some(target) if self.tree.get(&target).is_some() => Entry::HardLink(target),
                    _ => continue,
                },
                Entry::Node(node) => Entry::Node(node.clone()),
            };
            let is_directory = entry.as_node().is_some_and(Node::is_directory);
            let there = self.tree.node(&place);
            let leads = there.is_some_and(|node| {
                node.is_directory() || matches!(node.kind, NodeKind::Symlink { .. })
            });
            // A directory where a link or directory is: what lies below it follows that.
            if leads && (is_directory || there.is_some_and(Node::is_directory)) {
                continue;
            }
            if there.is_some() {
                self.tree.remove_subtree(&place);
            }
            self.tree.insert(place, entry);
        }
        Ok(())
    }

    /// Where a path of a package lies: its directory with all links followed, made if missing. `None` where that
    /// cannot be a directory.
    fn place(&mut self, path: &RelPath) -> Result<Option<RelPath>, PathError> {
        let Some(parent) = path.parent() else {
            return Ok(Some(path.clone()));
        };
        if let Some(real) = self.real.get(&parent) {
            return real.join(path.file_name()).map(Some);
        }
        let Some(real) = self.directory(&parent)? else {
            return Ok(None);
        };
        self.real.insert(parent, real.clone());
        real.join(path.file_name()).map(Some)
    }

    fn directory(&mut self, path: &RelPath) -> Result<Option<RelPath>, PathError> {
        let mut todo: Vec<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
        todo.reverse();
        let mut real = RelPath::root();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    real = real.parent().unwrap_or_default();
                    continue;
                }
                _ => {}
            }
            let next = real.join(&name)?;
            match self.tree.node(&next).map(|node| &node.kind) {
                Some(NodeKind::Directory) => real = next,
                None => {
                    self.tree
                        .insert(next.clone(), Node::directory(0o755, self.time));
                    real = next;
                }
                Some(NodeKind::Symlink { target }) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Ok(None);
                    }
                    if target.starts_with(b"/") {
                        real = RelPath::root();
                    }
                    let parts = target.split(|&byte| byte == b'/').rev();
                    todo.extend(parts.map(<[u8]>::to_vec));
                }
                Some(_) => return Ok(None),
            }
        }
        Ok(Some(real))
    }
}
