//! The parts of an rpm file that signatures are about: signature header, main header, where the payload begins.
//!
//! Not an rpm library: it reads a handful of tags, and only from bytes that a signature covers whole. A header must be
//! one immutable region without anything outside it, so that no reader can see a tag that was not signed.

use std::io::{self, Read};
use vzpkg_metadata::limits;

/// The magic of the 96-byte lead, which says nothing else worth reading.
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
const LEAD_BYTES: usize = 96;

/// Header structures begin with this and four reserved bytes, then the number of entries and of data bytes.
const HEADER_MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];
const INTRO_BYTES: usize = 16;
const ENTRY_BYTES: usize = 16;

/// Entries of one header, as rpm itself bounds them.
const ENTRIES: u32 = 0xffff;

/// Tags of the signature header.
pub(crate) mod sigtag {
    /// OpenPGP signatures over the header, by the algorithm of their key.
    pub(crate) const HEADER: [u32; 2] = [267, 268];
    /// The same in rpm 6: any number of them, in base64.
    pub(crate) const HEADER_BASE64: u32 = 278;
    /// OpenPGP signatures over header and payload, of rpm before 4.14.
    pub(crate) const WHOLE: [u32; 2] = [1002, 1005];
}

/// Tags of the main header.
pub(crate) mod tag {
    pub(crate) const REGION: u32 = 63;
    pub(crate) const NAME: u32 = 1000;
    pub(crate) const VERSION: u32 = 1001;
    pub(crate) const RELEASE: u32 = 1002;
    pub(crate) const EPOCH: u32 = 1003;
    pub(crate) const ARCH: u32 = 1022;
    /// Only binary packages say which source they are from.
    pub(crate) const SOURCE_RPM: u32 = 1044;
    pub(crate) const PAYLOAD_DIGEST: u32 = 5092;
    pub(crate) const PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;
}

/// Types of entries.
const INT32: u32 = 4;
const STRING: u32 = 6;
const BINARY: u32 = 7;
const STRINGS: u32 = 8;

