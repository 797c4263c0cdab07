//! The one strict reader of tar streams: from bytes to a tree, file contents handed to a sink. It never writes a name
//! into a file system, so no member can lead out of a directory; links are text in the tree.
//!
//! Readers that disagree about one archive are how files are smuggled (`TARmageddon`, CVE-2025-62518), so everything unusual is an
//! error: two names for one path, sizes given twice and differently, unknown types, data after the end, no end.
//! The `tar` crate reads headers in raw mode; what extends a header (GNU long names, PAX records) is joined here.

use super::pax::{self, PaxRecords};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::rc::Rc;
use tar::{Archive, Header};
use vzpkg_metadata::path::PathError;
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind, Tree};
use vzpkg_metadata::{ByteSize, Digest, RelPath, Timestamp, limits};

/// Takes the bytes of a file and says under which digest they are kept.
pub trait ContentSink {
    /// Reads `content`, which has exactly `size` bytes, to its end and keeps it.
    ///
    /// # Errors
    /// What reading or writing says; the package is then not imported.
    fn put(&mut self, content: &mut dyn Read, size: u64) -> io::Result<Digest>;
}

/// Bounds on one archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Bytes of the whole tar stream, headers included.
    pub stream: u64,
    /// Members, extension headers included.
    pub entries: usize,
}

impl UnpackLimits {
    /// What a package may hold whose file has `size` bytes and which claims `installed_size`; both are signed.
    ///
    /// Installed sizes of Debian are estimates in KiB and some packages leave them out, so the bound is generous: twice
    /// the claim or 256 times the file, whichever is more, and 64 MiB.
    pub fn for_package(size: ByteSize, installed_size: ByteSize) -> Self {
        let claimed = installed_size.0.saturating_mul(2);
        let packed = size.0.saturating_mul(256);
        Self {
            stream: claimed.max(packed).saturating_add(64 << 20),
            entries: limits::PACKAGE_ENTRIES,
        }
    }
}

/// What an archive held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Every member by path. Directories that no member names are absent.
    pub tree: Tree,
    /// The paths in the order of the archive.
    pub order: Vec<RelPath>,
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// A member name that is absolute, leaves its root or is not canonical.
    #[error("a member has an unsafe name")]
    Path(#[from] PathError),
    /// Two members for one path.
    #[error("`{0}` is there twice")]
    Duplicate(RelPath),
    /// A member below a path that is a file or a link.
    #[error("`{path}` lies below `{ancestor}`, which is no directory")]
    ThroughNonDirectory {
        /// The member.
        path: RelPath,
        /// What stands in its way.
        ancestor: RelPath,
    },
    /// A hard link to something that no earlier member is.
    #[error("`{path}` is a hard link to `{target}`, which is no file of this archive")]
    HardLinkTarget {
        /// The link.
        path: RelPath,
        /// What it names.
        target: RelPath,
    },
    /// A member type that packages do not have.
    #[error("`{path}` has the unknown type {kind:?}")]
    UnknownType {
        /// The member, as far as its name can be read.
        path: String,
        /// The type byte of its header.
        kind: char,
    },
    /// A field that contradicts another, or that cannot be read.
    #[error("`{path}`: {problem}")]
    Contradiction {
        /// The member, as far as its name can be read.
        path: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Bytes after the end of the archive.
    #[error("there is data after the end of the archive")]
    TrailingData,
    /// The stream stops without the blocks that end an archive.
    #[error("the archive has no end")]
    NoEnd,
    /// More bytes than the package may hold.
    #[error("it unpacks to more than {0}, far more than the package claims")]
    TooLarge(ByteSize),
    /// More members than [`UnpackLimits::entries`].
    #[error("it holds more than {0} members")]
    TooMany(usize),
    /// The stream cannot be decompressed or parsed, or its contents cannot be stored.
    #[error("the archive cannot be read")]
    Stream(#[source] io::Error),
}

/// Reads a whole tar stream.
///
/// Linear; memory is about 300 bytes per name, contents go through in pieces.
///
/// # Errors
/// [`UnpackError`] names the member and the rule it breaks. What the sink took so far is unreferenced.
pub fn unpack(
    stream: impl Read,
    bounds: UnpackLimits,
    sink: &mut dyn ContentSink,
) -> Result<Unpacked, UnpackError> {
    let exceeded = Rc::new(Cell::new(false));
    let bounded = Bounded {
        inner: stream,
        left: bounds.stream,
        exceeded: Rc::clone(&exceeded),
    };
    let mut archive = Archive::new(bounded);
    let mut unpacker = Unpacker {
        sink,
        result: Unpacked::default(),
        pending: Pending::default(),
    };
    let walked = unpacker.walk(&mut archive, bounds.entries);
    let ended = walked.and_then(|()| check_end(archive.into_inner()));
    match ended {
        Err(UnpackError::Stream(_)) if exceeded.get() => {
            Err(UnpackError::TooLarge(ByteSize(bounds.stream)))
        }
        Err(error) => Err(error),
        Ok(()) => Ok(unpacker.result),
    }
}

/// A stream that fails, rather than ends, when it yields more than it may.
struct Bounded<R> {
    inner: R,
    left: u64,
    exceeded: Rc<Cell<bool>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            self.exceeded.set(true);
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        Ok(read)
    }
}

/// The parser stops at the first zero block or at the end of the stream. A whole archive has a second zero block, and
/// nothing but zeros (tar pads to 10 KiB) after it.
fn check_end(mut rest: impl Read) -> Result<(), UnpackError> {
    let mut buffer = [0_u8; 4096];
    let mut seen = 0_u64;
    loop {
        let read = rest.read(&mut buffer).map_err(UnpackError::Stream)?;
        if read == 0 {
            break;
        }
        if buffer.iter().take(read).any(|&byte| byte != 0) {
            return Err(UnpackError::TrailingData);
        }
        seen = seen.saturating_add(read as u64);
    }
    if seen < 512 {
        return Err(UnpackError::NoEnd);
    }
    Ok(())
}

/// What extension headers said about the member that follows.
#[derive(Default)]
struct Pending {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<PaxRecords>,
}

impl Pending {
    const fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.pax.is_none()
    }
}

