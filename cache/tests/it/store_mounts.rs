//! The kernel shows an image exactly as the tree it was made of.

use crate::fixtures::{self, TIME, path, put_everything, store, tree_of_everything};
use crate::scan::{differences, scan};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use vzpkg_cache::store::{GcMode, GcOptions, Retention, Store};
use vzpkg_metadata::tree::{Node, Tree};
use vzpkg_runtime::rootfs::{Lower, MountSpec, Tier, mount, probe, sweep, unmount};

/// Unmounts whatever happens: the mount itself, and the one of its version that all containers of a node share.
struct Mounted {
    target: PathBuf,
    shared: PathBuf,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.target).expect("it can be unmounted");
        sweep(&self.shared, &BTreeSet::new()).expect("it can be unmounted");
    }
}

fn mounted(store: &Store, root: &Path, tier: Tier, tree: &Tree) -> (Mounted, Lower) {
    put_everything(store);
    let digest = store.images.write(tree).expect("written");
    let lower = store.lower(&digest, tier).expect("laid out");
    let target = root.join(format!("mnt-{tier:?}"));
    fs::create_dir(&target).expect("made");
    let shared = root.join("shared");
    let mut spec = MountSpec::new(tier, lower.clone());
    spec.shared = Some(shared.clone());
    mount(&spec, &target).expect("mounted");
    (Mounted { target, shared }, lower)
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_the_kernel_shows_the_tree_of_an_image_in_every_tier() {
    let (directory, store) = store();
    let best = probe(directory.path()).unwrap().best();
    for tier in [Tier::Image, Tier::Stacked, Tier::Stubs, Tier::Directory] {
        if tier < best {
            println!("this kernel has no tier {tier:?}: its best is {best:?}");
            continue;
        }
        let tree = tree_of_everything();
        let (mount, _) = mounted(&store, directory.path(), tier, &tree);
        let found = scan(&mount.target).unwrap();
        assert_eq!(differences(&tree, &found), [""; 0], "{tier:?}");
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_gc_leaves_what_is_mounted() {
    let (directory, store) = store();
    let tier = probe(directory.path()).unwrap().best();
    // Nobody else's: what another test mounts at this moment would be in use here too, for a digest is a digest.
    let mut tree = tree_of_everything();
    let own = b"only of this test";
    store.objects.put_bytes(own).unwrap();
    tree.insert(path("own"), Node::file(0o644, TIME, own));
    let (mount, lower) = mounted(&store, directory.path(), tier, &tree);
    drop(store);
    fixtures::age(&directory);
    let store = fixtures::open(&directory);
    let collect = || {
        let options = GcOptions {
            mode: GcMode::Remove,
            keep: Retention::newest(0),
        };
        fixtures::gc(&store, options)
    };
    assert_eq!(collect().unwrap().trees, []);
    let found = scan(&mount.target).unwrap();
    assert_eq!(differences(&tree, &found), [""; 0]);
    drop(mount);
    // Who makes a mount namespace just then has a copy of the mount in it for a moment.
    let mut reports = (0..200).map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        collect().unwrap()
    });
    let report = reports.find(|report| !report.trees.is_empty());
    let report = report.expect("it goes when nobody has it mounted");
    assert_eq!(report.trees.len(), 1);
    assert_eq!(report.trees[0].digest, lower.digest);
    assert!(!lower.image.exists());
}

#[test]
fn the_checker_of_erofs_accepts_images() {
    let (_directory, store) = store();
    let digest = store.images.write(&tree_of_everything()).unwrap();
    let output = Command::new("fsck.erofs")
        .arg(store.images.path(&digest))
        .output()
        .expect("fsck.erofs of erofs-utils is installed");
    assert!(output.status.success(), "{output:?}");
}
