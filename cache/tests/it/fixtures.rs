//! Stores in temporary directories and the trees, manifests and drafts that tests put into them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;
use vzpkg_cache::store::{
    Access, ContainerRow, Follow, GcError, GcOptions, GcReport, GuardName, PackageManifest,
    SilentWait, Store, VersionDraft, VersionRecord, Wait,
};
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::transaction::Transaction;
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind, Tree};
use vzpkg_metadata::{Digest, Family, RelPath, RootSet, Timestamp};

/// A new store and the directory that holds it.
pub(crate) fn store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = open(&directory);
    (directory, store)
}

/// Opens the store of a directory once more.
pub(crate) fn open(directory: &TempDir) -> Store {
    Store::open(directory.path(), Access::ReadWrite).expect("the store opens")
}

/// The store of this directory, made if there is none.
pub(crate) fn store_at(directory: &Path) -> Store {
    Store::open(directory, Access::ReadWrite).expect("the store opens")
}

pub(crate) fn path(text: &str) -> RelPath {
    text.parse().expect("a relative path")
}

pub(crate) const TIME: Timestamp = Timestamp {
    seconds: 1_700_000_000,
    nanoseconds: 123_456_789,
};

/// A tree of a root and these files; directories are made as needed.
pub(crate) fn tree_of(files: &[(&str, &[u8])]) -> Tree {
    let mut tree = Tree::new();
    tree.insert(RelPath::root(), Node::directory(0o755, TIME));
    for (name, bytes) in files {
        let file = path(name);
        let mut above = file.parent();
        while let Some(directory) = above.filter(|directory| tree.get(directory).is_none()) {
            above = directory.parent();
            tree.insert(directory, Node::directory(0o755, TIME));
        }
        tree.insert(file, Node::file(0o644, TIME, bytes));
    }
    tree
}

/// A tree with one of everything.
pub(crate) fn tree_of_everything() -> Tree {
    let mut tree = tree_of(&[
        ("bin/su", b"#!setuid"),
        ("empty", b""),
        ("etc/shadow", b"root:*:\n"),
        ("ff", b"a name like a shard"),
    ]);
    let node = |kind| Node {
        meta: Meta {
            mode: 0o660,
            uid: 100_000,
            gid: 70_000,
            mtime: Timestamp {
                seconds: -5,
                nanoseconds: 7,
            },
            xattrs: BTreeMap::new(),
        },
        kind,
    };
    tree.insert(
        path("console"),
        node(NodeKind::CharacterDevice { major: 5, minor: 1 }),
    );
    tree.insert(
        path("disk"),
        node(NodeKind::BlockDevice {
            major: 259,
            minor: 70_000,
        }),
    );
    tree.insert(path("pipe"), node(NodeKind::Fifo));
    tree.insert(path("link"), Node::symlink("../absolutely/../odd", TIME));
    tree.insert(path("bin/sudo"), Entry::HardLink(path("bin/su")));
    tree.insert(path("zz"), Entry::HardLink(path("bin/su")));
    tree.insert(path("pipe2"), Entry::HardLink(path("pipe")));
    let su = tree.node_mut(&path("bin/su")).expect("it was put");
    su.meta.mode = 0o4755;
    su.meta.xattrs = BTreeMap::from([
        // cap_net_raw=ep, as `setcap` writes it.
        (
            b"security.capability".to_vec(),
            [[1, 0, 0, 2], [0, 0x20, 0, 0], [0; 4], [0; 4], [0; 4]].concat(),
        ),
        (b"user.note".to_vec(), b"hello".to_vec()),
    ]);
    let root = tree.node_mut(&RelPath::root()).expect("it was put");
    root.meta.mode = 0o1711;
    root.meta.gid = 12;
    root.meta.xattrs = BTreeMap::from([(b"user.root".to_vec(), Vec::new())]);
    tree.check().expect("it obeys the rules of trees");
    tree
}

/// The bytes that [`tree_of_everything`] names.
pub(crate) fn put_everything(store: &Store) {
    for bytes in [&b"#!setuid"[..], b"", b"root:*:\n", b"a name like a shard"] {
        store.objects.put_bytes(bytes).expect("it is stored");
    }
}

pub(crate) fn manifest(name: &str, tree: Tree) -> PackageManifest {
    PackageManifest {
        sha256: Digest::of(name.as_bytes()),
        size: 1234,
        family: Family::Deb,
        name: name.parse().expect("a package name"),
        version: "1.2-3".to_owned(),
        arch: "amd64".parse().expect("an architecture"),
        record: format!("Package: {name}\nVersion: 1.2-3\n"),
        tree,
        control: BTreeMap::from([
            ("md5sums".to_owned(), b"x  y\n".to_vec()),
            ("postinst".to_owned(), b"#!/bin/sh\n".to_vec()),
        ]),
        conffiles: BTreeMap::from([(
            path("etc/x.conf"),
            "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        )]),
    }
}

/// Objects and image of a tree, and the draft of a version of it.
pub(crate) fn build(store: &Store, template: &str, files: &[(&str, &[u8])]) -> VersionDraft {
    for (_, bytes) in files {
        store.objects.put_bytes(bytes).expect("it is stored");
    }
    let digest = store.images.write(&tree_of(files)).expect("it is written");
    draft(template, digest)
}

/// A version of these files.
pub(crate) fn publish(store: &Store, template: &str, files: &[(&str, &[u8])]) -> VersionRecord {
    let draft = build(store, template, files);
    store.publish(draft).expect("published").record().clone()
}

pub(crate) fn container(id: &str, template: &str, link: Digest) -> ContainerRow {
    ContainerRow {
        id: id.parse().expect("a container name"),
        template: template.parse().expect("a template name"),
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

pub(crate) fn draft(template: &str, digest: Digest) -> VersionDraft {
    VersionDraft {
        template: template.parse().expect("a template name"),
        digest,
        parent: None,
        lock: Lock::empty(Family::Deb, "amd64".parse().expect("an architecture")),
        transaction: Transaction {
            family: Family::Deb,
            steps: Vec::new(),
        },
        template_digest: Digest::of(b"template"),
        created: 1_700_000_000,
        who: "root".to_owned(),
        why: "vzpkg create-cache x".to_owned(),
        timings: Vec::new(),
    }
}

/// Makes everything in a store look a year old, so that gc does not take it for the work of a running build.
pub(crate) fn age(directory: &TempDir) {
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let mut waiting = vec![directory.path().join("store")];
    while let Some(path) = waiting.pop() {
        for entry in fs::read_dir(&path).expect("it can be listed") {
            let entry = entry.expect("it can be listed");
            let kind = entry.file_type().expect("it can be read");
            if kind.is_dir() && entry.file_name() != "tmp" {
                waiting.push(entry.path());
            } else if kind.is_file() {
                let file = File::open(entry.path()).expect("it opens");
                file.set_modified(long_ago).expect("it can be touched");
            }
        }
    }
}

/// Damages a file of a store, which nobody may write to: puts another in its place.
pub(crate) fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).expect("it is there");
    fs::write(path, bytes).expect("it can be made");
}

/// Collects without roots of other crates.
pub(crate) fn gc(store: &Store, options: GcOptions) -> Result<GcReport, GcError> {
    let wait = Wait::AtMost(Duration::from_mins(1));
    let guard = store.guard(GuardName::Collect, wait, &SilentWait);
    let guard = guard.expect("nobody collects for so long");
    store.gc(Some(&guard), &RootSet::default(), options)
}
