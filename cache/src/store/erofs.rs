//! A tree as the bytes of an EROFS image and back. Pure; the only file that knows `composefs`.
//!
//! Of that crate only the writer and the reader of the format are used, in its format 1, which the kernel mounts as a
//! metadata-only layer: a file is an inode with `trusted.overlay.redirect=/ab/cdef…`, its object's place below the data
//! layer. Root holds 256 whiteouts that hide the shards where such a layer is stacked directly; reading skips them.

use super::image_error::ImageError;
use composefs::erofs::format::FormatVersion;
use composefs::erofs::reader::{collect_objects, erofs_to_filesystem};
use composefs::erofs::writer::{ValidatedFileSystem, mkfs_erofs_versioned};
use composefs::fsverity::Sha256HashValue;
use composefs::generic_tree::{Inode, LeafContent, LeafId, Stat};
use composefs::tree::{Directory, FileSystem, RegularFile};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind, Tree};
use vzpkg_metadata::{Digest, RelPath, Timestamp};
use zerocopy::IntoBytes as _;

type Id = Sha256HashValue;

/// Extended attributes that an EROFS image can carry, by the beginning of their names.
const XATTR_PREFIXES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
/// Names of which overlayfs makes something else.
const XATTR_OVERLAY: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];
/// Full names outside those namespaces.
const XATTR_ACL: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// The image of a canonical tree: the same bytes for the same tree. About 5 µs per name.
pub(super) fn encode(tree: &Tree) -> Result<Box<[u8]>, ImageError> {
    tree.check()?;
    let mut writer = Writer::default();
    for (path, entry) in tree.iter() {
        writer.add(path, entry)?;
    }
    let filesystem = writer.finish()?;
    let valid = ValidatedFileSystem::new(filesystem)
        .map_err(|error| unsupported_whole(&error.to_string()))?;
    Ok(mkfs_erofs_versioned(&valid, FormatVersion::V1))
}

fn unsupported(path: &RelPath, problem: &'static str) -> ImageError {
    ImageError::Unsupported {
        path: path.clone(),
        problem,
    }
}

fn unsupported_whole(problem: &str) -> ImageError {
    ImageError::Writer(problem.to_owned())
}

/// A directory that is being filled; its path has as many components as there are directories below it on the stack.
struct Open {
    path: RelPath,
    directory: Directory<Id>,
}

#[derive(Default)]
struct Writer {
    open: Vec<Open>,
    leaves: Vec<composefs::tree::Leaf<Id>>,
    by_path: BTreeMap<RelPath, LeafId>,
}

impl Writer {
    fn add(&mut self, path: &RelPath, entry: &Entry) -> Result<(), ImageError> {
        while let Some(top) = self.open.last() {
            if path.is_within(&top.path) {
                break;
            }
            self.close();
        }
        let inode = match entry {
            Entry::Node(node) => {
                let stat = stat(path, &node.meta)?;
                let Some(content) = content(path, &node.kind)? else {
                    let directory = Directory::new(stat);
                    let path = path.clone();
                    self.open.push(Open { path, directory });
                    return Ok(());
                };
                let id = LeafId(self.leaves.len());
                self.leaves.push(composefs::tree::Leaf { stat, content });
                self.by_path.insert(path.clone(), id);
                Inode::leaf(id)
            }
            Entry::HardLink(target) => {
                let id = self.by_path.get(target).copied();
                Inode::leaf(id.ok_or_else(|| unsupported(path, "it links to a later name"))?)
            }
        };
        self.put(path.file_name(), inode);
        Ok(())
    }

    /// Puts an inode into the innermost open directory. `Tree::check` made sure there is one.
    fn put(&mut self, name: &[u8], inode: Inode<RegularFile<Id>>) {
        if let Some(parent) = self.open.last_mut() {
            parent.directory.insert(OsStr::from_bytes(name), inode);
        }
    }

    /// Closes the innermost directory, but never the root.
    fn close(&mut self) {
        if self.open.len() > 1
            && let Some(Open { path, directory }) = self.open.pop()
        {
            self.put(path.file_name(), Inode::Directory(Box::new(directory)));
        }
    }

