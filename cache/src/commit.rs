//! What `ct commit` makes of a stopped container: the tree of its version with its private changes, as far as these are a
//! system's rather than one container's, and the packages in it.
//!
//! Nothing of this can be made from repositories again, so its lock says which tree it is about and which packages came
//! from where nobody knows ([`vzpkg_metadata::lock`]).

use crate::build::{self, BuildError};
use crate::changes::{Change, Class, PrivateChange};
use crate::merge::is_managers;
use crate::store::{Objects, Store};
use crate::tree::normalize::{normalize, why_of};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use vzpkg_metadata::lock::{Ids, Installed, Lock, LockedPackage};
use vzpkg_metadata::tree::{Node, NodeKind, Tree};
use vzpkg_metadata::{Digest, RelPath};

/// Ids from here on are people's; a template keeps those of systems the same for ever.
const FIRST_PERSON: u32 = 1000;

/// Files of rpm's databases that mean nothing once it has ended.
const RPM_LOCKS: [&str; 3] = [".rpm.lock", ".dbenv.lock", "rpmdb.sqlite-shm"];

/// The largest list of users that is read.
const ACCOUNTS_BYTES: u64 = 16 << 20;

/// Whether a change goes into a version. Data, identities, logs, caches and what every container is given stay the
/// container's.
pub fn belongs(change: &PrivateChange) -> bool {
    if change.change == Change::Same {
        return false;
    }
    match change.class {
        Class::Record
        | Class::PackageData
        | Class::OwnPackage
        | Class::Conffile
        | Class::Template
        | Class::Own => why_of(&change.path, false).is_none() && !is_lock(&change.path),
        // Programs do not start without it, and a version has it.
        Class::Cache => change.path.as_bytes() == b"etc/ld.so.cache",
        Class::NodeFile | Class::Identity | Class::State | Class::Log => false,
    }
}

/// What only a running package manager needs.
fn is_lock(path: &RelPath) -> bool {
    let name = path.file_name();
    let of_rpm = name.starts_with(b"__db.") || RPM_LOCKS.iter().any(|lock| name == lock.as_bytes());
    of_rpm && is_managers(path)
}

/// A stopped container and what it has changed.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The store of its version.
    pub store: &'a Store,
    /// The tree of its version.
    pub tree: &'a Tree,
    /// The lock of its version.
    pub lock: &'a Lock,
    /// The digest of that tree.
    pub digest: Digest,
    /// Its upper directory.
    pub upper: &'a Path,
    /// What it has changed.
    pub changes: &'a [PrivateChange],
}

/// A tree that is in the store, and what it is made of.
#[derive(Debug)]
pub struct Committed {
    /// Its digest.
    pub digest: Digest,
    /// Its lock.
    pub lock: Lock,
}

/// Stores the tree of the container; times later than `epoch` become that. Nothing is visible or synced: the store's
/// `publish` does that.
///
/// # Errors
/// [`BuildError`]; nothing is left but unreferenced objects.
pub fn commit(source: &Source<'_>, epoch: i64, threads: usize) -> Result<Committed, BuildError> {
    let Source { store, lock, .. } = *source;
    let chosen = chosen(source);
    let mut tree = build::commit_chosen(
        source.tree,
        source.upper,
        store,
        &|path| chosen.contains(path),
        threads,
    )?;
    normalize(&mut tree, epoch);
    tree.check()?;
    let (packages, installed) = packages(store, &tree, lock)?;
    let ids = ids(source, &tree)?;
    let digest = store.images.write(&tree)?;
    let lock = Lock {
        family: lock.family,
        arch: lock.arch.clone(),
        base: Some(source.digest),
        epoch,
        ids,
        packages,
        chain: Vec::new(),
        committed: Some(digest),
        installed,
    };
    Ok(Committed { digest, lock })
}

/// What goes in, with the directories it lies in as far as the version has none there.
fn chosen(source: &Source<'_>) -> BTreeSet<RelPath> {
    let mut chosen = BTreeSet::new();
    for change in source.changes.iter().filter(|change| belongs(change)) {
        let mut above = change.path.parent();
        while let Some(directory) = above {
            if source.tree.node(&directory).is_some_and(Node::is_directory) {
                break;
            }
            above = directory.parent();
            chosen.insert(directory);
        }
        chosen.insert(change.path.clone());
    }
    chosen
}

/// The packages of a tree: those that the version had, and those of which no file is known.
type Packages = (Vec<LockedPackage>, BTreeSet<Installed>);

/// The packages of the tree by its own database.
fn packages(store: &Store, tree: &Tree, lock: &Lock) -> Result<Packages, BuildError> {
    let found = build::installed(lock.family, store, tree)?;
    let mut found: BTreeSet<_> = found.into_iter().collect();
    let of = |name: &str, version: &str, arch: &str| {
        (name.to_owned(), version.to_owned(), arch.to_owned())
    };
    let known = lock.packages.iter().filter(|package| {
        let (name, arch) = (package.name.as_str(), package.arch.as_str());
        found.remove(&of(name, &package.version, arch))
    });
    let known = known.cloned().collect();
    let content = |problem| BuildError::Content {
        path: "the package database".to_owned(),
        problem,
    };
    let unknown = found.into_iter().map(|(name, version, arch)| {
        Installed::new(&name, &version, &arch)
            .ok_or_else(|| content("a package has no proper name"))
    });
    Ok((known, unknown.collect::<Result<_, _>>()?))
}

/// The ids of the version, and those of system users and groups that the container made.
fn ids(source: &Source<'_>, tree: &Tree) -> Result<BTreeMap<String, Ids>, BuildError> {
    let mut ids = source.lock.ids.clone();
    let objects = &source.store.objects;
    let (before, now) = (accounts(objects, source.tree)?, accounts(objects, tree)?);
    for (name, made) in now {
        let is_system = |id: Option<u32>| id.is_none_or(|id| id < FIRST_PERSON);
        // Several names of one id, as root has them, cannot be registered.
        let taken = ids.values().any(|ids| {
            let same = |one: Option<u32>, other: Option<u32>| one.is_some() && one == other;
            same(ids.uid, made.uid) || same(ids.gid, made.gid)
        });
        let new = !before.contains_key(&name) && !ids.contains_key(&name);
        if new && !taken && is_system(made.uid) && is_system(made.gid) {
            ids.insert(name, made);
        }
    }
    Ok(ids)
}

/// The users and groups of a tree.
fn accounts(objects: &Objects, tree: &Tree) -> Result<BTreeMap<String, Ids>, BuildError> {
    let mut found: BTreeMap<String, Ids> = BTreeMap::new();
    for (path, is_user) in [("etc/passwd", true), ("etc/group", false)] {
        let node = tree.node(&RelPath::parse(path.as_bytes())?);
        let Some(NodeKind::File { digest, .. }) = node.map(|node| &node.kind) else {
            continue;
        };
        let text = objects.read(digest, ACCOUNTS_BYTES)?;
        for line in String::from_utf8_lossy(&text).lines() {
            let mut fields = line.split(':');
            let (name, id) = (fields.next().unwrap_or_default(), fields.nth(1));
            let Some(id) = id.and_then(|id| id.parse().ok()) else {
                continue;
            };
            let plain = !name.is_empty()
                && !name.contains('/')
                && !name.chars().any(|c| c.is_control() || c == ' ');
            if plain {
                let ids = found.entry(name.to_owned()).or_default();
                *(if is_user { &mut ids.uid } else { &mut ids.gid }) = Some(id);
            }
        }
    }
    Ok(found)
}
