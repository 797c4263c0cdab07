//! Carrying out upper edits. Each one is made beside its place and renamed into it, so that none is ever half there;
//! a list can be carried out again from its start.

use super::relink::RelinkError;
use super::upper_dir::{OPAQUE, UpperDir, magic_link, read_entry, xattr_names};
use super::{ObjectSource, UpperEdit, UpperKind, beneath};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::tree::{Meta, Node, NodeKind};
use vzpkg_metadata::{RelPath, Timestamp};

/// Carries edits out on one upper directory.
#[derive(Debug)]
pub(super) struct Editor<'a> {
    upper: UpperDir,
    /// An empty directory on the same file system, in which things are made.
    staging: PathBuf,
    /// `undo/`, below which earlier relinks kept files.
    undo_area: PathBuf,
    objects: &'a dyn ObjectSource,
    /// Whether what was staged outlives this editor.
    leaves_staging: bool,
}

impl<'a> Editor<'a> {
    /// Opens the upper; `staging` is made, and emptied of what an earlier attempt left.
    pub(super) fn new(
        upper: &Path,
        staging: PathBuf,
        undo_area: PathBuf,
        objects: &'a dyn ObjectSource,
    ) -> Result<Self, RelinkError> {
        if staging.exists() {
            fs::remove_dir_all(&staging).map_err(FileError::on("remove", &staging))?;
        }
        Self::resume(upper, staging, undo_area, objects)
    }

