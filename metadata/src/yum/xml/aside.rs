//! Markup that is no element: comments, instructions, declarations, character data, document types. Where each ends, and
//! whether it may stand there.

use super::error::XmlError;
use super::tag::{self, Fault};
use crate::text::excerpt;
use memchr::memmem;

/// What begins with `<!` or `<?`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aside {
    /// Nothing that anybody needs; its length.
    Passed(usize),
    /// Text without references: the length of all, and of the text, which ends three bytes earlier.
    Data(usize, usize),
}

const COMMENT: &str = "<!--";
const DATA: &str = "<![CDATA[";
const DOCUMENT_TYPE: &str = "<!DOCTYPE";

/// Reads what `text` begins with; `None` where more of it is needed. A document type is read only `outside` of all elements,
/// where the format has one, and only if it defines nothing.
pub(super) fn read(
    text: &str,
    outside: bool,
    takes_type: bool,
    position: u64,
) -> Result<Option<Aside>, XmlError> {
    let syntax = |problem| XmlError::Syntax { position, problem };
    if let Some(content) = text.strip_prefix("<?") {
        let Some(end) = memmem::find(content.as_bytes(), b"?>") else {
            return Ok(None);
        };
        let content = content.get(..end).unwrap_or_default();
        let declared = content.strip_prefix("xml");
        let declared =
            declared.filter(|rest| !rest.starts_with(|c: char| !c.is_ascii_whitespace()));
        match declared {
            Some(declared) if outside => check_encoding(declared, position)?,
            Some(_) => return Err(syntax("a declaration inside an element")),
            None => {}
        }
        return Ok(Some(Aside::Passed(end.saturating_add(4))));
    }
    if let Some(content) = text.strip_prefix(COMMENT) {
        let Some(dashes) = memmem::find(content.as_bytes(), b"--") else {
            return Ok(None);
        };
        let end = dashes.saturating_add(2);
        return match content.as_bytes().get(end) {
            None => Ok(None),
            Some(b'>') => {
                let length = end.saturating_add(COMMENT.len()).saturating_add(1);
                Ok(Some(Aside::Passed(length)))
            }
            Some(_) => Err(syntax("a `--` inside a comment")),
        };
    }
    if let Some(content) = text.strip_prefix(DATA) {
        let end = memmem::find(content.as_bytes(), b"]]>");
        return Ok(end.map(|end| {
            let length = end.saturating_add(DATA.len()).saturating_add(3);
            Aside::Data(length, end)
        }));
    }
    if let Some(content) = text.strip_prefix(DOCUMENT_TYPE) {
        return if outside && takes_type {
            document_type(content)
        } else {
            Err(XmlError::DocumentType)
        };
    }
    let may_become = |known: &&str| known.starts_with(text);
    if [COMMENT, DATA, DOCUMENT_TYPE].iter().any(may_become) {
        return Ok(None);
    }
    Err(syntax("a `<!` that begins nothing"))
}

/// A document type up to its end, if all that it has is names and addresses.
fn document_type(content: &str) -> Result<Option<Aside>, XmlError> {
    let mut quote = None;
    for (at, byte) in content.bytes().enumerate() {
        match (quote, byte) {
            (_, b'[') => return Err(XmlError::DocumentType),
            (None, b'>') => {
                let length = at.saturating_add(DOCUMENT_TYPE.len()).saturating_add(1);
                return Ok(Some(Aside::Passed(length)));
            }
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    Ok(None)
}

fn check_encoding(declaration: &str, position: u64) -> Result<(), XmlError> {
    let attributes = tag::declaration(declaration).map_err(|fault| match fault {
        Fault::Syntax(problem) => XmlError::Syntax { position, problem },
        Fault::TooManyAttributes => XmlError::TooManyAttributes { position },
    })?;
    let part = |range| declaration.get(range).unwrap_or_default();
    for attribute in attributes {
        let value = part(attribute.value);
        if part(attribute.name) == "encoding" && !value.eq_ignore_ascii_case("utf-8") {
            return Err(XmlError::Encoding(excerpt(value)));
        }
    }
    Ok(())
}
