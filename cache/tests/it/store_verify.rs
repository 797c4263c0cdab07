//! Verification finds every kind of damage and names it; the database can be made again from the records.

use crate::fixtures::{build, manifest, open, replace, store, tree_of};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use vzpkg_cache::store::{
    Access, ContainerRow, Finding, Follow, GuardName, Hold, RebuildError, SilentWait, Store,
    VerifyReporter, VersionRecord, VersionState, Wait, rebuild,
};
use vzpkg_metadata::lock::Ids;
use vzpkg_metadata::{Digest, TemplateName};

const TEMPLATE: &str = "debian-13-x86_64";

struct Silent;
impl VerifyReporter for Silent {}

fn publish(store: &Store, files: &[(&str, &[u8])]) -> VersionRecord {
    let draft = build(store, TEMPLATE, files);
    store.publish(draft).expect("published").record().clone()
}

#[test]
fn a_sound_store_has_no_findings() {
    #[derive(Default)]
    struct Count(AtomicU64, AtomicU64);
    impl VerifyReporter for Count {
        fn begin(&self, objects: u64, bytes: u64) {
            self.0.store(objects * 1000 + bytes, Ordering::Relaxed);
        }
        fn object(&self, _: &Digest, bytes: u64) {
            self.1.fetch_add(1000 + bytes, Ordering::Relaxed);
        }
    }
    let (_directory, store) = store();
    publish(
        &store,
        &[("a", b"12"), ("b", b"345"), ("c", b"12"), ("e", b"")],
    );
    let count = Count::default();
    assert_eq!(store.verify(&[], 3, &count).unwrap(), []);
    assert_eq!(count.0.into_inner(), 2005);
    assert_eq!(count.1.into_inner(), 2005);
}

#[test]
fn every_kind_of_damage_is_found_and_named() {
    let (directory, store) = store();
    let version = publish(&store, &[("gone", b"1"), ("bad", b"22"), ("cut", b"333")]);
    let image = publish(&store, &[("x", b"4")]);
    let record = publish(&store, &[("y", b"5")]);
    let package = manifest("base-files", tree_of(&[("etc/x", b"66")]));
    store.packages.put(&package).unwrap();
    store.sync().unwrap();
    fs::remove_file(store.objects.path(&Digest::of(b"1"))).unwrap();
    replace(&store.objects.path(&Digest::of(b"22")), b"23");
    replace(&store.objects.path(&Digest::of(b"333")), b"");
    replace(&store.images.path(&image.digest), b"");
    replace(
        &directory
            .path()
            .join(format!("store/versions/{}.json", record.digest)),
        b"{",
    );
    let mut findings = store.verify(&[], 2, &Silent).unwrap();
    // The object of the manifest was never put.
    let at = findings
        .iter()
        .position(|finding| *finding == Finding::ObjectMissing(Digest::of(b"66")));
    findings.remove(at.unwrap());
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let expected = [
        Digest::of(b"1").to_string(),
        Digest::of(b"22").to_string(),
        Digest::of(b"333").to_string(),
        image.digest.to_string(),
        record.name().to_string(),
    ];
    assert_eq!(texts.len(), expected.len(), "{texts:#?}");
    for name in &expected {
        assert!(
            texts.iter().any(|text| text.contains(name)),
            "{name}: {texts:#?}"
        );
    }
    replace(&store.packages.path(&package.sha256), b"vzpkg-package 1\n");
    let findings = store.verify(&[], 2, &Silent).unwrap();
    let manifest = findings.iter().find_map(|finding| match finding {
        Finding::Manifest { package, .. } => Some(*package),
        _ => None,
    });
    assert_eq!(manifest, Some(package.sha256));
    // Only one tree: only its own damage.
    let findings = store.verify(&[version.digest], 1, &Silent).unwrap();
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert_eq!(store.verify(&[record.digest], 1, &Silent).unwrap().len(), 1);
}