struct Unpacker<'a> {
    sink: &'a mut dyn ContentSink,
    result: Unpacked,
    pending: Pending,
}

impl Unpacker<'_> {
    fn walk<R: Read>(&mut self, archive: &mut Archive<R>, most: usize) -> Result<(), UnpackError> {
        let entries = archive.entries().map_err(UnpackError::Stream)?.raw(true);
        for (count, entry) in entries.enumerate() {
            if count >= most {
                return Err(UnpackError::TooMany(most));
            }
            let mut entry = entry.map_err(UnpackError::Stream)?;
            let header = entry.header().clone();
            match header.as_bytes().get(156) {
                Some(b'L') => {
                    let name = extension(&header, &mut entry)?;
                    set_once(&mut self.pending.name, without_nul(name), &header)?;
                }
                Some(b'K') => {
                    let link = extension(&header, &mut entry)?;
                    set_once(&mut self.pending.link, without_nul(link), &header)?;
                }
                Some(b'x') => {
                    let records = extension(&header, &mut entry)?;
                    let records = pax::parse(&records)
                        .ok_or_else(|| contradiction(&header, "PAX records cannot be read"))?;
                    set_once(&mut self.pending.pax, records, &header)?;
                }
                _ => self.member(&header, &mut entry)?,
            }
        }
        if self.pending.is_empty() {
            Ok(())
        } else {
            Err(UnpackError::NoEnd)
        }
    }

    fn member(&mut self, header: &Header, content: &mut dyn Read) -> Result<(), UnpackError> {
        let pending = std::mem::take(&mut self.pending);
        let pax = pending.pax.unwrap_or_default();
        let name = agree(header, pending.name, pax.path)?
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let link = agree(header, pending.link, pax.link)?
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let size = header.entry_size().map_err(UnpackError::Stream)?;
        if pax.size.is_some_and(|claimed| claimed != size) {
            return Err(contradiction(
                header,
                "its size is given twice, differently",
            ));
        }
        let mut meta = meta(header)?;
        meta.uid = pax.uid.unwrap_or(meta.uid);
        meta.gid = pax.gid.unwrap_or(meta.gid);
        meta.mtime = pax.mtime.unwrap_or(meta.mtime);
        meta.xattrs = pax.xattrs;
        if name.ends_with(b"/") && header.as_bytes().get(156) != Some(&b'5') {
            return Err(contradiction(
                header,
                "a name that ends in `/` is a directory's",
            ));
        }
        let path = RelPath::parse_member(&name)?;
        let link = link.filter(|link| !link.is_empty() && !link.contains(&0));
        let entry = self.entry(header, link, meta, content)?;
        self.place(path, entry)
    }

    fn entry(
        &mut self,
        header: &Header,
        link: Option<Vec<u8>>,
        mut meta: Meta,
        content: &mut dyn Read,
    ) -> Result<Entry, UnpackError> {
        let size = header.entry_size().map_err(UnpackError::Stream)?;
        let byte = header.as_bytes().get(156).copied().unwrap_or_default();
        let is_file = matches!(byte, 0 | b'0' | b'7');
        if !is_file && size != 0 {
            return Err(contradiction(header, "only a file may have content"));
        }
        let link = || link.ok_or_else(|| contradiction(header, "a link to nothing"));
        let kind = match byte {
            b'5' => NodeKind::Directory,
            0 | b'0' | b'7' => self.content(header, size, content)?,
            b'2' => {
                meta.mode = 0o777;
                let target = link()?;
                if target.len() > limits::PATH_BYTES {
                    return Err(PathError::TooLong(target.len()).into());
                }
                NodeKind::Symlink { target }
            }
            b'1' => {
                return Ok(Entry::HardLink(RelPath::parse_member(&link()?)?));
            }
            b'3' | b'4' => device(header, byte)?,
            b'6' => NodeKind::Fifo,
            other => {
                return Err(UnpackError::UnknownType {
                    path: shown(header),
                    kind: char::from(other),
                });
            }
        };
        Ok(Entry::Node(Node { meta, kind }))
    }

    fn content(
        &mut self,
        header: &Header,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<NodeKind, UnpackError> {
        if size > limits::FILE_BYTES {
            return Err(UnpackError::TooLarge(ByteSize(limits::FILE_BYTES)));
        }
        let mut counted = Counted {
            inner: content,
            seen: 0,
        };
        let digest = self
            .sink
            .put(&mut counted, size)
            .map_err(UnpackError::Stream)?;
        if counted.seen == size {
            Ok(NodeKind::File { digest, size })
        } else {
            Err(contradiction(header, "its content is cut off"))
        }
    }

    /// Adds the entry unless its path is taken or leads through something that is no directory.
    fn place(&mut self, path: RelPath, entry: Entry) -> Result<(), UnpackError> {
        let mut ancestor = path.parent();
        while let Some(directory) = ancestor {
            match self.result.tree.get(&directory) {
                Some(Entry::Node(node)) if node.is_directory() => break,
                Some(_) => {
                    return Err(UnpackError::ThroughNonDirectory {
                        path,
                        ancestor: directory,
                    });
                }
                None => ancestor = directory.parent(),
            }
        }
        if let Entry::HardLink(target) = &entry {
            let file = match self.result.tree.get(target) {
                Some(Entry::Node(node)) => !node.is_directory(),
                Some(Entry::HardLink(_)) | None => false,
            };
            if !file {
                let target = target.clone();
                return Err(UnpackError::HardLinkTarget { path, target });
            }
        }
        // A file in whose place an earlier member went on as a directory: `a/b` before `a`.
        let directory = entry.as_node().is_some_and(Node::is_directory);
        if !directory && self.result.tree.below(&path).next().is_some() {
            return Err(UnpackError::Duplicate(path));
        }
        if self.result.tree.insert(path.clone(), entry).is_some() {
            return Err(UnpackError::Duplicate(path));
        }
        self.result.order.push(path);
        Ok(())
    }
}