    fn finish(mut self) -> Result<FileSystem<Id>, ImageError> {
        while self.open.len() > 1 {
            self.close();
        }
        let root = self
            .open
            .pop()
            .ok_or_else(|| unsupported(&RelPath::root(), "the tree has no root"))?;
        Ok(FileSystem {
            root: root.directory,
            leaves: self.leaves,
        })
    }
}

fn stat(path: &RelPath, meta: &Meta) -> Result<Stat, ImageError> {
    if meta.xattrs.len() > 128 {
        return Err(unsupported(
            path,
            "it has more than 128 extended attributes",
        ));
    }
    let mut xattrs = BTreeMap::new();
    for (name, value) in &meta.xattrs {
        let known = XATTR_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || XATTR_ACL.contains(&name.as_slice());
        if !known || name.len() > 255 || XATTR_OVERLAY.iter().any(|prefix| name.starts_with(prefix))
        {
            return Err(unsupported(
                path,
                "it has an extended attribute of that name",
            ));
        }
        if value.len() > usize::from(u16::MAX) {
            return Err(unsupported(path, "it has too long an extended attribute"));
        }
        xattrs.insert(
            OsStr::from_bytes(name).into(),
            value.clone().into_boxed_slice(),
        );
    }
    Ok(Stat {
        st_mode: u32::from(meta.mode),
        st_uid: meta.uid,
        st_gid: meta.gid,
        st_mtim_sec: meta.mtime.seconds,
        st_mtim_nsec: meta.mtime.nanoseconds,
        xattrs,
    })
}

/// What a leaf is; `None` for a directory.
fn content(
    path: &RelPath,
    kind: &NodeKind,
) -> Result<Option<LeafContent<RegularFile<Id>>>, ImageError> {
    let content = match kind {
        NodeKind::Directory => return Ok(None),
        NodeKind::File { digest, size: 0 } if *digest == Digest::of(b"") => {
            LeafContent::Regular(RegularFile::Inline(Box::default()))
        }
        NodeKind::File { size: 0, .. } => {
            return Err(unsupported(path, "it is empty but its digest is not"));
        }
        NodeKind::File { digest, size } => {
            let id = Id::from(*digest.as_bytes());
            LeafContent::Regular(RegularFile::ExternalNoVerity(id, *size))
        }
        NodeKind::Symlink { target } if target.is_empty() || target.len() > 4095 => {
            return Err(unsupported(path, "its target is empty or too long"));
        }
        NodeKind::Symlink { target } => LeafContent::Symlink(OsStr::from_bytes(target).into()),
        // Device 0:0 is overlayfs' mark for a deleted name.
        NodeKind::CharacterDevice { major: 0, minor: 0 } => {
            return Err(unsupported(path, "it is character device 0:0"));
        }
        NodeKind::CharacterDevice { major, minor } => {
            LeafContent::CharacterDevice(device(path, *major, *minor)?)
        }
        NodeKind::BlockDevice { major, minor } => {
            LeafContent::BlockDevice(device(path, *major, *minor)?)
        }
        NodeKind::Fifo => LeafContent::Fifo,
    };
    Ok(Some(content))
}

/// The kernel's 32-bit form of a device number: 12 bits of major, 20 of minor.
fn device(path: &RelPath, major: u32, minor: u32) -> Result<u64, ImageError> {
    if major > 0xfff || minor > 0xf_ffff {
        return Err(unsupported(path, "its device number is too large"));
    }
    Ok(u64::from(
        (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12),
    ))
}

/// Reads the tree of an image. Refuses what [`encode`] would not write where that would change the tree; the caller
/// compares the digest.
pub(super) fn decode(image: &[u8]) -> Result<Tree, String> {
    let filesystem = erofs_to_filesystem::<Id>(image).map_err(|error| format!("{error:#}"))?;
    let mut reader = Reader {
        first: vec![None; filesystem.leaves.len()],
        filesystem: &filesystem,
        entries: Vec::with_capacity(filesystem.leaves.len() * 2),
    };
    reader.directory(&RelPath::root(), &filesystem.root)?;
    // Collected in order, so the map is built in linear time.
    Ok(reader.entries.into_iter().collect())
}

