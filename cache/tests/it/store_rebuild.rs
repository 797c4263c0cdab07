//! The database is made again from the records, wherever that is cut off, and nobody takes an empty one for the store's.

use crate::fixtures::{self, age, build, container, open, publish, replace, store};
use rusqlite::config::DbConfig;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use vzpkg_cache::store::{
    Access, DatabaseError, GcError, GcMode, GcOptions, GuardName, Hold, OpenError, RebuildError,
    Retention, SilentWait, Store, VerifyReporter, VersionError, VersionState, Wait, rebuild,
};
use vzpkg_metadata::lock::Ids;
use vzpkg_metadata::{Digest, TemplateName};

const TEMPLATE: &str = "debian-13-x86_64";

const COLLECT: GcOptions = GcOptions {
    mode: GcMode::Remove,
    keep: Retention::newest(usize::MAX),
};

struct Silent;
impl VerifyReporter for Silent {}

fn database(directory: &TempDir, ending: &str) -> PathBuf {
    directory.path().join(format!("store/state.db{ending}"))
}

fn aside(directory: &TempDir) -> PathBuf {
    database(directory, ".aside")
}

/// Removes the database of a store that is not open.
fn lose(directory: &TempDir) {
    for ending in ["", "-wal", "-shm"] {
        fs::remove_file(database(directory, ending)).unwrap();
    }
}

