//! The file `keys`: which signing keys a template pins, and where a copy of each may lie.
//!
//! One key per line: a fingerprint, then places in the order they are tried. A place is the name of a file beside
//! `keys`, an absolute path on the node, or an `http`, `https` or `file` URL. A key from anywhere counts only if its
//! fingerprint is the pinned one, so a place needs no trust. Nothing here reads a key; `repo-client` does.

use super::error::LineProblem;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The fingerprint of an OpenPGP certificate: 40 (version 4) or 64 (version 6) hexadecimal digits, upper case.
///
/// ```
/// use vzpkg_metadata::template::Fingerprint;
/// let pinned: Fingerprint = "41587f7db8c774bccf131416762f67a0b2c39de4".parse().unwrap();
/// assert_eq!(pinned.to_string(), "41587F7DB8C774BCCF131416762F67A0B2C39DE4");
/// assert!("B2C39DE4".parse::<Fingerprint>().is_err()); // a short key id proves nothing
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

/// A text that is no fingerprint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no key fingerprint: 40 or 64 hexadecimal digits are expected, without blanks")]
pub struct FingerprintParseError(String);

impl Fingerprint {
    /// The hexadecimal digits, upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if matches!(digits.len(), 40 | 64) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(digits.to_ascii_uppercase()))
        } else {
            Err(FingerprintParseError(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", self.0)
    }
}

/// Where a copy of a pinned key may lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// A file in the template directory, already read: armored or binary certificates.
    Beside {
        /// The name as the file `keys` has it.
        name: String,
        /// What the file holds.
        content: Vec<u8>,
    },
    /// A keyring or certificate on the node.
    Path(PathBuf),
    /// A certificate on a server (`http`, `https`, `file`), for a node that has none.
    Url(String),
}

/// One pinned key. After the listed places, the host's keyring directories are searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPin {
    /// Which certificate counts.
    pub fingerprint: Fingerprint,
    /// Where to look, in this order; may be empty.
    pub places: Vec<KeyPlace>,
    /// The repository prefix of the template directory that pins it: `base`, `minimal`, `nginx` (see
    /// [`super::Template::keys_for`]).
    pub origin: String,
}

/// A place as written, before files beside are read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WrittenPlace {
    Beside(String),
    Elsewhere(KeyPlace),
}

/// Splits one line of the file.
pub(super) fn parse_line(line: &str) -> Result<(Fingerprint, Vec<WrittenPlace>), LineProblem> {
    let mut words = line.split_whitespace();
    let fingerprint = words.next().unwrap_or_default().parse()?;
    let places = words.map(parse_place).collect::<Result<_, _>>()?;
    Ok((fingerprint, places))
}

fn parse_place(word: &str) -> Result<WrittenPlace, LineProblem> {
    if word.starts_with('/') {
        return Ok(WrittenPlace::Elsewhere(KeyPlace::Path(PathBuf::from(word))));
    }
    if ["http://", "https://", "file:///"]
        .iter()
        .any(|scheme| word.starts_with(scheme))
    {
        return Ok(WrittenPlace::Elsewhere(KeyPlace::Url(word.to_owned())));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    if !word.starts_with('.') && word.chars().all(plain) {
        return Ok(WrittenPlace::Beside(word.to_owned()));
    }
    Err(LineProblem::KeyPlace(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_line_is_a_fingerprint_and_places_in_order() {
        let print = "41587F7DB8C774BCCF131416762F67A0B2C39DE4";
        let line = format!("{print} key.asc /usr/share/keyrings/a.gpg https://example.org/k.asc");
        let (fingerprint, places) = parse_line(&line).unwrap();
        assert_eq!(fingerprint.as_str(), print);
        assert_eq!(
            places,
            [
                WrittenPlace::Beside("key.asc".into()),
                WrittenPlace::Elsewhere(KeyPlace::Path("/usr/share/keyrings/a.gpg".into())),
                WrittenPlace::Elsewhere(KeyPlace::Url("https://example.org/k.asc".into())),
            ]
        );
        assert!(parse_line(print).unwrap().1.is_empty());
    }

    #[test]
    fn places_that_leave_the_directory_and_short_ids_are_refused() {
        let print = "41587F7DB8C774BCCF131416762F67A0B2C39DE4";
        for place in ["../key", "a/b", ".hidden", "ftp://example.org/k"] {
            assert!(parse_line(&format!("{print} {place}")).is_err(), "{place}");
        }
        for print in ["B2C39DE4", "", &"g".repeat(40), &"A".repeat(41)] {
            assert!(parse_line(print).is_err(), "{print}");
        }
    }
}