/// The objects that an image refers to: a third of the time of [`decode`].
pub(super) fn objects(image: &[u8]) -> Result<Vec<Digest>, String> {
    let ids = collect_objects::<Id>(image).map_err(|error| error.to_string())?;
    Ok(ids.iter().map(digest_of).collect())
}

fn digest_of(id: &Id) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(id.as_bytes());
    Digest::from_bytes(bytes)
}

struct Reader<'a> {
    filesystem: &'a FileSystem<Id>,
    /// The first path of each leaf.
    first: Vec<Option<RelPath>>,
    entries: Vec<(RelPath, Entry)>,
}

impl Reader<'_> {
    /// Recursion is bounded by the reader of the format, which refuses paths deeper than `PATH_MAX / 2`.
    fn directory(&mut self, path: &RelPath, directory: &Directory<Id>) -> Result<(), String> {
        let node = Node {
            meta: meta(&directory.stat),
            kind: NodeKind::Directory,
        };
        self.entries.push((path.clone(), node.into()));
        for (name, inode) in directory.sorted_entries() {
            let path = path
                .join(name.as_bytes())
                .map_err(|error| error.to_string())?;
            match inode {
                Inode::Directory(directory) => self.directory(&path, directory)?,
                Inode::Leaf(id, _) => {
                    let entry = self.leaf(&path, *id)?;
                    self.entries.push((path, entry));
                }
            }
        }
        Ok(())
    }

    fn leaf(&mut self, path: &RelPath, id: LeafId) -> Result<Entry, String> {
        let missing = || format!("`{path}` has no inode");
        let first = self.first.get_mut(id.0).ok_or_else(missing)?;
        if let Some(first) = first {
            return Ok(Entry::HardLink(first.clone()));
        }
        *first = Some(path.clone());
        let leaf = self.filesystem.leaves.get(id.0).ok_or_else(missing)?;
        let kind = match &leaf.content {
            LeafContent::Regular(RegularFile::Inline(bytes)) => NodeKind::File {
                digest: Digest::of(bytes),
                size: bytes.len() as u64,
            },
            LeafContent::Regular(
                RegularFile::ExternalNoVerity(id, size) | RegularFile::External(id, size),
            ) => NodeKind::File {
                digest: digest_of(id),
                size: *size,
            },
            LeafContent::Regular(RegularFile::Sparse(_)) => {
                return Err(format!("`{path}` has no content"));
            }
            LeafContent::Symlink(target) => NodeKind::Symlink {
                target: target.as_bytes().to_vec(),
            },
            LeafContent::CharacterDevice(device) => {
                let (major, minor) = major_minor(*device);
                NodeKind::CharacterDevice { major, minor }
            }
            LeafContent::BlockDevice(device) => {
                let (major, minor) = major_minor(*device);
                NodeKind::BlockDevice { major, minor }
            }
            LeafContent::Fifo => NodeKind::Fifo,
            LeafContent::Socket => return Err(format!("`{path}` is a socket")),
        };
        let meta = meta(&leaf.stat);
        Ok(Entry::Node(Node { meta, kind }))
    }
}

fn meta(stat: &Stat) -> Meta {
    Meta {
        // The reader masks the file type off, so this always fits.
        mode: u16::try_from(stat.st_mode & 0o7777).unwrap_or_default(),
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Timestamp {
            seconds: stat.st_mtim_sec,
            nanoseconds: stat.st_mtim_nsec,
        },
        xattrs: stat
            .xattrs
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()))
            .collect(),
    }
}

fn major_minor(device: u64) -> (u32, u32) {
    let device = u32::try_from(device).unwrap_or(u32::MAX);
    (
        (device >> 8) & 0xfff,
        (device & 0xff) | ((device >> 12) & 0xf_ff00),
    )
}
