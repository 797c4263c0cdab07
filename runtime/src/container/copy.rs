//! Copying an upper directory with everything that overlayfs and the container gave it: owners, modes, times, all
//! extended attributes, hard links, whiteouts. Contents are reflinked where the file system can.
//!
//! The container must stand still. No symbolic link of it is followed: directories are walked by what they are, and
//! files opened without following.

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags, ioctl_ficlone,
    utimensat,
};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use vzpkg_metadata::RelPath;
use vzpkg_metadata::durable::FileError;

/// What becomes of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Treatment {
    /// It is copied.
    Copy,
    /// It is left out, with everything below it.
    Leave,
    /// A regular file with the owner and mode of the original gets these bytes.
    Fill(Vec<u8>),
}

/// Copies the content and the metadata of the directory `from` to the new directory `to`. Nothing is synced.
pub(super) fn copy(
    from: &Path,
    to: &Path,
    treat: &dyn Fn(&RelPath, &Metadata) -> Treatment,
) -> Result<(), FileError> {
    let mut copier = Copier {
        from,
        to,
        treat,
        inodes: BTreeMap::new(),
    };
    let failed = |path: &Path, error| FileError::on("copy", path.to_owned())(error);
    fs::create_dir(to).map_err(|error| failed(to, error))?;
    // Metadata of directories comes last, for what is made in them changes their times.
    let mut directories = vec![RelPath::root()];
    let mut next = 0;
    while let Some(directory) = directories.get(next).cloned() {
        next += 1;
        let source = from.join(directory.as_path());
        let found = copier.directory(&source, &directory);
        directories.extend(found.map_err(|error| failed(&source, error))?);
    }
    for directory in directories.iter().rev() {
        let source = from.join(directory.as_path());
        let copied = fs::symlink_metadata(&source)
            .and_then(|metadata| copy_metadata(&source, &to.join(directory.as_path()), &metadata));
        copied.map_err(|error| failed(&source, error))?;
    }
    Ok(())
}

struct Copier<'a> {
    from: &'a Path,
    to: &'a Path,
    treat: &'a dyn Fn(&RelPath, &Metadata) -> Treatment,
    /// Files with several names: inode to the copy of the first.
    inodes: BTreeMap<(u64, u64), PathBuf>,
}

impl Copier<'_> {
    /// Copies what is in one directory; returns the directories in it, which are made and empty.
    fn directory(&mut self, source: &Path, path: &RelPath) -> io::Result<Vec<RelPath>> {
        let mut below = Vec::new();
        for entry in fs::read_dir(source)? {
            let name = entry?.file_name();
            let path = path.join(name.as_bytes()).map_err(io::Error::other)?;
            let (from, to) = (self.from.join(path.as_path()), self.to.join(path.as_path()));
            let metadata = fs::symlink_metadata(&from)?;
            match (self.treat)(&path, &metadata) {
                Treatment::Leave => {}
                Treatment::Fill(bytes) => {
                    fs::write(&to, bytes)?;
                    copy_metadata(&from, &to, &metadata)?;
                }
                Treatment::Copy if metadata.is_dir() => {
                    fs::create_dir(&to)?;
                    below.push(path);
                }
                Treatment::Copy => self.file(&from, &to, &metadata)?,
            }
        }
        Ok(below)
    }

    fn file(&mut self, from: &Path, to: &Path, metadata: &Metadata) -> io::Result<()> {
        if metadata.nlink() > 1 {
            let inode = (metadata.dev(), metadata.ino());
            if let Some(first) = self.inodes.get(&inode) {
                return fs::hard_link(first, to);
            }
            self.inodes.insert(inode, to.to_owned());
        }
        match FileType::from_raw_mode(metadata.mode()) {
            FileType::RegularFile => copy_content(from, to)?,
            FileType::Symlink => std::os::unix::fs::symlink(fs::read_link(from)?, to)?,
            // Bound to a process that is gone.
            FileType::Socket => return Ok(()),
            kind => rustix::fs::mknodat(CWD, to, kind, Mode::empty(), metadata.rdev())?,
        }
        copy_metadata(from, to, metadata)
    }
}

