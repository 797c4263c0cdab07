//! The header of an rpm package file: bounded and framed here, parsed by the `rpm` crate, read out as plain values.
//!
//! The crate panics on some damaged headers and trusts the lengths they claim, so lengths are checked against the file
//! before it sees a byte, and a panic inside it is an error here. Text that is not UTF-8 (changelogs of the 1990s) is
//! read with replacement characters, names of files excepted: those stay bytes.

use rpm::{IndexData, PackageMetadata};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use vzpkg_metadata::RelPath;
use vzpkg_metadata::path::PathError;

/// Bytes before the signature header, of no meaning today.
const LEAD: usize = 96;

/// Bytes that introduce a header: magic, version, reserved, number of entries, bytes of data.
const INTRODUCTION: usize = 16;

const MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 0x01];

/// Bytes of one header. rpm itself bounds them to 256 MiB; the largest seen (kernel sources) has 12 MiB.
const HEADER_BYTES: u64 = 64 << 20;

/// Bytes of all paths of a package together. 200,000 files of a TeX distribution have 20 MiB.
const PATHS_BYTES: usize = 64 << 20;

/// Entries of one header, as rpm bounds them.
const HEADER_ENTRIES: u64 = 0xffff;

/// The kind of file that a mode says: `S_IFMT` and its values.
pub(super) const TYPE_MASK: u32 = 0o170_000;

