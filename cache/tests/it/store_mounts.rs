//! The kernel shows an image exactly as the tree it was made of.

use crate::fixtures::{self, put_everything, store, tree_of_everything};
use crate::scan::{differences, scan};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use vzpkg_cache::store::{GcMode, GcOptions, Retention};
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

fn mounted(store: &vzpkg_cache::store::Store, root: &Path, tier: Tier) -> (Mounted, Lower) {
    put_everything(store);
    let digest = store.images.write(&tree_of_everything()).expect("written");
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
        let (mount, _) = mounted(&store, directory.path(), tier);
        let found = scan(&mount.target).unwrap();
        assert_eq!(
            differences(&tree_of_everything(), &found),
            [""; 0],
            "{tier:?}"
        );
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_gc_leaves_what_is_mounted() {
    let (directory, store) = store();
    let tier = probe(directory.path()).unwrap().best();
    let (mount, lower) = mounted(&store, directory.path(), tier);
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
    assert_eq!(differences(&tree_of_everything(), &found), [""; 0]);
    drop(mount);
    let report = collect().unwrap();
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
