//! The tree of a version as sparse files that point to its objects: what an image says, for kernels that cannot mount
//! images where the store lies. Costs one inode per name.

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind, Tree, TreeError};
use vzpkg_metadata::{Digest, RelPath};

/// Why stubs could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StubError {
    /// The tree breaks a rule of trees.
    #[error("the tree cannot be written as stubs")]
    Tree(#[from] TreeError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Writes `tree` as stubs into `directory`, which exists and is empty; needs root. About 50 µs per name. Not synced.
///
/// # Errors
/// [`StubError::Tree`] before anything is written; [`StubError::File`] leaves what has been written.
pub fn write_stubs(tree: &Tree, directory: &Path) -> Result<(), StubError> {
    tree.check()?;
    let place = |path: &RelPath| directory.join(path.as_path());
    let mut links = Vec::new();
    let mut directories = Vec::new();
    for (path, entry) in tree.iter() {
        let at = place(path);
        match entry {
            Entry::HardLink(target) => links.push((at, place(target))),
            Entry::Node(node) => {
                make(node, &at).map_err(FileError::on("write stub", &at))?;
                if node.is_directory() {
                    directories.push((at, &node.meta));
                } else {
                    dress(&node.meta, &at, node).map_err(FileError::on("write stub", &at))?;
                }
            }
        }
    }
    for (at, target) in links {
        fs::hard_link(target, &at).map_err(FileError::on("link", &at))?;
    }
    // Deepest first and after everything else: making a name changes the times of its directory.
    for (at, meta) in directories.iter().rev() {
        let node = Node::directory(0, meta.mtime);
        dress(meta, at, &node).map_err(FileError::on("write stub", at))?;
    }
    Ok(())
}

fn make(node: &Node, at: &Path) -> io::Result<()> {
    let special = |kind, device| {
        rustix::fs::mknodat(CWD, at, kind, Mode::from_raw_mode(0o600), device)
            .map_err(io::Error::from)
    };
    match &node.kind {
        NodeKind::Directory => match fs::create_dir(at) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()), // the root
            other => other,
        },
        NodeKind::File { digest, size } => {
            File::create_new(at)?.set_len(*size)?;
            if *size > 0 {
                point(at, digest)?;
            }
            Ok(())
        }
        NodeKind::Symlink { target } => std::os::unix::fs::symlink(OsStr::from_bytes(target), at),
        NodeKind::CharacterDevice { major, minor } => special(
            FileType::CharacterDevice,
            rustix::fs::makedev(*major, *minor),
        ),
        NodeKind::BlockDevice { major, minor } => {
            special(FileType::BlockDevice, rustix::fs::makedev(*major, *minor))
        }
        NodeKind::Fifo => special(FileType::Fifo, 0),
    }
}

/// Tells overlayfs that the content of a file is that of an object in the data layer.
fn point(at: &Path, digest: &Digest) -> io::Result<()> {
    let name = digest.to_string();
    let (shard, rest) = name.split_at(2);
    let object = format!("/{shard}/{rest}");
    let flags = XattrFlags::empty();
    rustix::fs::lsetxattr(at, "trusted.overlay.metacopy", b"", flags)?;
    rustix::fs::lsetxattr(at, "trusted.overlay.redirect", object.as_bytes(), flags)?;
    Ok(())
}

/// Gives a name its owner, mode, attributes and time, in the order in which none undoes another.
fn dress(meta: &Meta, at: &Path, node: &Node) -> io::Result<()> {
    std::os::unix::fs::lchown(at, Some(meta.uid), Some(meta.gid))?;
    if !matches!(node.kind, NodeKind::Symlink { .. }) {
        fs::set_permissions(at, Permissions::from_mode(meta.mode.into()))?;
    }
    for (name, value) in &meta.xattrs {
        rustix::fs::lsetxattr(at, name.as_slice(), value, XattrFlags::empty())?;
    }
    let time = Timespec {
        tv_sec: meta.mtime.seconds,
        tv_nsec: meta.mtime.nanoseconds.into(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(rustix::fs::utimensat(
        CWD,
        at,
        &times,
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}