/// Why a header is refused.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The file ends within its headers, or cannot be read.
    #[error("its headers cannot be read")]
    Read(#[source] io::Error),
    /// Not the magic of an rpm header.
    #[error("it is no rpm package")]
    Magic,
    /// A header that claims more than it may have.
    #[error("its header claims {0} bytes")]
    TooLarge(u64),
    /// The crate cannot make sense of it.
    #[error("its header cannot be parsed")]
    Parse(#[source] rpm::Error),
    /// The crate met something it does not expect.
    #[error("its header is damaged")]
    Damaged,
    /// A tag that stands there twice: rpm takes the one, another reader the other.
    #[error("its header has the tag {0} twice")]
    Twice(u64),
    /// A source package.
    #[error("it is a source package")]
    Source,
    /// A tag that must be there.
    #[error("its header has no {0}")]
    Missing(&'static str),
    /// Arrays that must have one element per file and do not.
    #[error("its header has {found} values of {tag} for {files} files")]
    Length {
        /// Which array.
        tag: &'static str,
        /// Its length.
        found: usize,
        /// The number of files.
        files: usize,
    },
    /// The name of a file is absolute twice, leaves the root or is not canonical.
    #[error("its header names an unsafe path")]
    Path(#[from] PathError),
    /// More text in the paths of its files than a package may have.
    #[error("the paths of its files have more than 64 MiB")]
    Paths,
    /// More files than a package may have.
    #[error("it claims to hold {0} files")]
    TooMany(usize),
}

/// What the header says about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileInfo {
    /// Its path.
    pub(super) path: RelPath,
    /// Type and permission bits, as `stat` has them.
    pub(super) mode: u32,
    /// Bytes, as signed; for files above 4 GiB from `LONGFILESIZES`.
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) mtime: u32,
    /// Where a symbolic link points.
    pub(super) link: Vec<u8>,
    /// Device number of a device, 8 bits each.
    pub(super) rdev: u32,
    /// rpm's file flags.
    pub(super) flags: FileFlags,
    /// Owner and group by name.
    pub(super) owner: (String, String),
    /// Capabilities in text form; empty for none.
    pub(super) capabilities: String,
    /// What is equal for two names of one file.
    pub(super) inode: (u32, u32),
    /// The digest of the content in hexadecimal digits, of whatever algorithm; empty for what has none.
    pub(super) digest: String,
}

/// rpm's file flags, those that matter here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FileFlags(u32);

impl FileFlags {
    /// `%config`.
    pub(super) const fn is_config(self) -> bool {
        self.0 & 1 != 0
    }

    /// `%config(missingok)`.
    pub(super) const fn is_missing_ok(self) -> bool {
        self.0 & (1 << 3) != 0
    }

    /// `%config(noreplace)`.
    pub(super) const fn is_no_replace(self) -> bool {
        self.0 & (1 << 4) != 0
    }

    /// `%ghost`: owned, but not part of the payload.
    pub(super) const fn is_ghost(self) -> bool {
        self.0 & (1 << 6) != 0
    }
}

/// A parsed header.
#[derive(Debug)]
pub(super) struct RpmHeader {
    metadata: PackageMetadata,
    /// Lead and signature header with their padding: all that stands before the main header.
    pub(super) lead: Vec<u8>,
    /// The main header as it stands in the file.
    pub(super) bytes: Vec<u8>,
}

/// Reads lead, signature header and main header; `file` is then at the payload.
///
/// # Errors
/// [`HeaderError`] by what is wrong.
pub(super) fn read(file: &mut dyn Read) -> Result<RpmHeader, HeaderError> {
    let mut all = vec![0; LEAD];
    file.read_exact(&mut all).map_err(HeaderError::Read)?;
    let signature = append_header(file, &mut all)?;
    // The signature header is padded to eight bytes.
    append(file, &mut all, (8 - signature % 8) % 8)?;
    let start = all.len();
    append_header(file, &mut all)?;
    let parsed = catch_unwind(AssertUnwindSafe(|| PackageMetadata::parse(&mut &all[..])));
    let metadata = parsed
        .map_err(|_panic| HeaderError::Damaged)?
        .map_err(HeaderError::Parse)?;
    let bytes = all.split_off(start);
    let header = RpmHeader {
        metadata,
        lead: all,
        bytes,
    };
    match catch_unwind(AssertUnwindSafe(|| header.metadata.is_source_package())) {
        Ok(false) => Ok(header),
        Ok(true) => Err(HeaderError::Source),
        Err(_panic) => Err(HeaderError::Damaged),
    }
}

/// Appends one header to `all` and returns its length.
fn append_header(file: &mut dyn Read, all: &mut Vec<u8>) -> Result<u64, HeaderError> {
    let start = all.len();
    append(file, all, INTRODUCTION as u64)?;
    let introduction = all.get(start..).unwrap_or_default();
    if !introduction.starts_with(&MAGIC) {
        return Err(HeaderError::Magic);
    }
    let number = |at: usize| {
        let bytes = introduction.get(at..at + 4).unwrap_or_default();
        bytes
            .iter()
            .fold(0_u64, |number, &byte| number << 8 | u64::from(byte))
    };
    let (entries, data) = (number(8), number(12));
    let rest = entries * 16 + data;
    if entries > HEADER_ENTRIES || rest > HEADER_BYTES {
        return Err(HeaderError::TooLarge(rest));
    }
    append(file, all, rest)?;
    let body = all.get(start + INTRODUCTION..).unwrap_or_default();
    check_entries(body, entries, data)?;
    Ok(INTRODUCTION as u64 + rest)
}

/// Every entry lies within the data, as rpm's own `hdrchk` has it: the crate reserves memory for what they claim. No tag
/// comes twice.
fn check_entries(body: &[u8], entries: u64, data: u64) -> Result<(), HeaderError> {
    let entries = usize::try_from(entries).unwrap_or(usize::MAX);
    let mut tags = BTreeSet::new();
    for entry in body.chunks_exact(16).take(entries) {
        let word = |at: usize| {
            let bytes = entry.get(at..at + 4).unwrap_or_default();
            bytes
                .iter()
                .fold(0_u64, |word, &byte| word << 8 | u64::from(byte))
        };
        if !tags.insert(word(0)) {
            return Err(HeaderError::Twice(word(0)));
        }
        let (kind, offset, count) = (word(4), word(8), word(12));
        // NULL, CHAR, INT8, INT16, INT32, INT64, STRING, BIN, STRING_ARRAY, I18NSTRING
        let width = match kind {
            0 => 0,
            1 | 2 | 6..=9 => 1,
            3 => 2,
            4 => 4,
            5 => 8,
            _ => return Err(HeaderError::Damaged),
        };
        if offset > data || count.saturating_mul(width) > data - offset {
            return Err(HeaderError::Damaged);
        }
    }
    Ok(())
}

fn append(file: &mut dyn Read, all: &mut Vec<u8>, bytes: u64) -> Result<(), HeaderError> {
    let read = file
        .take(bytes)
        .read_to_end(all)
        .map_err(HeaderError::Read)?;
    if read as u64 == bytes {
        Ok(())
    } else {
        Err(HeaderError::Read(io::ErrorKind::UnexpectedEof.into()))
    }
}

impl RpmHeader {
    fn data(&self, tag: u32) -> Option<IndexData> {
        // Absent and damaged are the same here: what must be there is asked for by name.
        catch_unwind(AssertUnwindSafe(|| self.metadata.header.entry(tag).ok()))
            .ok()
            .flatten()
    }

    /// A string, or the first of several.
    pub(super) fn text(&self, tag: u32) -> Option<String> {
        match self.data(tag)? {
            IndexData::StringTag(text) => Some(text),
            IndexData::StringArray(texts) | IndexData::I18NString(texts) => {
                texts.into_iter().next()
            }
            _ => None,
        }
    }

    /// All strings; none where the tag is absent.
    pub(super) fn texts(&self, tag: u32) -> Vec<String> {
        match self.data(tag) {
            Some(IndexData::StringTag(text)) => vec![text],
            Some(IndexData::StringArray(texts) | IndexData::I18NString(texts)) => texts,
            _ => Vec::new(),
        }
    }

    /// All numbers of whatever width; none where the tag is absent.
    pub(super) fn numbers(&self, tag: u32) -> Vec<u64> {
        match self.data(tag) {
            Some(IndexData::Int8(numbers) | IndexData::Char(numbers)) => widen(numbers),
            Some(IndexData::Int16(numbers)) => widen(numbers),
            Some(IndexData::Int32(numbers)) => widen(numbers),
            Some(IndexData::Int64(numbers)) => numbers,
            _ => Vec::new(),
        }
    }

    /// The first number.
    pub(super) fn number(&self, tag: u32) -> Option<u64> {
        self.numbers(tag).first().copied()
    }

    /// All files in the order of the header.
    ///
    /// # Errors
    /// [`HeaderError::Path`], [`HeaderError::Length`], [`HeaderError::TooMany`].
    pub(super) fn files(&self) -> Result<Vec<FileInfo>, HeaderError> {
        let paths = self.paths()?;
        let count = paths.len();
        if count > vzpkg_metadata::limits::PACKAGE_ENTRIES {
            return Err(HeaderError::TooMany(count));
        }
        let numbers = |tag, name| exactly(self.numbers(tag), name, count);
        let texts = |tag, name| exactly(self.texts(tag), name, count);
        let modes = numbers(1030, "FILEMODES")?;
        let mut sizes = self.numbers(5008);
        if sizes.is_empty() {
            sizes = numbers(1028, "FILESIZES")?;
        }
        let sizes = exactly(sizes, "LONGFILESIZES", count)?;
        let mtimes = numbers(1034, "FILEMTIMES")?;
        let flags = numbers(1037, "FILEFLAGS")?;
        let rdevs = numbers(1033, "FILERDEVS")?;
        let links = texts(1036, "FILELINKTOS")?;
        let users = texts(1039, "FILEUSERNAME")?;
        let groups = texts(1040, "FILEGROUPNAME")?;
        let digests = texts(1035, "FILEDIGESTS")?;
        let inodes = numbers(1096, "FILEINODES")?;
        // Absent in some packages that rpm itself takes.
        let devices = or_default(self.numbers(1095), count);
        let capabilities = or_default(self.texts(5010), count);
        let mut files = Vec::with_capacity(count);
        let strings = links.into_iter().zip(users).zip(groups).zip(digests);
        let values = modes.into_iter().zip(sizes).zip(mtimes).zip(flags);
        let identities = rdevs.into_iter().zip(inodes).zip(devices).zip(capabilities);
        for (((path, strings), values), identities) in
            paths.into_iter().zip(strings).zip(values).zip(identities)
        {
            let (((link, user), group), digest) = strings;
            let (((mode, size), mtime), flags) = values;
            let (((rdev, inode), device), capabilities) = identities;
            files.push(FileInfo {
                path,
                mode: low(mode),
                size,
                mtime: low(mtime),
                link: link.into_bytes(),
                rdev: low(rdev),
                flags: FileFlags(low(flags)),
                owner: (user, group),
                capabilities,
                inode: (low(device), low(inode)),
                digest,
            });
        }
        Ok(files)
    }

    fn paths(&self) -> Result<Vec<RelPath>, HeaderError> {
        let names = self.texts(1117);
        if names.is_empty() {
            let whole = self.texts(1027);
            let parsed = whole
                .iter()
                .map(|path| RelPath::parse_member(path.as_bytes()));
            return Ok(parsed.collect::<Result<_, _>>()?);
        }
        let directories = self.texts(1118);
        let indexes = exactly(self.numbers(1116), "DIRINDEXES", names.len())?;
        let mut bytes = 0_usize;
        names
            .iter()
            .zip(indexes)
            .map(|(name, index)| {
                let directory = usize::try_from(index).ok().and_then(|i| directories.get(i));
                let directory = directory.ok_or(HeaderError::Missing("directory of a file"))?;
                let path = format!("{directory}{name}");
                // One long directory stands in the header once, and before each name here.
                bytes = bytes.saturating_add(path.len());
                if bytes > PATHS_BYTES {
                    return Err(HeaderError::Paths);
                }
                Ok(RelPath::parse_member(path.as_bytes())?)
            })
            .collect()
    }
}

fn widen<T: Into<u64>>(numbers: Vec<T>) -> Vec<u64> {
    numbers.into_iter().map(Into::into).collect()
}

/// The low 32 bits: everything but sizes has no more.
fn low(number: u64) -> u32 {
    u32::try_from(number & 0xffff_ffff).unwrap_or_default()
}

fn exactly<T>(values: Vec<T>, tag: &'static str, files: usize) -> Result<Vec<T>, HeaderError> {
    let found = values.len();
    if found == files {
        Ok(values)
    } else {
        Err(HeaderError::Length { tag, found, files })
    }
}

fn or_default<T: Default + Clone>(values: Vec<T>, files: usize) -> Vec<T> {
    if values.len() == files {
        values
    } else {
        vec![T::default(); files]
    }
}
