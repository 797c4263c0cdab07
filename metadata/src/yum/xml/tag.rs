//! One tag: where it ends, its name, its attributes; found in one pass over its bytes. Nothing is decoded here.

use std::ops::Range;

/// Attributes of one element. `primary.xml` has at most 6, a root element a few namespaces more.
const ATTRIBUTES: usize = 32;

/// The first tag of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    /// In bytes, with both brackets.
    pub(super) length: usize,
    /// Of its name, which stands after the first bracket.
    pub(super) name: usize,
    /// `<a/>`.
    pub(super) is_empty: bool,
}

/// An attribute, by its places in a tag.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
    /// The value stands for itself: printable ASCII without references.
    pub(super) is_plain: bool,
}

/// Why a text does not begin with a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    TooManyAttributes,
    Syntax(&'static str),
}

/// Reads the tag that `text` begins with; `None` where more of it is needed.
pub(super) fn read(text: &str, attributes: &mut Vec<Attribute>) -> Result<Option<Tag>, Fault> {
    let mut cursor = Cursor {
        bytes: text.as_bytes(),
        at: 1,
    };
    cursor.pass_all(NAME);
    let name = cursor.at.saturating_sub(1);
    attributes.clear();
    loop {
        let is_apart = cursor.pass_all(BLANK) > 0;
        let (length, is_empty) = match cursor.peek() {
            None => return Ok(None),
            Some(b'>') => (cursor.at.saturating_add(1), false),
            Some(b'/') => match cursor.bytes.get(cursor.at.saturating_add(1)) {
                None => return Ok(None),
                Some(b'>') => (cursor.at.saturating_add(2), true),
                Some(_) => return Err(Fault::Syntax("a `/` inside a tag")),
            },
            Some(_) if name == 0 => return Err(Fault::Syntax("a tag without a name")),
            Some(_) if !is_apart => {
                return Err(Fault::Syntax("no blank before an attribute"));
            }
            Some(_) if attributes.len() >= ATTRIBUTES => return Err(Fault::TooManyAttributes),
            Some(_) => match cursor.attribute()? {
                None => return Ok(None),
                Some(attribute) => {
                    attributes.push(attribute);
                    continue;
                }
            },
        };
        if name == 0 {
            return Err(Fault::Syntax("a tag without a name"));
        }
        return Ok(Some(Tag {
            length,
            name,
            is_empty,
        }));
    }
}

/// Reads the attributes of a declaration: what stands between `<?xml` and `?>`.
pub(super) fn declaration(text: &str) -> Result<Vec<Attribute>, Fault> {
    let mut cursor = Cursor {
        bytes: text.as_bytes(),
        at: 0,
    };
    let mut attributes = Vec::new();
    loop {
        cursor.pass_all(BLANK);
        if cursor.peek().is_none() {
            return Ok(attributes);
        }
        let cut = Fault::Syntax("a declaration that is cut off");
        attributes.push(cursor.attribute()?.ok_or(cut)?);
        if attributes.len() > ATTRIBUTES {
            return Err(Fault::TooManyAttributes);
        }
    }
}

struct Cursor<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes over all bytes of a class; how many.
    fn pass_all(&mut self, class: u8) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let other = rest.iter().position(|&byte| !is(byte, class));
        let count = other.unwrap_or(rest.len());
        self.at = self.at.saturating_add(count);
        count
    }

    /// Reads `name="value"`; `None` where more is needed.
    fn attribute(&mut self) -> Result<Option<Attribute>, Fault> {
        let start = self.at;
        if self.pass_all(NAME) == 0 {
            return Err(Fault::Syntax("an attribute without a name"));
        }
        let name = start..self.at;
        self.pass_all(BLANK);
        match self.peek() {
            None => return Ok(None),
            Some(b'=') => self.at = self.at.saturating_add(1),
            Some(_) => return Err(Fault::Syntax("an attribute without a value")),
        }
        self.pass_all(BLANK);
        let quote = match self.peek() {
            None => return Ok(None),
            Some(quote @ (b'"' | b'\'')) => quote,
            Some(_) => return Err(Fault::Syntax("a value without quotes")),
        };
        self.at = self.at.saturating_add(1);
        let start = self.at;
        let mut is_plain = true;
        loop {
            self.pass_all(PLAIN);
            match self.peek() {
                None => return Ok(None),
                Some(byte) if byte == quote => break,
                Some(b'<') => return Err(Fault::Syntax("a `<` inside a value")),
                Some(b'"' | b'\'') => {}
                Some(_) => is_plain = false,
            }
            self.at = self.at.saturating_add(1);
        }
        let value = start..self.at;
        self.at = self.at.saturating_add(1);
        Ok(Some(Attribute {
            name,
            value,
            is_plain,
        }))
    }
}

/// What XML takes for blanks.
const BLANK: u8 = 1;
/// What a name may be made of. What XML says of characters beyond ASCII is not asked.
const NAME: u8 = 2;
/// What stands for itself in any value: printable ASCII but quotes, `&` and `<`.
const PLAIN: u8 = 4;

static CLASSES: [u8; 256] = classes();

const fn is(byte: u8, class: u8) -> bool {
    #[expect(
        clippy::indexing_slicing,
        reason = "the table has all values of a byte"
    )]
    let classes = CLASSES[byte as usize];
    classes & class != 0
}

#[expect(
    clippy::indexing_slicing,
    reason = "the table has all values of a byte"
)]
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = u8::MIN;
    loop {
        let blank = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let name =
            byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-' | b'.' | 0x80..);
        let plain = matches!(byte, b' '..0x7f) && !matches!(byte, b'"' | b'\'' | b'&' | b'<');
        let mut of = 0;
        if blank {
            of |= BLANK;
        }
        if name {
            of |= NAME;
        }
        if plain {
            of |= PLAIN;
        }
        classes[byte as usize] = of;
        let Some(next) = byte.checked_add(1) else {
            return classes;
        };
        byte = next;
    }
}
