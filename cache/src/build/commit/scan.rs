//! The names in an upper: what became of each, with its metadata. Contents of files are not read here.

use crate::build::BuildError;
use rustix::fs::FileType;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind};
use vzpkg_metadata::{Digest, RelPath, Timestamp, limits};

/// Which names of an upper are looked at; of others the tree below counts.
pub(in crate::build) type Wanted<'a> = &'a dyn Fn(&RelPath) -> bool;

/// What an upper says about the tree below it.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// What is new or another now. Files have a digest of nothing until their contents were read.
    pub(super) changed: BTreeMap<RelPath, Entry>,
    /// Names that are gone, with all below them, before [`Self::changed`] counts.
    pub(super) removed: BTreeSet<RelPath>,
    /// The files among [`Self::changed`], and where their contents lie.
    pub(super) files: Vec<ChangedFile>,
    /// Files with several names: inode to the first of them.
    inodes: BTreeMap<(u64, u64), RelPath>,
}

/// A file whose contents are still to be read.
#[derive(Debug)]
pub(super) struct ChangedFile {
    /// Its name in the tree.
    pub(super) path: RelPath,
    /// Where it lies in the upper.
    pub(super) place: PathBuf,
    /// Its length.
    pub(super) size: u64,
}

impl Scan {
    /// Looks at every name in `upper` that is wanted, in the order of the names.
    pub(super) fn of(upper: &Path, wanted: Wanted<'_>) -> Result<Self, BuildError> {
        let mut scan = Self::default();
        scan.directory(upper, &RelPath::root(), wanted)?;
        Ok(scan)
    }

    fn directory(
        &mut self,
        directory: &Path,
        path: &RelPath,
        wanted: Wanted<'_>,
    ) -> Result<(), BuildError> {
        if wanted(path) {
            let metadata = metadata(directory)?;
            let xattrs = Xattrs::read(directory)?;
            if xattrs.opaque && !path.is_root() {
                self.removed.insert(path.clone());
            }
            let node = Node {
                meta: meta(&metadata, xattrs.kept),
                kind: NodeKind::Directory,
            };
            self.changed.insert(path.clone(), node.into());
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(FileError::on("list", directory))? {
            let entry = entry.map_err(FileError::on("list", directory))?;
            names.push(entry.file_name());
        }
        names.sort();
        for name in names {
            let place = directory.join(&name);
            let path = path.join(name.as_bytes())?;
            let metadata = metadata(&place)?;
            if metadata.is_dir() {
                self.directory(&place, &path, wanted)?;
            } else if wanted(&path) {
                self.name(&place, path, &metadata)?;
            }
        }
        Ok(())
    }

    fn name(&mut self, place: &Path, path: RelPath, metadata: &Metadata) -> Result<(), BuildError> {
        let device = (
            rustix::fs::major(metadata.rdev()),
            rustix::fs::minor(metadata.rdev()),
        );
        let file_type = FileType::from_raw_mode(metadata.mode());
        if file_type == FileType::CharacterDevice && device == (0, 0) {
            self.removed.insert(path);
            return Ok(());
        }
        if metadata.nlink() > 1 {
            let inode = (metadata.dev(), metadata.ino());
            if let Some(first) = self.inodes.get(&inode) {
                self.changed.insert(path, Entry::HardLink(first.clone()));
                return Ok(());
            }
            self.inodes.insert(inode, path.clone());
        }
        let (major, minor) = device;
        let kind = match file_type {
            FileType::RegularFile => {
                let size = metadata.len();
                self.files.push(ChangedFile {
                    path: path.clone(),
                    place: place.to_owned(),
                    size,
                });
                NodeKind::File {
                    digest: Digest::of(b""),
                    size,
                }
            }
            FileType::Symlink => {
                let target = fs::read_link(place).map_err(FileError::on("read", place))?;
                NodeKind::Symlink {
                    target: target.as_os_str().as_bytes().to_vec(),
                }
            }
            FileType::CharacterDevice => NodeKind::CharacterDevice { major, minor },
            FileType::BlockDevice => NodeKind::BlockDevice { major, minor },
            FileType::Fifo => NodeKind::Fifo,
            // A socket is bound to a process, and all of the build's are dead.
            _ => {
                self.removed.insert(path);
                return Ok(());
            }
        };
        let xattrs = Xattrs::read(place)?.kept;
        let mut meta = meta(metadata, xattrs);
        if file_type == FileType::Symlink {
            meta.mode = 0o777;
        }
        self.changed.insert(path, Node { meta, kind }.into());
        Ok(())
    }
}

fn metadata(path: &Path) -> Result<Metadata, FileError> {
    fs::symlink_metadata(path).map_err(FileError::on("read", path))
}

fn meta(metadata: &Metadata, xattrs: BTreeMap<Vec<u8>, Vec<u8>>) -> Meta {
    Meta {
        mode: u16::try_from(metadata.mode() & 0o7777).unwrap_or_default(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: Timestamp {
            seconds: metadata.mtime(),
            nanoseconds: u32::try_from(metadata.mtime_nsec()).unwrap_or_default(),
        },
        xattrs,
    }
}

/// The attributes of one name of an upper.
struct Xattrs {
    opaque: bool,
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Xattrs {
    fn read(path: &Path) -> Result<Self, FileError> {
        let failed = |error: rustix::io::Errno, path: &Path| {
            FileError::on("read the attributes of", PathBuf::from(path))(error.into())
        };
        let mut names = vec![0_u8; 1024];
        let length = loop {
            match rustix::fs::llistxattr(path, &mut names) {
                Ok(length) => break length,
                Err(rustix::io::Errno::RANGE) if names.len() < limits::XATTR_BYTES => {
                    names.resize(limits::XATTR_BYTES, 0);
                }
                Err(error) => return Err(failed(error, path)),
            }
        };
        let mut found = Self {
            opaque: false,
            kept: BTreeMap::new(),
        };
        let names = names.get(..length).unwrap_or_default();
        for name in names
            .split(|&byte| byte == 0)
            .filter(|name| !name.is_empty())
        {
            let mut value = vec![0_u8; limits::XATTR_BYTES];
            let length = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value)
                .map_err(|error| failed(error, path))?;
            value.truncate(length);
            if name == b"trusted.overlay.opaque" {
                found.opaque = value == b"y";
            } else if !name.starts_with(b"trusted.") && name != b"security.selinux" {
                found.kept.insert(name.to_vec(), value);
            }
        }
        Ok(found)
    }
}
