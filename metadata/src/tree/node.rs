//! One name of a tree: its metadata and what it is.

use crate::{Digest, RelPath, Timestamp};
use std::collections::BTreeMap;

/// Owner, permissions, time and extended attributes: what an inode carries besides its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits with setuid, setgid and sticky: `0o0000..=0o7777`. No file type.
    pub mode: u16,
    /// Owner, as inside a container.
    pub uid: u32,
    /// Group, as inside a container.
    pub gid: u32,
    /// Time of last modification.
    pub mtime: Timestamp,
    /// Extended attributes by full name (`security.capability`, `user.x`); never `trusted.overlay.*`.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What a name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory; what it holds are the entries below its path.
    Directory,
    /// A regular file.
    File {
        /// SHA-256 of its bytes.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to, as stored; may be absolute or lead out of the tree.
        target: Vec<u8>,
    },
    /// A character device.
    CharacterDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// An inode: metadata and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its metadata.
    pub meta: Meta,
    /// What it is.
    pub kind: NodeKind,
}

impl Node {
    /// A directory with this mode, owned by root.
    pub fn directory(mode: u16, mtime: Timestamp) -> Self {
        Self {
            meta: Meta {
                mode,
                mtime,
                ..Meta::default()
            },
            kind: NodeKind::Directory,
        }
    }

    /// A symbolic link owned by root.
    pub fn symlink(target: impl Into<Vec<u8>>, mtime: Timestamp) -> Self {
        let meta = Meta {
            mode: 0o777,
            mtime,
            ..Meta::default()
        };
        Self {
            meta,
            kind: NodeKind::Symlink {
                target: target.into(),
            },
        }
    }

    /// A regular file with these bytes, owned by root. The bytes themselves are the caller's to store.
    pub fn file(mode: u16, mtime: Timestamp, content: &[u8]) -> Self {
        let kind = NodeKind::File {
            digest: Digest::of(content),
            size: content.len() as u64,
        };
        Self {
            meta: Meta {
                mode,
                mtime,
                ..Meta::default()
            },
            kind,
        }
    }

    /// Whether this is a directory.
    pub const fn is_directory(&self) -> bool {
        matches!(self.kind, NodeKind::Directory)
    }

    /// Whether this is a regular file.
    pub const fn is_file(&self) -> bool {
        matches!(self.kind, NodeKind::File { .. })
    }
}

/// What stands at one path of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An inode of its own.
    Node(Node),
    /// A further name of the inode whose node stands at this other path.
    HardLink(RelPath),
}

impl Entry {
    /// The node, unless this is a hard link.
    pub const fn as_node(&self) -> Option<&Node> {
        match self {
            Self::Node(node) => Some(node),
            Self::HardLink(_) => None,
        }
    }
}

impl From<Node> for Entry {
    fn from(node: Node) -> Self {
        Self::Node(node)
    }
}