    /// Opens the upper with what an earlier [`Editor::stage`] left in `staging`.
    pub(super) fn resume(
        upper: &Path,
        staging: PathBuf,
        undo_area: PathBuf,
        objects: &'a dyn ObjectSource,
    ) -> Result<Self, RelinkError> {
        match fs::create_dir(&staging) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(FileError::on("create directory", &staging)(error).into());
            }
            _ => {}
        }
        Ok(Self {
            upper: UpperDir::open(upper)?,
            staging,
            undo_area,
            objects,
            leaves_staging: false,
        })
    }

    /// Makes everything that `edits` will put, so that carrying them out takes renames only.
    pub(super) fn stage(mut self, edits: &[UpperEdit]) -> Result<(), RelinkError> {
        for (number, edit) in edits.iter().enumerate() {
            if let UpperEdit::Put { path, node } = edit {
                let staged = self.staging.join(number.to_string());
                let made = self.make(&staged, node);
                made.map_err(|source| RelinkError::Edit {
                    operation: "write",
                    path: path.clone(),
                    source,
                })?;
            }
        }
        self.leaves_staging = true;
        Ok(())
    }

    /// Carries out all edits, in order.
    pub(super) fn apply(&self, edits: &[UpperEdit]) -> Result<(), RelinkError> {
        for (number, edit) in edits.iter().enumerate() {
            let (operation, result) = match edit {
                UpperEdit::Keep { .. } => continue,
                UpperEdit::Reveal { path } => ("reveal", self.reveal(path)),
                UpperEdit::Hide { path } => ("hide", self.hide(path)),
                UpperEdit::EnsureDirectory { path, meta } => {
                    ("create directory", self.ensure_directory(path, meta))
                }
                UpperEdit::Put { path, node } => ("write", self.put(number, path, node)),
                UpperEdit::SetMeta { path, meta } => {
                    ("change the metadata of", self.set_meta(path, meta))
                }
                UpperEdit::SetOpaque { path, opaque } => ("mark", self.set_opaque(path, *opaque)),
                UpperEdit::MoveAside { path, to } => ("move aside", self.move_aside(path, to)),
                UpperEdit::Restore {
                    path,
                    generation,
                    slot,
                    node,
                } => ("restore", self.restore(path, *generation, *slot, node)),
            };
            result.map_err(|source| RelinkError::Edit {
                operation,
                path: edit.path().clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// The open directory that holds `path`.
    fn parent(&self, path: &RelPath) -> rustix::io::Result<OwnedFd> {
        let parent = path.parent().ok_or(Errno::INVAL)?;
        beneath::open(
            self.upper.root(),
            &parent,
            OFlags::RDONLY | OFlags::DIRECTORY,
        )
    }

    fn reveal(&self, path: &RelPath) -> io::Result<()> {
        let parent = match self.parent(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            other => other?,
        };
        Ok(remove(&parent, path.file_name())?)
    }

    fn hide(&self, path: &RelPath) -> io::Result<()> {
        let staged = self.staging.join("node");
        rustix::fs::mknodat(CWD, &staged, FileType::CharacterDevice, Mode::empty(), 0)?;
        self.place(&staged, path)
    }

    fn ensure_directory(&self, path: &RelPath, meta: &Meta) -> io::Result<()> {
        if path.is_root() {
            return Ok(());
        }
        let parent = self.parent(path)?;
        match read_entry(&parent, path.file_name()) {
            Ok(entry) if matches!(entry.kind, UpperKind::Directory { .. }) => return Ok(()),
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let staged = self.staging.join("node");
        fs::create_dir(&staged)?;
        let made = rustix::fs::open(&staged, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        write_meta(&made, meta, true)?;
        self.place(&staged, path)
    }

    fn put(&self, number: usize, path: &RelPath, node: &Node) -> io::Result<()> {
        let staged = self.staging.join(number.to_string());
        if fs::symlink_metadata(&staged).is_err() {
            self.make(&staged, node)?;
        }
        self.place(&staged, path)
    }

    /// Makes what is to be put somewhere.
    fn make(&self, staged: &Path, node: &Node) -> io::Result<()> {
        match &node.kind {
            NodeKind::File { digest, .. } => {
                let mut file = File::options()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(staged)?;
                io::copy(&mut self.objects.open(digest)?, &mut file)?;
            }
            NodeKind::Symlink { target } => {
                std::os::unix::fs::symlink(OsStr::from_bytes(target), staged)?;
            }
            NodeKind::CharacterDevice { major, minor } => {
                make_node(staged, FileType::CharacterDevice, *major, *minor)?;
            }
            NodeKind::BlockDevice { major, minor } => {
                make_node(staged, FileType::BlockDevice, *major, *minor)?;
            }
            NodeKind::Fifo => make_node(staged, FileType::Fifo, 0, 0)?,
            NodeKind::Directory => return Err(io::ErrorKind::IsADirectory.into()),
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::open(staged, flags, Mode::empty())?;
        let is_link = matches!(node.kind, NodeKind::Symlink { .. });
        write_meta(&made, &node.meta, !is_link)?;
        set_time(staged, node.meta.mtime)
    }

    fn set_meta(&self, path: &RelPath, meta: &Meta) -> io::Result<()> {
        let file = beneath::open(self.upper.root(), path, OFlags::PATH)?;
        let mode = rustix::fs::fstat(&file)?.st_mode;
        write_meta(&file, meta, !FileType::from_raw_mode(mode).is_symlink())
    }

    fn set_opaque(&self, path: &RelPath, opaque: bool) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let directory = beneath::open(self.upper.root(), path, flags)?;
        if opaque {
            rustix::fs::fsetxattr(&directory, OPAQUE, b"y", XattrFlags::empty())?;
            return Ok(());
        }
        match rustix::fs::fremovexattr(&directory, OPAQUE) {
            Err(Errno::NODATA) => Ok(()),
            other => Ok(other?),
        }
    }

    fn move_aside(&self, path: &RelPath, to: &RelPath) -> io::Result<()> {
        let (from, into) = (self.parent(path)?, self.parent(to)?);
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&from, path.file_name(), &into, to.file_name(), flags) {
            // Done before.
            Err(Errno::EXIST | Errno::NOENT) => Ok(()),
            other => Ok(other?),
        }
    }

    fn restore(&self, path: &RelPath, generation: u64, slot: u32, node: &Node) -> io::Result<()> {
        let kept = super::undo::slot(&self.undo_area.join(generation.to_string()), slot);
        let staged = self.staging.join("node");
        rustix::fs::linkat(CWD, &kept, CWD, &staged, AtFlags::empty())?;
        self.place(&staged, path)?;
        // Renaming a name of a file onto another name of it does nothing.
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.set_meta(path, &node.meta)?;
        let parent = self.parent(path)?;
        let times = times(node.meta.mtime);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::utimensat(
            &parent,
            path.file_name(),
            &times,
            flags,
        )?)
    }

    /// Renames what was made into its place. An empty directory or a file there is replaced.
    fn place(&self, staged: &Path, path: &RelPath) -> io::Result<()> {
        let parent = self.parent(path)?;
        let name = path.file_name();
        let is_directory =
            |kind: Option<UpperKind>| matches!(kind, Some(UpperKind::Directory { .. }));
        let there = read_entry(&parent, name).ok().map(|entry| entry.kind);
        let made = fs::symlink_metadata(staged)?.is_dir();
        if there.is_some() && (made || is_directory(there)) {
            // The kernel does not rename a file over a directory, nor the other way round.
            remove(&parent, name)?;
        }
        Ok(rustix::fs::renameat(CWD, staged, &parent, name)?)
    }
}

impl Drop for Editor<'_> {
    fn drop(&mut self) {
        if !self.leaves_staging {
            // Rubbish if it stays: the next editor removes it.
            drop(fs::remove_dir_all(&self.staging));
        }
    }
}

/// Removes a file, or a directory that is empty; nothing there is fine.
fn remove(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    let result = match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR),
        other => other,
    };
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn make_node(path: &Path, kind: FileType, major: u32, minor: u32) -> io::Result<()> {
    let device = rustix::fs::makedev(major, minor);
    Ok(rustix::fs::mknodat(CWD, path, kind, Mode::empty(), device)?)
}

/// Owner, then mode and attributes: a change of owner clears setuid and capabilities.
fn write_meta(file: &OwnedFd, meta: &Meta, with_mode: bool) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
    rustix::fs::chownat(file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    if !with_mode {
        return Ok(());
    }
    let link = magic_link(file);
    rustix::fs::chmod(&link, Mode::from_raw_mode(meta.mode.into()))?;
    let list = xattr_names(&link)?;
    for name in list
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        let own = name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
        if !own && !meta.xattrs.contains_key(name) {
            rustix::fs::removexattr(&link, name)?;
        }
    }
    for (name, value) in &meta.xattrs {
        rustix::fs::setxattr(&link, name.as_slice(), value, XattrFlags::empty())?;
    }
    Ok(())
}

fn times(mtime: Timestamp) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.seconds,
        tv_nsec: mtime.nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

fn set_time(path: &Path, mtime: Timestamp) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(rustix::fs::utimensat(CWD, path, &times(mtime), flags)?)
}
