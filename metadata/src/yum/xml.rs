//! The strict layer over `quick-xml` that every parser of this folder reads through.
//!
//! It knows elements, their attributes and their text, as a stream. It refuses what an index has no use for and an
//! attacker has: document types that define anything, entities of one's own, other encodings than UTF-8, elements nested without end,
//! single tags or texts of megabytes. Namespaces are not resolved: every generator writes the same prefixes.

use crate::limits;
use crate::text::excerpt;
use quick_xml::events::attributes::AttrError;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

/// Elements inside each other. `primary.xml` has 5.
pub(super) const DEPTH: usize = 16;

/// Attributes of one element. `primary.xml` has at most 6, a root element a few namespaces more.
const ATTRIBUTES: usize = 32;

/// Why bytes are not the XML we take.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// The source of the bytes failed: a cut download, a broken compression.
    #[error("the XML cannot be read to its end (at byte {position})")]
    Read {
        /// Bytes read before.
        position: u64,
        /// What the source said.
        source: Arc<io::Error>,
    },
    /// Not well-formed.
    #[error("the XML is not well-formed at byte {position}")]
    Syntax {
        /// Bytes read before.
        position: u64,
        /// What is wrong.
        source: quick_xml::Error,
    },
    /// The text ends inside an element.
    #[error("the XML ends inside an element, after {position} bytes")]
    Truncated {
        /// Its length.
        position: u64,
    },
    /// A document type: it could define entities that blow up or read files.
    #[error("the XML has a document type, which no repository needs")]
    DocumentType,
    /// A declared encoding other than UTF-8.
    #[error("the XML is declared as `{0}`, not as UTF-8")]
    Encoding(String),
    /// An entity that is none of the five of XML.
    #[error("`&{name};` at byte {position} is no entity of XML")]
    Entity {
        /// Its name.
        name: String,
        /// Bytes read before.
        position: u64,
    },
    /// A character that XML forbids, written as a number: NUL, escape.
    #[error("a forbidden control character at byte {position}")]
    Control {
        /// Bytes read before.
        position: u64,
    },
    /// One tag or text longer than [`limits::XML_TOKEN_BYTES`].
    #[error(
        "a tag or text of more than {} bytes ends at or after byte {position}",
        limits::XML_TOKEN_BYTES
    )]
    TooLong {
        /// Bytes read before.
        position: u64,
    },
    /// Elements nested deeper than any index nests them.
    #[error("elements nested too deep at byte {position}")]
    TooDeep {
        /// Bytes read before.
        position: u64,
    },
    /// An element with more attributes than any index gives one.
    #[error("too many attributes at byte {position}")]
    TooManyAttributes {
        /// Bytes read before.
        position: u64,
    },
    /// One attribute twice in an element: two readers could take different ones.
    #[error("an attribute is there twice at byte {position}")]
    Twice {
        /// Bytes read before.
        position: u64,
    },
    /// Text, or an element, where the format has none.
    #[error("`{shown}` at byte {position} is out of place")]
    Stray {
        /// What stands there, cut short.
        shown: String,
        /// Bytes read before.
        position: u64,
    },
}

/// Hands out at most [`limits::XML_TOKEN_BYTES`] between two resets, so that no single tag fills the memory.
#[derive(Debug)]
struct Budget<R> {
    inner: R,
    left: usize,
}

/// What [`Budget`] says when it is used up; known again by its kind.
const USED_UP: io::ErrorKind = io::ErrorKind::FileTooLarge;

impl<R: BufRead> Read for Budget<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let read = available.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Budget<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(USED_UP.into());
        }
        let left = self.left;
        let available = self.inner.fill_buf()?;
        Ok(available.get(..left).unwrap_or(available))
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
        self.inner.consume(count);
    }
}

/// One step through the XML.
#[derive(Debug)]
pub(super) enum Token<'b> {
    /// An element begins. An empty one (`<a/>`) is an `Open` and a `Close` too.
    Open(Element<'b>),
    /// The innermost element ends.
    Close,
    /// The text ends, outside of every element.
    End,
}

/// The beginning of an element.
#[derive(Debug)]
pub(super) struct Element<'b> {
    start: BytesStart<'b>,
    position: u64,
}

