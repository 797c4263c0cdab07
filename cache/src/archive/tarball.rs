//! A tree as a compressed tar archive, the same bytes for the same tree.
//!
//! POSIX (PAX) format; what its 1988 part cannot hold goes into extended records: long or large values, times before
//! 1970 and below a second, and extended attributes as `SCHILY.xattr.NAME`, as GNU tar, bsdtar and container tools read.

use super::{Export, ExtraFile};
use crate::store::{ObjectError, Objects};
use std::io::{self, Read, Write};
use tar::{Builder, EntryType, Header};
use vzpkg_metadata::digest::Hasher;
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind, Tree, TreeError};
use vzpkg_metadata::{Digest, RelPath};

/// The largest owner of an eight-byte octal field.
const LARGEST_ID: u32 = 0o7_777_777;
/// The largest size of a twelve-byte octal field.
const LARGEST_SIZE: u64 = 0o77_777_777_777;
/// Bytes of the name fields.
const NAME_BYTES: usize = 100;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// zstd, `.tar.zst`.
    Zstd,
    /// gzip, `.tar.gz`.
    Gzip,
    /// Not at all.
    None,
}

/// Why an archive was not written.
#[derive(Debug, thiserror::Error)]
pub enum TarballError {
    /// The tree, with the node files in it, breaks a rule of trees.
    #[error("the tree cannot be archived")]
    Tree(#[from] TreeError),
    /// The content of a file cannot be read or is not what the tree says.
    #[error("cannot archive `{path}`")]
    Content {
        /// Which file.
        path: RelPath,
        /// Why.
        source: ObjectError,
    },
    /// An object is not as long as the tree says.
    #[error("cannot archive `{path}`: its object has {found} bytes instead of {expected}")]
    Length {
        /// Which file.
        path: RelPath,
        /// What the tree says.
        expected: u64,
        /// What the object has.
        found: u64,
    },
    /// The archive cannot be written.
    #[error("cannot write the archive at `{path}`")]
    Write {
        /// The entry that was being written.
        path: RelPath,
        /// Why.
        source: io::Error,
    },
}

/// Writes `tree` to `output` in path order, with times not later than second `epoch`. Contents are checked against
/// their digests while they are copied. Returns `output` after the last byte.
///
/// # Errors
/// [`TarballError`] names the entry; what was written is then worthless.
pub fn write_tarball<W: Write>(
    tree: &Tree,
    objects: &Objects,
    extra: &[ExtraFile],
    epoch: i64,
    compression: Compression,
    output: W,
) -> Result<W, TarballError> {
    let export = Export::new(tree, extra)?;
    let finish = |source| TarballError::Write {
        path: RelPath::root(),
        source,
    };
    match compression {
        Compression::None => write_all(&export, objects, epoch, output),
        Compression::Gzip => {
            let encoder = flate2::write::GzEncoder::new(output, flate2::Compression::default());
            let encoder = write_all(&export, objects, epoch, encoder)?;
            encoder.finish().map_err(finish)
        }
        Compression::Zstd => {
            let encoder = zstd::stream::write::Encoder::new(output, 3).map_err(finish)?;
            let encoder = write_all(&export, objects, epoch, encoder)?;
            encoder.finish().map_err(finish)
        }
    }
}

fn write_all<W: Write>(
    export: &Export<'_>,
    objects: &Objects,
    epoch: i64,
    output: W,
) -> Result<W, TarballError> {
    let mut builder = Builder::new(output);
    for (path, entry) in export.tree.iter() {
        let on_write = |source| TarballError::Write {
            path: path.clone(),
            source,
        };
        let mut member = Member::new(path, entry, &export.tree, epoch);
        let content = match entry {
            Entry::Node(node) => content(export, objects, path, node)?,
            Entry::HardLink(_) => Content::Nothing,
        };
        match content {
            Content::Nothing => member.write(&mut builder, 0, &mut io::empty()),
            Content::Bytes(mut bytes) => {
                let size = bytes.len() as u64;
                member.write(&mut builder, size, &mut bytes)
            }
            Content::Object(file, digest, size) => {
                let mut reader = Hashing {
                    file,
                    hasher: Hasher::new(),
                };
                let written = member.write(&mut builder, size, &mut reader);
                let found = reader.hasher.finish();
                if written.is_ok() && found != digest {
                    let path = path.clone();
                    let source = ObjectError::Damaged { digest, found };
                    return Err(TarballError::Content { path, source });
                }
                written
            }
        }
        .map_err(on_write)?;
    }
    let finish = |source| TarballError::Write {
        path: RelPath::root(),
        source,
    };
    builder.into_inner().map_err(finish)
}

enum Content<'a> {
    Nothing,
    Bytes(&'a [u8]),
    Object(std::fs::File, Digest, u64),
}

fn content<'a>(
    export: &Export<'a>,
    objects: &Objects,
    path: &RelPath,
    node: &Node,
) -> Result<Content<'a>, TarballError> {
    if let Some(bytes) = export.bytes.get(path) {
        return Ok(Content::Bytes(bytes));
    }
    let NodeKind::File { digest, size } = &node.kind else {
        return Ok(Content::Nothing);
    };
    if *size == 0 {
        return Ok(Content::Nothing);
    }
    let on_content = |source| TarballError::Content {
        path: path.clone(),
        source,
    };
    let file = objects.open(digest).map_err(on_content)?;
    let found = file.metadata().map(|metadata| metadata.len());
    match found {
        Ok(found) if found != *size => Err(TarballError::Length {
            path: path.clone(),
            expected: *size,
            found,
        }),
        Ok(_) => Ok(Content::Object(file, *digest, *size)),
        Err(error) => Err(on_content(ObjectError::Source(error))),
    }
}