/// Why a file is not an rpm that can be checked.
#[derive(Debug, thiserror::Error)]
pub enum RpmHeaderError {
    /// The file cannot be read, or ends early.
    #[error("the rpm cannot be read to the end of its header")]
    Read {
        /// What the system said.
        source: io::Error,
    },
    /// It does not begin as an rpm does.
    #[error("not an rpm: the {0} does not begin with its magic")]
    Magic(&'static str),
    /// More entries or bytes than a header may have.
    #[error("the {part} claims {entries} entries and {bytes} bytes")]
    TooLarge {
        /// Which header.
        part: &'static str,
        /// Its entries.
        entries: u32,
        /// Its bytes of data.
        bytes: u32,
    },
    /// Entries outside of what a signature covers, or none covered.
    #[error("the {0} is not one immutable region")]
    Region(&'static str),
    /// An entry whose data does not lie within the header, or a tag that is there twice.
    #[error("entry {tag} of the {part} is broken")]
    Entry {
        /// Which header.
        part: &'static str,
        /// The tag.
        tag: u32,
    },
    /// A tag that every package has.
    #[error("the header has no usable tag {0}")]
    Missing(u32),
}

/// One header structure, its bytes as they lie in the file.
#[derive(Debug)]
pub(crate) struct Header {
    part: &'static str,
    /// Intro, entries and data: what a header signature covers.
    pub(crate) bytes: Vec<u8>,
    entries: Vec<Entry>,
    data_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u32,
    kind: u32,
    offset: u32,
    count: u32,
}

/// Reads the lead, the signature header with its padding, and the main header. The reader then stands at the payload.
///
/// # Errors
/// [`RpmHeaderError`]. At most twice [`limits::CONTROL_BYTES`] are held.
pub(crate) fn read(reader: &mut impl Read) -> Result<(Header, Header), RpmHeaderError> {
    let lead = take(reader, LEAD_BYTES)?;
    if !lead.starts_with(&LEAD_MAGIC) {
        return Err(RpmHeaderError::Magic("file"));
    }
    // Nobody signs the signature header, so it need not be a region.
    let signatures = Header::read(reader, "signature header", None)?;
    let padding = signatures.bytes.len().wrapping_neg() % 8;
    take(reader, padding)?;
    let main = Header::read(reader, "header", Some(tag::REGION))?;
    Ok((signatures, main))
}

fn take(reader: &mut impl Read, length: usize) -> Result<Vec<u8>, RpmHeaderError> {
    let mut bytes = Vec::new();
    let read = reader.take(length as u64).read_to_end(&mut bytes);
    match read {
        Ok(read) if read == length => Ok(bytes),
        Ok(_) => Err(RpmHeaderError::Read {
            source: io::ErrorKind::UnexpectedEof.into(),
        }),
        Err(source) => Err(RpmHeaderError::Read { source }),
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

impl Header {
    fn read(
        reader: &mut impl Read,
        part: &'static str,
        region: Option<u32>,
    ) -> Result<Self, RpmHeaderError> {
        let mut bytes = take(reader, INTRO_BYTES)?;
        if !bytes.starts_with(&HEADER_MAGIC) {
            return Err(RpmHeaderError::Magic(part));
        }
        let entries = number(&bytes, 8).unwrap_or(0);
        let data = number(&bytes, 12).unwrap_or(0);
        if entries == 0 || entries > ENTRIES || u64::from(data) > limits::CONTROL_BYTES {
            return Err(RpmHeaderError::TooLarge {
                part,
                entries,
                bytes: data,
            });
        }
        let index = (entries as usize).saturating_mul(ENTRY_BYTES);
        let data_at = INTRO_BYTES.saturating_add(index);
        bytes.extend(take(reader, index.saturating_add(data as usize))?);
        let mut header = Self {
            part,
            bytes,
            entries: Vec::new(),
            data_at,
        };
        header.read_entries(entries as usize, region)?;
        Ok(header)
    }

    /// Reads the index. With `region`, the first entry must be a region of that tag over all of it, and its trailer the
    /// last 16 bytes of the data.
    fn read_entries(&mut self, count: usize, region: Option<u32>) -> Result<(), RpmHeaderError> {
        let index = self
            .bytes
            .get(INTRO_BYTES..self.data_at)
            .unwrap_or_default();
        let read = |entry: &[u8; ENTRY_BYTES]| {
            Some(Entry {
                tag: number(entry, 0)?,
                kind: number(entry, 4)?,
                offset: number(entry, 8)?,
                count: number(entry, 12)?,
            })
        };
        let entries: Option<Vec<Entry>> = index.as_chunks().0.iter().map(read).collect();
        let error = || RpmHeaderError::Region(self.part);
        self.entries = entries.filter(|all| all.len() == count).ok_or_else(error)?;
        let Some(region) = region else {
            return Ok(());
        };
        let first = self.entries.first().ok_or_else(error)?;
        let data = self.bytes.get(self.data_at..).unwrap_or_default();
        let trailer_at = data.len().checked_sub(ENTRY_BYTES).ok_or_else(error)?;
        let trailer = data.get(trailer_at..).unwrap_or_default();
        // The trailer says, as a negative offset, how long the index of the region is.
        let whole = u32::try_from(count.saturating_mul(ENTRY_BYTES)).unwrap_or(0);
        let covers_all = (first.tag, first.kind, first.count) == (region, BINARY, 16)
            && usize::try_from(first.offset) == Ok(trailer_at)
            && number(trailer, 0) == Some(region)
            && number(trailer, 4) == Some(BINARY)
            && number(trailer, 8) == Some(whole.wrapping_neg())
            && number(trailer, 12) == Some(16);
        if !covers_all {
            return Err(error());
        }
        Ok(())
    }

    /// The one entry of a tag; `None` if there is none.
    fn entry(&self, tag: u32) -> Result<Option<Entry>, RpmHeaderError> {
        let mut found = self.entries.iter().filter(|entry| entry.tag == tag);
        match (found.next(), found.next()) {
            (entry, None) => Ok(entry.copied()),
            _ => Err(self.broken(tag)),
        }
    }

    const fn broken(&self, tag: u32) -> RpmHeaderError {
        let part = self.part;
        RpmHeaderError::Entry { part, tag }
    }

    /// The data from an entry's offset on.
    fn data(&self, entry: Entry) -> Option<&[u8]> {
        let start = self.data_at.checked_add(entry.offset as usize)?;
        self.bytes.get(start..)
    }

    /// A binary value.
    pub(crate) fn binary(&self, tag: u32) -> Result<Option<&[u8]>, RpmHeaderError> {
        let Some(entry) = self.entry(tag)? else {
            return Ok(None);
        };
        let value = self.data(entry).filter(|_| entry.kind == BINARY);
        let value = value.and_then(|data| data.get(..entry.count as usize));
        value.map(Some).ok_or_else(|| self.broken(tag))
    }

    /// One string, or the strings of an array.
    pub(crate) fn strings(&self, tag: u32) -> Result<Vec<&str>, RpmHeaderError> {
        let Some(entry) = self.entry(tag)? else {
            return Ok(Vec::new());
        };
        let is_text = entry.kind == STRINGS || (entry.kind == STRING && entry.count == 1);
        let data = self.data(entry).filter(|_| is_text);
        let mut parts = data
            .ok_or_else(|| self.broken(tag))?
            .split(|&byte| byte == 0);
        let mut strings = Vec::new();
        let mut left = data.unwrap_or_default().len();
        for _ in 0..entry.count {
            let part = parts.next().unwrap_or_default();
            // The last piece of a split has no NUL after it: the string would run out of the data.
            left = left
                .checked_sub(part.len())
                .and_then(|left| left.checked_sub(1))
                .ok_or_else(|| self.broken(tag))?;
            let text = std::str::from_utf8(part).ok();
            strings.push(text.ok_or_else(|| self.broken(tag))?);
        }
        Ok(strings)
    }

    /// A string that must be there, once.
    pub(crate) fn string(&self, tag: u32) -> Result<&str, RpmHeaderError> {
        match self.strings(tag)?.as_slice() {
            [one] => Ok(one),
            _ => Err(RpmHeaderError::Missing(tag)),
        }
    }

    /// The first number of an array of 32-bit ones.
    pub(crate) fn number(&self, tag: u32) -> Result<Option<u32>, RpmHeaderError> {
        let Some(entry) = self.entry(tag)? else {
            return Ok(None);
        };
        let value = self.data(entry).filter(|_| entry.kind == INT32);
        let value = value
            .and_then(|data| number(data, 0))
            .filter(|_| entry.count == 1);
        value.map(Some).ok_or_else(|| self.broken(tag))
    }

    /// Whether a tag is there.
    pub(crate) fn has(&self, tag: u32) -> bool {
        self.entries.iter().any(|entry| entry.tag == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: u32 = 1000;
    const BYTES: u32 = 268;

    fn words(numbers: &[u32]) -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    }

    /// A header of one text and one binary entry, with a region over all of it.
    fn header(region: u32) -> Vec<u8> {
        let mut data = b"name\0abcdefgh".to_vec();
        let trailer_at = u32::try_from(data.len()).unwrap();
        data.extend(words(&[region, BINARY, (3 * 16_u32).wrapping_neg(), 16]));
        let mut bytes = HEADER_MAGIC.to_vec();
        bytes.extend(words(&[3, u32::try_from(data.len()).unwrap()]));
        bytes.extend(words(&[region, BINARY, trailer_at, 16]));
        bytes.extend(words(&[TEXT, STRING, 0, 1]));
        bytes.extend(words(&[BYTES, BINARY, 5, 8]));
        bytes.extend(data);
        bytes
    }

    fn rpm() -> Vec<u8> {
        let mut bytes = vec![0; LEAD_BYTES];
        bytes[..4].copy_from_slice(&LEAD_MAGIC);
        bytes.extend(header(62));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(header(63));
        bytes.extend(b"payload");
        bytes
    }

    #[test]
    fn headers_are_read_up_to_the_payload() {
        let bytes = rpm();
        let mut reader = &bytes[..];
        let (signatures, main) = read(&mut reader).unwrap();
        assert_eq!(reader, b"payload");
        assert_eq!(main.bytes, header(63));
        assert_eq!(main.string(TEXT).unwrap(), "name");
        assert_eq!(signatures.binary(BYTES).unwrap(), Some(&b"abcdefgh"[..]));
        assert_eq!(main.binary(5).unwrap(), None);
        assert!(main.binary(TEXT).is_err());
        assert!(main.strings(BYTES).is_err());
        assert!(matches!(main.string(5), Err(RpmHeaderError::Missing(5))));
    }

    #[test]
    fn evil_headers_are_refused_and_never_panic() {
        let whole = rpm();
        let at = whole.len() - b"payload".len() - header(63).len();
        for length in 0..whole.len() - b"payload".len() {
            assert!(read(&mut &whole[..length]).is_err(), "{length} bytes");
        }
        // Every byte of the main header, with values that make numbers huge, negative or zero.
        for position in at..whole.len() - b"payload".len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[position] = value;
                if let Ok((_, main)) = read(&mut &bytes[..]) {
                    for tag in [TEXT, BYTES, 63, 0] {
                        let _read = (
                            main.string(tag),
                            main.strings(tag),
                            main.binary(tag),
                            main.number(tag),
                        );
                    }
                }
            }
        }
        let changed = |offset: usize, number: u32| {
            let mut bytes = whole.clone();
            bytes[at + offset..at + offset + 4].copy_from_slice(&number.to_be_bytes());
            read(&mut &bytes[..]).map(|(_, main)| main)
        };
        // No entries; too many; too much data; a region that covers less; a region of another tag.
        assert!(matches!(
            changed(8, 0),
            Err(RpmHeaderError::TooLarge { .. })
        ));
        assert!(matches!(
            changed(8, u32::MAX),
            Err(RpmHeaderError::TooLarge { .. })
        ));
        assert!(matches!(
            changed(12, u32::MAX),
            Err(RpmHeaderError::TooLarge { .. })
        ));
        assert!(matches!(changed(16, 61), Err(RpmHeaderError::Region(_))));
        assert!(matches!(changed(24, 0), Err(RpmHeaderError::Region(_))));
        assert!(matches!(changed(28, 15), Err(RpmHeaderError::Region(_))));
        // A text and a value that run out of the data; a tag that is there twice.
        assert!(changed(40, 1000).unwrap().string(TEXT).is_err());
        assert!(changed(60, 1000).unwrap().binary(BYTES).is_err());
        assert!(changed(48, TEXT).unwrap().string(TEXT).is_err());
    }
}
