//! A database of an older schema becomes one of this schema, whole or not at all, and says so where it cannot.

use crate::fixtures::{build, open, store};
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use vzpkg_cache::store::{Access, Hold, Store};
use vzpkg_metadata::TemplateName;

const TEMPLATE: &str = "debian-13-x86_64";

/// Writes a database of schema 1 with one version and one hold over the one of this store; returns the digest.
fn downgrade(root: &Path) -> String {
    let path = root.join("store/state.db");
    let digest = rusqlite::Connection::open(&path)
        .and_then(|now| now.query_row("SELECT digest FROM versions", [], |row| row.get(0)))
        .unwrap();
    fs::remove_file(&path).unwrap();
    for name in ["state.db-wal", "state.db-shm"] {
        // The last connection that closes takes these with it.
        drop(fs::remove_file(path.with_file_name(name)));
    }
    let old = rusqlite::Connection::open(&path).unwrap();
    let schema = include_str!("../data/schema_1.sql");
    old.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; {schema}; PRAGMA user_version = 1;
         INSERT INTO templates VALUES ('{TEMPLATE}', 2, 1);
         INSERT INTO versions VALUES ('{TEMPLATE}', 1, '{digest}', NULL, 1700000000, 'slow', 1);
         INSERT INTO tags VALUES ('{TEMPLATE}', 'stable', 1);
         INSERT INTO holds VALUES ('{TEMPLATE}', 'nginx');"
    ))
    .unwrap();
    digest
}

fn assert_migrated(store: &Store, digest: &str) {
    let template: TemplateName = TEMPLATE.parse().unwrap();
    let head = store.db.head(&template).unwrap().unwrap();
    assert_eq!(head.digest.to_string(), digest);
    assert!(head.kept && head.tags == ["stable".parse().unwrap()]);
    let hold = Hold {
        pattern: "nginx".parse().unwrap(),
        until: None,
        reason: String::new(),
        since: 0,
    };
    assert_eq!(store.db.holds(&template).unwrap(), [hold]);
    assert_eq!(store.db.check().unwrap(), Vec::<String>::new());
}

/// A store with one version whose database is of schema 1, and the digest of that version.
fn old_store() -> (TempDir, String) {
    let (directory, store) = store();
    store
        .publish(build(&store, TEMPLATE, &[("a", b"1")]))
        .unwrap();
    drop(store);
    let digest = downgrade(directory.path());
    (directory, digest)
}

#[test]
fn a_database_of_schema_1_is_migrated_with_everything_in_it() {
    let (directory, digest) = old_store();
    let store = open(&directory);
    assert_migrated(&store, &digest);
    let next = build(&store, TEMPLATE, &[("a", b"2")]);
    assert_eq!(store.publish(next).unwrap().record().number.get(), 2);
    drop(store);
    // A new database and a migrated one have the same tables.
    let tables = |path: &Path| -> Vec<(String, String)> {
        let connection = rusqlite::Connection::open(path).unwrap();
        let mut statement = connection
            .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")
            .unwrap();
        let rows = statement.query_map([], |row| {
            let sql: Option<String> = row.get(1)?;
            let sql: String = sql
                .unwrap_or_default()
                .lines()
                .map(|line| line.split("--").next().unwrap_or_default().trim())
                .collect();
            Ok((row.get(0)?, sql.replace('"', "")))
        });
        rows.unwrap().map(Result::unwrap).collect()
    };
    let (fresh, store) = crate::fixtures::store();
    drop(store);
    assert_eq!(
        tables(&directory.path().join("store/state.db")),
        tables(&fresh.path().join("store/state.db"))
    );
}

#[test]
fn a_reader_who_may_write_migrates_and_many_at_once_do_it_once() {
    let (directory, digest) = old_store();
    std::thread::scope(|scope| {
        for turn in 0..8 {
            let access = if turn % 2 == 0 {
                Access::ReadOnly
            } else {
                Access::ReadWrite
            };
            let (path, digest) = (directory.path(), &digest);
            scope.spawn(move || {
                let store = Store::open(path, access).unwrap();
                assert_migrated(&store, digest);
            });
        }
    });
}

#[test]
fn a_migration_that_fails_leaves_the_old_database() {
    let (directory, store) = store();
    store
        .publish(build(&store, TEMPLATE, &[("a", b"1")]))
        .unwrap();
    drop(store);
    downgrade(directory.path());
    // Something in the way of its first statement.
    let path = directory.path().join("store/state.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch("CREATE TABLE holds_1 (x TEXT) STRICT;")
        .unwrap();
    Store::open(directory.path(), Access::ReadWrite).unwrap_err();
    let reader = Store::open(directory.path(), Access::ReadOnly).unwrap_err();
    assert!(reader.to_string().contains("schema 1"), "{reader}");
    let hold: String = old
        .query_row("SELECT package FROM holds", [], |row| row.get(0))
        .unwrap();
    assert_eq!(hold, "nginx");
    old.execute_batch("DROP TABLE holds_1").unwrap();
    assert_eq!(
        open(&directory)
            .db
            .holds(&TEMPLATE.parse().unwrap())
            .unwrap()
            .len(),
        1
    );
}
