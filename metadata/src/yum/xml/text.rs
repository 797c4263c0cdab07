//! What a text or the value of an attribute stands for: references, ends of lines, control characters.

use super::error::XmlError;
use crate::text::excerpt;

/// Bytes of the longest reference that stands for something, and some more, so that a wrong one is shown.
const REFERENCE: usize = 64;

/// What begins with `&`.
#[derive(Debug)]
pub(super) enum Reference {
    /// A character, and the length of the reference.
    Is(char, usize),
    /// It may go on after the text.
    Cut,
}

/// Reads the reference that `text` begins with: one of the five of XML, or a number.
pub(super) fn reference(text: &str, position: u64) -> Result<Reference, XmlError> {
    let bytes = text.bytes().skip(1).take(REFERENCE);
    let stop = bytes
        .enumerate()
        .find(|(_, byte)| matches!(byte, b';' | b'&' | b'<'));
    let problem = "a `&` that begins no reference";
    let name = match stop {
        Some((length, b';')) => text.get(1..length.saturating_add(1)).unwrap_or_default(),
        None if text.len() <= REFERENCE => return Ok(Reference::Cut),
        _ => return Err(XmlError::Syntax { position, problem }),
    };
    let length = name.len().saturating_add(2);
    let character = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#').ok_or_else(|| XmlError::Entity {
                name: excerpt(name),
                position,
            })?;
            let character = numbered(number).ok_or(XmlError::Syntax { position, problem })?;
            if character.is_control() && !matches!(character, '\t' | '\n' | '\r') {
                return Err(XmlError::Control { position });
            }
            character
        }
    };
    Ok(Reference::Is(character, length))
}

/// The character of a number: `10` or `xa`. The standard library would take signs too.
fn numbered(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let are_digits = digits.chars().all(|digit| digit.is_digit(radix));
    let code = u32::from_str_radix(digits, radix)
        .ok()
        .filter(|_| are_digits);
    char::from_u32(code?)
}

/// What the value of an attribute stands for: references are resolved, tabs and ends of lines are blanks, other control
/// characters errors.
pub(super) fn value(written: &str, position: u64) -> Result<String, XmlError> {
    let mut value = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(first) = rest.chars().next() {
        let passed = match first {
            '&' => match reference(rest, position)? {
                Reference::Is(character, length) => {
                    value.push(character);
                    length
                }
                Reference::Cut => {
                    let problem = "a `&` that begins no reference";
                    return Err(XmlError::Syntax { position, problem });
                }
            },
            '\t' | '\n' | '\r' => {
                value.push(' ');
                if rest.starts_with("\r\n") { 2 } else { 1 }
            }
            other => {
                value.push(other);
                other.len_utf8()
            }
        };
        rest = rest.get(passed..).unwrap_or_default();
    }
    if value.chars().any(char::is_control) {
        return Err(XmlError::Control { position });
    }
    Ok(value)
}

/// Appends text as it stands between tags and references: every end of a line is `\n`.
pub(super) fn push(out: &mut String, text: &str) {
    if memchr::memchr(b'\r', text.as_bytes()).is_none() {
        out.push_str(text);
        return;
    }
    let mut after_return = false;
    for character in text.chars() {
        match character {
            '\r' => out.push('\n'),
            '\n' if after_return => {}
            other => out.push(other),
        }
        after_return = character == '\r';
    }
}

/// Whether a text has control characters other than tabs and ends of lines.
pub(super) fn has_control(text: &str) -> bool {
    text.bytes()
        .any(|byte| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r'))
}
