//! Metalinks: where copies of `repomd.xml` lie, and which hashes it may have.
//!
//! A metalink comes over TLS from a server that the template names; its hashes bind what mirrors serve. They are no
//! substitute for a signature by a pinned key.

use super::XmlError;
use super::mirrorlist::is_address;
use super::primary::decimal;
use super::xml::{Token, Xml};
use crate::text::excerpt;
use crate::{Digest, limits};
use std::io::BufRead;

/// The path of the file that a metalink is about, below the base URL.
const REPOMD: &str = "repodata/repomd.xml";

/// The most mirrors that are taken from one metalink.
const MIRRORS: usize = 1000;

/// What a metalink says about `repomd.xml`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metalink {
    /// SHA-256 values that `repomd.xml` may have: the current one first, then those of mirrors that lag behind.
    pub digests: Vec<Digest>,
    /// Size of the current one in bytes.
    pub size: Option<u64>,
    /// When the current one was made, in seconds since 1970.
    pub timestamp: Option<i64>,
    /// Base URLs (the part before `repodata/repomd.xml`), best first.
    pub base_urls: Vec<String>,
}

/// Why bytes are no usable metalink.
#[derive(Debug, thiserror::Error)]
pub enum MetalinkError {
    /// More than [`limits::RELEASE_BYTES`].
    #[error("a metalink of {0} bytes is too large")]
    TooLarge(usize),
    /// Not the XML we take.
    #[error("the metalink cannot be read")]
    Xml(#[from] XmlError),
    /// The root element is another.
    #[error("`<{0}>` is not the root of a metalink")]
    Root(String),
    /// Nothing about a `repomd.xml`, or about two of them.
    #[error("the metalink names {0} files `repomd.xml` instead of one")]
    Files(usize),
    /// A value that is not what it must be.
    #[error("the metalink: `{element}` cannot be `{value}`")]
    Value {
        /// Which element.
        element: &'static str,
        /// What stands there, cut short.
        value: String,
    },
    /// No SHA-256 of the file: md5 and sha1 prove nothing.
    #[error("the metalink has no sha256 of `repomd.xml`")]
    NoDigest,
}

/// Reads a metalink, version 3 as Fedora's mirror manager writes it.
///
/// # Errors
/// [`MetalinkError`] by what is wrong.
pub fn parse(bytes: &[u8]) -> Result<Metalink, MetalinkError> {
    if bytes.len() as u64 > limits::RELEASE_BYTES {
        return Err(MetalinkError::TooLarge(bytes.len()));
    }
    let mut xml = Xml::new(bytes);
    match xml.next()? {
        Token::Open(root) if root.name() == "metalink" => {}
        Token::Open(other) => {
            return Err(MetalinkError::Root(excerpt(other.name())));
        }
        Token::Close | Token::End => return Err(MetalinkError::Root(String::new())),
    }
    let mut found = Vec::new();
    while let Token::Open(element) = xml.next()? {
        if element.name() == "files" {
            read_files(&mut xml, &mut found)?;
        } else {
            xml.skip()?;
        }
    }
    match <[File; 1]>::try_from(found) {
        Ok([file]) => file.finish(),
        Err(files) => Err(MetalinkError::Files(files.len())),
    }
}

/// A `<file name="repomd.xml">` while it is read.
#[derive(Debug, Default)]
struct File {
    metalink: Metalink,
    mirrors: Vec<(u64, String)>,
}

impl File {
    fn finish(mut self) -> Result<Metalink, MetalinkError> {
        if self.metalink.digests.is_empty() {
            return Err(MetalinkError::NoDigest);
        }
        // Stable: mirrors of equal preference stay in the order of the file.
        self.mirrors
            .sort_by_key(|(preference, _)| std::cmp::Reverse(*preference));
        for (_, url) in self.mirrors {
            if !self.metalink.base_urls.contains(&url) {
                self.metalink.base_urls.push(url);
            }
        }
        Ok(self.metalink)
    }
}

fn read_files(xml: &mut Xml<impl BufRead>, found: &mut Vec<File>) -> Result<(), MetalinkError> {
    while let Token::Open(element) = xml.next()? {
        if element.name() == "file" && element.attribute("name")?.as_deref() == Some("repomd.xml") {
            let mut file = File::default();
            read_file(xml, &mut file, true)?;
            found.push(file);
        } else {
            xml.skip()?;
        }
    }
    Ok(())
}

/// Reads `<file>`, or an `<mm0:alternate>` inside it, which describes an older `repomd.xml`.
fn read_file(
    xml: &mut Xml<impl BufRead>,
    file: &mut File,
    current: bool,
) -> Result<(), MetalinkError> {
    loop {
        let element = match xml.next()? {
            Token::Open(element) => element,
            Token::Close | Token::End => return Ok(()),
        };
        match element.name() {
            "mm0:timestamp" if current => {
                file.metalink.timestamp = i64::try_from(read_number(xml, "timestamp")?).ok();
            }
            "size" if current => file.metalink.size = Some(read_number(xml, "size")?),
            "verification" => read_hashes(xml, &mut file.metalink.digests)?,
            "resources" if current => read_mirrors(xml, &mut file.mirrors)?,
            "mm0:alternates" if current => {
                while let Token::Open(element) = xml.next()? {
                    if element.name() == "mm0:alternate" {
                        read_file(xml, file, false)?;
                    } else {
                        xml.skip()?;
                    }
                }
            }
            _ => xml.skip()?,
        }
    }
}

fn read_number(xml: &mut Xml<impl BufRead>, element: &'static str) -> Result<u64, MetalinkError> {
    let mut text = String::new();
    xml.text_into(&mut text)?;
    decimal(&text).ok_or_else(|| bad(element, &text))
}

fn read_hashes(
    xml: &mut Xml<impl BufRead>,
    digests: &mut Vec<Digest>,
) -> Result<(), MetalinkError> {
    while let Token::Open(element) = xml.next()? {
        let is_sha256 =
            element.name() == "hash" && element.attribute("type")?.as_deref() == Some("sha256");
        if !is_sha256 {
            xml.skip()?;
            continue;
        }
        let mut text = String::new();
        xml.text_into(&mut text)?;
        let digest = text.trim().parse().ok();
        digests.push(digest.ok_or_else(|| bad("hash", &text))?);
    }
    Ok(())
}

fn read_mirrors(
    xml: &mut Xml<impl BufRead>,
    mirrors: &mut Vec<(u64, String)>,
) -> Result<(), MetalinkError> {
    while let Token::Open(element) = xml.next()? {
        if element.name() != "url" {
            xml.skip()?;
            continue;
        }
        let preference = element.attribute("preference")?;
        let preference = preference.and_then(|text| decimal(&text)).unwrap_or(0);
        let mut text = String::new();
        xml.text_into(&mut text)?;
        let base = text.trim().strip_suffix(REPOMD);
        if let Some(base) = base.filter(|base| is_address(base) && mirrors.len() < MIRRORS) {
            mirrors.push((preference, base.to_owned()));
        }
    }
    Ok(())
}

fn bad(element: &'static str, value: &str) -> MetalinkError {
    MetalinkError::Value {
        element,
        value: excerpt(value.trim()),
    }
}
