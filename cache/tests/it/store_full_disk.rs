//! A full disk: what is visible stays whole, and removing works.

use crate::fixtures::{self, build};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use vzpkg_cache::store::{Access, GcMode, GcOptions, Retention, Store, VerifyReporter};
use vzpkg_metadata::{Digest, TemplateName};

const TEMPLATE: &str = "debian-13-x86_64";

struct Silent;
impl VerifyReporter for Silent {}

/// A small file system of its own, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path, size: &str) -> Self {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(path)
            .status()
            .unwrap();
        assert!(status.success());
        Self(path.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        vzpkg_tests::tools::unmount(&self.0);
    }
}

fn fill(store: &Store) {
    let mut content = vec![0_u8; 256 << 10];
    for serial in 0..u64::MAX {
        content[..8].copy_from_slice(&serial.to_le_bytes());
        if let Err(error) = store.objects.put_bytes(&content) {
            let text = format!("{error:?}");
            assert!(text.contains("StorageFull"), "{text}");
            break;
        }
    }
    // To the last byte.
    let rest = store.layout.root().join("rest");
    for size in [4096, 64] {
        while fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&rest)
            .and_then(|mut file| std::io::Write::write_all(&mut file, &vec![1; size]))
            .is_ok()
        {}
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_full_disk_harms_nothing_and_gc_frees_it() {
    let directory = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(directory.path(), "32m");
    let root = directory.path();
    let store = Store::open(root, Access::ReadWrite).unwrap();
    let template: TemplateName = TEMPLATE.parse().unwrap();
    for content in [b"1", b"2"] {
        store
            .publish(build(&store, TEMPLATE, &[("a", content)]))
            .unwrap();
    }
    let next = build(&store, TEMPLATE, &[("a", b"3")]);
    fill(&store);
    let error = store.publish(next.clone()).unwrap_err();
    assert!(
        format!("{error:?}").to_lowercase().contains("full"),
        "{error:?}"
    );
    assert_eq!(store.db.versions(&template).unwrap().len(), 2);
    assert_eq!(store.verify(&[], 1, &Silent).unwrap(), []);
    // The build gives up; the disk is still full of what it put.
    drop(store);
    let store = Store::open(root, Access::ReadWrite).unwrap();
    let options = GcOptions {
        mode: GcMode::Remove,
        keep: Retention::newest(0),
    };
    let report = fixtures::gc(&store, options).unwrap();
    assert!(report.objects > 50, "{report:?}");
    // The version that nothing keeps went too: its row was deleted on a full disk.
    assert_eq!(store.db.versions(&template).unwrap().len(), 1);
    assert!(!store.objects.contains(&Digest::of(b"1")));
    assert_eq!(fs::metadata(store.layout.reserve()).unwrap().len(), 8 << 20);
    store
        .publish(build(&store, TEMPLATE, &[("a", b"3")]))
        .unwrap();
    assert_eq!(
        store.db.head(&template).unwrap().unwrap().digest,
        next.digest
    );
    assert_eq!(store.verify(&[], 1, &Silent).unwrap(), []);
    drop(store);
    drop(disk);
}
