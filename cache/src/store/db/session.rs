//! One transaction: statements whose errors say what was tried.

use super::{DatabaseError, sqlite};
use rusqlite::{Connection, Params, Row};
use std::path::Path;
use std::str::FromStr;

/// A transaction that is open.
pub(in crate::store) struct Session<'a> {
    connection: &'a Connection,
    operation: &'static str,
    path: &'a Path,
}

impl<'a> Session<'a> {
    pub(super) const fn new(
        connection: &'a Connection,
        operation: &'static str,
        path: &'a Path,
    ) -> Self {
        Self {
            connection,
            operation,
            path,
        }
    }

    /// Every row of a query.
    pub(super) fn query<T, P: Params>(
        &self,
        statement: &str,
        params: P,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, DatabaseError> {
        let rows = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.connection.prepare_cached(statement)?;
            statement.query_map(params, row)?.collect()
        };
        rows().map_err(sqlite(self.operation, self.path))
    }

    /// The only row of a query, if there is one.
    pub(super) fn query_one<T, P: Params>(
        &self,
        statement: &str,
        params: P,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, DatabaseError> {
        Ok(self.query(statement, params, row)?.pop())
    }

    /// Carries out a change; returns how many rows it changed.
    pub(super) fn execute<P: Params>(
        &self,
        statement: &str,
        params: P,
    ) -> Result<usize, DatabaseError> {
        let execute = || self.connection.prepare_cached(statement)?.execute(params);
        execute().map_err(sqlite(self.operation, self.path))
    }

    /// The schema number.
    pub(super) fn user_version(&self) -> Result<u32, DatabaseError> {
        let version = self.query_one("PRAGMA user_version", [], |row| row.get(0))?;
        Ok(version.unwrap_or_default())
    }
}

/// Parses a text of the database, which only this code writes.
pub(super) fn value<T: FromStr>(what: &'static str, text: &str) -> Result<T, DatabaseError> {
    text.parse().ok().ok_or_else(|| DatabaseError::Damaged {
        what,
        value: text.chars().take(200).collect(),
    })
}
