//! A small version in every form in which a node may have it: objects, image, stubs, plain files.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind, Tree};
use vzpkg_metadata::{Digest, RelPath, Timestamp};
use vzpkg_runtime::HelperCommand;
use vzpkg_runtime::rootfs::{Lower, MountSpec, Tier, unmount, write_stubs};

/// How the helper of these tests is started.
pub(crate) fn helper() -> HelperCommand {
    HelperCommand::new(env!("CARGO_BIN_EXE_vzpkg-runtime-helper"), [""; 0])
}

/// A directory on a disk file system, removed at the end: `/tmp` may be a tmpfs, which cannot hold images.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

/// A tree and the bytes of its objects.
#[derive(Default)]
pub(crate) struct Content {
    pub(crate) tree: Tree,
    bytes: BTreeMap<Digest, Vec<u8>>,
}

impl Content {
    pub(crate) fn file(&mut self, at: &str, mode: u16, content: &[u8]) -> &mut Meta {
        self.bytes.insert(Digest::of(content), content.to_vec());
        let time = Timestamp {
            seconds: 1_700_000_000,
            nanoseconds: 123_456_000,
        };
        self.tree.insert(path(at), Node::file(mode, time, content));
        &mut self.tree.node_mut(&path(at)).unwrap().meta
    }

    pub(crate) fn directory(&mut self, at: &str, mode: u16) {
        let time = Timestamp::from_seconds(1_600_000_000);
        self.tree.insert(path(at), Node::directory(mode, time));
    }
}

/// A tree with one of everything. `edition` makes it differ.
pub(crate) fn content(edition: &str) -> Content {
    let mut content = Content::default();
    for directory in [
        "", "etc", "usr", "usr/bin", "dev", "proc", "sys", "run", "tmp",
    ] {
        content.directory(directory, 0o755);
    }
    content.file(
        "etc/conf",
        0o644,
        format!("configuration of {edition}\n").as_bytes(),
    );
    content.file("etc/shadow", 0o600, b"root:*:\n");
    content.file("etc/empty", 0o644, b"");
    let big: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    content.file("usr/big", 0o644, &big);
    content.file("usr/bin/tool", 0o4755, b"#!/bin/sh\n");
    let meta = content.file("usr/bin/owned", 0o750, b"#!/bin/true\n");
    (meta.uid, meta.gid) = (5, 42);
    meta.xattrs
        .insert(b"user.origin".to_vec(), b"here".to_vec());
    let time = Timestamp::from_seconds(1_500_000_000);
    content
        .tree
        .insert(path("bin"), Node::symlink("usr/bin", time));
    content.tree.insert(
        path("usr/bin/z-link"),
        Entry::HardLink(path("usr/bin/tool")),
    );
    let fifo = Node {
        meta: Meta {
            mode: 0o600,
            ..Meta::default()
        },
        kind: NodeKind::Fifo,
    };
    content.tree.insert(path("run/fifo"), fifo);
    content
}

/// A version on disk.
pub(crate) struct Version {
    pub(crate) directory: TempDir,
    pub(crate) lower: Lower,
}

impl Version {
    pub(crate) fn new(content: &Content) -> Self {
        let directory = scratch();
        let at = |name: &str| directory.path().join(name);
        let lower = Lower {
            digest: content.tree.digest(),
            image: at("image.erofs"),
            objects: at("objects"),
            stubs: Some(at("stubs")),
            materialized: Some(at("plain")),
        };
        for name in ["objects", "stubs", "plain", "upper", "work", "target"] {
            fs::create_dir(at(name)).unwrap();
        }
        for (digest, bytes) in &content.bytes {
            let name = digest.to_string();
            let shard = lower.objects.join(&name[..2]);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&shard)
                .unwrap();
            let mut options = File::options();
            options.create(true).write(true).truncate(true).mode(0o400);
            let mut object = options.open(shard.join(&name[2..])).unwrap();
            object.write_all(bytes).unwrap();
        }
        write_stubs(&content.tree, &at("stubs")).unwrap();
        make_image(&at("stubs"), &lower.image);
        materialize(content, &at("plain"));
        Self { directory, lower }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Every way to mount it: in all tiers.
    pub(crate) fn specs(&self) -> Vec<(&'static str, MountSpec)> {
        vec![
            ("image", MountSpec::new(Tier::Image, self.lower.clone())),
            (
                "stacked image",
                MountSpec::new(Tier::Stacked, self.lower.clone()),
            ),
            ("stubs", MountSpec::new(Tier::Stubs, self.lower.clone())),
            (
                "directory",
                MountSpec::new(Tier::Directory, self.lower.clone()),
            ),
        ]
    }

