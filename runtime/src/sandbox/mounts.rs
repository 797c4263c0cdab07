//! The file systems of a session, once its root has been entered: `/proc`, `/sys`, `/dev`, temporary directories, and
//! what was opened before ([`super::sources`]). No path leads out any more, so no symbolic link in a tree can.

use super::init::SetupError;
use super::sources::Sources;
use super::{Root, SandboxSpec};
use crate::sys::{Kernel, MountAttributes, Setting};
use rustix::fs::{CWD, FileType, Mode};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

pub(super) const NOSUID: MountAttributes = MountAttributes::MOUNT_ATTR_NOSUID;
pub(super) const NODEV: MountAttributes = MountAttributes::MOUNT_ATTR_NODEV;
const NOEXEC: MountAttributes = MountAttributes::MOUNT_ATTR_NOEXEC;
pub(super) const RDONLY: MountAttributes = MountAttributes::MOUNT_ATTR_RDONLY;

/// Files of `/proc` that tell about the host or take commands; the whole of it is read-only besides.
const MASKED_FILES: [&str; 8] = [
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "kallsyms",
    "sched_debug",
    "sysrq-trigger",
    "timer_list",
];

const MASKED_DIRECTORIES: [&str; 4] = ["proc/acpi", "proc/asound", "proc/scsi", "sys/firmware"];

/// Device nodes that every program may expect.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const DEVICE_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Mounts everything below `base`, which is `/` once the root has been entered.
pub(super) fn furnish(
    kernel: &dyn Kernel,
    spec: &SandboxSpec,
    sources: &Sources,
    base: &Path,
) -> Result<(), SetupError> {
    let room = Room { kernel, spec, base };
    if spec.root == Root::Host {
        room.furnish_host(&sources.links)?;
    }
    room.furnish_system(Path::new(""))?;
    for (tree, mount) in spec.trees.iter().zip(&sources.trees) {
        room.attach(mount, &tree.at, true)?;
        if tree.system {
            room.furnish_system(below_root(&tree.at))?;
        }
    }
    for (at, directory, mount) in &sources.binds {
        room.attach(mount, at, *directory)?;
    }
    Ok(())
}

/// A root that is being furnished.
struct Room<'a> {
    kernel: &'a dyn Kernel,
    spec: &'a SandboxSpec,
    base: &'a Path,
}

