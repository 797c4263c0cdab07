//! The one strict reader of rpm payloads: the cpio stream is read against the header's list of files, which is what was
//! signed and what rpm itself goes by. It never writes a name into a file system.
//!
//! Understands `070701`, `070702` and rpm's `07070X`, whose members have no name but a number in that list. Whatever
//! the stream says besides must agree with the header: a member that is not listed, is listed as something else, or
//! comes twice is an error, and so is one that is missing.

use super::header::{FileInfo, TYPE_MASK};
use super::skeleton::Skeleton;
use crate::import::unpack::ContentSink;
use std::collections::BTreeMap;
use std::io::{self, Read};
use vzpkg_metadata::path::PathError;
use vzpkg_metadata::{Digest, RelPath, limits};

const TRAILER: &[u8] = b"TRAILER!!!";

/// Why a payload is refused.
#[derive(Debug, thiserror::Error)]
pub enum CpioError {
    /// The stream cannot be decompressed, or its contents cannot be stored.
    #[error("the payload cannot be read")]
    Stream(#[source] io::Error),
    /// Not one of the formats rpm writes.
    #[error("a member of the payload does not begin as one")]
    Magic,
    /// A field that is no hexadecimal number.
    #[error("a member of the payload has a damaged header")]
    Field,
    /// A member name that is absolute, leaves its root or is not canonical.
    #[error("a member has an unsafe name")]
    Path(#[from] PathError),
    /// A member that the header does not list.
    #[error("the payload holds `{0}`, which the header does not list")]
    Unlisted(String),
    /// Two members for one file.
    #[error("`{0}` is in the payload twice")]
    Duplicate(RelPath),
    /// The member and the header disagree.
    #[error("`{path}`: {problem}")]
    Contradiction {
        /// Which file.
        path: RelPath,
        /// In what.
        problem: &'static str,
    },
    /// A file that the header lists.
    #[error("`{0}` is missing in the payload")]
    Missing(RelPath),
    /// Bytes after the trailer.
    #[error("there is data after the end of the payload")]
    TrailingData,
}

/// What the payload holds of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing but the name: a directory, device, symbolic link, or a ghost.
    None,
    /// A regular file's bytes.
    File(Digest),
    /// The bytes are those of this other file of the list, its hard link.
    SameAs(usize),
}

/// Reads the whole stream; returns what it holds of each file, in the order of `files`, and the stream without contents.
///
/// # Errors
/// [`CpioError`] names the member and the rule it breaks. What the sink took so far is unreferenced.
pub(super) fn read(
    stream: &mut dyn Read,
    files: &[FileInfo],
    sink: &mut dyn ContentSink,
) -> Result<(Vec<Content>, Skeleton), CpioError> {
    let mut by_path = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        if by_path.insert(&file.path, index).is_some() {
            return Err(CpioError::Duplicate(file.path.clone()));
        }
    }
    let mut reader = Reader {
        stream,
        position: 0,
        files,
        by_path,
        links: Links::find(files),
        seen: vec![None; files.len()],
        sink,
        skeleton: Skeleton::default(),
    };
    while let Some(member) = reader.member()? {
        reader.take(&member)?;
    }
    reader.end()?;
    let contents = resolve(files, &reader.seen, &reader.links)?;
    Ok((contents, reader.skeleton))
}

/// One member, before its content.
struct Member {
    index: usize,
    /// Mode and size as the stream has them; a `07070X` member has neither.
    stated: Option<(u32, u64)>,
}

/// What was read of one file: `None` for no content, which a hard link may have too.
type Seen = Option<Option<Digest>>;

struct Reader<'a> {
    stream: &'a mut dyn Read,
    position: u64,
    files: &'a [FileInfo],
    by_path: BTreeMap<&'a RelPath, usize>,
    links: Links,
    seen: Vec<Seen>,
    sink: &'a mut dyn ContentSink,
    skeleton: Skeleton,
}