    /// With an empty upper of this name.
    pub(crate) fn with_upper(&self, spec: MountSpec, name: &str) -> MountSpec {
        let (upper, work) = (
            self.at(&format!("{name}.upper")),
            self.at(&format!("{name}.work")),
        );
        fs::create_dir(&upper).unwrap();
        fs::create_dir(&work).unwrap();
        spec.with_upper(upper, work)
    }
}

/// Real `mkfs.erofs`, so that no writer of ours shares a bug with what is tested.
pub(crate) fn make_image(stubs: &Path, image: &Path) {
    let made = Command::new("mkfs.erofs")
        .arg("--quiet")
        .arg(image)
        .arg(stubs)
        .output();
    let made = made.expect("erofs-utils is installed");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

/// Stubs filled with their bytes.
fn materialize(content: &Content, plain: &Path) {
    write_stubs(&content.tree, plain).unwrap();
    for (at, entry) in content.tree.iter() {
        let Some(
            node @ Node {
                kind: NodeKind::File { digest, .. },
                meta,
            },
        ) = entry.as_node()
        else {
            continue;
        };
        let file = plain.join(at.as_path());
        if node.is_file() {
            fs::write(&file, &content.bytes[digest]).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(meta.mode.into())).unwrap();
            for name in ["trusted.overlay.metacopy", "trusted.overlay.redirect"] {
                rustix::fs::lremovexattr(&file, name).ok();
            }
            let time = std::time::UNIX_EPOCH
                + std::time::Duration::new(
                    meta.mtime.seconds.unsigned_abs(),
                    meta.mtime.nanoseconds,
                );
            File::open(&file).unwrap().set_modified(time).unwrap();
        }
    }
}

/// A mount of a test, taken off at its end whatever happens.
pub(crate) struct Mounted(pub(crate) PathBuf);

impl Mounted {
    pub(crate) fn new(spec: &MountSpec, target: PathBuf) -> Self {
        fs::create_dir_all(&target).unwrap();
        vzpkg_runtime::rootfs::mount(spec, &target).unwrap();
        Self(target)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.0).unwrap();
    }
}

/// One line for each name below `root`: what a program can see of it.
pub(crate) fn describe(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(at) = waiting.pop() {
        let found = fs::symlink_metadata(&at).unwrap();
        let content = if found.is_file() {
            Digest::of(&fs::read(&at).unwrap()).short()
        } else if found.is_symlink() {
            fs::read_link(&at).unwrap().display().to_string()
        } else {
            String::new()
        };
        let links = if found.is_dir() { 0 } else { found.nlink() };
        let size = if found.is_dir() { 0 } else { found.size() };
        let mut value = [0_u8; 64];
        let origin = rustix::fs::lgetxattr(&at, "user.origin", &mut value).unwrap_or(0);
        lines.push(format!(
            "{} {:o} {}:{} {size} {}.{} links {links} {content} {}",
            at.strip_prefix(root).unwrap().display(),
            found.mode(),
            found.uid(),
            found.gid(),
            found.mtime(),
            found.mtime_nsec(),
            String::from_utf8_lossy(&value[..origin]),
        ));
        if found.is_dir() {
            waiting.extend(
                fs::read_dir(&at)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    lines.sort();
    lines
}

/// The mounts whose mount point mentions `text`, in this process's namespace.
pub(crate) fn mounts_below(text: &Path) -> Vec<String> {
    let text = text.display().to_string();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts
        .lines()
        .filter(|line| line.contains(&text))
        .map(str::to_owned)
        .collect()
}
