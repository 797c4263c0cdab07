//! What `/proc` tells about the processes of a container: a seam, so that a census can be taken of a recorded one.

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, openat2, readlinkat, statfs, statx,
};
use rustix::io::Errno;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// A container has no more processes than this; one that has is not looked through while it stands still.
const PROCESSES: usize = 32_768;

/// The longest file of `/proc` that is read: the memory map of a large database is a few megabytes.
const FILE_BYTES: u64 = 32 << 20;

/// Nobody nests cgroups deeper.
const GROUP_DEPTH: usize = 64;

/// The type of overlayfs in `statfs`.
const OVERLAY: u64 = 0x794c_7630;

/// Where a name of `/proc` leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The mount it lies in.
    pub(super) mount: u64,
    /// What it is.
    pub(super) kind: FileType,
    /// Whether it has a name: an open file that was removed has none.
    pub(super) named: bool,
}

/// Reads `/proc`. A process that has ended gives [`io::ErrorKind::NotFound`] for everything.
pub(super) trait Look: fmt::Debug {
    /// Every process in the container's cgroups.
    fn processes(&self) -> io::Result<Vec<u32>>;

    /// A whole file below `/proc/PID`.
    fn read(&self, pid: u32, name: &str) -> io::Result<Vec<u8>>;

    /// The names in a directory below `/proc/PID`.
    fn list(&self, pid: u32, name: &str) -> io::Result<Vec<String>>;

    /// What a link below `/proc/PID` says.
    fn link(&self, pid: u32, name: &str) -> io::Result<Vec<u8>>;

    /// Where a link below `/proc/PID` leads.
    fn place(&self, pid: u32, name: &str) -> io::Result<Place>;

    /// Whether the file system that a link below `/proc/PID` leads to is an overlay. Asks the file system.
    fn is_overlay(&self, pid: u32, name: &str) -> io::Result<bool>;

    /// Where a path leads for a process, its last component not followed.
    fn place_inside(&self, pid: u32, path: &[u8]) -> io::Result<Place>;

    /// The mount namespace of the one who looks.
    fn own_namespace(&self) -> io::Result<Vec<u8>>;
}

/// The real `/proc`.
#[derive(Debug)]
pub(super) struct Procfs {
    proc: OwnedFd,
    /// The container's directory in one hierarchy of cgroups.
    group: PathBuf,
}

impl Procfs {
    /// For the processes of this cgroup and those below it.
    pub(super) fn open(group: PathBuf) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = rustix::fs::open("/proc", flags, Mode::empty())?;
        Ok(Self { proc, group })
    }
}

impl Look for Procfs {
    fn processes(&self) -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        members(&self.group, 0, &mut found)?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn read(&self, pid: u32, name: &str) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let path = format!("{pid}/{name}");
        let file = rustix::fs::openat(&self.proc, path, flags, Mode::empty()).map_err(gone)?;
        let mut bytes = Vec::new();
        let mut limited = fs::File::from(file).take(FILE_BYTES + 1);
        limited
            .read_to_end(&mut bytes)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::ESRCH) => io::ErrorKind::NotFound.into(),
                _ => error,
            })?;
        if bytes.len() as u64 > FILE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn list(&self, pid: u32, name: &str) -> io::Result<Vec<String>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = format!("{pid}/{name}");
        let directory = rustix::fs::openat(&self.proc, path, flags, Mode::empty()).map_err(gone)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(directory).map_err(gone)? {
            let entry = entry.map_err(gone)?;
            let name = entry.file_name().to_string_lossy();
            if name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }

    fn link(&self, pid: u32, name: &str) -> io::Result<Vec<u8>> {
        let path = format!("{pid}/{name}");
        let target = readlinkat(&self.proc, path, Vec::new()).map_err(gone)?;
        Ok(target.into_bytes())
    }

    fn place(&self, pid: u32, name: &str) -> io::Result<Place> {
        // A file system that a frozen process serves must not be asked for anything.
        let flags = AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
        let wanted = StatxFlags::TYPE | StatxFlags::NLINK | StatxFlags::MNT_ID;
        let path = format!("{pid}/{name}");
        let found = statx(&self.proc, path, flags, wanted).map_err(gone)?;
        Ok(Place {
            mount: found.stx_mnt_id,
            kind: FileType::from_raw_mode(found.stx_mode.into()),
            named: found.stx_nlink > 0,
        })
    }

    fn is_overlay(&self, pid: u32, name: &str) -> io::Result<bool> {
        let found = statfs(format!("/proc/{pid}/{name}")).map_err(gone)?;
        Ok(u64::try_from(found.f_type).is_ok_and(|kind| kind == OVERLAY))
    }

    fn place_inside(&self, pid: u32, path: &[u8]) -> io::Result<Place> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        // A relative name was relative to the directory that the process had then; the present one is the best guess.
        let from = if path.starts_with(b"/") {
            "root"
        } else {
            "cwd"
        };
        let from = rustix::fs::openat(&self.proc, format!("{pid}/{from}"), flags, Mode::empty())
            .map_err(gone)?;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::NOFOLLOW;
        let file = openat2(&from, path, flags, Mode::empty(), resolve).map_err(gone)?;
        self.place(std::process::id(), &format!("fd/{}", file.as_raw_fd()))
    }

    fn own_namespace(&self) -> io::Result<Vec<u8>> {
        self.link(std::process::id(), "ns/mnt")
    }
}

/// A process that ends says so in several ways.
fn gone(error: Errno) -> io::Error {
    match error {
        Errno::SRCH | Errno::NOENT => io::ErrorKind::NotFound.into(),
        other => other.into(),
    }
}

/// The processes of a cgroup and of those below it.
fn members(group: &Path, depth: usize, found: &mut Vec<u32>) -> io::Result<()> {
    if depth > GROUP_DEPTH {
        return Err(io::Error::other("cgroups are nested too deeply"));
    }
    match fs::read_to_string(group.join("cgroup.procs")) {
        Ok(text) => found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok())),
        // Removed meanwhile, or a group of threads, whose processes the group above names.
        Err(error) if depth > 0 && is_nothing(&error) => return Ok(()),
        Err(error) => return Err(error),
    }
    if found.len() > PROCESSES {
        return Err(io::Error::other(
            "there are more processes than can be looked through",
        ));
    }
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            match members(&entry.path(), depth + 1, found) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
    }
    Ok(())
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP)
    )
}