impl Reader<'_> {
    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, CpioError> {
        let mut bytes = vec![0; length];
        self.stream
            .read_exact(&mut bytes)
            .map_err(CpioError::Stream)?;
        self.position += length as u64;
        self.skeleton.literal(&bytes);
        Ok(bytes)
    }

    /// Members and contents begin at multiples of four.
    fn align(&mut self) -> Result<(), CpioError> {
        let padding = usize::try_from((4 - self.position % 4) % 4).unwrap_or_default();
        let zeros = self.bytes(padding)?;
        if zeros.iter().any(|&byte| byte != 0) {
            return Err(CpioError::Field);
        }
        Ok(())
    }

    /// The next member; `None` for the trailer.
    fn member(&mut self) -> Result<Option<Member>, CpioError> {
        self.align()?;
        let magic = self.bytes(6)?;
        match magic.as_slice() {
            b"070701" | b"070702" => self.named(),
            b"07070X" => {
                let field = self.bytes(8)?;
                self.align()?;
                let index = usize::try_from(number(&field)?).unwrap_or(usize::MAX);
                if self.files.get(index).is_none() {
                    return Err(CpioError::Unlisted(format!("number {index}")));
                }
                let stated = None;
                Ok(Some(Member { index, stated }))
            }
            _ => Err(CpioError::Magic),
        }
    }

    fn named(&mut self) -> Result<Option<Member>, CpioError> {
        let fields = self.bytes(8 * 13)?;
        let field = |at: usize| number(fields.get(at * 8..at * 8 + 8).unwrap_or_default());
        let (mode, size, name_size) = (field(1)?, field(6)?, field(11)?);
        let name_size = usize::try_from(name_size).unwrap_or(usize::MAX);
        if name_size > limits::PATH_BYTES + 8 {
            return Err(PathError::TooLong(name_size).into());
        }
        let name = self.bytes(name_size)?;
        let name = name.strip_suffix(&[0]).ok_or(CpioError::Field)?;
        self.align()?;
        if name == TRAILER {
            return if size == 0 {
                Ok(None)
            } else {
                Err(CpioError::Field)
            };
        }
        let path = RelPath::parse_member(name)?;
        let index = self.by_path.get(&path).copied();
        let index = index.ok_or_else(|| CpioError::Unlisted(path.to_string()))?;
        let stated = Some((mode, u64::from(size)));
        Ok(Some(Member { index, stated }))
    }

    fn take(&mut self, member: &Member) -> Result<(), CpioError> {
        let Some(file) = self.files.get(member.index) else {
            return Err(CpioError::Field);
        };
        let wrong = |problem| CpioError::Contradiction {
            path: file.path.clone(),
            problem,
        };
        if self.seen.get(member.index).is_some_and(Option::is_some) {
            return Err(CpioError::Duplicate(file.path.clone()));
        }
        let kind = file.mode & TYPE_MASK;
        let expected = match kind {
            0o100_000 => file.size,
            0o120_000 => file.link.len() as u64,
            _ => 0,
        };
        let links = self.links.of(member.index);
        let size = match member.stated {
            Some((mode, _)) if mode & TYPE_MASK != kind => {
                return Err(wrong("the payload has it as another type"));
            }
            Some((_, size)) => size,
            // Of several names of one file, the last one of the list carries the bytes.
            None if links.is_some_and(|(_, last)| last != member.index) => 0,
            None => expected,
        };
        let is_hard_link = size == 0 && links.is_some();
        if size != expected && !is_hard_link {
            return Err(wrong("the payload has it in another size"));
        }
        let digest = match kind {
            0o100_000 if size > 0 || expected == 0 => Some(self.content(file, size)?),
            0o120_000 => {
                let target = self.bytes(file.link.len())?;
                if target != file.link {
                    return Err(wrong("the payload has another link target"));
                }
                None
            }
            _ => None,
        };
        if let Some(seen) = self.seen.get_mut(member.index) {
            *seen = Some(digest);
        }
        Ok(())
    }

    fn content(&mut self, file: &FileInfo, size: u64) -> Result<Digest, CpioError> {
        if size > limits::FILE_BYTES {
            return Err(CpioError::Contradiction {
                path: file.path.clone(),
                problem: "it is larger than any file may be",
            });
        }
        let mut counted = Counted {
            inner: self.stream.take(size),
            read: 0,
        };
        let digest = self
            .sink
            .put(&mut counted, size)
            .map_err(CpioError::Stream)?;
        let read = counted.read;
        self.position += read;
        self.skeleton.content(digest, size);
        if read == size {
            Ok(digest)
        } else {
            Err(CpioError::Stream(io::ErrorKind::UnexpectedEof.into()))
        }
    }

    /// After the trailer there is nothing but zeros.
    fn end(&mut self) -> Result<(), CpioError> {
        let mut buffer = [0_u8; 4096];
        loop {
            let read = self.stream.read(&mut buffer).map_err(CpioError::Stream)?;
            if read == 0 {
                return Ok(());
            }
            if buffer.iter().take(read).any(|&byte| byte != 0) {
                return Err(CpioError::TrailingData);
            }
        }
    }
}

