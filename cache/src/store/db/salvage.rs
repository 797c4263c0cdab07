//! What can still be read of a damaged database, row by row, into a new one.
//!
//! Names, numbers and trees of versions come from their records ([`crate::store::rebuild`]); here comes
//! what only the database knew: heads, marks, tags, holds, containers, ids, journals, cached trees.

use super::{Database, DatabaseError, sqlite};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use std::path::Path;

/// How each table is read and written. Where the new one has a row with the same key, that one stays.
const TABLES: [(&str, &str, &str); 8] = [
    (
        "tags",
        "SELECT template, tag, number FROM tags",
        "INSERT OR IGNORE INTO tags (template, tag, number) SELECT ?1, ?2, ?3
         WHERE EXISTS (SELECT 1 FROM versions WHERE template = ?1 AND number = ?3)",
    ),
    (
        "holds",
        "SELECT template, pattern, until, reason, since FROM holds",
        "INSERT OR IGNORE INTO holds (template, pattern, until, reason, since) VALUES (?1, ?2, ?3, ?4, ?5)",
    ),
    (
        "containers",
        "SELECT id, template, link, os_digest, follow, applications, packages, first_uid, created, generation
         FROM containers",
        "INSERT OR IGNORE INTO containers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    ),
    (
        "ids",
        "SELECT template, name, uid, gid FROM ids",
        "INSERT OR IGNORE INTO ids (template, name, uid, gid) VALUES (?1, ?2, ?3, ?4)",
    ),
    (
        "journal",
        "SELECT container, entry FROM journal",
        "INSERT OR IGNORE INTO journal (container, entry) VALUES (?1, ?2)",
    ),
    (
        "cached trees",
        "SELECT kind, key, digest, template, description, created FROM cached_trees",
        "INSERT OR IGNORE INTO cached_trees (kind, key, digest, template, description, created)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    ),
    (
        "marks",
        "SELECT template, number, digest, bad, kept FROM versions",
        "UPDATE versions SET bad = ?4, kept = ?5 WHERE template = ?1 AND number = ?2 AND digest = ?3",
    ),
    (
        "heads",
        "SELECT name, next, head FROM templates",
        "UPDATE templates SET next = max(next, ?2), head = (SELECT coalesce(
             (SELECT number FROM versions WHERE template = ?1 AND number = ?3), templates.head))
         WHERE name = ?1",
    ),
];

/// How many rows of one kind were taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// What they are: `containers`, `tags`.
    pub what: &'static str,
    /// How many rows.
    pub rows: usize,
    /// Whether reading ended before the last one.
    pub cut: bool,
}

impl Database {
    /// Takes over what can be read of the damaged database at `path`, which stays as it is.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] if this database refuses; what is wrong with the other one is no error.
    pub fn salvage(&self, path: &Path) -> Result<Vec<Salvaged>, DatabaseError> {
        let Ok(old) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE) else {
            return Ok(Vec::new());
        };
        let connection = self.lock();
        let error = sqlite("take rows over", &self.path);
        connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(&error)?;
        let mut salvaged = Vec::new();
        for (what, read, write) in TABLES {
            let (found, cut) = rows(&old, read);
            let mut taken = 0;
            for row in found {
                // A row that breaks a rule of the tables is part of the damage.
                taken += connection
                    .execute(write, params_from_iter(row))
                    .unwrap_or_default();
            }
            salvaged.push(Salvaged {
                what,
                rows: taken,
                cut,
            });
        }
        connection.execute_batch("COMMIT").map_err(&error)?;
        Ok(salvaged)
    }
}

/// The rows up to the first one that cannot be read, and whether there was such a one.
fn rows(old: &Connection, statement: &str) -> (Vec<Vec<Value>>, bool) {
    let mut found = Vec::new();
    let mut read = || -> rusqlite::Result<()> {
        let mut statement = old.prepare(statement)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let values = (0..columns).map(|column| row.get(column));
            found.push(values.collect::<rusqlite::Result<_>>()?);
        }
        Ok(())
    };
    let cut = read().is_err();
    (found, cut)
}
