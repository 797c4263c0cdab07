//! The strict reader of XML that every parser of this folder reads through.
//!
//! It knows elements, their attributes and their text, as a stream. It refuses what an index has no use for and an
//! attacker has: document types that define anything, entities of one's own, other encodings than UTF-8, elements nested without end,
//! single tags or texts of megabytes. Namespaces are not resolved: every generator writes the same prefixes.
//!
//! Written here because the 52 MB of Stream 9's `primary.xml` take `quick-xml` longer for their events alone than all of
//! reading may take (`docs/dependencies.md`). It stays the measure of what XML means: the tests hold this against it.

mod aside;
mod error;
mod input;
mod tag;
#[cfg(test)]
mod tests;
mod text;

pub use error::XmlError;

use crate::limits;
use crate::text::excerpt;
use aside::Aside;
use input::Input;
use memchr::memchr2;
use std::borrow::Cow;
use std::io::BufRead;
use tag::{Attribute, Fault};
use text::Reference;

/// Elements inside each other. `primary.xml` has 5.
pub(super) const DEPTH: usize = 16;

/// Bytes of a text out of place that are enough for a message.
const SHOWN: usize = 1 << 10;

/// May stand before everything and means nothing in UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// One step through the XML.
#[derive(Debug)]
pub(super) enum Token<'x> {
    /// An element begins. An empty one (`<a/>`) is an `Open` and a `Close` too.
    Open(Element<'x>),
    /// The innermost element ends.
    Close,
    /// The text ends, outside of every element.
    End,
}

/// The beginning of an element.
#[derive(Debug)]
pub(super) struct Element<'x> {
    /// The whole tag.
    tag: &'x str,
    name: usize,
    attributes: &'x [Attribute],
    position: u64,
}

impl<'x> Element<'x> {
    /// Its name with the prefix as written: `rpm:entry`.
    pub(super) fn name(&self) -> &'x str {
        self.tag
            .get(1..self.name.saturating_add(1))
            .unwrap_or_default()
    }

    /// Each attribute, decoded; a control character is an error. Whether a name comes twice is for the caller to see.
    pub(super) fn attributes(
        &self,
    ) -> impl Iterator<Item = Result<(&'x str, Cow<'x, str>), XmlError>> {
        let (tag, position) = (self.tag, self.position);
        self.attributes.iter().map(move |attribute| {
            let part = |range| tag.get(range).unwrap_or_default();
            let (name, value) = (part(attribute.name.clone()), part(attribute.value.clone()));
            if attribute.is_plain {
                Ok((name, Cow::Borrowed(value)))
            } else {
                Ok((name, Cow::Owned(text::value(value, position)?)))
            }
        })
    }

    /// One attribute, decoded; `None` if absent.
    pub(super) fn attribute(&self, name: &str) -> Result<Option<Cow<'x, str>>, XmlError> {
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

/// Walks over XML. Keeps one tag and a piece of the stream in memory.
#[derive(Debug)]
pub(super) struct Xml<R> {
    input: Input<R>,
    /// Lengths of the last opened tag, which lies just before the rest of the input, and of its name.
    tag: usize,
    name: usize,
    attributes: Vec<Attribute>,
    open: OpenNames,
    /// The last opened element is empty: its end comes next, from no bytes.
    is_empty: bool,
    /// A document type that only names itself and an address may stand before the root element.
    takes_document_type: bool,
}

/// What stands between brackets, when it was passed.
#[derive(Debug, Clone, Copy)]
enum Markup {
    Open,
    Close,
    /// Text of so many bytes, which ends three bytes before the rest of the input.
    Data(usize),
    Nothing,
}

