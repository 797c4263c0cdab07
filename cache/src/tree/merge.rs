//! Packages laid over each other as dpkg would unpack them, in a given order, without touching a file.
//!
//! Only what is exactly right is done here. A package that meets anything else (a path that another one ships, a link
//! where another has a directory) is *put aside* whole: its tree is not merged, and dpkg itself unpacks it later.

use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::path::PathError;
use vzpkg_metadata::tree::{Entry, Node, NodeKind, Tree};
use vzpkg_metadata::{RelPath, Timestamp};

/// The suffix under which dpkg unpacks a configuration file before it decides what becomes of it.
const CONFFILE_SUFFIX: &[u8] = b".dpkg-new";

/// How many symbolic links one path may lead through, as Linux has it.
const MOST_LINKS: usize = 40;

/// One package to merge.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// Its files, with paths as shipped.
    pub tree: &'a Tree,
    /// Its configuration files, with paths as shipped.
    pub conffiles: &'a BTreeSet<RelPath>,
}

/// Why a package was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// Its position among the layers.
    pub layer: usize,
    /// The first path that stands in its way.
    pub path: RelPath,
}

/// All packages that could be merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    /// Their files at the paths where they really lie.
    pub tree: Tree,
    /// The packages that were put aside, in order.
    pub aside: Vec<Collision>,
}

/// Merges `layers` onto `base` (often only a root and the links of a merged `/usr`), first package first.
///
/// A directory that is already there keeps its owner, mode and time; so does a symbolic link to a directory where a
/// package ships that directory. `replaceable` names links of `base` that a package may own: one that ships the same
/// link takes it over. Cost: one map lookup per path and package.
///
/// # Errors
/// [`PathError`] where a conffile's name becomes too long with its suffix.
pub fn merge(
    base: Tree,
    replaceable: &BTreeSet<RelPath>,
    layers: &[Layer<'_>],
) -> Result<Merged, PathError> {
    let mut merger = Merger {
        tree: base,
        replaceable,
        resolved: BTreeMap::new(),
    };
    let mut aside = Vec::new();
    for (position, layer) in layers.iter().enumerate() {
        match merger.plan(layer)? {
            Ok(additions) => merger.apply(additions),
            Err(path) => aside.push(Collision {
                layer: position,
                path,
            }),
        }
    }
    merger.tree.canonicalize_links();
    Ok(Merged {
        tree: merger.tree,
        aside,
    })
}

struct Merger<'a> {
    tree: Tree,
    replaceable: &'a BTreeSet<RelPath>,
    /// Directories as shipped, and where they really are. Valid for ever: a directory never becomes a link here.
    resolved: BTreeMap<RelPath, RelPath>,
}

/// What one package adds, or the path at which it cannot be merged.
type Plan = Result<Vec<(RelPath, Entry)>, RelPath>;

