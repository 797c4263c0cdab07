//! Reading an upper directory: which private entries there are, their metadata and contents.
//!
//! Everything is opened beneath the directory by descriptor; no symbolic link of the container's is followed. Owners,
//! times and attributes are taken as they lie on disk, which is as the container sees them.
//!
//! The container may run: what it removes meanwhile was not there, and what is read of one entry is of one file.

use super::beneath;
use super::objects::PrivateSource;
use super::scan::{UpperEntry, UpperKind, UpperScan};
use rustix::fs::{Dir, FileType, Mode, OFlags, Stat, fstat, readlinkat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;
use vzpkg_metadata::digest::Hasher;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::tree::Meta;
use vzpkg_metadata::{Digest, RelPath, Timestamp};

/// The mark of a directory that hides everything below it.
pub(super) const OPAQUE: &str = "trusted.overlay.opaque";

/// The other form of a whiteout: an empty file with this mark.
const WHITEOUT: &[u8] = b"trusted.overlay.whiteout";

/// What is overlayfs' own, not the container's.
const OWN_PREFIXES: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// An open upper directory.
#[derive(Debug)]
pub struct UpperDir {
    root: OwnedFd,
}

impl UpperDir {
    /// Opens the directory.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn open(upper: &Path) -> Result<Self, FileError> {
        let root = beneath::open_root(upper)
            .map_err(|error| FileError::on("open", upper)(error.into()))?;
        Ok(Self { root })
    }

    pub(super) const fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Finds every private entry. Reads no contents; about 5 µs for each entry. What the container removes meanwhile may
    /// be in it or not.
    ///
    /// # Errors
    /// [`FileError`] with the path inside.
    pub fn scan(&self) -> Result<UpperScan, FileError> {
        let mut entries = BTreeMap::new();
        // A list of directories instead of recursion: their depth is the container's choice.
        let mut waiting = vec![RelPath::root()];
        while let Some(directory) = waiting.pop() {
            let failed = |error: Errno| FileError::on("read", directory.as_path())(error.into());
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let opened = beneath::open(&self.root, &directory, flags);
            let opened = opened.and_then(|opened| Ok((Dir::read_from(&opened)?, opened)));
            let (names, opened) = match opened {
                // Removed since it was found, or something else is there.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !directory.is_root() => {
                    entries.remove(&directory);
                    continue;
                }
                other => other.map_err(failed)?,
            };
            for entry in names {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                let path = directory.join(name).map_err(|error| {
                    FileError::on("read", directory.as_path())(io::Error::other(error))
                })?;
                let found = match read_entry(&opened, name) {
                    Err(Errno::NOENT) => continue,
                    other => other
                        .map_err(|error| FileError::on("read", path.as_path())(error.into()))?,
                };
                if matches!(found.kind, UpperKind::Directory { .. }) {
                    waiting.push(path.clone());
                }
                entries.insert(path, found);
            }
        }
        let root = read_entry(&self.root, b".")
            .map_err(|error| FileError::on("read", RelPath::root().as_path())(error.into()))?;
        Ok(UpperScan {
            root: root.meta,
            entries,
        })
    }

    /// The private entry of one path; `None` where nothing private is there. The root is always there.
    pub(super) fn entry(&self, path: &RelPath) -> io::Result<Option<UpperEntry>> {
        let Some(parent) = path.parent() else {
            return Ok(Some(read_entry(&self.root, b".")?));
        };
        let parent = match beneath::open(&self.root, &parent, OFlags::PATH | OFlags::DIRECTORY) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            other => other?,
        };
        match read_entry(&parent, path.file_name()) {
            Err(Errno::NOENT) => Ok(None),
            other => Ok(Some(other?)),
        }
    }

    fn open_file(&self, path: &RelPath) -> io::Result<File> {
        // A FIFO or a device put there meanwhile is not opened.
        Ok(beneath::open_file(&self.root, path)?)
    }
}

impl PrivateSource for UpperDir {
    fn read(&self, path: &RelPath, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.open_file(path)?;
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if read as u64 > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn digest(&self, path: &RelPath) -> io::Result<Digest> {
        let mut hasher = Hasher::new();
        io::copy(&mut self.open_file(path)?, &mut hasher)?;
        Ok(hasher.finish())
    }
}

/// The entry `name` of an open directory.
pub(super) fn read_entry(directory: impl AsFd, name: &[u8]) -> rustix::io::Result<UpperEntry> {
    // Everything is asked of this one: by the name there may be another the next time.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
        return Ok(whiteout());
    }
    let (xattrs, own) = xattrs(&file)?;
    let kind = match kind {
        FileType::RegularFile if stat.st_size == 0 && own.contains_key(WHITEOUT) => {
            return Ok(whiteout());
        }
        FileType::RegularFile => UpperKind::File {
            size: u64::try_from(stat.st_size).unwrap_or(0),
        },
        FileType::Directory => UpperKind::Directory {
            opaque: own.get(OPAQUE.as_bytes()).is_some_and(|mark| mark == b"y"),
        },
        FileType::Symlink => UpperKind::Symlink {
            target: readlinkat(&file, "", Vec::new())?.into_bytes(),
        },
        _ => UpperKind::Special,
    };
    Ok(UpperEntry {
        meta: meta(&stat, xattrs),
        kind,
    })
}

