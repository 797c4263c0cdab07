//! Trees that are kept under a key made of what they were built from: appcaches, and the rpm tools of a lock.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the path of a method of Session is not general enough in its lifetime"
)]

use super::session::{Session, value};
use super::versions::changed_one;
use super::{CachedTree, Database, DatabaseError};
use rusqlite::params;
use vzpkg_metadata::Digest;

impl Session<'_> {
    /// Trees of every kind.
    pub(in crate::store) fn cached_trees(&self) -> Result<Vec<CachedTree>, DatabaseError> {
        let rows = self.query(
            "SELECT kind, key, digest, template, description, created FROM cached_trees ORDER BY kind, key",
            [],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, String>(3)?,
                    row.get(4)?,
                    row.get(5)?,
                ))
            },
        )?;
        rows.into_iter()
            .map(|(kind, key, digest, template, description, created)| {
                Ok(CachedTree {
                    kind,
                    key: value("digest", &key)?,
                    digest: value("digest", &digest)?,
                    template: value("template name", &template)?,
                    description,
                    created,
                })
            })
            .collect()
    }
}

impl Database {
    /// The tree that was built from what `key` stands for.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn cached_tree(
        &self,
        kind: &str,
        key: &Digest,
    ) -> Result<Option<CachedTree>, DatabaseError> {
        let trees = self.cached_trees(kind)?;
        Ok(trees.into_iter().find(|tree| tree.key == *key))
    }

    /// All cached trees of one kind, by key.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] or [`DatabaseError::Damaged`].
    pub fn cached_trees(&self, kind: &str) -> Result<Vec<CachedTree>, DatabaseError> {
        let mut trees = self.read("list cached trees", |session| session.cached_trees())?;
        trees.retain(|tree| tree.kind == kind);
        Ok(trees)
    }

    /// Notes a cached tree in the place of one with the same kind and key. The caller called [`crate::store::Store::sync`]
    /// since it wrote the image.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn insert_cached_tree(&self, tree: &CachedTree) -> Result<(), DatabaseError> {
        self.write("note a cached tree", |session| {
            session.execute(
                "INSERT OR REPLACE INTO cached_trees (kind, key, digest, template, description, created)
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    tree.kind,
                    tree.key.to_string(),
                    tree.digest.to_string(),
                    tree.template.as_str(),
                    tree.description,
                    tree.created
                ],
            )?;
            Ok(())
        })
    }

    /// Forgets a cached tree; its files go with the next gc.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] if there is none.
    pub fn remove_cached_tree(&self, kind: &str, key: &Digest) -> Result<(), DatabaseError> {
        self.write("forget a cached tree", |session| {
            let gone = session.execute(
                "DELETE FROM cached_trees WHERE kind = ? AND key = ?",
                params![kind, key.to_string()],
            )?;
            changed_one(gone, "cached tree", &key.to_string())
        })
    }
}
