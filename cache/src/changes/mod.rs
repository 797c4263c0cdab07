//! What a container has of its own: each private entry, how it differs from the version below, and what kind of thing
//! it is; and what has to go for the version to show again ([`reset`]).
//!
//! Pure, as [`crate::merge`], with which it shares what state and record files are. A directory that is private only
//! because something in it is, is no change.

mod owners;
mod reset;
#[cfg(test)]
mod tests;

pub use reset::{ResetError, reset};

use crate::merge::{MergeError, is_managers, is_place, is_record};
use crate::tree::diff::Aspect;
use crate::tree::normalize::{self, Why};
use owners::Owners;
use std::fmt;
use vzpkg_metadata::tree::{Meta, Node, NodeKind, Tree};
use vzpkg_metadata::{Digest, Family, RelPath};
use vzpkg_runtime::container::{ObjectSource, PrivateSource, UpperEntry, UpperKind, UpperScan};

/// Directories that are made for node files where the version has none.
const NODE_DIRECTORIES: [&[u8]; 2] = [b"etc/apt", b"etc/yum.repos.d"];

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct ChangesInput<'a> {
    /// Which package manager knows whose files are whose.
    pub family: Family,
    /// The tree that the container stands on.
    pub tree: &'a Tree,
    /// What is private.
    pub upper: &'a UpperScan,
    /// The contents of private files.
    pub private: &'a dyn PrivateSource,
    /// The contents of the tree.
    pub objects: &'a dyn ObjectSource,
}

/// How a private entry differs from what the version has there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Change {
    /// The version has nothing there.
    Added,
    /// It is another now.
    Changed {
        /// In what, at least one.
        aspects: Vec<Aspect>,
    },
    /// A directory that hides everything that the version has below it.
    Replaced,
    /// The container removed it.
    Removed,
    /// A private copy that equals the version's.
    Same,
}

/// What kind of thing a private entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Written for each container: resolv.conf, hostname, machine-id, apt's sources.
    NodeFile,
    /// A key or seed that each container makes for itself.
    Identity,
    /// Users, groups, package states: merged record by record.
    Record,
    /// What package managers keep about the packages that are there.
    PackageData,
    /// A file of a package that the container installed, or has in another version.
    OwnPackage,
    /// A configuration file of one of the version's packages.
    Conffile,
    /// Anything else that the version has.
    Template,
    /// Data that no package owns: below /var/lib, /srv, /home, /root.
    State,
    /// Made again by whoever needs it.
    Cache,
    /// What programs write about their work.
    Log,
    /// Anything else of the container's own.
    Own,
}

