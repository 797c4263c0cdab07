//! Opening what a container can name: always beneath a directory of ours, never through a link that leads out.

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use vzpkg_metadata::RelPath;

/// Opens a directory of our own, by a path that no container can change.
pub(super) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Opens `path` below `root`; no component may be a symbolic link, the last one neither.
pub(super) fn open(root: impl AsFd, path: &RelPath, flags: OFlags) -> io::Result<OwnedFd> {
    if path.is_root() {
        return openat2(
            root,
            ".",
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH,
        );
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(root, path.as_bytes(), flags, Mode::empty(), resolve)
}

/// Opens `path` as a process with its root at `root` would: links are followed and end in there.
pub(super) fn open_inside(root: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}