impl Room<'_> {
    /// `/proc`, `/sys`, `/dev` and the temporary directories below `prefix`.
    fn furnish_system(&self, prefix: &Path) -> Result<(), SetupError> {
        let proc = self.simple("proc", &[], NOSUID | NODEV | NOEXEC | RDONLY)?;
        self.attach(&proc, &prefix.join("proc"), true)?;
        let sys = self.simple("sysfs", &[], NOSUID | NODEV | NOEXEC | RDONLY)?;
        self.attach(&sys, &prefix.join("sys"), true)?;
        self.furnish_devices(&prefix.join("dev"))?;
        self.mask(prefix)?;
        for at in &self.spec.temporary {
            let mode = if at == Path::new("/run") {
                "755"
            } else {
                "1777"
            };
            let mount = tmpfs(
                self.kernel,
                mode,
                self.spec.limits.tmpfs_bytes,
                NOSUID | NODEV,
            )?;
            self.attach(&mount, &prefix.join(below_root(at)), true)?;
        }
        Ok(())
    }

    /// A `/dev` where nodes are honoured, but none can be made that is: each node is a mount of one file out of a tmpfs
    /// that nobody reaches, on a tmpfs that is nodev. Changing its mode does not touch the host's.
    fn furnish_devices(&self, dev: &Path) -> Result<(), SetupError> {
        let step = || SetupError::at("make device nodes");
        let hidden = tmpfs(self.kernel, "755", 1 << 20, NOSUID | NOEXEC)?;
        self.attach(&hidden, dev, true)?;
        let inside = self.inside(dev);
        let mut nodes = Vec::new();
        for (name, major, minor) in DEVICES {
            let path = inside.join(name);
            let mode = Mode::from_raw_mode(0o666);
            let device = rustix::fs::makedev(major, minor);
            rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, mode, device)
                .map_err(io::Error::from)
                .map_err(step())?;
            fs::set_permissions(&path, Permissions::from_mode(0o666)).map_err(step())?;
            let node = self
                .kernel
                .clone_mount(None, &path, false)
                .map_err(step())?;
            nodes.push((name, node));
        }
        self.kernel.detach(&inside, true).map_err(step())?;

        let mount = tmpfs(self.kernel, "755", 64 << 20, NOSUID | NODEV | NOEXEC)?;
        self.attach(&mount, dev, true)?;
        for (name, node) in nodes {
            self.attach(&node, &dev.join(name), false)?;
        }
        for (name, target) in DEVICE_LINKS {
            std::os::unix::fs::symlink(target, inside.join(name)).map_err(step())?;
        }
        let options = [
            ("newinstance", ""),
            ("ptmxmode", "0666"),
            ("mode", "0620"),
            ("gid", "5"),
        ];
        let pts = self.simple("devpts", &options, NOSUID | NOEXEC)?;
        self.attach(&pts, &dev.join("pts"), true)?;
        let shm = tmpfs(
            self.kernel,
            "1777",
            self.spec.limits.tmpfs_bytes,
            NOSUID | NODEV,
        )?;
        self.attach(&shm, &dev.join("shm"), true)
    }

    fn mask(&self, prefix: &Path) -> Result<(), SetupError> {
        let null = self.inside(&prefix.join("dev/null"));
        for name in MASKED_FILES {
            let at = prefix.join("proc").join(name);
            if self.inside(&at).exists() {
                let step = SetupError::at(format!("mask `{}`", at.display()));
                let mount = self.kernel.clone_mount(None, &null, false).map_err(step)?;
                self.attach(&mount, &at, false)?;
            }
        }
        for directory in MASKED_DIRECTORIES {
            let at = prefix.join(directory);
            if self.inside(&at).exists() {
                let mount = tmpfs(self.kernel, "555", 4096, NOSUID | NODEV | NOEXEC | RDONLY)?;
                self.attach(&mount, &at, true)?;
            }
        }
        Ok(())
    }

    fn furnish_host(&self, links: &[(PathBuf, PathBuf)]) -> Result<(), SetupError> {
        let step = || SetupError::at("furnish the root for host-side scripts");
        for name in ["dev", "etc", "proc", "root", "run", "sys", "tmp"] {
            make_directory(&self.base.join(name)).map_err(step())?;
        }
        for (at, target) in links {
            std::os::unix::fs::symlink(target, self.base.join(at)).map_err(step())?;
        }
        let etc = self.base.join("etc");
        let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
        fs::write(etc.join("passwd"), passwd).map_err(step())?;
        fs::write(etc.join("group"), "root:x:0:\nnogroup:x:65534:\n").map_err(step())
    }

    fn simple(
        &self,
        kind: &str,
        options: &[(&str, &str)],
        attributes: MountAttributes,
    ) -> Result<OwnedFd, SetupError> {
        filesystem(self.kernel, kind, options, attributes)
    }

    /// Attaches a mount at a path inside. The place is made where that leaves no trace: on a tmpfs of the session.
    fn attach(&self, mount: &OwnedFd, at: &Path, directory: bool) -> Result<(), SetupError> {
        let step = || SetupError::at(format!("mount `{}`", Path::new("/").join(at).display()));
        let inside = self.inside(at);
        if fs::symlink_metadata(&inside).is_err() {
            make_place(&inside, directory).map_err(step())?;
        }
        let base = self.kernel.open_path(self.base).map_err(step())?;
        let target = self.kernel.open_beneath(&base, below_root(at));
        self.kernel
            .attach(mount, &target.map_err(step())?)
            .map_err(step())
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.base.join(below_root(path))
    }
}

fn below_root(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Makes a mount point, if everything that has to be made lies on a tmpfs.
fn make_place(path: &Path, directory: bool) -> io::Result<()> {
    const TMPFS: i64 = 0x0102_1994;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let existing = parent.ancestors().find(|ancestor| ancestor.exists());
    let found = rustix::fs::statfs(existing.unwrap_or(Path::new("/")))?;
    if found.f_type != TMPFS {
        // Making it would add a name to the tree.
        return Err(io::ErrorKind::NotFound.into());
    }
    if directory {
        return make_directory(path);
    }
    make_directory(parent)?;
    File::create_new(path).map(drop)
}

fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

/// A tmpfs of this size, attached nowhere.
pub(super) fn tmpfs(
    kernel: &dyn Kernel,
    mode: &str,
    bytes: u64,
    attributes: MountAttributes,
) -> Result<OwnedFd, SetupError> {
    let size = bytes.to_string();
    filesystem(
        kernel,
        "tmpfs",
        &[("mode", mode), ("size", &size)],
        attributes,
    )
}

/// A file system without a source, attached nowhere. An option without a value is a flag.
fn filesystem(
    kernel: &dyn Kernel,
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttributes,
) -> Result<OwnedFd, SetupError> {
    let make = || {
        let context = kernel.new_filesystem(kind)?;
        for (key, value) in options {
            let setting = match *value {
                "" => Setting::Flag,
                value => Setting::Text(OsStr::new(value)),
            };
            kernel.configure(&context, key, setting)?;
        }
        kernel.create(&context, attributes)
    };
    make().map_err(SetupError::at(format!("mount {kind}")))
}