impl Element<'_> {
    /// Its name with the prefix as written: `rpm:entry`.
    pub(super) fn name(&self) -> &str {
        self.start.name().into_inner()
    }

    /// Each attribute, decoded; a control character is an error. Whether a name comes twice is for the caller to see.
    pub(super) fn attributes(
        &self,
    ) -> impl Iterator<Item = Result<(&str, Cow<'_, str>), XmlError>> {
        let position = self.position;
        let mut attributes = self.start.attributes();
        // quick-xml would keep a list of all names for each element; callers know the few that matter.
        attributes.with_checks(false);
        attributes.enumerate().map(move |(count, attribute)| {
            if count >= ATTRIBUTES {
                return Err(XmlError::TooManyAttributes { position });
            }
            let attribute = attribute.map_err(|source: AttrError| XmlError::Syntax {
                position,
                source: source.into(),
            })?;
            let key = attribute.key.into_inner();
            let plain = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'&';
            if attribute.value.bytes().all(plain) {
                return Ok((key, attribute.value));
            }
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|source| XmlError::Syntax { position, source })?;
            if has_control(&value) {
                return Err(XmlError::Control { position });
            }
            Ok((key, value))
        })
    }

    /// One attribute, decoded; `None` if absent.
    pub(super) fn attribute(&self, name: &str) -> Result<Option<Cow<'_, str>>, XmlError> {
        let mut found = None;
        for attribute in self.attributes() {
            let (key, value) = attribute?;
            if key == name {
                self.put(&mut found, value)?;
            }
        }
        Ok(found)
    }

    /// Keeps the value of an attribute that may be there once.
    pub(super) fn put<T>(&self, place: &mut Option<T>, value: T) -> Result<(), XmlError> {
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(XmlError::Twice {
                position: self.position,
            }),
        }
    }
}

/// Whether a text has a control character, those of a terminal's 8-bit set included.
fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte < b' ' || byte == 0x7f)
        || (!text.is_ascii() && text.chars().any(char::is_control))
}

/// Walks over XML. Keeps one tag or text in memory.
#[derive(Debug)]
pub(super) struct Xml<R> {
    reader: Reader<Budget<R>>,
    buffer: Vec<u8>,
    /// The content of the last opened tag, kept apart from `buffer` so that [`Xml::next`] can go on reading in a loop.
    tag: String,
    name_length: usize,
    depth: usize,
    /// A document type that only names itself and an address may stand before the root element.
    takes_document_type: bool,
}

impl<R: BufRead> Xml<R> {
    pub(super) fn new(inner: R) -> Self {
        let left = limits::XML_TOKEN_BYTES;
        let mut reader = Reader::from_reader(Budget { inner, left });
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = true;
        config.check_comments = true;
        Self {
            reader,
            buffer: Vec::new(),
            tag: String::new(),
            name_length: 0,
            depth: 0,
            takes_document_type: false,
        }
    }

    /// Passes over a document type that defines nothing, as comps.xml has one. Nobody follows its address, and entities
    /// stay the five of XML.
    pub(super) fn with_document_type(mut self) -> Self {
        self.takes_document_type = true;
        self
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.reader.buffer_position()
    }

