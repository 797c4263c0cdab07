//! `repomd.xml`: the root of a yum repository. One entry per metadata file, with its checksum.

use super::XmlError;
use super::primary::decimal;
use super::xml::{Token, Xml};
use crate::text::excerpt;
use crate::{Digest, limits};
use std::collections::BTreeMap;

/// One metadata file that `repomd.xml` names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepomdFile {
    /// Where it lies below the repository's base URL. Foreign text: never a path on this machine.
    pub location: String,
    /// SHA-256 of the file as it is downloaded; `None` where the repository gives only md5 or sha1, which prove nothing.
    pub checksum: Option<Digest>,
    /// SHA-256 after decompression.
    pub open_checksum: Option<Digest>,
    /// Bytes of the file.
    pub size: Option<u64>,
    /// Bytes after decompression.
    pub open_size: Option<u64>,
    /// When it was made, in seconds since 1970; 0 if not said.
    pub timestamp: i64,
    /// The kind of checksum that was not taken, for the message: `sha`, `md5`; empty if there is none.
    pub weak_checksum: String,
}

/// What `repomd.xml` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repomd {
    /// `revision`, often seconds since 1970; empty if absent.
    pub revision: String,
    /// By type: `primary`, `filelists`, `group`, `modules`, `updateinfo` …
    pub files: BTreeMap<String, RepomdFile>,
}

/// Why bytes are no usable `repomd.xml`.
#[derive(Debug, thiserror::Error)]
pub enum RepomdError {
    /// More than [`limits::RELEASE_BYTES`].
    #[error("a `repomd.xml` of {0} bytes is too large")]
    TooLarge(usize),
    /// Not the XML we take.
    #[error("`repomd.xml` cannot be read")]
    Xml(#[from] XmlError),
    /// The root element is another.
    #[error("`<{0}>` is not the root of a `repomd.xml`")]
    Root(String),
    /// A file without type or location.
    #[error("`repomd.xml` has an entry without {0}")]
    Missing(&'static str),
    /// Two files of one type.
    #[error("`repomd.xml` has two entries of type `{0}`")]
    Twice(String),
    /// A value that is not what it must be.
    #[error("`repomd.xml`, entry `{entry}`: `{element}` cannot be `{value}`")]
    Value {
        /// The type of the entry; empty for the file as a whole.
        entry: String,
        /// Which element.
        element: &'static str,
        /// What stands there, cut short.
        value: String,
    },
}

impl Repomd {
    /// When the repository was made, in seconds since 1970: the newest of its files, or the revision where that is a
    /// time. 0 if nothing says so. Compared with the newest seen, this tells an old copy.
    pub fn date(&self) -> i64 {
        let newest = self.files.values().map(|file| file.timestamp).max();
        newest.filter(|&newest| newest > 0).unwrap_or_else(|| {
            let revision = decimal(&self.revision).and_then(|time| i64::try_from(time).ok());
            revision.unwrap_or(0)
        })
    }
}

/// Reads `repomd.xml`.
///
/// # Errors
/// [`RepomdError`] by what is wrong.
pub fn parse(bytes: &[u8]) -> Result<Repomd, RepomdError> {
    if bytes.len() as u64 > limits::RELEASE_BYTES {
        return Err(RepomdError::TooLarge(bytes.len()));
    }
    let mut xml = Xml::new(bytes);
    match xml.next()? {
        Token::Open(root) if root.name() == "repomd" => {}
        Token::Open(other) => return Err(RepomdError::Root(excerpt(other.name()))),
        Token::Close | Token::End => return Err(RepomdError::Root(String::new())),
    }
    let mut repomd = Repomd::default();
    while let Token::Open(element) = xml.next()? {
        match element.name() {
            "revision" => repomd.revision = read_line(&mut xml, "", "revision")?,
            "data" => {
                let kind = element.attribute("type")?;
                let kind = kind.ok_or(RepomdError::Missing("a type"))?.into_owned();
                let file = read_file(&mut xml, &kind)?;
                if repomd.files.insert(kind.clone(), file).is_some() {
                    return Err(RepomdError::Twice(excerpt(&kind)));
                }
            }
            _ => xml.skip()?,
        }
    }
    match xml.next()? {
        Token::End => Ok(repomd),
        Token::Open(_) | Token::Close => Err(RepomdError::Root(String::new())),
    }
}

/// Reads one entry, up to `</data>`.
fn read_file(xml: &mut Xml<&[u8]>, kind: &str) -> Result<RepomdFile, RepomdError> {
    let mut file = RepomdFile::default();
    let mut seen = Vec::new();
    while let Token::Open(element) = xml.next()? {
        let known = [
            "checksum",
            "open-checksum",
            "location",
            "timestamp",
            "size",
            "open-size",
        ];
        let Some(name) = known.into_iter().find(|known| *known == element.name()) else {
            xml.skip()?;
            continue;
        };
        if seen.contains(&name) {
            return Err(RepomdError::Twice(excerpt(kind)));
        }
        seen.push(name);
        match name {
            "location" => {
                let href = element.attribute("href")?;
                file.location = href.unwrap_or_default().into_owned();
                xml.skip()?;
            }
            "checksum" | "open-checksum" => {
                let algorithm = element.attribute("type")?.unwrap_or_default().into_owned();
                let text = read_line(xml, kind, name)?;
                if algorithm == "sha256" {
                    let digest = text.parse().ok();
                    let digest = Some(digest.ok_or_else(|| bad(kind, name, &text))?);
                    if name == "checksum" {
                        file.checksum = digest;
                    } else {
                        file.open_checksum = digest;
                    }
                } else if name == "checksum" {
                    file.weak_checksum = excerpt(&algorithm);
                }
            }
            name => {
                let text = read_line(xml, kind, name)?;
                // Old generators write a time with a fraction.
                let whole = text.split('.').next().unwrap_or_default();
                let number = decimal(whole).filter(|&number| i64::try_from(number).is_ok());
                let number = number.ok_or_else(|| bad(kind, name, &text))?;
                match name {
                    "size" => file.size = Some(number),
                    "open-size" => file.open_size = Some(number),
                    _ => file.timestamp = i64::try_from(number).unwrap_or(0),
                }
            }
        }
    }
    if file.location.is_empty() {
        return Err(RepomdError::Missing("a location"));
    }
    Ok(file)
}

fn read_line(
    xml: &mut Xml<&[u8]>,
    entry: &str,
    element: &'static str,
) -> Result<String, RepomdError> {
    let mut text = String::new();
    xml.text_into(&mut text)?;
    let line = text.trim();
    if line.chars().any(char::is_control) || line.len() > limits::NAME_BYTES {
        return Err(bad(entry, element, line));
    }
    Ok(line.to_owned())
}

fn bad(entry: &str, element: &'static str, value: &str) -> RepomdError {
    RepomdError::Value {
        entry: excerpt(entry),
        element,
        value: excerpt(value),
    }
}