impl Class {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NodeFile => "node-file",
            Self::Identity => "identity",
            Self::Record => "record",
            Self::PackageData => "package-data",
            Self::OwnPackage => "own-package",
            Self::Conffile => "conffile",
            Self::Template => "template",
            Self::State => "state",
            Self::Cache => "cache",
            Self::Log => "log",
            Self::Own => "own",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One private entry that is more than a way to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateChange {
    /// Where.
    pub path: RelPath,
    /// How it differs.
    pub change: Change,
    /// What it is.
    pub class: Class,
    /// The package that has it, where that is known.
    pub package: Option<String>,
    /// The bytes of a private regular file.
    pub size: u64,
}

/// Every private change, by path. Reads the contents of private files that are as long as the version's.
///
/// # Errors
/// [`MergeError`] where a content cannot be read.
pub fn changes(input: &ChangesInput<'_>) -> Result<Vec<PrivateChange>, MergeError> {
    let owners = Owners::read(input)?;
    let mut found = Vec::new();
    for (path, entry) in &input.upper.entries {
        let node = input.tree.node(path);
        let digest = || {
            let digest = input.private.digest(path);
            digest.map_err(|source| MergeError::Private {
                path: path.clone(),
                source,
            })
        };
        let Some(change) = compare(node, entry, digest)? else {
            continue;
        };
        found.push(PrivateChange {
            path: path.clone(),
            change,
            class: classify(path, entry, node, &owners, input.family),
            package: owners.of(path).map(str::to_owned),
            size: match entry.kind {
                UpperKind::File { size } => size,
                _ => 0,
            },
        });
    }
    Ok(found)
}

fn compare<E>(
    node: Option<&Node>,
    entry: &UpperEntry,
    digest: impl FnOnce() -> Result<Digest, E>,
) -> Result<Option<Change>, E> {
    let Some(node) = node else {
        let nothing = entry.kind == UpperKind::Whiteout;
        return Ok((!nothing).then_some(Change::Added));
    };
    let same_content = match (&entry.kind, &node.kind) {
        (UpperKind::Whiteout, _) => return Ok(Some(Change::Removed)),
        (UpperKind::Directory { opaque: true }, NodeKind::Directory) => {
            return Ok(Some(Change::Replaced));
        }
        (
            UpperKind::File { size },
            NodeKind::File {
                digest: of,
                size: long,
            },
        ) => size == long && digest()? == *of,
        (UpperKind::Symlink { target }, NodeKind::Symlink { target: of }) => target == of,
        // Which device it is, is not looked at: nobody in a container can open another.
        (UpperKind::Directory { .. }, NodeKind::Directory)
        | (
            UpperKind::Special,
            NodeKind::CharacterDevice { .. } | NodeKind::BlockDevice { .. } | NodeKind::Fifo,
        ) => true,
        _ => {
            let aspects = vec![Aspect::Type];
            return Ok(Some(Change::Changed { aspects }));
        }
    };
    let mut aspects = Vec::new();
    aspects.extend((!same_content).then_some(Aspect::Content));
    aspects.extend(differing(&entry.meta, &node.meta, &node.kind));
    Ok(match (aspects.is_empty(), node.is_directory()) {
        (true, true) => None,
        (true, false) => Some(Change::Same),
        (false, _) => Some(Change::Changed { aspects }),
    })
}

fn differing(private: &Meta, version: &Meta, kind: &NodeKind) -> Vec<Aspect> {
    // The mode of a symbolic link means nothing and file systems report it differently.
    let link = matches!(kind, NodeKind::Symlink { .. });
    let all = [
        (Aspect::Mode, !link && private.mode != version.mode),
        (
            Aspect::Owner,
            (private.uid, private.gid) != (version.uid, version.gid),
        ),
        (Aspect::Attributes, private.xattrs != version.xattrs),
    ];
    all.into_iter()
        .filter_map(|(aspect, differs)| differs.then_some(aspect))
        .collect()
}

fn classify(
    path: &RelPath,
    entry: &UpperEntry,
    node: Option<&Node>,
    owners: &Owners,
    family: Family,
) -> Class {
    let directory = matches!(entry.kind, UpperKind::Directory { .. });
    match normalize::why_of(path, directory) {
        Some(Why::NodeFile) => return Class::NodeFile,
        Some(Why::PrivateKey | Why::Random) => return Class::Identity,
        Some(Why::Cache) => return Class::Cache,
        Some(Why::Log) => return Class::Log,
        Some(Why::Database | Why::Volatile) | None => {}
    }
    let below = |place: &[u8]| path.as_bytes().starts_with(place);
    let for_node_files = directory && node.is_none() && NODE_DIRECTORIES.contains(&path.as_bytes());
    if is_node_file(path) || for_node_files {
        Class::NodeFile
    } else if is_record(path) {
        Class::Record
    } else if is_managers(path)
        || path.as_bytes().ends_with(b"-") && node.is_none() && below(b"etc/")
    {
        Class::PackageData
    } else if owners.is_own(path) {
        Class::OwnPackage
    } else if owners.is_conffile(path) || family == Family::Rpm && node.is_some() && below(b"etc/")
    {
        Class::Conffile
    } else if is_place(path) && owners.of(path).is_none() {
        Class::State
    } else if below(b"var/cache/") || path.as_bytes() == b"etc/ld.so.cache" {
        Class::Cache
    } else if node.is_some() {
        Class::Template
    } else if below(b"var/log/") {
        Class::Log
    } else {
        Class::Own
    }
}

/// Whether a path is a file of the node that a build never makes, so that [`normalize`] does not name it.
pub(crate) fn is_node_file(path: &RelPath) -> bool {
    matches!(normalize::why_of(path, false), Some(Why::NodeFile))
        || path.as_bytes() == b"etc/yum.repos.d/vzpkg.repo"
}