    /// The next beginning or end of an element. Comments are passed over; text other than blanks is an error.
    pub(super) fn next(&mut self) -> Result<Token<'_>, XmlError> {
        loop {
            let depth = self.depth;
            let takes_type = self.takes_document_type && depth == 0;
            let (event, position) = read_event(&mut self.reader, &mut self.buffer)?;
            match event {
                Event::Start(_) if depth >= DEPTH => return Err(XmlError::TooDeep { position }),
                Event::DocType(text) if takes_type && !text.contains('[') => {}
                Event::Start(start) => {
                    self.tag.clear();
                    self.tag.push_str(&start);
                    self.name_length = start.name().into_inner().len();
                    break;
                }
                Event::End(_) => {
                    self.depth = depth.saturating_sub(1);
                    return Ok(Token::Close);
                }
                Event::Eof if depth == 0 => return Ok(Token::End),
                Event::Eof => return Err(XmlError::Truncated { position }),
                Event::Text(text) if text.bytes().all(|byte| byte.is_ascii_whitespace()) => {}
                Event::Comment(_) | Event::PI(_) => {}
                Event::Decl(declaration) => check_encoding(&declaration)?,
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::Text(text) => return Err(stray(&text, position)),
                Event::CData(text) => return Err(stray(&text, position)),
                Event::GeneralRef(name) => return Err(stray(&name, position)),
                Event::Empty(start) => return Err(stray(&start, position)),
            }
        }
        self.depth = self.depth.saturating_add(1);
        Ok(Token::Open(Element {
            start: BytesStart::from_content(self.tag.as_str(), self.name_length),
            position: self.reader.buffer_position(),
        }))
    }

    /// Appends the text of the element that was opened last, up to its end. Elements inside are an error, and so are
    /// control characters other than tab and newline.
    pub(super) fn text_into(&mut self, out: &mut String) -> Result<(), XmlError> {
        let start = out.len();
        loop {
            let (event, position) = read_event(&mut self.reader, &mut self.buffer)?;
            match event {
                Event::Text(text) => out.push_str(&text.xml10_content()),
                Event::CData(text) => out.push_str(&text.xml10_content()),
                Event::GeneralRef(name) => out.push(resolve(&name, position)?),
                Event::Comment(_) | Event::PI(_) => {}
                Event::End(_) => break,
                Event::Eof => return Err(XmlError::Truncated { position }),
                Event::Start(start) | Event::Empty(start) => return Err(stray(&start, position)),
                Event::DocType(_) | Event::Decl(_) => return Err(XmlError::DocumentType),
            }
            let length = out.len().saturating_sub(start);
            if length > limits::XML_TOKEN_BYTES {
                return Err(XmlError::TooLong { position });
            }
        }
        self.depth = self.depth.saturating_sub(1);
        let added = out.get(start..).unwrap_or_default();
        if added
            .bytes()
            .any(|byte| byte < b' ' && !b"\t\n\r".contains(&byte))
        {
            let position = self.position();
            return Err(XmlError::Control { position });
        }
        Ok(())
    }

    /// Passes over the rest of the element that was opened last, with everything inside. Its text is not looked at.
    pub(super) fn skip(&mut self) -> Result<(), XmlError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            let depth = self.depth;
            let (event, position) = read_event(&mut self.reader, &mut self.buffer)?;
            match event {
                Event::Start(_) if depth >= DEPTH => return Err(XmlError::TooDeep { position }),
                Event::Start(_) => self.depth = depth.saturating_add(1),
                Event::End(_) => self.depth = depth.saturating_sub(1),
                Event::Eof => return Err(XmlError::Truncated { position }),
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::GeneralRef(name) => drop(resolve(&name, position)?),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads one event with a fresh budget; also the position before it.
fn read_event<'b, R: BufRead>(
    reader: &mut Reader<Budget<R>>,
    buffer: &'b mut Vec<u8>,
) -> Result<(Event<'b>, u64), XmlError> {
    buffer.clear();
    reader.get_mut().left = limits::XML_TOKEN_BYTES;
    let position = reader.buffer_position();
    match reader.read_event_into(buffer) {
        Ok(event) => Ok((event, position)),
        Err(quick_xml::Error::Io(source)) if source.kind() == USED_UP => {
            Err(XmlError::TooLong { position })
        }
        Err(quick_xml::Error::Io(source)) => Err(XmlError::Read { position, source }),
        Err(source) => Err(XmlError::Syntax { position, source }),
    }
}

fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), XmlError> {
    match declaration.encoding() {
        Some(Ok(encoding)) if !encoding.eq_ignore_ascii_case("utf-8") => {
            Err(XmlError::Encoding(excerpt(&encoding)))
        }
        _ => Ok(()),
    }
}

/// The character that `&name;` stands for: one of the five of XML, or a number.
fn resolve(name: &BytesRef<'_>, position: u64) -> Result<char, XmlError> {
    let number = name
        .resolve_char_ref()
        .map_err(|source| XmlError::Syntax { position, source })?;
    if let Some(character) = number {
        let allowed = !character.is_control() || matches!(character, '\t' | '\n' | '\r');
        return allowed
            .then_some(character)
            .ok_or(XmlError::Control { position });
    }
    match &**name {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        other => Err(XmlError::Entity {
            name: excerpt(other),
            position,
        }),
    }
}

fn stray(text: &str, position: u64) -> XmlError {
    XmlError::Stray {
        shown: excerpt(text.trim()),
        position,
    }
}
