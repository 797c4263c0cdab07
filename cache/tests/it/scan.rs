//! Reads a directory as the kernel shows it into a tree, with contents hashed: what a mount or an export is held to.

use rustix::fs::{lgetxattr, llistxattr, major, minor};
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind, Tree};
use vzpkg_metadata::{Digest, RelPath, Timestamp};

/// The tree below `root`, which becomes its root. Attributes that overlayfs makes are left out.
pub(crate) fn scan(root: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    let mut first = BTreeMap::new();
    let mut waiting = vec![RelPath::root()];
    while let Some(path) = waiting.pop() {
        let place = root.join(path.as_path());
        let metadata = fs::symlink_metadata(&place)?;
        let entry = Entry::Node(node(&place, &metadata)?);
        tree.insert(path.clone(), entry);
        if metadata.is_dir() {
            for child in fs::read_dir(&place)? {
                let name = child?.file_name();
                let child = path.join(name.as_bytes()).map_err(io::Error::other)?;
                waiting.push(child);
            }
        } else if metadata.nlink() > 1 {
            let names: &mut Vec<RelPath> =
                first.entry((metadata.dev(), metadata.ino())).or_default();
            names.push(path);
        }
    }
    for mut names in first.into_values() {
        names.sort();
        let target = names.remove(0);
        for name in names {
            tree.insert(name, Entry::HardLink(target.clone()));
        }
    }
    Ok(tree)
}

fn node(place: &Path, metadata: &Metadata) -> io::Result<Node> {
    let kind = metadata.file_type();
    let device = metadata.rdev();
    let (major, minor) = (major(device), minor(device));
    let kind = if kind.is_dir() {
        NodeKind::Directory
    } else if kind.is_symlink() {
        let target = fs::read_link(place)?.as_os_str().as_bytes().to_vec();
        NodeKind::Symlink { target }
    } else if kind.is_char_device() {
        NodeKind::CharacterDevice { major, minor }
    } else if kind.is_block_device() {
        NodeKind::BlockDevice { major, minor }
    } else if kind.is_fifo() {
        NodeKind::Fifo
    } else {
        let bytes = fs::read(place)?;
        NodeKind::File {
            digest: Digest::of(&bytes),
            size: metadata.len(),
        }
    };
    let meta = Meta {
        mode: u16::try_from(metadata.mode() & 0o7777).map_err(io::Error::other)?,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: Timestamp {
            seconds: metadata.mtime(),
            nanoseconds: u32::try_from(metadata.mtime_nsec()).map_err(io::Error::other)?,
        },
        xattrs: xattrs(place)?,
    };
    Ok(Node { meta, kind })
}

fn xattrs(place: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut names = vec![0; 4096];
    let length = llistxattr(place, &mut names)?;
    let mut found = BTreeMap::new();
    for name in names[..length].split(|&byte| byte == 0) {
        if name.is_empty() || name.starts_with(b"trusted.overlay.") {
            continue;
        }
        let mut value = vec![0; 4096];
        let length = lgetxattr(place, name, &mut value)?;
        value.truncate(length);
        found.insert(name.to_vec(), value);
    }
    Ok(found)
}

/// The names at which two trees differ, each with both sides: readable where a whole tree is not.
pub(crate) fn differences(expected: &Tree, found: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, entry) in expected.iter() {
        if found.get(path) != Some(entry) {
            lines.push(format!(
                "{path}: expected {entry:?}, found {:?}",
                found.get(path)
            ));
        }
    }
    for (path, entry) in found.iter() {
        if expected.get(path).is_none() {
            lines.push(format!("{path}: not expected, found {entry:?}"));
        }
    }
    lines
}
