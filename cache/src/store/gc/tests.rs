//! What others do between the two halves of a collection.

use super::*;
use crate::store::{Access, ContainerRow, Follow, VersionDraft};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use vzpkg_metadata::Family;
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::transaction::Transaction;
use vzpkg_metadata::tree::{Node, Tree};
use vzpkg_metadata::{RelPath, TemplateName};

const TEMPLATE: &str = "debian-13-x86_64";
const TIME: Timestamp = Timestamp::from_seconds(1_700_000_000);
const OLD: GcOptions = GcOptions {
    mode: GcMode::Remove,
    keep: Retention::newest(0),
};

fn publish(store: &Store, content: u8) -> (VersionName, Digest) {
    store.objects.put_bytes(&[content]).unwrap();
    let mut tree = Tree::new();
    tree.insert(RelPath::root(), Node::directory(0o755, TIME));
    let path = RelPath::parse(b"a").unwrap();
    tree.insert(path, Node::file(0o644, TIME, &[content]));
    let digest = store.images.write(&tree).unwrap();
    let draft = VersionDraft {
        template: TEMPLATE.parse().unwrap(),
        digest,
        parent: None,
        lock: Lock::empty(Family::Deb, "amd64".parse().unwrap()),
        transaction: Transaction {
            family: Family::Deb,
            steps: Vec::new(),
        },
        template_digest: Digest::of(b"template"),
        created: 1,
        who: "root".to_owned(),
        why: "vzpkg update".to_owned(),
        timings: Vec::new(),
    };
    (store.publish(draft).unwrap().record().name(), digest)
}

/// A store with so many versions, whose files are older than any build.
fn store(versions: u8) -> (tempfile::TempDir, Store, Vec<(VersionName, Digest)>) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Access::ReadWrite).unwrap();
    let made = (0..versions).map(|content| publish(&store, content));
    let made = made.collect();
    drop(store);
    let mut waiting = vec![directory.path().join("store")];
    while let Some(path) = waiting.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let file = File::open(path).unwrap();
                let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
                file.set_modified(long_ago).unwrap();
            }
        }
    }
    let store = Store::open(directory.path(), Access::ReadWrite).unwrap();
    (directory, store, made)
}

fn container(link: Digest) -> ContainerRow {
    ContainerRow {
        id: "web".parse().unwrap(),
        template: TEMPLATE.parse().unwrap(),
        link,
        os_digest: link,
        generation: 1,
        follow: Follow::Pinned,
        applications: Vec::new(),
        packages: Vec::new(),
        first_uid: 0,
        created: 7,
    }
}

#[test]
fn versions_that_somebody_begins_to_use_after_the_mark_stay_with_all_they_are_made_of() {
    let (_directory, store, made) = store(7);
    let mut collection = Collection::begin(&store, &RootSet::default(), OLD).unwrap();
    assert_eq!(collection.expired.len(), 6, "all but the head");
    store.db.set_kept(&made[0].0, true).unwrap();
    store
        .db
        .tag(&made[1].0, &"stable".parse().unwrap())
        .unwrap();
    store.db.roll_back(&made[2].0, "slow").unwrap();
    store.db.insert_container(&container(made[3].1)).unwrap();
    let relink = format!("{{\"to\": \"{}\"}}", made[4].1);
    let other = "other".parse().unwrap();
    store.db.set_journal(&other, Some(&relink)).unwrap();
    collection.sweep().unwrap();
    let gone: Vec<&VersionName> = collection.expired.keys().collect();
    assert_eq!(gone, [&made[5].0]);
    for (content, (name, digest)) in (0_u8..).zip(&made) {
        let stays = content != 5;
        assert_eq!(store.db.version(name).is_ok(), stays, "{name}");
        assert_eq!(store.images.contains(digest), stays, "{name}");
        let object = Digest::of(&[content]);
        assert_eq!(store.objects.contains(&object), stays, "{name}");
    }
}

#[test]
fn the_last_version_stays_that_became_the_head_after_the_mark() {
    let (_directory, store, made) = store(2);
    let mut collection = Collection::begin(&store, &RootSet::default(), OLD).unwrap();
    store.db.roll_back(&made[0].0, "slow").unwrap();
    store.db.remove_version(&made[1].0).unwrap();
    collection.sweep().unwrap();
    let template: TemplateName = TEMPLATE.parse().unwrap();
    assert_eq!(store.db.head(&template).unwrap().unwrap().name, made[0].0);
    assert!(store.images.contains(&made[0].1));
}

#[test]
fn damage_in_a_version_that_somebody_begins_to_use_stops_all_of_it() {
    let (_directory, store, made) = store(4);
    let mut collection = Collection::begin(&store, &RootSet::default(), OLD).unwrap();
    damage(&store.images.path(&made[1].1));
    store.db.set_kept(&made[1].0, true).unwrap();
    let error = collection.sweep().unwrap_err();
    assert!(
        error.to_string().starts_with("nothing was removed"),
        "{error}"
    );
    for (name, digest) in &made {
        assert!(store.db.version(name).is_ok() && store.images.contains(digest));
    }
}

fn damage(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::write(path, "x").unwrap();
}
