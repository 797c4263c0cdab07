//! From the upper of a finished run to the new tree: only what changed is read, its bytes become objects.
//!
//! The upper is no longer mounted. A character device 0:0 is a removed name; a directory with the opaque mark hides all
//! that was there before. Names of the overlay itself (`trusted.overlay.*`) never enter a tree.

use super::BuildError;
use crate::store::Store;
use rustix::fs::{FileType, Mode, OFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind, Tree};
use vzpkg_metadata::{RelPath, Timestamp, limits};

/// Merges the changes in `upper` into `base` and stores the bytes of changed files.
///
/// Reads every changed file once; cost does not depend on the size of the base but for one copy of its names.
///
/// # Errors
/// [`BuildError::File`], [`BuildError::Object`] and [`BuildError::Path`] by what cannot be read or stored.
pub fn commit(base: &Tree, upper: &Path, store: &Store) -> Result<Tree, BuildError> {
    let mut scan = Scan {
        store,
        changed: BTreeMap::new(),
        removed: BTreeSet::new(),
        inodes: BTreeMap::new(),
    };
    scan.directory(upper, &RelPath::root())?;
    let mut tree = without(base, &scan.removed, &scan.changed);
    for (path, entry) in scan.changed {
        tree.insert(path, entry);
    }
    tree.canonicalize_links();
    Ok(tree)
}

/// `base` without the names that went or are replaced. A file that lives on under another name moves there.
fn without(base: &Tree, removed: &BTreeSet<RelPath>, changed: &BTreeMap<RelPath, Entry>) -> Tree {
    let mut kept: BTreeMap<RelPath, Entry> = BTreeMap::new();
    let mut moved: BTreeMap<RelPath, Option<RelPath>> = BTreeMap::new();
    let mut hidden: Option<&RelPath> = None;
    for (path, entry) in base.iter() {
        if hidden.is_some_and(|directory| path.is_within(directory)) {
            // Below a directory that went.
        } else if removed.contains(path) {
            hidden = Some(path);
        } else if let Some(new) = changed.get(path) {
            let is_directory = |entry: &Entry| entry.as_node().is_some_and(Node::is_directory);
            if is_directory(entry) && !is_directory(new) {
                hidden = Some(path);
            }
        } else {
            kept.insert(path.clone(), entry.clone());
            continue;
        }
        moved.insert(path.clone(), None);
    }
    for (path, entry) in &mut kept {
        let Entry::HardLink(target) = entry else {
            continue;
        };
        match moved.get_mut(target) {
            None => {}
            Some(Some(home)) => *target = home.clone(),
            Some(home) => {
                if let Some(node) = base.get(target) {
                    *home = Some(path.clone());
                    *entry = node.clone();
                }
            }
        }
    }
    kept.into_iter().collect()
}

struct Scan<'a> {
    store: &'a Store,
    changed: BTreeMap<RelPath, Entry>,
    removed: BTreeSet<RelPath>,
    /// Files with several names: inode to the first of them.
    inodes: BTreeMap<(u64, u64), RelPath>,
}

impl Scan<'_> {
    fn directory(&mut self, directory: &Path, path: &RelPath) -> Result<(), BuildError> {
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
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(FileError::on("list", directory))? {
            let entry = entry.map_err(FileError::on("list", directory))?;
            names.push(entry.file_name());
        }
        names.sort();
        for name in names {
            let place = directory.join(&name);
            let path = path.join(name.as_bytes())?;
            let metadata = self::metadata(&place)?;
            if metadata.is_dir() {
                self.directory(&place, &path)?;
            } else {
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
            FileType::RegularFile => self.file(place)?,
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

    fn file(&self, place: &Path) -> Result<NodeKind, BuildError> {
        // Nobody of the sandbox is alive, but a link in its place would still be followed without this.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(place, flags, Mode::empty())
            .map_err(std::io::Error::from)
            .map_err(FileError::on("open", place))?;
        let (digest, size) = self
            .store
            .objects
            .put_file(&File::from(file), limits::FILE_BYTES)?;
        Ok(NodeKind::File { digest, size })
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