struct Counted<'a> {
    inner: &'a mut dyn Read,
    seen: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.seen = self.seen.saturating_add(read as u64);
        Ok(read)
    }
}

/// The content of an extension header: a long name or PAX records.
fn extension(header: &Header, content: &mut dyn Read) -> Result<Vec<u8>, UnpackError> {
    let size = header.entry_size().map_err(UnpackError::Stream)?;
    let most = (limits::XATTR_BYTES + 2 * limits::PATH_BYTES + 4096) as u64;
    if size > most {
        return Err(contradiction(header, "an extension header that large"));
    }
    let mut bytes = Vec::new();
    content
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(UnpackError::Stream)?;
    if bytes.len() as u64 == size {
        Ok(bytes)
    } else {
        Err(contradiction(header, "an extension header is cut off"))
    }
}

fn set_once<T>(place: &mut Option<T>, value: T, header: &Header) -> Result<(), UnpackError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(contradiction(header, "two extension headers of one kind")),
    }
}

/// A name that GNU and PAX extensions both give must be the same.
fn agree(
    header: &Header,
    gnu: Option<Vec<u8>>,
    pax: Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, UnpackError> {
    match (gnu, pax) {
        (Some(gnu), Some(pax)) if gnu != pax => Err(contradiction(
            header,
            "its name is given twice, differently",
        )),
        (gnu, pax) => Ok(gnu.or(pax)),
    }
}

fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    if name.last() == Some(&0) {
        name.pop();
    }
    name
}

fn meta(header: &Header) -> Result<Meta, UnpackError> {
    let number = |value: io::Result<u64>, problem| {
        let value = value.map_err(UnpackError::Stream)?;
        u32::try_from(value).map_err(|_out_of_range| contradiction(header, problem))
    };
    let mode = header.mode().map_err(UnpackError::Stream)? & 0o7777;
    let seconds = header.mtime().map_err(UnpackError::Stream)?;
    let seconds = i64::try_from(seconds)
        .map_err(|_out_of_range| contradiction(header, "its time is out of range"))?;
    Ok(Meta {
        mode: u16::try_from(mode).unwrap_or_default(),
        uid: number(header.uid(), "its owner is out of range")?,
        gid: number(header.gid(), "its group is out of range")?,
        mtime: Timestamp::from_seconds(seconds),
        xattrs: BTreeMap::new(),
    })
}

fn device(header: &Header, kind: u8) -> Result<NodeKind, UnpackError> {
    let missing = || contradiction(header, "a device without numbers");
    let major = header.device_major().map_err(UnpackError::Stream)?;
    let minor = header.device_minor().map_err(UnpackError::Stream)?;
    let (major, minor) = (major.ok_or_else(missing)?, minor.ok_or_else(missing)?);
    Ok(if kind == b'3' {
        NodeKind::CharacterDevice { major, minor }
    } else {
        NodeKind::BlockDevice { major, minor }
    })
}

fn shown(header: &Header) -> String {
    String::from_utf8_lossy(&header.path_bytes()).into_owned()
}

fn contradiction(header: &Header, problem: &'static str) -> UnpackError {
    UnpackError::Contradiction {
        path: shown(header),
        problem,
    }
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
