//! Space: what gc would free, a disk without a free byte, and who waits for whom.

use crate::tiny::{TEMPLATE as TINY, Tiny, program};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use vzpkg_tests::deb_writer::Deb;

/// A file system of its own for a site's root, gone when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(image: &Path, on: &Path, megabytes: u64) -> Self {
        File::create(image)
            .unwrap()
            .set_len(megabytes << 20)
            .unwrap();
        fs::create_dir_all(on).unwrap();
        for (program, arguments) in [
            ("mkfs.ext4", vec!["-q", "-m", "0", image.to_str().unwrap()]),
            (
                "mount",
                vec!["-o", "loop", image.to_str().unwrap(), on.to_str().unwrap()],
            ),
        ] {
            let status = Command::new(program).args(arguments).status().unwrap();
            assert!(status.success(), "{program}");
        }
        Self(on.to_owned())
    }

    /// Leaves not a byte.
    fn fill(&self) {
        let mut rest = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.0.join("rest"))
            .unwrap();
        for size in [1 << 20, 4096, 1] {
            while rest.write_all(&vec![1; size]).is_ok() {}
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        vzpkg_tests::tools::unmount(&self.0);
    }
}

/// A package with a megabyte that is its own.
fn big(version: &str) -> Deb {
    let content = format!("{version}\n").repeat((1 << 20) / (version.len() + 1));
    program("big", version).file("usr/share/big", 0o644, content.as_bytes())
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_gc_says_what_each_version_frees_and_works_without_a_free_byte() {
    let mut tiny = Tiny::of(&["big"], &[]);
    // The template lies on the disk too, so it is made again there.
    let files = tiny.site.root().join("template");
    let aside = tiny.site.path("template");
    copy(&files, &aside);
    fs::remove_dir_all(tiny.site.root()).unwrap();
    let disk = Disk::mount(&tiny.site.path("disk"), &tiny.site.root(), 400);
    copy(&aside, &files);
    tiny.settings("keep-last = 0\n");
    for version in ["1", "2", "3"] {
        tiny.publish_all(&[big(version)]);
        if version == "1" {
            tiny.create();
        } else {
            tiny.update();
        }
    }
    disk.fill();
    tiny.publish_all(&[big("4")]);
    let full = tiny.vzpkg(&["update", TINY, "--refresh"]).fails_with(3);
    assert!(full.contains("vzpkg gc"), "{full}");
    assert_eq!(tiny.head(), 3, "readers read");

    let plan = tiny.vzpkg(&["gc", "--dry-run"]).ok();
    for version in ["tiny-1-x86_64@1", "tiny-1-x86_64@2"] {
        let line = plan.lines().find(|line| line.contains(version));
        assert!(
            line.is_some_and(|line| line.contains("MiB")),
            "{version}: {plan}"
        );
    }
    assert!(!plan.contains("tiny-1-x86_64@3"), "the head stays: {plan}");
    let document = tiny.json(&["gc", "--dry-run"]);
    assert!(
        document["versions"][0]["bytes"].as_u64().unwrap() > 1 << 20,
        "{document}"
    );
    tiny.vzpkg(&["gc"]).ok();
    tiny.vzpkg(&["verify"]).ok();
    assert_eq!(
        tiny.json(&["history", TINY])["versions"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    fs::remove_file(tiny.site.root().join("rest")).unwrap();
    tiny.update();
    assert_eq!(tiny.head(), 4);
    drop(disk);
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(copied.success());
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_writer_waits_as_long_as_it_is_told_and_says_for_whom() {
    let tiny = Tiny::of(&["hello"], &[program("hello", "1")]);
    tiny.create();
    let guards = tiny.site.root().join("store/guards");
    let guard = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(guards.join(format!("template:{TINY}")))
        .unwrap();
    guard.lock().unwrap();
    write!(&guard, "{}\nvzpkg update everything\n", std::process::id()).unwrap();
    for (wait, waited) in [("0", false), ("1", true)] {
        let error = tiny
            .vzpkg(&["--wait", wait, "remove-cache", TINY])
            .fails_with(3);
        let holder = format!("pid {}: vzpkg update everything", std::process::id());
        assert!(
            error.contains(&holder) && error.contains("--wait DURATION"),
            "{error}"
        );
        assert_eq!(error.contains("Waiting"), waited, "{error}");
    }
    tiny.vzpkg(&["history", TINY]).ok();
    guard.unlock().unwrap();
    tiny.vzpkg(&["--wait", "0", "remove-cache", TINY]).ok();
}
