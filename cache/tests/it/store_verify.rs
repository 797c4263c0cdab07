//! Verification finds every kind of damage to what is used, and names it.

use crate::fixtures::{build, container, manifest, publish, replace, store, tree_of};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use vzpkg_cache::store::{Access, CachedTree, ContainerRow, Finding, Store, VerifyReporter};
use vzpkg_metadata::{Digest, TemplateName};

const TEMPLATE: &str = "debian-13-x86_64";

struct Silent;
impl VerifyReporter for Silent {}

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
        TEMPLATE,
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
    let version = publish(
        &store,
        TEMPLATE,
        &[("gone", b"1"), ("bad", b"22"), ("cut", b"333")],
    );
    let image = publish(&store, TEMPLATE, &[("x", b"4")]);
    let record = publish(&store, TEMPLATE, &[("y", b"5")]);
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
    publish(&store, TEMPLATE, &[("a", b"1")]);
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
    let version = publish(&store, TEMPLATE, &[("a", b"1")]);
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
fn what_nothing_names_may_be_half_written() {
    let (_directory, store) = store();
    let version = publish(&store, TEMPLATE, &[("a", b"1")]);
    // As a power loss leaves what a build had not synced yet.
    let cut = store.images.write(&tree_of(&[("a", b"2")])).unwrap();
    replace(&store.images.path(&cut), b"");
    let whole = build(&store, TEMPLATE, &[("a", b"3")]);
    replace(&store.objects.path(&Digest::of(b"3")), b"");
    assert_eq!(store.verify(&[], 1, &Silent).unwrap(), []);
    // Asked for by name they are looked at.
    assert_eq!(store.verify(&[cut], 1, &Silent).unwrap().len(), 1);
    assert_eq!(store.verify(&[whole.digest], 1, &Silent).unwrap().len(), 1);
    assert_eq!(store.verify(&[version.digest], 1, &Silent).unwrap(), []);
}

#[test]
fn cached_trees_and_the_systems_of_containers_must_be_there() {
    let (_directory, store) = store();
    let version = publish(&store, TEMPLATE, &[("a", b"1")]);
    let cached = build(&store, TEMPLATE, &[("a", b"2")]);
    store.sync().unwrap();
    let tree = CachedTree {
        kind: "appcache".to_owned(),
        key: Digest::of(b"key"),
        digest: cached.digest,
        template: TEMPLATE.parse().unwrap(),
        description: String::new(),
        created: 7,
    };
    store.db.insert_cached_tree(&tree).unwrap();
    fs::remove_file(store.objects.path(&Digest::of(b"2"))).unwrap();
    let missing = Finding::ObjectMissing(Digest::of(b"2"));
    let found = store.verify(&[], 1, &Silent).unwrap();
    assert_eq!(found, std::slice::from_ref(&missing));
    let web = ContainerRow {
        os_digest: cached.digest,
        ..container("web", TEMPLATE, version.digest)
    };
    store.db.insert_container(&web).unwrap();
    store.db.remove_cached_tree(&tree.kind, &tree.key).unwrap();
    assert_eq!(store.verify(&[], 1, &Silent).unwrap(), [missing]);
    fs::remove_file(store.images.path(&cached.digest)).unwrap();
    let findings = store.verify(&[], 1, &Silent).unwrap();
    assert!(
        matches!(findings.as_slice(), [Finding::Image { digest, .. }] if *digest == cached.digest),
        "{findings:?}"
    );
}