impl<R: BufRead> Xml<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            input: Input::new(source),
            tag: 0,
            name: 0,
            attributes: Vec::new(),
            open: OpenNames::default(),
            is_empty: false,
            takes_document_type: false,
        }
    }

    /// Passes over a document type that defines nothing, as comps.xml has one. Nobody follows its address, and entities
    /// stay the five of XML.
    pub(super) fn with_document_type(mut self) -> Self {
        self.takes_document_type = true;
        self
    }

    /// The next beginning or end of an element. Comments are passed over; text other than blanks is an error.
    pub(super) fn next(&mut self) -> Result<Token<'_>, XmlError> {
        if std::mem::take(&mut self.is_empty) {
            return Ok(Token::Close);
        }
        let mut position;
        loop {
            if !self.pass_blanks()? {
                let position = self.input.position();
                let is_outside = self.open.starts.is_empty();
                let truncated = XmlError::Truncated { position };
                return is_outside.then_some(Token::End).ok_or(truncated);
            }
            position = self.input.position();
            match self.markup()? {
                Markup::Open => break,
                Markup::Close => return Ok(Token::Close),
                Markup::Data(length) => return Err(stray(self.data(length), position)),
                Markup::Nothing => {}
            }
        }
        Ok(Token::Open(Element {
            tag: self.input.last(self.tag),
            name: self.name,
            attributes: &self.attributes,
            position,
        }))
    }

    /// Appends the text of the element that was opened last, up to its end. Elements inside are an error, and so are
    /// control characters other than tab and newline.
    pub(super) fn text_into(&mut self, out: &mut String) -> Result<(), XmlError> {
        if std::mem::take(&mut self.is_empty) {
            return Ok(());
        }
        let start = out.len();
        let position = self.input.position();
        loop {
            let rest = self.input.rest();
            let stop = memchr2(b'<', b'&', rest.as_bytes());
            // A return that the window cuts off may be half of an end of a line.
            let whole = rest.strip_suffix('\r').unwrap_or(rest);
            let text = stop.and_then(|stop| rest.get(..stop)).unwrap_or(whole);
            text::push(out, text);
            let passed = text.len();
            let is_reference = rest.as_bytes().get(passed) == Some(&b'&');
            self.input.pass(passed);
            if out.len().saturating_sub(start) > limits::XML_TOKEN_BYTES {
                return Err(XmlError::TooLong { position });
            }
            if stop.is_none() {
                self.more()?;
            } else if is_reference {
                out.push(self.reference()?);
            } else {
                match self.markup()? {
                    Markup::Close => break,
                    Markup::Data(length) => text::push(out, self.data(length)),
                    Markup::Nothing => {}
                    Markup::Open => return Err(stray(self.input.last(self.tag), position)),
                }
            }
        }
        if text::has_control(out.get(start..).unwrap_or_default()) {
            return Err(XmlError::Control { position });
        }
        Ok(())
    }

    /// Passes over the rest of the element that was opened last, with everything inside. Its text is not looked at.
    pub(super) fn skip(&mut self) -> Result<(), XmlError> {
        if std::mem::take(&mut self.is_empty) {
            return Ok(());
        }
        let outside = self.open.starts.len().saturating_sub(1);
        while self.open.starts.len() > outside {
            let rest = self.input.rest();
            let Some(stop) = memchr2(b'<', b'&', rest.as_bytes()) else {
                self.input.pass(rest.len());
                self.more()?;
                continue;
            };
            let is_reference = rest.as_bytes().get(stop) == Some(&b'&');
            self.input.pass(stop);
            if is_reference {
                let _character = self.reference()?;
            } else {
                self.markup()?;
                self.is_empty = false;
            }
        }
        Ok(())
    }

    /// Passes over blanks up to a bracket; `false` at the end of the text.
    fn pass_blanks(&mut self) -> Result<bool, XmlError> {
        loop {
            let rest = self.input.rest();
            if self.input.position() == 0 && rest.starts_with(BYTE_ORDER_MARK) {
                self.input.pass(BYTE_ORDER_MARK.len());
                continue;
            }
            let Some(blanks) = rest.bytes().position(|byte| !byte.is_ascii_whitespace()) else {
                self.input.pass(rest.len());
                if !self.input.more()? {
                    return Ok(false);
                }
                continue;
            };
            self.input.pass(blanks);
            if self.input.rest().starts_with('<') {
                return Ok(true);
            }
            return Err(self.stray_text());
        }
    }

    /// What is wrong with text where there must be none; shown up to the next bracket, wherever the window ends.
    fn stray_text(&mut self) -> XmlError {
        let position = self.input.position();
        loop {
            let rest = self.input.rest();
            if rest.contains('<') || rest.len() > SHOWN || !self.input.more().unwrap_or(false) {
                let text = self.input.rest().split('<').next();
                return stray(text.unwrap_or_default(), position);
            }
        }
    }

    /// Passes over what the rest of the input begins with: a `<`.
    fn markup(&mut self) -> Result<Markup, XmlError> {
        let position = self.input.position();
        loop {
            let rest = self.input.rest();
            let passed = match rest.as_bytes().get(1) {
                None => None,
                Some(b'/') => {
                    let end = self.open.end(rest);
                    let end = end.map_err(|problem| XmlError::Syntax { position, problem })?;
                    end.map(|length| (length, Markup::Close))
                }
                Some(b'!' | b'?') => {
                    let is_outside = self.open.starts.is_empty();
                    aside::read(rest, is_outside, self.takes_document_type, position)?.map(
                        |aside| match aside {
                            Aside::Passed(length) => (length, Markup::Nothing),
                            Aside::Data(length, text) => (length, Markup::Data(text)),
                        },
                    )
                }
                Some(_) => self.start(position)?.map(|length| (length, Markup::Open)),
            };
            if let Some((length, markup)) = passed {
                if length > limits::XML_TOKEN_BYTES {
                    return Err(XmlError::TooLong { position });
                }
                self.input.pass(length);
                return Ok(markup);
            }
            if !self.input.more()? {
                let problem = "a `<` whose end is missing";
                return Err(XmlError::Syntax { position, problem });
            }
        }
    }

    /// The beginning of an element, which the rest of the input begins with; its length.
    fn start(&mut self, position: u64) -> Result<Option<usize>, XmlError> {
        let rest = self.input.rest();
        let tag = tag::read(rest, &mut self.attributes).map_err(|fault| match fault {
            Fault::TooManyAttributes => XmlError::TooManyAttributes { position },
            Fault::Syntax(problem) => XmlError::Syntax { position, problem },
        })?;
        let Some(tag) = tag else {
            return Ok(None);
        };
        if self.open.starts.len() >= DEPTH {
            return Err(XmlError::TooDeep { position });
        }
        (self.tag, self.name, self.is_empty) = (tag.length, tag.name, tag.is_empty);
        if !tag.is_empty {
            let name = rest.get(1..tag.name.saturating_add(1));
            self.open.push(name.unwrap_or_default());
        }
        Ok(Some(tag.length))
    }

    /// The character of the reference that the rest of the input begins with.
    fn reference(&mut self) -> Result<char, XmlError> {
        loop {
            match text::reference(self.input.rest(), self.input.position())? {
                Reference::Is(character, length) => {
                    self.input.pass(length);
                    return Ok(character);
                }
                Reference::Cut => self.more()?,
            }
        }
    }

    /// The character data that was passed just now.
    fn data(&self, length: usize) -> &str {
        let all = self.input.last(length.saturating_add(3));
        all.get(..length).unwrap_or_default()
    }

    /// More of the input, which must come: an element is open.
    fn more(&mut self) -> Result<(), XmlError> {
        let comes = self.input.more()?;
        let position = self.input.position();
        comes.then_some(()).ok_or(XmlError::Truncated { position })
    }
}

