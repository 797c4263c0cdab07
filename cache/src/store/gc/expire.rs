//! Old versions: which of them nothing keeps, and taking their rows away.
//!
//! Marking lies between the two, so that damage stops a collection while every row is there still. Whoever begins to use a
//! version meanwhile (`keep`, `tag`, `rollback`, a container) finds its row: then it stays, with all that it is made of.

use super::mark::{self, Marked, Roots};
use super::{Collection, GcError, Retention};
use crate::store::{DatabaseError, Store};
use std::collections::BTreeMap;
use vzpkg_metadata::{Digest, RootSet, VersionName};

impl Store {
    /// The versions that nothing keeps, and that nobody uses now.
    pub(super) fn expirable(
        &self,
        roots: &RootSet,
        keep: Retention,
    ) -> Result<BTreeMap<VersionName, Digest>, GcError> {
        let mut expired = BTreeMap::new();
        let (rows, journal) = self.db.read("list versions", |session| {
            Ok((session.all_versions()?, session.journal_entries()?))
        })?;
        let others = [mark::mounted_trees(), mark::trees_of(&journal)];
        let in_use = |digest| {
            roots.trees.contains(digest) || others.iter().any(|trees| trees.contains(digest))
        };
        for template in self.db.templates()? {
            let mut newest: Vec<_> = rows
                .iter()
                .filter(|row| row.name.template == template.name)
                .collect();
            newest.sort_by_key(|row| std::cmp::Reverse(row.name.number));
            for row in newest.into_iter().skip(keep.newest) {
                if row.created >= keep.since {
                    continue;
                }
                let user = match self.db.user_of_version(&row.name) {
                    // Somebody removed it just now.
                    Err(DatabaseError::Unknown { .. }) => continue,
                    user => user?,
                };
                let unused = !in_use(&row.digest) && user.is_none();
                let last = Some(row.name.number) == template.head;
                if unused && !last {
                    expired.insert(row.name.clone(), row.digest);
                }
            }
        }
        Ok(expired)
    }
}

impl Collection<'_> {
    /// Takes the rows of expired versions away, all of them in one transaction or none; those that somebody uses by now
    /// are marked instead. Done even for none, for it also finds out whether this database is still the store's.
    pub(super) fn remove_expired(&mut self) -> Result<(), GcError> {
        let store = self.store;
        store.db.write("remove old versions", |session| {
            let between = mark::trees_of(&session.journal_entries()?);
            let mut used = BTreeMap::new();
            for (name, digest) in &self.expired {
                if between.contains(digest) || session.is_kept(name)? {
                    used.insert(name.clone(), *digest);
                }
            }
            // Before any row goes: what cannot be read stops this, too.
            if let Err(error) = self.keep(&used) {
                return Ok(Err(error));
            }
            for name in self.expired.keys() {
                session.remove_version(name)?;
            }
            Ok(Ok(()))
        })?
    }

    /// These versions are not expired any more.
    fn keep(&mut self, used: &BTreeMap<VersionName, Digest>) -> Result<(), GcError> {
        let roots = Roots::of_versions(self.store, used)?;
        self.marked.extend(Marked::mark(self.store, &roots)?);
        self.roots.extend(roots);
        self.expired.retain(|name, _| !used.contains_key(name));
        Ok(())
    }
}
