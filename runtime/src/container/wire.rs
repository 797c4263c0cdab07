//! How paths, nodes and metadata are written in the plan and undo files: JSON, readable by a person.
//!
//! Bytes that are not printable ASCII, `%` included, are written as `%XX`.

use vzpkg_metadata::tree::{Meta, Node, NodeKind};
use vzpkg_metadata::{Digest, RelPath, Timestamp};

fn escape(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_graphic() && byte != b'%' || byte == b' ' {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _always = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    Some(bytes)
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WireMeta {
    mode: u16,
    uid: u32,
    gid: u32,
    mtime: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    xattrs: Vec<(String, String)>,
}

impl From<&Meta> for WireMeta {
    fn from(meta: &Meta) -> Self {
        let xattrs = &meta.xattrs;
        Self {
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            mtime: meta.mtime,
            xattrs: xattrs
                .iter()
                .map(|(name, value)| (escape(name), escape(value)))
                .collect(),
        }
    }
}

impl WireMeta {
    fn into_meta(self) -> Option<Meta> {
        let xattrs = self
            .xattrs
            .into_iter()
            .map(|(name, value)| Some((unescape(&name)?, unescape(&value)?)))
            .collect::<Option<_>>()?;
        Some(Meta {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            xattrs,
        })
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireKind {
    Directory,
    File { digest: Digest, size: u64 },
    Symlink { target: String },
    CharacterDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
    Fifo,
}

impl From<&NodeKind> for WireKind {
    fn from(kind: &NodeKind) -> Self {
        match *kind {
            NodeKind::Directory => Self::Directory,
            NodeKind::File { digest, size } => Self::File { digest, size },
            NodeKind::Symlink { ref target } => Self::Symlink {
                target: escape(target),
            },
            NodeKind::CharacterDevice { major, minor } => Self::CharacterDevice { major, minor },
            NodeKind::BlockDevice { major, minor } => Self::BlockDevice { major, minor },
            NodeKind::Fifo => Self::Fifo,
        }
    }
}

impl WireKind {
    fn into_kind(self) -> Option<NodeKind> {
        Some(match self {
            Self::Directory => NodeKind::Directory,
            Self::File { digest, size } => NodeKind::File { digest, size },
            Self::Symlink { target } => NodeKind::Symlink {
                target: unescape(&target)?,
            },
            Self::CharacterDevice { major, minor } => NodeKind::CharacterDevice { major, minor },
            Self::BlockDevice { major, minor } => NodeKind::BlockDevice { major, minor },
            Self::Fifo => NodeKind::Fifo,
        })
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct WireNode {
    meta: WireMeta,
    kind: WireKind,
}

/// A path, as an escaped string.
pub(super) mod path {
    use super::RelPath;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        path: &RelPath,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::escape(path.as_bytes()))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<RelPath, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = super::unescape(&text).ok_or_else(|| D::Error::custom("bad escape"))?;
        RelPath::parse(&bytes).map_err(D::Error::custom)
    }
}

/// Metadata, as a map.
pub(super) mod meta {
    use super::{Meta, WireMeta};
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        meta: &Meta,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        WireMeta::from(meta).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Meta, D::Error> {
        WireMeta::deserialize(from)?
            .into_meta()
            .ok_or_else(|| D::Error::custom("bad escape"))
    }
}

/// A node, as a map of metadata and kind.
pub(super) mod node {
    use super::{Node, WireKind, WireMeta, WireNode};
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        node: &Node,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        WireNode {
            meta: WireMeta::from(&node.meta),
            kind: WireKind::from(&node.kind),
        }
        .serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Node, D::Error> {
        let WireNode { meta, kind } = WireNode::deserialize(from)?;
        let error = || D::Error::custom("bad escape");
        Ok(Node {
            meta: meta.into_meta().ok_or_else(error)?,
            kind: kind.into_kind().ok_or_else(error)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_escaping() {
        let all: Vec<u8> = (0..=255).collect();
        let text = escape(&all);
        assert!(text.is_ascii() && !text.contains('\n'));
        assert_eq!(unescape(&text), Some(all));
        assert_eq!(unescape("%4"), None);
        assert_eq!(unescape("%zz"), None);
    }
}
