//! What the relinks of several containers read of the versions they go between: read once, however many they are.

use crate::error::CommandResult;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vzpkg_cache::merge;
use vzpkg_cache::store::{ContainerRow, Store};
use vzpkg_metadata::tree::Tree;
use vzpkg_metadata::{Arch, Digest, Family, RelPath, TemplateName};

/// A tree is some megabytes, and few versions have containers.
const MOST: usize = 8;

/// The tree that a container leaves and the one it goes to.
#[derive(Debug)]
pub(crate) struct Trees {
    pub(super) from: Tree,
    pub(super) to: Tree,
    /// The paths at which a merge finds them different.
    pub(super) differing: BTreeSet<RelPath>,
}

/// Which packages a version is made of.
#[derive(Debug)]
pub(crate) struct MadeOf {
    pub(super) family: Family,
    pub(super) arch: Arch,
}

type Known<K, V> = Mutex<BTreeMap<K, Arc<V>>>;

/// Reads versions of a store. Shared by threads.
#[derive(Debug)]
pub(crate) struct Readings<'a> {
    pub(super) store: &'a Store,
    trees: Known<(Digest, Digest), Trees>,
    versions: Known<(TemplateName, Digest), MadeOf>,
}

impl<'a> Readings<'a> {
    /// Nothing is read yet.
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self {
            store,
            trees: Mutex::new(BTreeMap::new()),
            versions: Mutex::new(BTreeMap::new()),
        }
    }

    /// Both images.
    ///
    /// # Errors
    /// [`crate::error::Kind::Verification`] where one is damaged.
    pub(super) fn trees(&self, from: &Digest, to: &Digest) -> CommandResult<Arc<Trees>> {
        known(&self.trees, (*from, *to), || {
            let (from, to) = (self.store.images.read(from)?, self.store.images.read(to)?);
            Ok(Trees {
                differing: merge::differing(&from, &to),
                from,
                to,
            })
        })
    }

    /// What the version is made of that a container is linked to.
    ///
    /// # Errors
    /// Where its record cannot be read.
    pub(super) fn made_of(&self, row: &ContainerRow) -> CommandResult<Arc<MadeOf>> {
        known(
            &self.versions,
            (row.template.clone(), row.os_digest),
            || {
                let version = self.store.versions.read(&row.template, &row.os_digest)?;
                Ok(MadeOf {
                    family: version.lock.family,
                    arch: version.lock.arch.clone(),
                })
            },
        )
    }
}

/// Others wait meanwhile: they want the same.
fn known<K: Ord, V>(
    known: &Known<K, V>,
    key: K,
    read: impl FnOnce() -> CommandResult<V>,
) -> CommandResult<Arc<V>> {
    let mut known: MutexGuard<'_, _> = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(&key) {
        return Ok(Arc::clone(found));
    }
    let found = Arc::new(read()?);
    if known.len() == MOST {
        known.clear();
    }
    known.insert(key, Arc::clone(&found));
    Ok(found)
}