/// What nobody may take for a store: refused to readers and writers.
fn assert_refused(directory: &TempDir, expected: &str) {
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let error = Store::open(directory.path(), access).unwrap_err();
        let damage = matches!(&error, OpenError::Database(error) if error.is_damage());
        assert!(damage, "{access:?}: {error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_lost_database_is_made_again_from_the_records() {
    let (directory, store) = store();
    let first = publish(&store, TEMPLATE, &[("a", b"1")]);
    let mut draft = build(&store, TEMPLATE, &[("a", b"2")]);
    let ids = Ids {
        uid: Some(412),
        gid: None,
    };
    draft.lock.ids.insert("postgres".to_owned(), ids);
    store.publish(draft).unwrap();
    let other = build(&store, "centos-9-x86_64", &[("a", b"1")]);
    store.publish(other).unwrap();
    let templates = store.db.templates().unwrap();
    drop(store);
    lose(&directory);
    let (store, report) = rebuild(directory.path(), 7).unwrap();
    assert_eq!((report.restored.len(), report.skipped.len()), (3, 0));
    assert_eq!((report.damaged, report.salvaged), (None, Vec::new()));
    assert_eq!(store.db.templates().unwrap(), templates);
    assert_eq!(
        store.db.version(&first.name()).unwrap().digest,
        first.digest
    );
    let registry = store.db.ids_for(&TEMPLATE.parse().unwrap()).unwrap();
    assert_eq!(registry.get("postgres"), Some(&ids));
    drop(store);
    let (store, report) = rebuild(directory.path(), 8).unwrap();
    assert_eq!(report.restored, []);
    assert_eq!(publish(&store, TEMPLATE, &[("a", b"3")]).number.get(), 3);
    assert_eq!(store.verify(&[], 1, &Silent).unwrap(), []);
}

/// Overwrites the first page of one table in a database whose log is written back.
fn damage_table(root: &Path, table: &str) {
    let path = root.join("store/state.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let (page, size): (u32, u32) = connection
        .query_row(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = ?",
            [table],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    let mut bytes = fs::read(&path).unwrap();
    let place = |page: u32| usize::try_from(page * size).unwrap();
    bytes[place(page - 1)..place(page)].fill(0xff);
    fs::write(&path, bytes).unwrap();
}

#[test]
fn what_only_a_damaged_database_knew_is_taken_from_it() {
    let (directory, store) = store();
    let first = publish(&store, TEMPLATE, &[("a", b"1")]);
    publish(&store, TEMPLATE, &[("a", b"2")]);
    let template: TemplateName = TEMPLATE.parse().unwrap();
    let hold = Hold {
        pattern: "nginx*".parse().unwrap(),
        until: Some(7),
        reason: "slow".to_owned(),
        since: 1,
    };
    store.db.hold(&template, &hold).unwrap();
    let stable = "stable".parse().unwrap();
    store.db.tag(&first.name(), &stable).unwrap();
    let web = container("web", TEMPLATE, first.digest);
    store.db.insert_container(&web).unwrap();
    drop(store);
    damage_table(directory.path(), "versions");
    let (store, report) = rebuild(directory.path(), 42).unwrap();
    assert_eq!(report.restored.len(), 2);
    assert_eq!(store.db.holds(&template).unwrap(), [hold]);
    assert_eq!(store.db.version(&first.name()).unwrap().tags, [stable]);
    assert_eq!(store.db.containers().unwrap(), [web]);
    assert_eq!(store.db.check().unwrap(), Vec::<String>::new());
    let kept = directory.path().join("store/state.db.damaged-42");
    assert_eq!(report.damaged.as_deref(), Some(kept.as_path()));
    assert!(kept.exists());
    assert!(report.salvaged.iter().any(|salvaged| salvaged.cut));
    assert_eq!(store.verify(&[], 1, &Silent).unwrap(), []);
    // A sound one is left alone.
    drop(store);
    let (_, report) = rebuild(directory.path(), 43).unwrap();
    assert_eq!((report.restored.len(), report.damaged), (0, None));
}

#[test]
fn marks_and_the_head_survive_where_their_tables_do() {
    let (directory, store) = store();
    let first = publish(&store, TEMPLATE, &[("a", b"1")]);
    let second = publish(&store, TEMPLATE, &[("a", b"2")]);
    store.db.roll_back(&first.name(), "slow").unwrap();
    store.db.set_kept(&first.name(), true).unwrap();
    drop(store);
    damage_table(directory.path(), "holds");
    let (store, report) = rebuild(directory.path(), 42).unwrap();
    assert!(report.damaged.is_some(), "{report:?}");
    let template: TemplateName = TEMPLATE.parse().unwrap();
    let head = store.db.head(&template).unwrap().unwrap();
    assert_eq!((head.name, head.kept), (first.name(), true));
    let bad = VersionState::Bad("slow".to_owned());
    assert_eq!(store.db.version(&second.name()).unwrap().state, bad);
}

#[test]
fn a_database_in_use_is_not_replaced() {
    let (directory, store) = store();
    publish(&store, TEMPLATE, &[("a", b"1")]);
    let name = GuardName::Template(TEMPLATE.parse().unwrap());
    let guard = store.guard(name, Wait::Never, &SilentWait).unwrap();
    drop(store);
    replace(&directory.path().join("store/state.db"), &[7; 8192]);
    fs::remove_file(directory.path().join("store/state.db-wal")).unwrap();
    let error = rebuild(directory.path(), 1).unwrap_err();
    assert!(matches!(error, RebuildError::Guard(_)), "{error:?}");
    assert!(!aside(&directory).exists());
    drop(guard);
    let (store, report) = rebuild(directory.path(), 1).unwrap();
    assert_eq!(report.restored.len(), 1);
    assert_eq!(store.db.templates().unwrap().len(), 1);
}

#[test]
fn a_lost_database_is_not_taken_for_that_of_an_empty_store() {
    let (directory, store) = store();
    let version = publish(&store, TEMPLATE, &[("a", b"1")]);
    drop(store);
    lose(&directory);
    assert_refused(&directory, "is lost");
    assert!(!database(&directory, "").exists(), "none was made");
    // Nor one without tables.
    fs::write(database(&directory, ""), b"").unwrap();
    assert_refused(&directory, "is lost");
    age(&directory);
    let (store, report) = rebuild(directory.path(), 7).unwrap();
    assert_eq!(report.restored, [version.name()]);
    assert_eq!(report.damaged, None);
    assert!(!aside(&directory).exists());
    drop(store);
    let store = open(&directory);
    let report = fixtures::gc(&store, COLLECT).unwrap();
    assert_eq!((report.objects, report.trees.len()), (0, 0));
    assert_eq!(store.verify(&[], 1, &Silent).unwrap(), []);
}

#[test]
fn a_store_without_versions_needs_no_rebuild() {
    let (directory, store) = store();
    build(&store, TEMPLATE, &[("a", b"1")]);
    // A record that was never finished is none.
    fs::write(
        directory.path().join("store/versions/.vzpkg-new.1.0.json"),
        b"{",
    )
    .unwrap();
    drop(store);
    lose(&directory);
    assert_eq!(open(&directory).db.templates().unwrap(), []);
}

/// A store of one version and one container whose rebuild was killed: before its new database was made, or when that had
/// tables and nothing in them.
fn cut_off(with_tables: bool) -> TempDir {
    let (directory, store) = store();
    let version = publish(&store, TEMPLATE, &[("a", b"1")]);
    let web = container("web", TEMPLATE, version.digest);
    store.db.insert_container(&web).unwrap();
    drop(store);
    for ending in ["-wal", ""] {
        let to = database(&directory, &format!(".aside{ending}"));
        fs::hard_link(database(&directory, ending), to).unwrap();
    }
    lose(&directory);
    if with_tables {
        let (empty, store) = fixtures::store();
        drop(store);
        for ending in ["", "-wal"] {
            fs::copy(database(&empty, ending), database(&directory, ending)).unwrap();
        }
    }
    directory
}

#[test]
fn nobody_works_on_a_store_whose_rebuild_was_cut_off() {
    for with_tables in [false, true] {
        let directory = cut_off(with_tables);
        assert_refused(&directory, "is being made again");
        let (store, report) = rebuild(directory.path(), 7).unwrap();
        assert_eq!(report.restored.len(), 1);
        assert_eq!(report.damaged, Some(database(&directory, ".damaged-7")));
        let containers = store.db.containers().unwrap();
        assert_eq!(containers.len(), 1, "tables: {with_tables}");
        assert_eq!(store.verify(&[], 1, &Silent).unwrap(), []);
        assert_eq!(open(&directory).db.templates().unwrap().len(), 1);
    }
}

#[test]
fn a_collection_that_waited_for_a_rebuild_takes_nothing() {
    let (directory, store) = store();
    publish(&store, TEMPLATE, &[("a", b"1")]);
    drop(store);
    let waited = open(&directory);
    waited.objects.put_bytes(b"orphan").unwrap();
    drop(waited);
    age(&directory);
    let refused = |store: &Store| match fixtures::gc(store, COLLECT) {
        Err(GcError::Database(error)) => error,
        other => panic!("{other:?}"),
    };
    // It is cut off meanwhile…
    let waited = open(&directory);
    fs::write(aside(&directory), b"").unwrap();
    let error = refused(&waited);
    assert!(
        matches!(error, DatabaseError::Unfinished { .. }),
        "{error:?}"
    );
    fs::remove_file(aside(&directory)).unwrap();
    // … or another database is there.
    let bytes = fs::read(database(&directory, "")).unwrap();
    replace(&database(&directory, ""), &bytes);
    let error = refused(&waited);
    assert!(matches!(error, DatabaseError::Replaced { .. }), "{error:?}");
    let template: TemplateName = TEMPLATE.parse().unwrap();
    let head = waited.db.head(&template).unwrap().unwrap();
    let error = waited.db.set_kept(&head.name, true).unwrap_err();
    assert!(matches!(error, DatabaseError::Replaced { .. }), "{error:?}");
    assert!(waited.objects.contains(&Digest::of(b"orphan")));
    assert!(waited.images.contains(&head.digest));
}

#[test]
fn damaged_records_are_left_out_and_named_and_those_of_a_newer_vzpkg_end_it() {
    let (directory, store) = store();
    let first = publish(&store, TEMPLATE, &[("a", b"1")]);
    let second = publish(&store, TEMPLATE, &[("a", b"2")]);
    drop(store);
    let record = |digest: Digest| {
        directory
            .path()
            .join(format!("store/versions/{digest}.json"))
    };
    replace(&database(&directory, ""), &[7; 8192]);
    fs::remove_file(database(&directory, "-wal")).unwrap();
    let sound = fs::read_to_string(record(second.digest)).unwrap();
    let newer = sound.replace("\"schema\": 1", "\"schema\": 99");
    replace(&record(second.digest), newer.as_bytes());
    let error = rebuild(directory.path(), 7).unwrap_err();
    assert!(
        matches!(error, RebuildError::Version(VersionError::Newer { .. })),
        "{error:?}"
    );
    assert_eq!(fs::read(database(&directory, "")).unwrap(), [7; 8192]);
    assert!(!aside(&directory).exists());
    replace(&record(second.digest), b"{");
    let (store, report) = rebuild(directory.path(), 7).unwrap();
    assert_eq!(report.restored, [first.name()]);
    let unreadable: Vec<&PathBuf> = report.unreadable.iter().map(|(path, _)| path).collect();
    assert_eq!(unreadable, [&record(second.digest)]);
    assert!(!aside(&directory).exists());
    let template: TemplateName = TEMPLATE.parse().unwrap();
    assert_eq!(store.db.versions(&template).unwrap().len(), 1);
}

/// Writes a hold into the log of a database that nobody has open, and leaves it there.
fn hold_in_log(path: &Path, template: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .unwrap();
    connection
        .execute(
            "INSERT INTO holds VALUES (?, 'nginx', NULL, 'slow', 1)",
            [template],
        )
        .unwrap();
}

#[test]
fn a_rebuild_killed_while_it_moves_the_database_loses_no_log() {
    let states: [&[&str]; 4] = [&[], &["-wal"], &[""], &["-wal", ""]];
    for linked in states {
        let (directory, store) = store();
        publish(&store, TEMPLATE, &[("a", b"1")]);
        drop(store);
        damage_table(directory.path(), "versions");
        hold_in_log(&database(&directory, ""), TEMPLATE);
        for ending in linked {
            let to = database(&directory, &format!(".aside{ending}"));
            fs::hard_link(database(&directory, ending), to).unwrap();
        }
        let (store, report) = rebuild(directory.path(), 7).unwrap();
        assert_eq!(report.restored.len(), 1, "{linked:?}");
        let holds = store.db.holds(&TEMPLATE.parse().unwrap()).unwrap();
        assert_eq!(holds.len(), 1, "{linked:?}");
    }
}

#[test]
fn a_rebuild_waits_for_nobody_and_keeps_collections_out() {
    let (directory, store) = store();
    publish(&store, TEMPLATE, &[("a", b"1")]);
    let guard = store.guard(GuardName::Collect, Wait::Never, &SilentWait);
    let guard = guard.unwrap();
    drop(store);
    lose(&directory);
    let error = rebuild(directory.path(), 1).unwrap_err();
    assert!(matches!(error, RebuildError::Guard(_)), "{error:?}");
    assert!(!database(&directory, "").exists() && !aside(&directory).exists());
    drop(guard);
    rebuild(directory.path(), 1).unwrap();
}

#[test]
fn the_log_of_a_database_that_was_lost_or_cut_off_is_kept() {
    for is_cut_off in [false, true] {
        let (directory, store) = store();
        let version = publish(&store, TEMPLATE, &[("a", b"1")]);
        drop(store);
        let log = fs::read(database(&directory, "-wal")).unwrap();
        assert!(!log.is_empty());
        fs::remove_file(database(&directory, "")).unwrap();
        if is_cut_off {
            fs::write(database(&directory, ""), b"").unwrap();
        }
        assert_refused(&directory, "is lost");
        let (_store, report) = rebuild(directory.path(), 7).unwrap();
        assert_eq!(report.restored, [version.name()]);
        let mut kept = report.damaged.unwrap().into_os_string();
        kept.push("-wal");
        assert!(fs::read(&kept).unwrap() == log, "{kept:?}");
    }
}
