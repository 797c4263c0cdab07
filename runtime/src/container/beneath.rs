//! Opening what a container can name: always beneath a directory of ours, never through a link that leads out.
//!
//! What is to be read is looked at before it is opened: the container decides what its files are. A FIFO waits for a writer
//! that never comes, a device is used by being opened, and files of `/proc` are regular and do something: whoever reads
//! `kmsg` takes it from the host. So only regular files are opened ([`open_file`], [`open_file_inside`]), and only in the
//! mount that the directory lies in.

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::{self, Errno};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
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

/// Opens the regular file `path` below `root` to be read; no component may be a symbolic link, the last one neither.
/// `EINVAL` for anything else that is there, `EXDEV` for what lies in another mount.
pub(super) fn open_file(root: impl AsFd, path: &RelPath) -> io::Result<File> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    regular(&openat2(
        root,
        path.as_bytes(),
        flags,
        Mode::empty(),
        resolve,
    )?)
}

/// As [`open_file`], with links followed as [`open_inside`] does.
pub(super) fn open_file_inside(root: impl AsFd, path: &Path) -> io::Result<File> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    regular(&openat2(root, path, flags, Mode::empty(), resolve)?)
}

/// Opens what a descriptor refers to, if it is a regular file.
fn regular(place: &OwnedFd) -> io::Result<File> {
    if !FileType::from_raw_mode(fstat(place)?.st_mode).is_file() {
        return Err(Errno::INVAL);
    }
    // The very file that was looked at. Not blocking: somebody may hold a lease on it.
    let link = format!("/proc/self/fd/{}", place.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(link, flags, Mode::empty())?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, mkfifoat};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "content").unwrap();
        fs::create_dir(at("directory")).unwrap();
        mkfifoat(CWD, at("fifo"), Mode::RUSR).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let root = open_root(directory.path()).unwrap();
        let file = open_file(&root, &path("file")).unwrap();
        let text = std::io::read_to_string(file).unwrap();
        assert_eq!(text, "content");
        for name in ["directory", "fifo", "socket"] {
            let refused = open_file(&root, &path(name)).unwrap_err();
            assert_eq!(refused, Errno::INVAL, "{name}");
            let refused = open_file_inside(&root, Path::new(name)).unwrap_err();
            assert_eq!(refused, Errno::INVAL, "{name}");
        }
    }

    #[test]
    fn a_link_is_followed_inside_only_and_never_into_another_mount() {
        let root = open_root(Path::new("/")).unwrap();
        for kernel in ["proc/version", "/proc/self/status"] {
            let refused = open_file_inside(&root, Path::new(kernel)).unwrap_err();
            assert_eq!(refused, Errno::XDEV, "{kernel}");
        }
        assert_eq!(
            open_file(&root, &path("proc/version")).unwrap_err(),
            Errno::XDEV
        );
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "").unwrap();
        symlink("/file", at("inner")).unwrap();
        symlink("/proc/version", at("outer")).unwrap();
        let root = open_root(directory.path()).unwrap();
        open_file_inside(&root, Path::new("/inner")).unwrap();
        let nowhere = open_file_inside(&root, Path::new("/outer")).unwrap_err();
        assert_eq!(nowhere, Errno::NOENT);
        let refused = open_file(&root, &path("inner")).unwrap_err();
        assert_eq!(refused, Errno::INVAL, "a link itself is no regular file");
    }
}
