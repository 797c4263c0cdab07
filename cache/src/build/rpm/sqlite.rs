//! `rpmdb.sqlite`, rpm's database from 4.16 on: headers in the column `blob` of the table `Packages`.
//!
//! SQLite itself reads and writes it, in memory: the bytes come from a tree in which scriptlets ran, so no file is opened
//! by name, schema and functions of the file are not trusted, and nothing but the one column is touched.

use super::berkeley::Problem;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Where the file says whether it has a write-ahead log (2) or not (1): for writing and for reading.
const FORMS: std::ops::Range<usize> = 18..20;

const DAMAGED: Problem = "it is no rpm database in SQLite that can be understood";

/// Whether these bytes begin as a database.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Calls `each` with every header, whole.
pub(super) fn for_each_header(
    bytes: &[u8],
    each: &mut dyn FnMut(&mut [u8]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let connection = open(bytes)?;
    for key in keys(&connection)? {
        each(&mut header(&connection, key)?)?;
    }
    Ok(())
}

/// The same, and puts back what it changed.
pub(super) fn change_each_header(
    bytes: &mut Vec<u8>,
    each: &mut dyn FnMut(&mut [u8]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let damaged = |_: rusqlite::Error| DAMAGED;
    let forms: [u8; 2] = bytes
        .get(FORMS)
        .and_then(|forms| forms.try_into().ok())
        .ok_or(DAMAGED)?;
    let mut connection = open(bytes)?;
    for key in keys(&connection)? {
        let mut header = header(&connection, key)?;
        let before = header.clone();
        each(&mut header)?;
        if header != before {
            let change = "UPDATE main.Packages SET blob = ?2 WHERE hnum = ?1";
            connection.execute(change, (key, header)).map_err(damaged)?;
        }
    }
    let changed = connection.serialize(MAIN_DB).map_err(damaged)?;
    bytes.clear();
    bytes.extend_from_slice(&changed);
    bytes.get_mut(FORMS).ok_or(DAMAGED)?.copy_from_slice(&forms);
    Ok(())
}

fn open(bytes: &[u8]) -> Result<Connection, Problem> {
    let damaged = |_: rusqlite::Error| DAMAGED;
    if !is_one(bytes) {
        return Err(DAMAGED);
    }
    let mut copy = bytes.to_vec();
    // A log cannot be in memory; there is none when rpm has ended.
    copy.get_mut(FORMS).ok_or(DAMAGED)?.fill(1);
    let mut connection = Connection::open_in_memory().map_err(damaged)?;
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(setting, on).map_err(damaged)?;
    }
    let length = copy.len();
    connection
        .deserialize_read_exact(MAIN_DB, copy.as_slice(), length, false)
        .map_err(damaged)?;
    Ok(connection)
}

/// The numbers of all headers, in order. A view in the place of the table is refused.
fn keys(connection: &Connection) -> Result<Vec<i64>, Problem> {
    let damaged = |_: rusqlite::Error| DAMAGED;
    let kind: String = connection
        .query_row(
            "SELECT type FROM main.sqlite_schema WHERE name = 'Packages'",
            (),
            |row| row.get(0),
        )
        .map_err(damaged)?;
    if kind != "table" {
        return Err(DAMAGED);
    }
    let mut statement = connection
        .prepare("SELECT hnum FROM main.Packages ORDER BY hnum")
        .map_err(damaged)?;
    let rows = statement.query_map((), |row| row.get(0)).map_err(damaged)?;
    rows.collect::<Result<_, _>>().map_err(damaged)
}

fn header(connection: &Connection, key: i64) -> Result<Vec<u8>, Problem> {
    let select = "SELECT blob FROM main.Packages WHERE hnum = ?1";
    let header = connection.query_row(select, (key,), |row| row.get(0));
    header.map_err(|_error: rusqlite::Error| DAMAGED)
}

#[cfg(test)]
mod tests {
    use super::super::headers::Header;
    use super::*;
    use std::process::Command;

    /// What the rpm of this machine makes of one package, `hello 1-1`.
    fn database() -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let package = vzpkg_tests::rpm_writer::Rpm::new("hello", "1", "1").build(directory.path());
        let place = directory.path().join("db");
        let rpm = |arguments: &[&str]| {
            let output = Command::new("rpm")
                .args(["--define", "_db_backend sqlite", "--dbpath"])
                .arg(&place)
                .args(arguments)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        rpm(&["--initdb"]);
        let path = package.to_str().unwrap();
        rpm(&["--install", "--justdb", "--nodeps", "--nosignature", path]);
        std::fs::read(place.join("rpmdb.sqlite")).unwrap()
    }

    fn names(bytes: &[u8]) -> Result<Vec<String>, Problem> {
        let mut found = Vec::new();
        for_each_header(bytes, &mut |header| {
            found.push(Header(header).identity().ok_or("no name")?.0);
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn headers_that_rpm_wrote_are_read_and_changed() {
        let mut bytes = database();
        let forms = bytes[FORMS].to_vec();
        assert_eq!(names(&bytes).unwrap(), ["hello"]);
        change_each_header(&mut bytes, &mut |header| {
            let (place, _) = Header(header).place(1000).ok_or("no name")?;
            header[place..place + 5].copy_from_slice(b"other");
            Ok(())
        })
        .unwrap();
        assert_eq!(names(&bytes).unwrap(), ["other"]);
        assert_eq!(bytes[FORMS], forms);
    }

    #[test]
    fn what_is_no_rpm_database_is_refused() {
        let whole = database();
        for bytes in [
            &b""[..],
            b"SQLite format 3\0",
            &whole[..100],
            &whole[..5000],
        ] {
            assert!(names(bytes).is_err(), "{}", bytes.len());
        }
        let other = |schema: &str| {
            let mut connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(schema).unwrap();
            connection.serialize(MAIN_DB).unwrap().to_vec()
        };
        for schema in [
            "CREATE TABLE x (a)",
            "CREATE TABLE x (hnum, blob); CREATE VIEW Packages AS SELECT * FROM x",
            "CREATE TABLE Packages (hnum INTEGER, blob); INSERT INTO Packages VALUES (1, 'text')",
            "CREATE TABLE Packages (hnum, blob); INSERT INTO Packages VALUES ('a', x'00')",
        ] {
            assert!(names(&other(schema)).is_err(), "{schema}");
        }
    }
}