fn whiteout() -> UpperEntry {
    UpperEntry {
        meta: Meta::default(),
        kind: UpperKind::Whiteout,
    }
}

fn meta(stat: &Stat, xattrs: Xattrs) -> Meta {
    Meta {
        mode: u16::try_from(stat.st_mode & 0o7777).unwrap_or(0),
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Timestamp {
            seconds: stat.st_mtime,
            nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        },
        xattrs,
    }
}

type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// The name under which the kernel takes a descriptor that was opened for its path only.
pub(super) fn magic_link(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// How often attributes are read that change while they are.
const READINGS: u32 = 32;

/// Reads attributes, again where they became longer or fewer meanwhile.
fn steadily<T>(read: impl Fn() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    for _ in 1..READINGS {
        match read() {
            Err(Errno::RANGE | Errno::NODATA) => {}
            other => return other,
        }
    }
    read()
}

/// The names of all extended attributes, each ended by a NUL.
pub(super) fn xattr_names(link: &str) -> rustix::io::Result<Vec<u8>> {
    let mut list = vec![0_u8; rustix::fs::listxattr_query(link)?];
    if !list.is_empty() {
        let length = rustix::fs::listxattr(link, list.as_mut_slice())?;
        list.truncate(length);
    }
    Ok(list)
}

/// The container's extended attributes, and overlayfs' own.
fn xattrs(file: &OwnedFd) -> rustix::io::Result<(Xattrs, Xattrs)> {
    let link = magic_link(file);
    steadily(|| xattrs_once(&link))
}

fn xattrs_once(link: &str) -> rustix::io::Result<(Xattrs, Xattrs)> {
    let list = xattr_names(link)?;
    let (mut theirs, mut own) = (Xattrs::new(), Xattrs::new());
    for name in list
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0_u8; rustix::fs::getxattr_query(link, name)?];
        if !value.is_empty() {
            let length = rustix::fs::getxattr(link, name, value.as_mut_slice())?;
            value.truncate(length);
        }
        let into = if OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            &mut own
        } else {
            &mut theirs
        };
        into.insert(name.to_vec(), value);
    }
    Ok((theirs, own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    /// What a busy container does to names: each of these may be there, be another kind of thing, or be gone.
    fn change(root: &Path, turn: u32) {
        let place = root.join(format!("spool/{}", turn % 7));
        drop(fs::remove_dir_all(&place));
        drop(fs::remove_file(&place));
        match turn % 3 {
            0 => fs::create_dir_all(place.join("deep/deeper")).unwrap(),
            1 => fs::write(&place, "text").unwrap(),
            _ => std::os::unix::fs::symlink("kept", &place).unwrap(),
        }
        if turn.is_multiple_of(3) {
            fs::write(place.join("deep/deeper/file"), "text").unwrap();
        }
        // Where the file system has no such attributes, nothing is tried.
        let noted = root.join("spool/noted");
        let value = vec![b'x'; usize::try_from(turn % 5).unwrap() * 30 + 1];
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&noted, "user.note", &value, flags).ok();
        if turn.is_multiple_of(2) {
            rustix::fs::removexattr(&noted, "user.note").ok();
        }
    }

    #[test]
    fn names_that_come_and_go_meanwhile_do_not_make_a_scan_fail() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("spool")).unwrap();
        for name in ["kept", "spool/noted"] {
            fs::write(root.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("kept", root.join("link")).unwrap();
        let upper = UpperDir::open(root).unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for turn in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    change(root, turn);
                }
            });
            let scans: Vec<_> = (0..500).map(|_| upper.scan()).collect();
            stop.store(true, Ordering::Relaxed);
            for scan in scans {
                let scan = scan.unwrap();
                for name in ["kept", "link", "spool", "spool/noted"] {
                    assert!(scan.get(&name.parse().unwrap()).is_some(), "{name}");
                }
                let link = UpperKind::Symlink {
                    target: b"kept".to_vec(),
                };
                assert_eq!(scan.get(&"link".parse().unwrap()).unwrap().kind, link);
            }
        });
    }
}