impl Merger<'_> {
    fn plan(&mut self, layer: &Layer<'_>) -> Result<Plan, PathError> {
        let mut plan = Draft::default();
        for (path, entry) in layer.tree.iter() {
            let Some(mut place) = self.place(path, &plan) else {
                return Ok(Err(path.clone()));
            };
            let is_directory = entry.as_node().is_some_and(Node::is_directory);
            if layer.conffiles.contains(path) {
                if !matches!(entry, Entry::Node(node) if node.is_file()) {
                    return Ok(Err(path.clone()));
                }
                place = with_suffix(&place)?;
            }
            let entry = match entry {
                Entry::HardLink(target) => {
                    let Some(mut target_place) = self.place(target, &plan) else {
                        return Ok(Err(path.clone()));
                    };
                    if layer.conffiles.contains(target) {
                        target_place = with_suffix(&target_place)?;
                    }
                    Entry::HardLink(target_place)
                }
                Entry::Node(node) => Entry::Node(node.clone()),
            };
            let there = plan.added.get(&place).or_else(|| self.tree.get(&place));
            match there {
                None => {}
                Some(Entry::Node(there)) if there.is_directory() && is_directory => {
                    plan.directory(path, place);
                    continue;
                }
                Some(Entry::Node(there)) if is_link(there) && is_directory => {
                    let Some(target) = self.follow(&place, &plan, 0) else {
                        return Ok(Err(path.clone()));
                    };
                    plan.directory(path, target);
                    continue;
                }
                Some(there) if self.replaceable.contains(&place) && same_link(there, &entry) => {}
                Some(_) => return Ok(Err(path.clone())),
            }
            if is_directory {
                plan.directory(path, place.clone());
            }
            plan.add_parents(&self.tree, &place, &entry);
            plan.added.insert(place, entry);
        }
        self.resolved.append(&mut plan.directories);
        Ok(Ok(plan.added.into_iter().collect()))
    }

    fn apply(&mut self, additions: Vec<(RelPath, Entry)>) {
        for (path, entry) in additions {
            self.tree.insert(path, entry);
        }
    }

    /// Where a shipped path really lies: its directory, through links, and its own name. `None` if it leads through
    /// something that is neither.
    fn place(&mut self, path: &RelPath, plan: &Draft) -> Option<RelPath> {
        let Some(parent) = path.parent() else {
            return Some(RelPath::root());
        };
        let known = plan
            .directories
            .get(&parent)
            .or_else(|| self.resolved.get(&parent));
        let directory = match known {
            Some(directory) => directory.clone(),
            None => self.resolve(&parent, plan, 0)?,
        };
        directory.join(path.file_name()).ok()
    }

    /// A directory path with every link in it followed. What does not exist is taken as it is.
    fn resolve(&self, path: &RelPath, plan: &Draft, links: usize) -> Option<RelPath> {
        let mut at = RelPath::root();
        for component in path.components() {
            at = at.join(component).ok()?;
            match plan.added.get(&at).or_else(|| self.tree.get(&at)) {
                None => {}
                Some(Entry::Node(node)) if node.is_directory() => {}
                Some(Entry::Node(node)) if is_link(node) => at = self.follow(&at, plan, links)?,
                Some(_) => return None,
            }
        }
        Some(at)
    }

    /// The directory to which the link at `path` leads.
    fn follow(&self, path: &RelPath, plan: &Draft, links: usize) -> Option<RelPath> {
        if links >= MOST_LINKS {
            return None;
        }
        let entry = plan.added.get(path).or_else(|| self.tree.get(path))?;
        let NodeKind::Symlink { target } = &entry.as_node()?.kind else {
            return None;
        };
        let mut at = if target.starts_with(b"/") {
            RelPath::root()
        } else {
            path.parent()?
        };
        for component in target.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => at = at.parent().unwrap_or_default(),
                name => at = self.resolve(&at.join(name).ok()?, plan, links + 1)?,
            }
        }
        let end = plan.added.get(&at).or_else(|| self.tree.get(&at))?;
        end.as_node().filter(|node| node.is_directory())?;
        Some(at)
    }
}

/// What one package would add, before it is known that all of it can be.
#[derive(Default)]
struct Draft {
    added: BTreeMap<RelPath, Entry>,
    directories: BTreeMap<RelPath, RelPath>,
}

impl Draft {
    fn directory(&mut self, shipped: &RelPath, place: RelPath) {
        self.directories.insert(shipped.clone(), place);
    }

    /// Directories that no package names get the usual mode, as dpkg makes them.
    fn add_parents(&mut self, tree: &Tree, place: &RelPath, entry: &Entry) {
        let mtime = entry
            .as_node()
            .map_or_else(Timestamp::default, |node| node.meta.mtime);
        let mut parent = place.parent();
        while let Some(directory) = parent {
            if tree.get(&directory).is_some() || self.added.contains_key(&directory) {
                break;
            }
            parent = directory.parent();
            self.added
                .insert(directory, Node::directory(0o755, mtime).into());
        }
    }
}

const fn is_link(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Symlink { .. })
}

fn same_link(there: &Entry, new: &Entry) -> bool {
    match (there, new) {
        (Entry::Node(there), Entry::Node(new)) => is_link(there) && there.kind == new.kind,
        _ => false,
    }
}

fn with_suffix(path: &RelPath) -> Result<RelPath, PathError> {
    let name = [path.file_name(), CONFFILE_SUFFIX].concat();
    path.parent().unwrap_or_default().join(&name)
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