/// Hashes what is read through it.
struct Hashing {
    file: std::fs::File,
    hasher: Hasher,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// One member: its header, and the records that do not fit into it.
struct Member {
    header: Header,
    records: Vec<(String, Vec<u8>)>,
}

impl Member {
    fn new(path: &RelPath, entry: &Entry, tree: &Tree, epoch: i64) -> Self {
        let mut member = Self {
            header: Header::new_ustar(),
            records: Vec::new(),
        };
        let mut name = [b"./", path.as_bytes()].concat();
        match entry {
            Entry::HardLink(target) => {
                member.header.set_entry_type(EntryType::Link);
                member.link(&[b"./", target.as_bytes()].concat());
                // Readers take the metadata of the first name; tar(5) wants some here too.
                if let Some(node) = tree.node(path) {
                    member.meta(&node.meta, epoch);
                }
            }
            Entry::Node(node) => {
                member.meta(&node.meta, epoch);
                member.xattrs(&node.meta);
                member.kind(&node.kind);
                if node.is_directory() && !path.is_root() {
                    name.push(b'/');
                }
            }
        }
        member.name(&name);
        member
    }

    fn name(&mut self, name: &[u8]) {
        if name.len() > NAME_BYTES {
            self.records.push(("path".to_owned(), name.to_vec()));
        }
        if let Some(ustar) = self.header.as_ustar_mut() {
            fill(&mut ustar.name, name);
        }
    }

    fn link(&mut self, target: &[u8]) {
        if target.len() > NAME_BYTES {
            self.records.push(("linkpath".to_owned(), target.to_vec()));
        }
        if let Some(ustar) = self.header.as_ustar_mut() {
            fill(&mut ustar.linkname, target);
        }
    }

    fn kind(&mut self, kind: &NodeKind) {
        let entry_type = match kind {
            NodeKind::Directory => EntryType::Directory,
            NodeKind::File { .. } => EntryType::Regular,
            NodeKind::Symlink { target } => {
                self.link(target);
                EntryType::Symlink
            }
            NodeKind::CharacterDevice { major, minor } => {
                self.device(*major, *minor);
                EntryType::Char
            }
            NodeKind::BlockDevice { major, minor } => {
                self.device(*major, *minor);
                EntryType::Block
            }
            NodeKind::Fifo => EntryType::Fifo,
        };
        self.header.set_entry_type(entry_type);
    }

    fn device(&mut self, major: u32, minor: u32) {
        if let Some(ustar) = self.header.as_ustar_mut() {
            ustar.set_device_major(major);
            ustar.set_device_minor(minor);
        }
    }

    fn meta(&mut self, meta: &Meta, epoch: i64) {
        self.header.set_mode(u32::from(meta.mode));
        self.header.set_uid(u64::from(meta.uid.min(LARGEST_ID)));
        self.header.set_gid(u64::from(meta.gid.min(LARGEST_ID)));
        for (name, id) in [("uid", meta.uid), ("gid", meta.gid)] {
            if id > LARGEST_ID {
                self.records
                    .push((name.to_owned(), id.to_string().into_bytes()));
            }
        }
        let time = meta.mtime.clamped(epoch);
        let seconds = u64::try_from(time.seconds);
        let fits = |seconds: &u64| *seconds <= LARGEST_SIZE;
        let whole = seconds.ok().filter(fits);
        self.header.set_mtime(whole.unwrap_or_default());
        if whole.is_none() || time.nanoseconds != 0 {
            self.records
                .push(("mtime".to_owned(), decimal(time).into_bytes()));
        }
    }

    fn xattrs(&mut self, meta: &Meta) {
        for (name, value) in &meta.xattrs {
            // The kernel's names are ASCII in practice; anything else survives as far as readers take it.
            let name = String::from_utf8_lossy(name);
            self.records
                .push((format!("SCHILY.xattr.{name}"), value.clone()));
        }
    }

    fn write<W: Write>(
        &mut self,
        builder: &mut Builder<W>,
        size: u64,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        if size > LARGEST_SIZE {
            self.records
                .push(("size".to_owned(), size.to_string().into_bytes()));
        }
        self.header.set_size(size.min(LARGEST_SIZE));
        self.header.set_cksum();
        let records = self.records.iter();
        let mut records = records
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .peekable();
        if records.peek().is_some() {
            builder.append_pax_extensions(records)?;
        }
        builder.append(&self.header, content)
    }
}

/// A time as PAX writes it: seconds, a point, the fraction; negative before 1970.
fn decimal(time: vzpkg_metadata::Timestamp) -> String {
    let nanoseconds = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds);
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let (whole, rest) = (
        nanoseconds.unsigned_abs() / 1_000_000_000,
        nanoseconds.unsigned_abs() % 1_000_000_000,
    );
    if rest == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{rest:09}")
    }
}

/// Copies as much of a name as fits.
fn fill(field: &mut [u8; NAME_BYTES], name: &[u8]) {
    for (to, from) in field.iter_mut().zip(name) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vzpkg_metadata::Timestamp;

    #[test]
    fn times_are_decimal_on_both_sides_of_1970() {
        let time = |seconds, nanoseconds| {
            decimal(Timestamp {
                seconds,
                nanoseconds,
            })
        };
        assert_eq!(time(5, 0), "5");
        assert_eq!(time(5, 70), "5.000000070");
        assert_eq!(time(-5, 0), "-5");
        assert_eq!(time(-5, 999_999_993), "-4.000000007");
    }
}
