//! From members to a tree: what extends a header is joined with it, and every entry has to fit what is there already.

use super::header::{self, contradiction};
use super::pax::{self, PaxRecords};
use super::{ContentSink, UnpackError, Unpacked};
use std::io::{self, Read};
use tar::{Archive, Header};
use vzpkg_metadata::path::PathError;
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind};
use vzpkg_metadata::{ByteSize, RelPath, limits};

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

/// Members one after the other, added to a tree.
pub(super) struct Unpacker<'a> {
    sink: &'a mut dyn ContentSink,
    result: Unpacked,
    pending: Pending,
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(sink: &'a mut dyn ContentSink) -> Self {
        Self {
            sink,
            result: Unpacked::default(),
            pending: Pending::default(),
        }
    }

    pub(super) fn into_result(self) -> Unpacked {
        self.result
    }

    /// Reads members to the end of the archive, at most so many.
    pub(super) fn walk<R: Read>(
        &mut self,
        archive: &mut Archive<R>,
        most: usize,
    ) -> Result<(), UnpackError> {
        let entries = archive.entries().map_err(UnpackError::Stream)?.raw(true);
        for (count, entry) in entries.enumerate() {
            if count >= most {
                return Err(UnpackError::TooMany(most));
            }
            let mut entry = entry.map_err(UnpackError::Stream)?;
            let header = entry.header().clone();
            match header.as_bytes().get(156) {
                Some(b'L') => {
                    let name = header::extension(&header, &mut entry)?;
                    set_once(&mut self.pending.name, without_nul(name), &header)?;
                }
                Some(b'K') => {
                    let link = header::extension(&header, &mut entry)?;
                    set_once(&mut self.pending.link, without_nul(link), &header)?;
                }
                Some(b'x') => {
                    let records = header::extension(&header, &mut entry)?;
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
        let mut meta = header::meta(header)?;
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
            b'3' | b'4' => header::device(header, byte)?,
            b'6' => NodeKind::Fifo,
            other => {
                return Err(UnpackError::UnknownType {
                    path: header::shown(header),
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
