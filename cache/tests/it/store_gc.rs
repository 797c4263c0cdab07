//! Garbage collection: takes all that is unused and nothing else, also while others work.

use crate::fixtures::{self, age, build, manifest, open, store, tree_of};
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};
use vzpkg_cache::store::{GcMode, GcOptions, GcReport, Published, Retention, Store};
use vzpkg_metadata::lock::LockedPackage;
use vzpkg_metadata::transaction::Reason;
use vzpkg_metadata::{ByteSize, Digest, TemplateName, VersionName};

const TEMPLATE: &str = "debian-13-x86_64";

fn gc(store: &Store, mode: GcMode) -> GcReport {
    let options = GcOptions {
        mode,
        keep: Retention::newest(usize::MAX),
    };
    fixtures::gc(store, options).expect("it collects")
}

fn publish(store: &Store, files: &[(&str, &[u8])]) -> VersionName {
    let draft = build(store, TEMPLATE, files);
    store.publish(draft).expect("published").record().name()
}

#[test]
fn a_removed_version_goes_with_the_bytes_that_only_it_had() {
    let (directory, store) = store();
    let old = publish(&store, &[("shared", b"both"), ("only", b"12345")]);
    let old_digest = store.db.version(&old).unwrap().digest;
    publish(&store, &[("shared", b"both")]);
    store.db.remove_version(&old).unwrap();
    drop(store);
    age(&directory);
    let store = open(&directory);
    let dry = gc(&store, GcMode::DryRun);
    assert!(store.objects.contains(&Digest::of(b"12345")));
    let report = gc(&store, GcMode::Remove);
    assert_eq!(dry, report);
    assert_eq!((report.objects, report.object_bytes), (1, ByteSize(5)));
    let [tree] = report.trees.as_slice() else {
        panic!("{report:?}")
    };
    assert_eq!(tree.digest, old_digest);
    assert_eq!(tree.bytes, ByteSize(report.image_bytes.0 + 5));
    assert!(!store.objects.contains(&Digest::of(b"12345")));
    assert!(!store.images.contains(&old_digest));
    assert!(store.objects.contains(&Digest::of(b"both")));
    assert_eq!(store.verify(&[], 2, &SilentVerify).unwrap(), []);
    assert_eq!(store.versions.list().unwrap().len(), 1);
    assert_eq!(gc(&store, GcMode::Remove).bytes(), ByteSize(0));
}

struct SilentVerify;
impl vzpkg_cache::store::VerifyReporter for SilentVerify {}

#[test]
fn old_versions_expire_unless_something_keeps_them() {
    let (directory, store) = store();
    let names: Vec<VersionName> = (0..6_u8)
        .map(|content| publish(&store, &[("a", &[content])]))
        .collect();
    store.db.set_kept(&names[0], true).unwrap();
    store.db.tag(&names[1], &"stable".parse().unwrap()).unwrap();
    drop(store);
    age(&directory);
    let store = open(&directory);
    let collect = |mode| {
        let options = GcOptions {
            mode,
            keep: Retention::newest(2),
        };
        fixtures::gc(&store, options).unwrap()
    };
    let dry = collect(GcMode::DryRun);
    assert_eq!(dry, collect(GcMode::Remove));
    let gone: BTreeSet<&VersionName> = dry.trees.iter().flat_map(|tree| &tree.versions).collect();
    assert_eq!(gone, BTreeSet::from([&names[2], &names[3]]));
    let template: TemplateName = TEMPLATE.parse().unwrap();
    assert_eq!(store.db.versions(&template).unwrap().len(), 4);
    assert_eq!(store.db.head(&template).unwrap().unwrap().name, names[5]);
}

