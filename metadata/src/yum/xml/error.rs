//! Why bytes are not the XML that an index is written in. Positions are counted in bytes from the beginning.

use crate::limits;
use std::io;

/// Why bytes are not the XML we take.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// The source of the bytes failed: a cut download, a broken compression.
    #[error("the XML cannot be read to its end (at byte {position})")]
    Read {
        /// Bytes read before.
        position: u64,
        /// What the source said.
        source: io::Error,
    },
    /// Not well-formed.
    #[error("the XML is not well-formed at byte {position}: {problem}")]
    Syntax {
        /// Where the tag, comment or reference begins.
        position: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// Bytes that are no UTF-8.
    #[error("the XML is not UTF-8 at byte {position}")]
    NotText {
        /// Where they are.
        position: u64,
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
        /// Where it is.
        position: u64,
    },
    /// A character that XML forbids, written as a number: NUL, escape.
    #[error("a forbidden control character at byte {position}")]
    Control {
        /// Where it is, or the tag or text that it is in.
        position: u64,
    },
    /// One tag or text longer than [`limits::XML_TOKEN_BYTES`].
    #[error(
        "a tag or text of more than {} bytes begins at or after byte {position}",
        limits::XML_TOKEN_BYTES
    )]
    TooLong {
        /// Bytes read before.
        position: u64,
    },
    /// Elements nested deeper than any index nests them.
    #[error("elements nested too deep at byte {position}")]
    TooDeep {
        /// Where the innermost begins.
        position: u64,
    },
    /// An element with more attributes than any index gives one.
    #[error("too many attributes at byte {position}")]
    TooManyAttributes {
        /// Where the element begins.
        position: u64,
    },
    /// One attribute twice in an element: two readers could take different ones.
    #[error("an attribute is there twice at byte {position}")]
    Twice {
        /// Where the element begins.
        position: u64,
    },
    /// Text, or an element, where the format has none.
    #[error("`{shown}` at byte {position} is out of place")]
    Stray {
        /// What stands there, cut short.
        shown: String,
        /// Where it begins.
        position: u64,
    },
}
