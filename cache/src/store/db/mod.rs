//! The database: names, heads, marks, links and ids. What it names is immutable and lies in files.
//!
//! SQLite in WAL mode with FULL sync; every change is one IMMEDIATE transaction; readers never wait for writers. It is
//! created and migrated under a guard, for switching to WAL does not wait for others. It can be made again from the
//! records of versions ([`super::rebuild`]), all but marks, containers and ids.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the path of a method of Session is not general enough in its lifetime"
)]

mod cached_trees;
mod containers;
mod error;
mod holds;
mod ids;
mod marks;
mod place;
mod rows;
mod salvage;
mod session;
mod unsynced;
mod versions;

pub use error::{DatabaseError, IdClash};
pub(super) use place::{FileId, Purpose, check as check_place};
pub use rows::{CachedTree, ContainerRow, Follow, Hold, TemplateRow, VersionRow, VersionState};
pub use salvage::Salvaged;
pub use unsynced::Unsynced;

use super::Access;
use super::guard::{Guard, GuardName, SilentWait, Wait};
use super::layout::Layout;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use session::Session;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The number of the schema this code writes.
const SCHEMA: u32 = 2;

/// What makes a database of one schema one of the next; the first makes a 2 of a 1.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/2.sql")];

/// How long a writer waits for another one's transaction, which takes milliseconds.
const BUSY: Duration = Duration::from_secs(30);

/// How long the log grows before whoever writes last takes it over into the database and empties it, in bytes. Whoever
/// opens a database that nobody has open reads all of its log, 5 µs a page, and SQLite itself begins the log anew only
/// while one process keeps it open, which no command does for long.
const LOG_BYTES: u64 = 64 * 4120;

/// The open database of a store. Shared by threads; one statement at a time.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    access: Access,
    /// What is open.
    file: Option<FileId>,
    connection: Mutex<Connection>,
}

impl Drop for Database {
    fn drop(&mut self) {
        let long = fs::metadata(log_of(&self.path)).is_ok_and(|log| log.len() > LOG_BYTES);
        if long && matches!(self.access, Access::ReadWrite) {
            let connection = self.lock();
            // Not while somebody reads: then it is the next one's to do.
            drop(connection.busy_timeout(Duration::ZERO));
            let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            drop(emptied);
        }
    }
}

impl Database {
    pub(super) fn open(
        layout: &Layout,
        access: Access,
        purpose: Purpose,
    ) -> Result<Self, DatabaseError> {
        check_place(layout, purpose)?;
        let path = layout.database();
        let before = FileId::of(&path);
        let connection = match access {
            Access::ReadOnly => open_current_to_read(layout, &path)?,
            Access::ReadWrite => open_to_write(layout, &path, purpose)?,
        };
        let file = FileId::of(&path);
        if before.is_some() && before != file {
            return Err(DatabaseError::Replaced { path });
        }
        let database = Self {
            path,
            access,
            file,
            connection: Mutex::new(connection),
        };
        match database.read("read the schema", |session| session.user_version())? {
            SCHEMA => Ok(database),
            found if found < SCHEMA => Err(DatabaseError::Older {
                found,
                known: SCHEMA,
            }),
            found => Err(DatabaseError::Newer {
                found,
                known: SCHEMA,
            }),
        }
    }

    /// Runs `work` in one transaction that sees one state of the database.
    pub(super) fn read<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Session<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        self.transact(operation, TransactionBehavior::Deferred, work)
    }

    /// Runs `work` in one transaction that nobody else writes beside; what it did is durable when this returns, or
    /// nothing was done.
    pub(super) fn write<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Session<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        self.transact(operation, TransactionBehavior::Immediate, work)
    }

    /// Refuses to change a file that nobody else sees any more: what it names may be years old, and what is written to it is
    /// lost.
    pub(super) fn check_in_place(&self) -> Result<(), DatabaseError> {
        if FileId::of(&self.path) == self.file {
            return Ok(());
        }
        let path = self.path.clone();
        Err(DatabaseError::Replaced { path })
    }

    fn transact<T>(
        &self,
        operation: &'static str,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Session<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        self.transact_on(&mut self.lock(), operation, behavior, work)
    }

    fn transact_on<T>(
        &self,
        connection: &mut Connection,
        operation: &'static str,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Session<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let error = sqlite(operation, &self.path);
        let writes = matches!(behavior, TransactionBehavior::Immediate);
        let transaction = connection.transaction_with_behavior(behavior);
        let transaction = transaction.map_err(&error)?;
        if writes {
            self.check_in_place()?;
        }
        let value = work(&Session::new(&transaction, operation, &self.path))?;
        transaction.commit().map_err(&error)?;
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What SQLite's own check finds: nothing in a sound database. Reads all of it.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`] where it cannot even be read.
    pub fn check(&self) -> Result<Vec<String>, DatabaseError> {
        self.read("check integrity", |session| {
            let lines =
                session.query("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))?;
            Ok(lines.into_iter().filter(|line| line != "ok").collect())
        })
    }
}

/// Makes the mapping function for `map_err`.
fn sqlite<'a>(
    operation: &'static str,
    path: &'a Path,
) -> impl Fn(rusqlite::Error) -> DatabaseError + 'a {
    move |source| DatabaseError::Sqlite {
        operation,
        path: path.to_owned(),
        source,
    }
}

