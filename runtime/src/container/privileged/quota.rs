//! A limit of disk space, on file systems of its own with project quotas. The kernel of the machine must have them
//! (`CONFIG_QFMT_V2` for ext4, `CONFIG_XFS_QUOTA`); where it has not, that is said.

use super::node::{Node, ROOT};
use crate::container::*;
use crate::oci::LimitError;
use crate::rootfs::Tier;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use vzpkg_metadata::ByteSize;

/// How a file system with project quotas is made.
const EXT4: [&str; 5] = ["mkfs.ext4", "-q", "-F", "-O", "project,quota"];
const XFS: [&str; 3] = ["mkfs.xfs", "-q", "-f"];

/// One that cannot have them.
const PLAIN: [&str; 5] = ["mkfs.ext4", "-q", "-F", "-O", "^quota"];

/// A file system mounted where the private areas of a node lie; taken off when it is dropped, before the node is.
struct Disk(PathBuf);

impl Disk {
    /// `None` where the kernel does not mount it with these options.
    fn mount(node: &Node, make: &[&str], options: &str) -> Option<Self> {
        let image = node.path().join("disk.img");
        let place = node.path().join("private");
        fs::File::create(&image)
            .unwrap()
            .set_len(512 << 20)
            .unwrap();
        let mut make = command(make);
        make.arg(&image);
        assert!(make.status().unwrap().success());
        let mut mount = Command::new("mount");
        mount.arg("-o").arg(format!("loop{options}"));
        let mounted = mount.arg(&image).arg(&place).output().unwrap();
        mounted.status.success().then_some(Self(place))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

fn limited(paths: &ContainerPaths, mebibytes: u64) -> Config {
    let mut config = Node::config(paths);
    config.limits.disk = Some(ByteSize(mebibytes << 20));
    config
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_limit_of_disk_space_is_felt_inside_and_changes_at_once_on_ext4() {
    is_felt_inside_and_changes_at_once(&EXT4);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_limit_of_disk_space_is_felt_inside_and_changes_at_once_on_xfs() {
    is_felt_inside_and_changes_at_once(&XFS);
}

fn is_felt_inside_and_changes_at_once(make: &[&str]) {
    let node = Node::new(Tier::Directory);
    let Some(_disk) = Disk::mount(&node, make, ",prjquota") else {
        // Not a print, which the harness swallows.
        let what = "a limit of disk space: this kernel has no project quotas for";
        let said = format!("NOT RUN: {what} {}\n", make[0]);
        std::io::stderr().write_all(said.as_bytes()).unwrap();
        return;
    };
    let (small, free) = (node.paths("small"), node.paths("free"));
    let spec = node.spec("1", 1);
    // A file that is made outside of the project has no name in it, which is no obstacle.
    std::thread::scope(|scope| {
        let ahead = Ahead::begin_new(scope, &small, &node.runtime).unwrap();
        create(&small, &limited(&small, 8), &ROOT, &[]).unwrap();
        let (config, nothing) = (Config::of(&small).unwrap(), || ());
        let started = start_new(
            ahead.unwrap(),
            &small,
            &config,
            &spec,
            &node.runtime,
            &nothing,
        );
        started.unwrap();
    });
    assert!(small.console().exists());
    create(&free, &Node::config(&free), &ROOT, &[]).unwrap();
    let config = Config::of(&free).unwrap();
    start(&free, &config, &spec, &node.runtime).unwrap();
    // Written through to the disk, so that the answer is that of the quota.
    let write = |paths: &ContainerPaths, name: &str, mebibytes: u32| {
        let line =
            format!("busybox dd if=/dev/zero of=/root/{name} bs=1M count={mebibytes} conv=fsync");
        node.shell(paths, &line) == 0
    };
    let size = |paths: &ContainerPaths| {
        let written = fs::metadata(paths.upper().join("root/big"));
        written.unwrap().len() >> 20
    };
    assert!(!write(&small, "big", 20));
    assert!((4..8).contains(&size(&small)), "{}", size(&small));
    assert!(write(&free, "big", 20));
    // Its own change of a file of the version counts, and a smaller limit than it has is none.
    let refused = set(&small, &limited(&small, 2), &node.runtime).unwrap_err();
    let full = matches!(
        &refused,
        ContainerError::Limit {
            source: LimitError::Full { .. },
            ..
        }
    );
    assert!(full, "{refused:?}");
    assert_eq!(
        Config::of(&small).unwrap().limits.disk,
        Some(ByteSize(8 << 20))
    );
    set(&small, &limited(&small, 24), &node.runtime).unwrap();
    assert!(write(&small, "big", 20));
    assert!(!write(&small, "more", 10));
    set(&small, &Node::config(&small), &node.runtime).unwrap();
    assert!(write(&small, "more", 10));
    // Of one that was never limited, too, stopped or not.
    set(&free, &limited(&free, 22), &node.runtime).unwrap();
    assert!(!write(&free, "more", 10));
    stop(&free, StopMode::Kill, &node.runtime).unwrap();
    set(&free, &limited(&free, 40), &node.runtime).unwrap();
    start(
        &free,
        &Config::of(&free).unwrap(),
        &node.spec("1", 1),
        &node.runtime,
    )
    .unwrap();
    assert!(write(&free, "more", 10));
    // A copy has the same limit, and its own space.
    stop(&free, StopMode::Kill, &node.runtime).unwrap();
    let copy = node.paths("copy");
    let all = |_: &vzpkg_metadata::RelPath, _: &fs::Metadata| Treatment::Copy;
    duplicate(&free, &copy, &limited(&copy, 40), &all, &node.runtime).unwrap();
    start(
        &copy,
        &limited(&copy, 40),
        &node.spec("1", 1),
        &node.runtime,
    )
    .unwrap();
    assert!(!write(&copy, "third", 20));
    for paths in [&small, &free, &copy] {
        destroy(paths, &node.runtime).unwrap();
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_limit_of_disk_space_is_refused_where_no_quota_is_kept() {
    let node = Node::new(Tier::Directory);
    let disk = Disk::mount(&node, &PLAIN, "").expect("a plain ext4 can be mounted");
    let paths = node.paths("limited");
    let refused = create(&paths, &limited(&paths, 8), &ROOT, &[]).unwrap_err();
    let why = matches!(
        &refused,
        ContainerError::Limit {
            source: LimitError::NoQuota {
                why: NoQuota::Off,
                ..
            },
            ..
        }
    );
    assert!(why, "{refused:?}");
    assert_eq!(fs::read_dir(&disk.0).unwrap().count(), 1, "lost+found");
    create(&paths, &Node::config(&paths), &ROOT, &[]).unwrap();
    let refused = set(&paths, &limited(&paths, 8), &node.runtime).unwrap_err();
    assert!(
        matches!(refused, ContainerError::Limit { .. }),
        "{refused:?}"
    );
    assert_eq!(Config::of(&paths).unwrap().limits.disk, None);
    destroy(&paths, &node.runtime).unwrap();
}