/// The names of the elements that are open, one after the other.
#[derive(Debug, Default)]
struct OpenNames {
    names: String,
    starts: Vec<usize>,
}

impl OpenNames {
    fn push(&mut self, name: &str) {
        self.starts.push(self.names.len());
        self.names.push_str(name);
    }

    /// Reads the end of the innermost element, with which `text` must begin; its length. `None` where more is needed.
    fn end(&mut self, text: &str) -> Result<Option<usize>, &'static str> {
        let Some(&start) = self.starts.last() else {
            return Err("the end of an element that is not open");
        };
        let name = self.names.get(start..).unwrap_or_default();
        let text_of_end = text.get(2..).unwrap_or_default();
        let Some(after) = text_of_end.strip_prefix(name) else {
            let may_become = name.starts_with(text_of_end);
            let problem = "the end of an element that is not the innermost";
            return may_become.then_some(None).ok_or(problem);
        };
        let after = after.trim_start_matches([' ', '\t', '\r', '\n']);
        match after.as_bytes().first() {
            None => Ok(None),
            Some(b'>') => {
                self.names.truncate(start);
                self.starts.pop();
                let rest = after.len().saturating_sub(1);
                Ok(Some(text.len().saturating_sub(rest)))
            }
            Some(_) => Err("the end of an element that is not the innermost"),
        }
    }
}

fn stray(text: &str, position: u64) -> XmlError {
    XmlError::Stray {
        shown: excerpt(text.trim()),
        position,
    }
}