#[test]
fn young_versions_stay_however_many_there_are() {
    let (directory, store) = store();
    for (content, created) in [(b"1", 100), (b"2", 200), (b"3", 300), (b"4", 400)] {
        let mut draft = build(&store, TEMPLATE, &[("a", content)]);
        draft.created = created;
        store.publish(draft).unwrap();
    }
    drop(store);
    age(&directory);
    let store = open(&directory);
    let expired = |newest, since| {
        let options = GcOptions {
            mode: GcMode::DryRun,
            keep: Retention { newest, since },
        };
        let report = fixtures::gc(&store, options).unwrap();
        let versions = report.trees.iter().flat_map(|tree| &tree.versions);
        let mut numbers: Vec<u64> = versions.map(|name| name.number.get()).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(expired(0, i64::MAX), [1, 2, 3], "the head stays always");
    assert_eq!(expired(0, 300), [1, 2]);
    assert_eq!(expired(3, 400), [1], "one reason to stay is enough");
    assert_eq!(expired(0, 0), [0; 0]);
}

#[test]
fn what_a_running_build_put_or_reused_stays() {
    let (directory, first) = store();
    first.objects.put_bytes(b"orphan").unwrap();
    let package = manifest("reused", tree_of(&[("etc/reused", b"named by a manifest")]));
    first.objects.put_bytes(b"named by a manifest").unwrap();
    first.packages.put(&package).unwrap();
    let tree = first
        .images
        .write(&tree_of(&[("t", b"named by an image")]))
        .unwrap();
    first.objects.put_bytes(b"named by an image").unwrap();
    first.sync().unwrap();
    drop(first);
    age(&directory);

    let build = open(&directory);
    build.objects.put_bytes(b"new").unwrap();
    build.objects.put_bytes(b"orphan").unwrap();
    assert!(build.packages.get(&package.sha256).unwrap().is_some());
    assert!(build.images.protect(&tree).unwrap());
    let collector = open(&directory);
    let report = gc(&collector, GcMode::Remove);
    assert_eq!(
        (report.objects, report.manifests, report.trees.len()),
        (0, 0, 0)
    );
    let contents: [&[u8]; 4] = [
        b"new",
        b"orphan",
        b"named by a manifest",
        b"named by an image",
    ];
    for bytes in contents {
        assert!(build.objects.contains(&Digest::of(bytes)), "{bytes:?}");
    }
    drop(build);
    age(&directory);
    let report = gc(&collector, GcMode::Remove);
    assert_eq!(
        (report.objects, report.manifests, report.trees.len()),
        (4, 1, 1)
    );
}

#[test]
fn manifests_of_locked_packages_stay_with_their_objects() {
    let (directory, store) = store();
    let package = manifest("kept", tree_of(&[("etc/kept", b"only in the manifest")]));
    store.objects.put_bytes(b"only in the manifest").unwrap();
    store.packages.put(&package).unwrap();
    store
        .packages
        .put(&manifest("unused", tree_of(&[])))
        .unwrap();
    let mut draft = build(&store, TEMPLATE, &[("a", b"1")]);
    draft.lock.packages.push(LockedPackage {
        name: package.name.clone(),
        arch: package.arch.clone(),
        version: package.version.clone(),
        sha256: package.sha256,
        size: ByteSize(1),
        reason: Reason::Requested,
    });
    store.publish(draft).unwrap();
    drop(store);
    age(&directory);
    let store = open(&directory);
    let report = gc(&store, GcMode::Remove);
    assert_eq!((report.manifests, report.objects), (1, 0));
    assert_eq!(store.packages.get(&package.sha256).unwrap(), Some(package));
}

#[test]
fn the_rubbish_of_dead_builds_and_lost_records_goes() {
    let (directory, store) = store();
    publish(&store, &[("a", b"1")]);
    let dead = directory.path().join("store/tmp/1.0");
    fs::create_dir(&dead).unwrap();
    fs::write(dead.join("7"), b"half").unwrap();
    // A record whose row was never committed.
    let lost = build(&store, TEMPLATE, &[("a", b"2")]);
    let record = directory.path().join("store/versions");
    let [existing] = store.versions.list().unwrap()[..] else {
        panic!("one record")
    };
    let text = fs::read_to_string(record.join(format!("{existing}.json"))).unwrap();
    let text = text.replace(&existing.to_string(), &lost.digest.to_string());
    fs::write(record.join(format!("{}.json", lost.digest)), text).unwrap();
    drop(store);
    age(&directory);
    let store = open(&directory);
    assert_eq!(gc(&store, GcMode::Remove).dead_builds, 1);
    assert!(!dead.exists());
    assert_eq!(store.versions.list().unwrap(), [existing]);
    assert!(!store.objects.contains(&Digest::of(b"2")));
}

#[test]
fn a_tree_in_use_that_cannot_be_read_stops_everything() {
    let (directory, store) = store();
    let old = publish(&store, &[("a", b"0")]);
    let name = publish(&store, &[("a", b"1")]);
    let digest = store.db.version(&name).unwrap().digest;
    store.objects.put_bytes(b"orphan").unwrap();
    drop(store);
    fixtures::replace(
        &directory
            .path()
            .join(format!("store/images/{digest}.erofs")),
        b"x",
    );
    age(&directory);
    let store = open(&directory);
    let options = GcOptions {
        mode: GcMode::Remove,
        keep: Retention::newest(0),
    };
    let error = fixtures::gc(&store, options).unwrap_err();
    assert!(
        error.to_string().starts_with("nothing was removed"),
        "{error}"
    );
    assert!(store.objects.contains(&Digest::of(b"orphan")));
    assert!(store.objects.contains(&Digest::of(b"1")));
    let old = store.db.version(&old).unwrap();
    assert!(store.images.contains(&old.digest), "its row is there, too");
}

#[test]
fn plain_directories_of_trees_go_with_their_image_and_no_part_of_them_stays() {
    let (directory, store) = store();
    let name = publish(&store, &[("a", b"1")]);
    let used = store.db.version(&name).unwrap().digest;
    let gone = build(&store, TEMPLATE, &[("a", b"2")]).digest;
    let paths = [used, gone].map(|digest| {
        let layout = &store.layout;
        [layout.materialized(&digest), layout.stubs(&digest)]
    });
    for path in paths.iter().flatten() {
        fs::create_dir_all(path.join("etc")).unwrap();
        fs::write(path.join("etc/a"), b"1").unwrap();
        let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let directory = fs::File::open(path).unwrap();
        directory.set_modified(long_ago).unwrap();
    }
    drop(store);
    age(&directory);
    let store = open(&directory);
    gc(&store, GcMode::DryRun);
    assert!(
        paths
            .iter()
            .flatten()
            .all(|path| path.join("etc/a").exists())
    );
    gc(&store, GcMode::Remove);
    let [used, gone] = paths;
    assert!(used.iter().all(|path| path.join("etc/a").exists()));
    assert!(gone.iter().all(|path| !path.exists()));
    assert_eq!(fs::read_dir(store.layout.builds()).unwrap().count(), 0);
}

/// Lets the collector rest, also where a builder failed: it would be waited for for ever.
struct Rest<'a>(&'a AtomicBool);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Builders that open a store, build from reused and new content, publish, remove and leave; a collector that never
/// rests. Whatever is visible at any time is whole.
#[test]
fn builders_and_a_collector_at_once_lose_nothing() {
    let (directory, store) = store();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let builders: Vec<_> = (0..3_u8)
            .map(|worker| {
                let directory = &directory;
                scope.spawn(move || {
                    for round in 0..25_u8 {
                        let store = open(directory);
                        let shared = [round % 4];
                        let files: [(&str, &[u8]); 3] =
                            [("a", &shared), ("b", &[worker, round]), ("c", b"always")];
                        let template = format!("template-{worker}");
                        let draft = build(&store, &template, &files);
                        let digest = draft.digest;
                        let published = store.publish(draft).unwrap();
                        // Read by another open store, while gc runs.
                        let reader = open(directory);
                        for (object, size) in reader.images.read(&digest).unwrap().objects() {
                            reader.objects.read(&object, size).unwrap();
                        }
                        let versions = store.db.versions(&published.record().template).unwrap();
                        for old in versions.iter().rev().skip(2) {
                            store.db.remove_version(&old.name).unwrap();
                        }
                    }
                })
            })
            .collect();
        let collector = scope.spawn(|| {
            let mut removed = 0;
            while !done.load(Ordering::Relaxed) {
                removed += gc(&store, GcMode::Remove).objects;
            }
            removed
        });
        let rest = Rest(&done);
        for builder in builders {
            builder.join().unwrap();
        }
        drop(rest);
        collector.join().unwrap();
    });
    assert_eq!(store.verify(&[], 2, &SilentVerify).unwrap(), []);
    assert_eq!(store.db.templates().unwrap().len(), 3);
    let published = store.publish(build(&store, "template-0", &[("c", b"always")]));
    assert!(matches!(published.unwrap(), Published::New(_)));
}