/// Which files of the list are names of one file: of each that has several, the first and the last position.
struct Links(Vec<Option<(usize, usize)>>);

impl Links {
    /// rpm goes by inode and device alone; inodes cut to 32 bits have made strangers look like links, so size and digest
    /// must agree too.
    fn find(files: &[FileInfo]) -> Self {
        let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            if file.mode & TYPE_MASK == 0o100_000 && !file.flags.is_ghost() {
                let key = (file.inode, file.size, file.digest.as_str());
                groups.entry(key).or_default().push(index);
            }
        }
        let mut links = vec![None; files.len()];
        for group in groups.into_values().filter(|group| group.len() > 1) {
            let ends = group.first().copied().zip(group.last().copied());
            for index in group {
                if let Some(link) = links.get_mut(index) {
                    *link = ends;
                }
            }
        }
        Self(links)
    }

    fn of(&self, index: usize) -> Option<(usize, usize)> {
        self.0.get(index).copied().flatten()
    }
}

/// Gives every hard link the file it shares its bytes with, and finds what is missing.
fn resolve(files: &[FileInfo], seen: &[Seen], links: &Links) -> Result<Vec<Content>, CpioError> {
    // By the first name of each group: what carries the bytes.
    let mut carried: BTreeMap<usize, Digest> = BTreeMap::new();
    for (index, seen) in seen.iter().enumerate() {
        if let (Some(Some(digest)), Some((first, _))) = (seen, links.of(index)) {
            carried.insert(first, *digest);
        }
    }
    let contents = files.iter().zip(seen).enumerate();
    contents
        .map(|(index, (file, seen))| {
            let missing = || CpioError::Missing(file.path.clone());
            match (seen, links.of(index)) {
                (None, _) if file.flags.is_ghost() => Ok(Content::None),
                (None, _) => Err(missing()),
                (Some(_), _) if file.mode & TYPE_MASK != 0o100_000 => Ok(Content::None),
                (Some(_), Some((first, _))) if first != index => Ok(Content::SameAs(first)),
                (Some(Some(digest)), _) => Ok(Content::File(*digest)),
                (Some(None), _) => carried
                    .get(&index)
                    .map(|digest| Content::File(*digest))
                    .ok_or_else(missing),
            }
        })
        .collect()
}

struct Counted<R> {
    inner: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

/// Eight hexadecimal digits.
fn number(field: &[u8]) -> Result<u32, CpioError> {
    field.iter().try_fold(0_u32, |number, &digit| {
        let value = char::from(digit).to_digit(16).ok_or(CpioError::Field)?;
        Ok(number << 4 | value)
    })
}