fn open_to_write(
    layout: &Layout,
    path: &Path,
    purpose: Purpose,
) -> Result<Connection, DatabaseError> {
    let error = sqlite("open", path);
    let connection = Connection::open(path).map_err(&error)?;
    connection.busy_timeout(BUSY).map_err(&error)?;
    // The log stays when the last writer leaves, so that users who cannot write can still read.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(&error)?;
    let session = Session::new(&connection, "open", path);
    // What cannot be read here says so below, under the guard or at the first statement.
    if session.user_version().unwrap_or_default() < SCHEMA {
        let name = GuardName::Database;
        let _guard = Guard::take(layout, name, Wait::AtMost(BUSY), &SilentWait)?;
        create_or_migrate(&connection, layout, purpose)?;
    }
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
        .map_err(&error)?;
    Ok(connection)
}

/// Brings the tables to the schema of this code in one transaction, unless another process did while this one waited for
/// the guard.
fn create_or_migrate(
    connection: &Connection,
    layout: &Layout,
    purpose: Purpose,
) -> Result<(), DatabaseError> {
    let path = &layout.database();
    let error = sqlite("create tables", path);
    let found = Session::new(connection, "create tables", path).user_version()?;
    let statements = match found {
        0 => {
            place::check_new(layout, purpose)?;
            include_str!("schema.sql").to_owned()
        }
        _ => MIGRATIONS
            .iter()
            .skip(usize::try_from(found - 1).unwrap_or(usize::MAX))
            .copied()
            .collect(),
    };
    if found >= SCHEMA {
        return Ok(());
    }
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        .map_err(&error)?;
    let done = connection.execute_batch(&format!(
        "BEGIN IMMEDIATE;\n{statements}\nPRAGMA user_version = {SCHEMA};\nCOMMIT;"
    ));
    done.map_err(&error)
}

/// An older database is brought up to date first, by whoever may write it.
fn open_current_to_read(layout: &Layout, path: &Path) -> Result<Connection, DatabaseError> {
    let connection = open_to_read(path)?;
    let session = Session::new(&connection, "open", path);
    let found = session.user_version()?;
    if found == 0 {
        let lost = place::check_new(layout, Purpose::Use);
        // Unless another process made the tables just now, and records versions.
        if session.user_version()? == 0 {
            lost?;
        }
    }
    if found < SCHEMA && open_to_write(layout, path, Purpose::Use).is_ok() {
        return open_to_read(path);
    }
    Ok(connection)
}

fn open_to_read(path: &Path) -> Result<Connection, DatabaseError> {
    let error = sqlite("open", path);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(&error)?;
    connection.busy_timeout(BUSY).map_err(&error)?;
    let readable = Session::new(&connection, "open", path).user_version();
    let log = log_of(path);
    if readable.is_ok() || fs::metadata(log).is_ok_and(|log| log.len() > 0) {
        return readable.map(|_| connection);
    }
    // No log beside it, and this user cannot make one: then nobody is writing either.
    let uri = immutable_uri(path);
    Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI).map_err(&error)
}

/// The log beside a database.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.to_owned().into_os_string();
    log.push("-wal");
    log.into()
}

/// The path as an SQLite URI that promises that the file does not change.
fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from_digit(u32::from(value), 16);
            uri.push('%');
            uri.extend([digit(byte >> 4), digit(byte & 0xf)].into_iter().flatten());
        }
    }
    uri + "?immutable=1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_in_uris() {
        let uri = immutable_uri(Path::new("/v z/50%?#/state.db"));
        assert_eq!(uri, "file:/v%20z/50%25%3f%23/state.db?immutable=1");
    }
}
