//! From the fields of one control paragraph to a [`PackageRecord`]: shared by `Packages` and control data.

use super::deb822::{Field, trim};
use crate::package::{MultiArch, PackageRecord, Priority, Relation, RelationKind};
use crate::{Digest, Family};
use memchr::{memchr, memchr_iter};
use std::borrow::Cow;

/// What is wrong with the value of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// The field was there already.
    #[error("given twice")]
    Twice,
    /// Nothing stands there.
    #[error("empty")]
    Empty,
    /// A character that does not belong there, such as a control character in a name.
    #[error("a character that is not allowed")]
    Character,
    /// Not a number of bytes.
    #[error("not a whole number")]
    Number,
    /// Not 64 lower-case hexadecimal digits.
    #[error("not 64 lower-case hexadecimal digits")]
    Digest,
}

/// The fields that a [`PackageRecord`] is made of. The value is the bit in [`Draft::seen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Known {
    Package,
    Version,
    Architecture,
    Source,
    Filename,
    Size,
    InstalledSize,
    Sha256,
    Essential,
    Protected,
    Important,
    MultiArch,
    Priority,
    Description,
    Section,
    PreDepends,
    Depends,
    Recommends,
    Suggests,
    Enhances,
    Conflicts,
    Breaks,
    Replaces,
    Provides,
}

impl Known {
    /// Finds a field by length and first letter, then compares the whole name without regard to case.
    fn of(name: &str) -> Option<Self> {
        let first = name.as_bytes().first()?.to_ascii_lowercase();
        let is = |known: &str| known == name || known.eq_ignore_ascii_case(name);
        let (known, field) = match (name.len(), first) {
            (4, b's') => ("Size", Self::Size),
            (6, b's') if is("SHA256") => return Some(Self::Sha256),
            (6, b's') => ("Source", Self::Source),
            (6, b'b') => ("Breaks", Self::Breaks),
            (7, b's') => ("Section", Self::Section),
            (7, b'p') => ("Package", Self::Package),
            (7, b'v') => ("Version", Self::Version),
            (7, b'd') => ("Depends", Self::Depends),
            (8, b'f') => ("Filename", Self::Filename),
            (8, b'p') if is("Priority") => return Some(Self::Priority),
            (8, b'p') => ("Provides", Self::Provides),
            (8, b's') => ("Suggests", Self::Suggests),
            (8, b'e') => ("Enhances", Self::Enhances),
            (8, b'r') => ("Replaces", Self::Replaces),
            (9, b'e') => ("Essential", Self::Essential),
            (9, b'p') => ("Protected", Self::Protected),
            (9, b'i') => ("Important", Self::Important),
            (9, b'c') => ("Conflicts", Self::Conflicts),
            (10, b'm') => ("Multi-Arch", Self::MultiArch),
            (10, b'r') => ("Recommends", Self::Recommends),
            (11, b'd') => ("Description", Self::Description),
            (11, b'p') => ("Pre-Depends", Self::PreDepends),
            (12, b'a') => ("Architecture", Self::Architecture),
            (14, b'i') => ("Installed-Size", Self::InstalledSize),
            _ => return None,
        };
        is(known).then_some(field)
    }

    const fn relation(self) -> Option<RelationKind> {
        Some(match self {
            Self::PreDepends => RelationKind::PreDepends,
            Self::Depends => RelationKind::Depends,
            Self::Recommends => RelationKind::Recommends,
            Self::Suggests => RelationKind::Suggests,
            Self::Enhances => RelationKind::Enhances,
            Self::Conflicts => RelationKind::Conflicts,
            Self::Breaks => RelationKind::Breaks,
            Self::Replaces => RelationKind::Replaces,
            Self::Provides => RelationKind::Provides,
            _ => return None,
        })
    }
}

/// A record that is filled field by field, and used again for the next paragraph.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) record: PackageRecord<'a>,
    seen: u32,
}

impl<'a> Draft<'a> {
    pub(super) const fn new() -> Self {
        Self {
            record: empty(Vec::new()),
            seen: 0,
        }
    }

    /// Forgets the paragraph and keeps the memory.
    pub(super) fn clear(&mut self) {
        let mut relations = std::mem::take(&mut self.record.relations);
        relations.clear();
        self.record = empty(relations);
        self.seen = 0;
    }

    /// Whether this paragraph had the field.
    pub(super) const fn has(&self, field: Known) -> bool {
        self.seen & (1 << field as u32) != 0
    }

    /// Takes over one field; unknown ones are passed over.
    pub(super) fn take(&mut self, field: Field<'a>) -> Result<(), FieldProblem> {
        let Some(known) = Known::of(field.name) else {
            return Ok(());
        };
        if self.has(known) {
            return Err(FieldProblem::Twice);
        }
        self.seen |= 1 << known as u32;
        let value = field.value;
        let record = &mut self.record;
        match known {
            Known::Package => record.name = word(value, PACKAGE)?,
            Known::Version => record.version = Cow::Borrowed(word(value, VERSION)?),
            Known::Architecture => record.arch = word(value, ARCH)?,
            Known::Source => record.source = source_name(value)?,
            Known::Section => record.section = trim(value),
            Known::Filename => record.location = line(value)?,
            Known::Size => record.size = number(value)?,
            Known::InstalledSize => record.installed_size = number(value)?.saturating_mul(1024),
            Known::Sha256 => record.sha256 = sha256(value).ok_or(FieldProblem::Digest)?,
            Known::Essential => record.essential = value.eq_ignore_ascii_case("yes"),
            Known::Protected | Known::Important => {
                record.protected |= value.eq_ignore_ascii_case("yes");
            }
            Known::MultiArch => record.multi_arch = multi_arch(value)?,
            Known::Priority => record.priority = priority(value),
            Known::Description => {
                let end = memchr(b'\n', value.as_bytes());
                record.summary = trim(end.and_then(|end| value.get(..end)).unwrap_or(value));
            }
            relation => {
                if let Some(kind) = relation.relation() {
                    push_relations(record, kind, value);
                }
            }
        }
        Ok(())
    }
}

