//! The bytes of a tree, the same for equal trees on every machine, and back.
//!
//! ```text
//! "vzpkg-tree 1\n"                                       then for each entry, in path order:
//! u32 length, path    u8 kind                            kinds: d f l c b p h
//! u16 mode  u32 uid  u32 gid  i64 seconds  u32 nanos     not for h
//! u32 count, then per xattr: u32 length, name, u32 length, value, by name; not for h
//! f: 32 bytes sha256, u64 size    l: u32 length, target    c b: u32 major, u32 minor    h: u32 length, target path
//! ```
//!
//! Numbers are little-endian. Decoding refuses everything encoding would not write: wrong order, unknown kinds,
//! overlong numbers, trailing bytes. The format number changes with any change here, and old numbers stay readable.

use super::{Entry, Meta, Node, NodeKind, Tree};
use crate::path::PathError;
use crate::{Digest, RelPath, Timestamp, limits};
use std::collections::BTreeMap;

/// The format number this code writes.
pub const FORMAT: u32 = 1;

const MAGIC: &[u8] = b"vzpkg-tree 1\n";

/// Why bytes are not an encoded tree.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TreeDecodeError {
    /// It does not start with the magic line of a known format.
    #[error("not a tree of format {FORMAT}")]
    Format,
    /// It ends in the middle of an entry.
    #[error("the tree is cut off at byte {0}")]
    Truncated(usize),
    /// Entries are not in strictly ascending path order, or xattrs not in name order.
    #[error("`{0}` is out of order")]
    Order(RelPath),
    /// A path that breaks the rules.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A kind byte, mode, time or attribute that encoding would not write.
    #[error("`{path}` has an invalid {field}")]
    Field {
        /// The entry.
        path: RelPath,
        /// Which part of it.
        field: &'static str,
    },
}

impl Tree {
    /// The canonical bytes. Linear; about 100 bytes per name.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len().saturating_mul(100));
        out.extend_from_slice(MAGIC);
        for (path, entry) in self.iter() {
            put_bytes(&mut out, path.as_bytes());
            match entry {
                Entry::HardLink(target) => {
                    out.push(b'h');
                    put_bytes(&mut out, target.as_bytes());
                }
                Entry::Node(node) => put_node(&mut out, node),
            }
        }
        out
    }

    /// The digest that names this tree: sha256 of [`Tree::encode`].
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }

    /// Reads what [`Tree::encode`] wrote.
    ///
    /// # Errors
    /// [`TreeDecodeError`] for anything else. That names lie in directories is for [`Tree::check`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeDecodeError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(TreeDecodeError::Format)?;
        let mut input = Input {
            total: bytes.len(),
            rest,
        };
        let mut entries = BTreeMap::new();
        let mut last: Option<RelPath> = None;
        while !input.rest.is_empty() {
            let path = RelPath::parse(input.bytes()?)?;
            if last.as_ref().is_some_and(|last| *last >= path) {
                return Err(TreeDecodeError::Order(path));
            }
            let entry = take_entry(&mut input, &path)?;
            last = Some(path.clone());
            entries.insert(path, entry);
        }
        Ok(Self { entries })
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // Lengths are bounded by limits far below 4 GiB.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn put_node(out: &mut Vec<u8>, node: &Node) {
    out.push(match node.kind {
        NodeKind::Directory => b'd',
        NodeKind::File { .. } => b'f',
        NodeKind::Symlink { .. } => b'l',
        NodeKind::CharacterDevice { .. } => b'c',
        NodeKind::BlockDevice { .. } => b'b',
        NodeKind::Fifo => b'p',
    });
    let Meta {
        mode,
        uid,
        gid,
        mtime,
        xattrs,
    } = &node.meta;
    out.extend_from_slice(&mode.to_le_bytes());
    out.extend_from_slice(&uid.to_le_bytes());
    out.extend_from_slice(&gid.to_le_bytes());
    out.extend_from_slice(&mtime.seconds.to_le_bytes());
    out.extend_from_slice(&mtime.nanoseconds.to_le_bytes());
    out.extend_from_slice(
        &u32::try_from(xattrs.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    for (name, value) in xattrs {
        put_bytes(out, name);
        put_bytes(out, value);
    }
    match &node.kind {
        NodeKind::Directory | NodeKind::Fifo => {}
        NodeKind::File { digest, size } => {
            out.extend_from_slice(digest.as_bytes());
            out.extend_from_slice(&size.to_le_bytes());
        }
        NodeKind::Symlink { target } => put_bytes(out, target),
        NodeKind::CharacterDevice { major, minor } | NodeKind::BlockDevice { major, minor } => {
            out.extend_from_slice(&major.to_le_bytes());
            out.extend_from_slice(&minor.to_le_bytes());
        }
    }
}

struct Input<'a> {
    total: usize,
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], TreeDecodeError> {
        let at = self.total.saturating_sub(self.rest.len());
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(TreeDecodeError::Truncated(at))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TreeDecodeError> {
        let at = self.total.saturating_sub(self.rest.len());
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(TreeDecodeError::Truncated(at))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, TreeDecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Result<&'a [u8], TreeDecodeError> {
        let length = self.u32()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }
}

