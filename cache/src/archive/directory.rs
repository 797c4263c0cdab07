//! A tree as a plain directory: for `export`, and for kernels that cannot mount images.
//!
//! Written in passes: directories, open to nobody else; files, by several threads; everything else; then the metadata
//! of directories, the deepest first, for writing into one changes its time. The target belongs to the caller alone
//! meanwhile, and a tree has no names below symbolic links, so no name leads out of it.

use super::{Export, ExtraFile};
use crate::store::{ObjectError, Objects};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod,
    ioctl_ficlone, lsetxattr, makedev, mknodat, utimensat,
};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind, Tree, TreeError};
use vzpkg_metadata::{Digest, RelPath};

/// Why a directory was not written.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The target exists and is not an empty directory, or cannot be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tree, with the node files in it, breaks a rule of trees.
    #[error("the tree cannot be written as a directory")]
    Tree(#[from] TreeError),
    /// The content of a file cannot be read or is not what the tree says.
    #[error("cannot write `{path}`")]
    Content {
        /// Which file.
        path: RelPath,
        /// Why.
        source: ObjectError,
    },
    /// An object is not as long as the tree says.
    #[error("cannot write `{path}`: its object has {found} bytes instead of {expected}")]
    Length {
        /// Which file.
        path: RelPath,
        /// What the tree says.
        expected: u64,
        /// What the object has.
        found: u64,
    },
    /// An entry cannot be made.
    #[error("cannot {operation} `{path}`")]
    Entry {
        /// What was tried.
        operation: &'static str,
        /// Which entry.
        path: RelPath,
        /// Why.
        source: io::Error,
    },
}

/// Writes `tree` into the empty or missing directory `target`, with owners, modes, extended attributes, times, hard
/// links and devices. Contents are reflinked where the file system can, else copied, and checked against their digests.
/// Nothing is synced.
///
/// # Errors
/// [`DirectoryError`] names the entry; what was written so far stays for the caller to remove.
pub fn write_directory(
    tree: &Tree,
    objects: &Objects,
    extra: &[ExtraFile],
    target: &Path,
) -> Result<(), DirectoryError> {
    let export = Export::new(tree, extra)?;
    make_target(target)?;
    let writer = Writer {
        export: &export,
        objects,
        target,
        can_clone: AtomicBool::new(true),
    };
    let mut files = Vec::new();
    let mut directories = Vec::new();
    let mut others = Vec::new();
    for (path, entry) in export.tree.iter() {
        match entry {
            Entry::Node(node) if node.is_directory() => {
                writer.directory(path)?;
                directories.push((path, node));
            }
            Entry::Node(node) if node.is_file() => files.push((path, node)),
            other => others.push((path, other)),
        }
    }
    writer.files(&files)?;
    for (path, entry) in others {
        match entry {
            Entry::Node(node) => writer.special(path, node)?,
            Entry::HardLink(first) => {
                let made = fs::hard_link(writer.place(first), writer.place(path));
                made.map_err(on("link", path))?;
            }
        }
    }
    for (path, node) in directories.into_iter().rev() {
        writer.owner(path, &node.meta)?;
        let place = writer.place(path);
        let mode = Mode::from_raw_mode(u32::from(node.meta.mode));
        let changed = File::open(&place).and_then(|directory| Ok(fchmod(directory, mode)?));
        changed.map_err(on("set the mode of", path))?;
        writer.attributes_and_time(path, &node.meta)?;
    }
    Ok(())
}

/// Holds an object that was copied against its name: the kernel copies without looking at what.
fn check(path: &RelPath, mut object: File, digest: &Digest) -> Result<(), DirectoryError> {
    let read = object
        .rewind()
        .and_then(|()| Digest::of_reader(&object))
        .map_err(ObjectError::Source);
    let damaged = match read {
        Ok((found, _)) if found == *digest => return Ok(()),
        Ok((found, _)) => ObjectError::Damaged {
            digest: *digest,
            found,
        },
        Err(error) => error,
    };
    Err(DirectoryError::Content {
        path: path.clone(),
        source: damaged,
    })
}

/// Makes the mapping function for `map_err`.
fn on(operation: &'static str, path: &RelPath) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.clone();
    move |source| DirectoryError::Entry {
        operation,
        path,
        source,
    }
}

fn make_target(target: &Path) -> Result<(), FileError> {
    match DirBuilder::new().mode(0o700).create(target) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(FileError::on("create directory", target)(error)),
    }
    let mut entries = fs::read_dir(target).map_err(FileError::on("list", target))?;
    if entries.next().is_some() {
        let error = io::ErrorKind::DirectoryNotEmpty.into();
        return Err(FileError::on("write into", target)(error));
    }
    Ok(())
}

struct Writer<'a> {
    export: &'a Export<'a>,
    objects: &'a Objects,
    target: &'a Path,
    /// Until the file system refuses once.
    can_clone: AtomicBool,
}