#[test]
fn a_damaged_database_is_an_error_that_names_it() {
    let (directory, store) = store();
    publish(&store, &[("a", b"1")]);
    drop(store);
    let path = directory.path().join("store/state.db");
    replace(&path, &[7; 8192]);
    fs::remove_file(path.with_file_name("state.db-wal")).unwrap();
    let error = Store::open(directory.path(), Access::ReadWrite).unwrap_err();
    assert!(error.to_string().contains("state.db"), "{error}");
}

#[test]
fn a_newer_database_or_record_is_refused_as_such() {
    let (directory, store) = store();
    let version = publish(&store, &[("a", b"1")]);
    let path = directory
        .path()
        .join(format!("store/versions/{}.json", version.digest));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"schema\": 1", "\"schema\": 99")).unwrap();
    let template: TemplateName = TEMPLATE.parse().unwrap();
    let error = store.versions.read(&template, &version.digest).unwrap_err();
    assert!(
        error.to_string().contains("has schema 99, newer than"),
        "{error}"
    );
    drop(store);
    let connection = rusqlite::Connection::open(directory.path().join("store/state.db")).unwrap();
    connection
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    drop(connection);
    let error = Store::open(directory.path(), Access::ReadWrite).unwrap_err();
    assert!(
        error.to_string().contains("has schema 99, newer than"),
        "{error}"
    );
}

#[test]
fn a_lost_database_is_made_again_from_the_records() {
    let (directory, store) = store();
    let first = publish(&store, &[("a", b"1")]);
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
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        fs::remove_file(directory.path().join("store").join(name)).unwrap();
    }
    let store = open(&directory);
    assert_eq!(store.db.templates().unwrap(), []);
    let report = store.rebuild_database().unwrap();
    assert_eq!((report.restored.len(), report.skipped.len()), (3, 0));
    assert_eq!(store.db.templates().unwrap(), templates);
    assert_eq!(
        store.db.version(&first.name()).unwrap().digest,
        first.digest
    );
    let registry = store.db.ids_for(&TEMPLATE.parse().unwrap()).unwrap();
    assert_eq!(registry.get("postgres"), Some(&ids));
    assert_eq!(store.rebuild_database().unwrap().restored, []);
    assert_eq!(publish(&store, &[("a", b"3")]).number.get(), 3);
    assert_eq!(store.verify(&[], 1, &Silent).unwrap(), []);
}

/// Overwrites the first page of one table in a database whose log is written back.
fn damage_table(root: &std::path::Path, table: &str) {
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
    let first = publish(&store, &[("a", b"1")]);
    publish(&store, &[("a", b"2")]);
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
    let web = container("web", first.digest);
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
    let first = publish(&store, &[("a", b"1")]);
    let second = publish(&store, &[("a", b"2")]);
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
    publish(&store, &[("a", b"1")]);
    let name = GuardName::Template(TEMPLATE.parse().unwrap());
    let guard = store.guard(name, Wait::Never, &SilentWait).unwrap();
    drop(store);
    replace(&directory.path().join("store/state.db"), &[7; 8192]);
    fs::remove_file(directory.path().join("store/state.db-wal")).unwrap();
    let error = rebuild(directory.path(), 1).unwrap_err();
    assert!(matches!(error, RebuildError::Guard(_)), "{error:?}");
    drop(guard);
    let (store, report) = rebuild(directory.path(), 1).unwrap();
    assert_eq!(report.restored.len(), 1);
    assert_eq!(store.db.templates().unwrap().len(), 1);
}

fn container(id: &str, link: Digest) -> ContainerRow {
    ContainerRow {
        id: id.parse().unwrap(),
        template: TEMPLATE.parse().unwrap(),
        link,
        os_digest: link,
        generation: 1,
        follow: Follow::Head,
        applications: Vec::new(),
        packages: Vec::new(),
        first_uid: 0,
        created: 7,
    }
}