fn take_entry(input: &mut Input<'_>, path: &RelPath) -> Result<Entry, TreeDecodeError> {
    let [kind] = input.array()?;
    if kind == b'h' {
        return Ok(Entry::HardLink(RelPath::parse(input.bytes()?)?));
    }
    let meta = take_meta(input, path)?;
    let kind = match kind {
        b'd' => NodeKind::Directory,
        b'f' => NodeKind::File {
            digest: Digest::from_bytes(input.array()?),
            size: u64::from_le_bytes(input.array()?),
        },
        b'l' => NodeKind::Symlink {
            target: input.bytes()?.to_vec(),
        },
        b'c' => NodeKind::CharacterDevice {
            major: input.u32()?,
            minor: input.u32()?,
        },
        b'b' => NodeKind::BlockDevice {
            major: input.u32()?,
            minor: input.u32()?,
        },
        b'p' => NodeKind::Fifo,
        _ => {
            return Err(TreeDecodeError::Field {
                path: path.clone(),
                field: "kind",
            });
        }
    };
    Ok(Entry::Node(Node { meta, kind }))
}

fn take_meta(input: &mut Input<'_>, path: &RelPath) -> Result<Meta, TreeDecodeError> {
    let invalid = |field| TreeDecodeError::Field {
        path: path.clone(),
        field,
    };
    let mode = u16::from_le_bytes(input.array()?);
    let (uid, gid) = (input.u32()?, input.u32()?);
    let mtime = Timestamp {
        seconds: i64::from_le_bytes(input.array()?),
        nanoseconds: input.u32()?,
    };
    if mode > 0o7777 {
        return Err(invalid("mode"));
    }
    if mtime.nanoseconds >= 1_000_000_000 {
        return Err(invalid("time"));
    }
    let mut xattrs: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut total = 0_usize;
    for _ in 0..input.u32()? {
        let (name, value) = (input.bytes()?, input.bytes()?);
        total = total.saturating_add(name.len()).saturating_add(value.len());
        let in_order = xattrs
            .last_key_value()
            .is_none_or(|(last, _)| last.as_slice() < name);
        if !in_order || name.is_empty() || total > limits::XATTR_BYTES {
            return Err(invalid("extended attribute"));
        }
        xattrs.insert(name.to_vec(), value.to_vec());
    }
    Ok(Meta {
        mode,
        uid,
        gid,
        mtime,
        xattrs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    fn sample() -> Tree {
        let time = Timestamp {
            seconds: 1_700_000_000,
            nanoseconds: 5,
        };
        let mut tree = Tree::new();
        tree.insert(RelPath::root(), Node::directory(0o755, time));
        tree.insert(path("bin"), Node::directory(0o755, time));
        let mut shell = Node::file(0o4755, time, b"#!");
        shell
            .meta
            .xattrs
            .insert(b"security.capability".to_vec(), vec![1, 0, 0, 2]);
        tree.insert(path("bin/sh"), shell);
        tree.insert(path("bin/ash"), Entry::HardLink(path("bin/sh")));
        tree.insert(path("etc"), Node::symlink("/usr/etc", time));
        let null = NodeKind::CharacterDevice { major: 1, minor: 3 };
        tree.insert(
            path("null"),
            Node {
                meta: Meta::default(),
                kind: null,
            },
        );
        tree.insert(
            path("pipe"),
            Node {
                meta: Meta::default(),
                kind: NodeKind::Fifo,
            },
        );
        tree
    }

    #[test]
    fn a_tree_survives_encoding() {
        let tree = sample();
        tree.check().unwrap();
        assert_eq!(Tree::decode(&tree.encode()).unwrap(), tree);
    }

    #[test]
    fn the_digest_of_the_format_is_fixed_for_ever() {
        insta::assert_snapshot!(sample().digest(), @"5560ee655f9837c62a5447c96fee8ebaa40986f2b4932ee94605c32e4767c8e2");
    }

    #[test]
    fn every_cut_and_trailing_byte_is_refused() {
        let bytes = sample().encode();
        let whole_entries = sample().len();
        for length in 0..bytes.len() {
            if let Ok(tree) = Tree::decode(&bytes[..length]) {
                assert!(tree.len() < whole_entries, "cut at {length}");
            }
        }
        assert!(Tree::decode(&[&bytes[..], b"x"].concat()).is_err());
    }

    #[test]
    fn links_become_canonical_and_survive_removal() {
        let mut tree = sample();
        tree.canonicalize_links();
        assert_eq!(
            tree.get(&path("bin/sh")),
            Some(&Entry::HardLink(path("bin/ash")))
        );
        tree.check().unwrap();
        tree.remove_subtree(&path("bin/ash"));
        assert!(
            tree.get(&path("bin/sh"))
                .unwrap()
                .as_node()
                .unwrap()
                .is_file()
        );
        tree.check().unwrap();
    }
}