impl Writer<'_> {
    fn place(&self, path: &RelPath) -> PathBuf {
        self.target.join(path.as_path())
    }

    fn directory(&self, path: &RelPath) -> Result<(), DirectoryError> {
        if path.is_root() {
            return Ok(());
        }
        let made = DirBuilder::new().mode(0o700).create(self.place(path));
        made.map_err(on("create directory", path))
    }

    /// Writes files with a few threads: creating them costs more than their bytes.
    fn files(&self, files: &[(&RelPath, &Node)]) -> Result<(), DirectoryError> {
        let next = AtomicUsize::new(0);
        let threads = thread::available_parallelism().map_or(1, |count| count.get().min(4));
        let work = || {
            while let Some((path, node)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.file(path, node)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            // Every worker is waited for; the first error counts.
            let results: Vec<_> = workers
                .into_iter()
                .map(|worker| match worker.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect();
            results.into_iter().collect()
        })
    }

    fn file(&self, path: &RelPath, node: &Node) -> Result<(), DirectoryError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.place(path))
            .map_err(on("create", path))?;
        match (&node.kind, self.export.bytes.get(path)) {
            (_, Some(bytes)) => file.write_all(bytes).map_err(on("write", path))?,
            (NodeKind::File { digest, size }, None) if *size > 0 => {
                let object = self.objects.open(digest);
                let object = object.map_err(|source| DirectoryError::Content {
                    path: path.clone(),
                    source,
                })?;
                self.fill(path, &mut file, &object, *size)?;
                check(path, object, digest)?;
            }
            _ => {}
        }
        self.owner(path, &node.meta)?;
        let mode = Mode::from_raw_mode(u32::from(node.meta.mode));
        fchmod(&file, mode)
            .map_err(io::Error::from)
            .map_err(on("set the mode of", path))?;
        self.attributes_and_time(path, &node.meta)
    }

    fn fill(
        &self,
        path: &RelPath,
        file: &mut File,
        mut object: &File,
        expected: u64,
    ) -> Result<(), DirectoryError> {
        let found =
            if self.can_clone.load(Ordering::Relaxed) && ioctl_ficlone(&*file, object).is_ok() {
                file.metadata().map(|metadata| metadata.len())
            } else {
                self.can_clone.store(false, Ordering::Relaxed);
                // The standard library copies within the kernel.
                io::copy(&mut object, file)
            };
        let found = found.map_err(on("write", path))?;
        if found == expected {
            return Ok(());
        }
        Err(DirectoryError::Length {
            path: path.clone(),
            expected,
            found,
        })
    }

    /// Symbolic links, devices and pipes.
    fn special(&self, path: &RelPath, node: &Node) -> Result<(), DirectoryError> {
        let place = self.place(path);
        let mode = Mode::from_raw_mode(u32::from(node.meta.mode));
        let make = |kind, device| Ok(mknodat(CWD, &place, kind, mode, device)?);
        let made = match &node.kind {
            NodeKind::Symlink { target } => symlink(std::ffi::OsStr::from_bytes(target), &place),
            NodeKind::CharacterDevice { major, minor } => {
                make(FileType::CharacterDevice, makedev(*major, *minor))
            }
            NodeKind::BlockDevice { major, minor } => {
                make(FileType::BlockDevice, makedev(*major, *minor))
            }
            NodeKind::Fifo => make(FileType::Fifo, 0),
            NodeKind::Directory | NodeKind::File { .. } => Ok(()),
        };
        made.map_err(on("create", path))?;
        self.owner(path, &node.meta)?;
        if !matches!(node.kind, NodeKind::Symlink { .. }) {
            // Making it was subject to the umask.
            rustix::fs::chmodat(CWD, &place, mode, AtFlags::empty())
                .map_err(io::Error::from)
                .map_err(on("set the mode of", path))?;
        }
        self.attributes_and_time(path, &node.meta)
    }

    /// Before the mode and the attributes: a change of owner drops setuid bits and capabilities.
    fn owner(&self, path: &RelPath, meta: &Meta) -> Result<(), DirectoryError> {
        let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
        let place = self.place(path);
        chownat(CWD, place, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(io::Error::from)
            .map_err(on("set the owner of", path))
    }

    fn attributes_and_time(&self, path: &RelPath, meta: &Meta) -> Result<(), DirectoryError> {
        let place = self.place(path);
        for (name, value) in &meta.xattrs {
            lsetxattr(&place, name.as_slice(), value, XattrFlags::empty())
                .map_err(io::Error::from)
                .map_err(on("set an extended attribute of", path))?;
        }
        let time = Timespec {
            tv_sec: meta.mtime.seconds,
            tv_nsec: i64::from(meta.mtime.nanoseconds),
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        utimensat(CWD, place, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(io::Error::from)
            .map_err(on("set the time of", path))
    }
}
