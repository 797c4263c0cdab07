//! A change that is made and not yet waited for: other work goes on while the disk writes it.
//!
//! SQLite leaves the log unsynced at a commit with `synchronous = NORMAL`, and syncs it itself before it takes it over
//! into the database; so the database is whole whatever happens, and the last changes are there or not.

use super::session::Session;
use super::{Database, DatabaseError, log_of, sqlite};
use rusqlite::{Connection, TransactionBehavior};
use std::fs::File;
use std::path::PathBuf;
use vzpkg_metadata::durable::FileError;

/// A change that others see and that a power loss may still undo.
#[derive(Debug)]
#[must_use = "it is durable when it is synced"]
pub struct Unsynced {
    path: PathBuf,
    log: File,
}

impl Unsynced {
    /// Makes the change durable, and all that were made before it.
    ///
    /// # Errors
    /// [`FileError`]: what the disk says.
    pub fn sync(self) -> Result<(), FileError> {
        let Self { path, log } = self;
        log.sync_all().map_err(FileError::on("sync", path))
    }
}

impl Database {
    /// As [`Database::write`], but the change is not durable when this returns.
    pub(super) fn write_unsynced<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Session<'_>) -> Result<T, DatabaseError>,
    ) -> Result<(T, Unsynced), DatabaseError> {
        let path = log_of(&self.path);
        let mut connection = self.lock();
        let level = |connection: &Connection, level: &str| {
            let pragma = format!("PRAGMA synchronous = {level};");
            connection
                .execute_batch(&pragma)
                .map_err(sqlite(operation, &self.path))
        };
        level(&connection, "NORMAL")?;
        let behavior = TransactionBehavior::Immediate;
        let value = self.transact_on(&mut connection, operation, behavior, work);
        level(&connection, "FULL")?;
        let value = value?;
        let log = File::open(&path).map_err(FileError::on("open", &path))?;
        Ok((value, Unsynced { path, log }))
    }
}