const fn empty(relations: Vec<Relation<'_>>) -> PackageRecord<'_> {
    PackageRecord {
        family: Family::Deb,
        name: "",
        version: Cow::Borrowed(""),
        arch: "",
        source: "",
        section: "",
        location: "",
        size: 0,
        installed_size: 0,
        sha256: Digest::from_bytes([0; 32]),
        essential: false,
        protected: false,
        multi_arch: MultiArch::No,
        priority: Priority::Optional,
        summary: "",
        relations,
    }
}

/// One relation per comma-separated item. Empty items are what a trailing comma leaves; apt passes over them too.
fn push_relations<'a>(record: &mut PackageRecord<'a>, kind: RelationKind, value: &'a str) {
    let bytes = value.as_bytes();
    let folded = memchr(b'\n', bytes).is_some();
    let mut start = 0_usize;
    for end in memchr_iter(b',', bytes).chain([bytes.len()]) {
        let item = value.get(start..end).unwrap_or_default().trim_ascii();
        start = end.saturating_add(1);
        if item.is_empty() {
            continue;
        }
        let text = if folded && item.contains('\n') {
            Cow::Owned(item.replace('\n', " "))
        } else {
            Cow::Borrowed(item)
        };
        record.relations.push((kind, text));
    }
}

/// Kinds of bytes, as bits of [`CLASSES`].
const PACKAGE: u8 = 1;
const VERSION: u8 = 1 << 1;
const ARCH: u8 = 1 << 2;
const DIGIT: u8 = 1 << 3;

/// What each byte may stand in. One look per byte: words are too short for anything wider.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        let alphanumeric = byte.is_ascii_alphanumeric();
        let package = alphanumeric || matches!(byte, b'+' | b'-' | b'.' | b'_');
        let version = package || matches!(byte, b'~' | b':');
        let arch = alphanumeric || byte == b'-';
        #[expect(
            clippy::indexing_slicing,
            reason = "a byte is below 256; and this runs at compile time"
        )]
        {
            classes[byte as usize] = if package { PACKAGE } else { 0 }
                | if version { VERSION } else { 0 }
                | if arch { ARCH } else { 0 }
                | if byte.is_ascii_digit() { DIGIT } else { 0 };
        }
        if byte == u8::MAX {
            break;
        }
        byte = byte.wrapping_add(1);
    }
    classes
};

/// A value of one word whose bytes are all of a class.
fn word(value: &str, class: u8) -> Result<&str, FieldProblem> {
    let classes = value.bytes().fold(u8::MAX, |all, byte| {
        all & CLASSES.get(usize::from(byte)).copied().unwrap_or(0)
    });
    if value.is_empty() {
        Err(FieldProblem::Empty)
    } else if classes & class == 0 {
        Err(FieldProblem::Character)
    } else {
        Ok(value)
    }
}

/// A value of one line without control characters.
pub(super) fn line(value: &str) -> Result<&str, FieldProblem> {
    // No early end: the loop is done sixteen bytes at a time.
    let wrong = |wrong: u8, byte: u8| wrong | u8::from(byte < b' ') | u8::from(byte == 0x7f);
    if value.is_empty() {
        Err(FieldProblem::Empty)
    } else if value.bytes().fold(0, wrong) == 0 {
        Ok(value)
    } else {
        Err(FieldProblem::Character)
    }
}

/// `Source: glibc (2.36-9)` names `glibc`.
fn source_name(value: &str) -> Result<&str, FieldProblem> {
    let end = value.bytes().position(|byte| matches!(byte, b' ' | b'\t'));
    let name = end.and_then(|end| value.get(..end)).unwrap_or(value);
    word(name, PACKAGE)
}

/// Decimal digits only: the standard library would take `+5` too.
pub(super) fn number(value: &str) -> Result<u64, FieldProblem> {
    let digits = word(value, DIGIT).map_err(|problem| match problem {
        FieldProblem::Character => FieldProblem::Number,
        other => other,
    })?;
    digits.parse().ok().ok_or(FieldProblem::Number)
}

fn multi_arch(value: &str) -> Result<MultiArch, FieldProblem> {
    match value {
        "same" => Ok(MultiArch::Same),
        "foreign" => Ok(MultiArch::Foreign),
        "allowed" => Ok(MultiArch::Allowed),
        "no" => Ok(MultiArch::No),
        _ => Err(FieldProblem::Character),
    }
}

fn priority(value: &str) -> Priority {
    match value {
        "required" => Priority::Required,
        "important" => Priority::Important,
        "standard" => Priority::Standard,
        "extra" => Priority::Extra,
        _ => Priority::Optional,
    }
}

/// 64 lower-case hexadecimal digits; upper case is refused, for apt writes none.
pub(super) fn sha256(value: &str) -> Option<Digest> {
    let digits: &[u8; 64] = value.as_bytes().try_into().ok()?;
    let mut wrong = false;
    let nibbles = digits.map(|byte| {
        let (digit, letter) = (byte.wrapping_sub(b'0'), byte.wrapping_sub(b'a'));
        wrong |= digit >= 10 && letter >= 6;
        if digit < 10 {
            digit
        } else {
            letter.wrapping_add(10)
        }
    });
    let mut bytes = [0_u8; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(nibbles.as_chunks::<2>().0) {
        *byte = high << 4 | low & 0x0f;
    }
    (!wrong).then(|| Digest::from_bytes(bytes))
}