fn copy_content(from: &Path, to: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut source = File::from(rustix::fs::open(from, flags, Mode::empty())?);
    let mut copy = File::options().write(true).create_new(true).open(to)?;
    if ioctl_ficlone(&copy, &source).is_err() {
        io::copy(&mut source, &mut copy)?;
    }
    Ok(())
}

/// Owner, attributes, mode, time: in this order, for a change of owner clears setuid and capabilities.
fn copy_metadata(from: &Path, to: &Path, metadata: &Metadata) -> io::Result<()> {
    lchown(to, Some(metadata.uid()), Some(metadata.gid()))?;
    let link = metadata.is_symlink();
    for name in attributes(from)? {
        let mut value = vec![0_u8; rustix::fs::lgetxattr(from, name.as_os_str(), &mut [0_u8; 0])?];
        let length = rustix::fs::lgetxattr(from, name.as_os_str(), value.as_mut_slice())?;
        value.truncate(length);
        rustix::fs::lsetxattr(to, name.as_os_str(), &value, XattrFlags::empty())?;
    }
    if !link {
        fs::set_permissions(to, fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    }
    let time = Timespec {
        tv_sec: metadata.mtime(),
        tv_nsec: metadata.mtime_nsec(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn attributes(path: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = vec![0_u8; rustix::fs::llistxattr(path, &mut [0_u8; 0])?];
    if !names.is_empty() {
        let length = rustix::fs::llistxattr(path, names.as_mut_slice())?;
        names.truncate(length);
    }
    let names = names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty());
    Ok(names
        .map(|name| OsStr::from_bytes(name).to_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_everything_but_what_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let from = directory.path().join("from");
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::write(from.join("a/one"), "1").unwrap();
        fs::hard_link(from.join("a/one"), from.join("a/b/other")).unwrap();
        fs::set_permissions(from.join("a/one"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::set_permissions(from.join("a"), fs::Permissions::from_mode(0o1770)).unwrap();
        std::os::unix::fs::symlink("/nowhere", from.join("a/link")).unwrap();
        fs::write(from.join("a/key"), "secret").unwrap();
        fs::write(from.join("a/name"), "old").unwrap();
        rustix::fs::mknodat(CWD, from.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let past = Timespec {
            tv_sec: 1000,
            tv_nsec: 7,
        };
        let times = Timestamps {
            last_access: past,
            last_modification: past,
        };
        for path in ["a/one", "a"] {
            utimensat(CWD, from.join(path), &times, AtFlags::empty()).unwrap();
        }
        let treat = |path: &RelPath, _: &Metadata| match path.as_bytes() {
            b"a/key" => Treatment::Leave,
            b"a/name" => Treatment::Fill(b"new".to_vec()),
            _ => Treatment::Copy,
        };
        let to = directory.path().join("to");
        copy(&from, &to, &treat).unwrap();
        let of = |path: &str| fs::symlink_metadata(to.join(path)).unwrap();
        assert_eq!(
            (of("a/one").mode() & 0o7777, of("a").mode() & 0o7777),
            (0o4751, 0o1770)
        );
        assert_eq!((of("a/one").mtime(), of("a").mtime_nsec()), (1000, 7));
        assert_eq!(of("a/one").ino(), of("a/b/other").ino());
        assert_eq!(
            fs::read_link(to.join("a/link")).unwrap(),
            Path::new("/nowhere")
        );
        assert_eq!(fs::read(to.join("a/name")).unwrap(), b"new");
        assert!(!to.join("a/key").exists());
        assert_eq!(FileType::from_raw_mode(of("fifo").mode()), FileType::Fifo);
    }
}
