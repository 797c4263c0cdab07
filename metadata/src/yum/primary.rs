//! `primary.xml`: every package of a yum repository, read as a stream.
//!
//! The texts of one package are collected in one buffer, which is used again for the next; so memory is that of the
//! largest package, whatever the index. Strict: a package must say once, and well-formed, what fetching, verifying and
//! comparing it needs.

use super::XmlError;
use super::package::Package;
use super::xml::{Token, Xml};
use crate::package::{PackageRecord, Relation};
use crate::text::excerpt;
use std::io::BufRead;

/// Why bytes are no usable `primary.xml`. Packages are counted from 1; a name is empty where it is not known yet.
#[derive(Debug, thiserror::Error)]
pub enum PrimaryError {
    /// Not the XML we take.
    #[error("`primary.xml` cannot be read")]
    Xml(#[from] XmlError),
    /// The root element is another.
    #[error("`<{0}>` is not the root of a `primary.xml`")]
    Root(String),
    /// An element that every package must have is not there.
    #[error("package {number} of the index (`{name}`) has no `{element}`")]
    Missing {
        /// Which package.
        number: u64,
        /// Its name.
        name: String,
        /// The element, or element and attribute.
        element: &'static str,
    },
    /// An element that may be there once only.
    #[error("package {number} of the index (`{name}`) has `{element}` twice")]
    Twice {
        /// Which package.
        number: u64,
        /// Its name.
        name: String,
        /// The element.
        element: &'static str,
    },
    /// A value that is not what it must be.
    #[error("package {number} of the index (`{name}`): `{element}` cannot be `{value}`")]
    Value {
        /// Which package.
        number: u64,
        /// Its name.
        name: String,
        /// The element, or element and attribute.
        element: &'static str,
        /// What stands there, cut short.
        value: String,
    },
    /// The package is identified by something other than SHA-256.
    #[error(
        "package {number} of the index (`{name}`) is identified by `{kind}`, which proves nothing here: sha256 is needed"
    )]
    Checksum {
        /// Which package.
        number: u64,
        /// Its name.
        name: String,
        /// What it is: `sha` and `md5` are broken, `sha512` is not supported.
        kind: String,
    },
    /// One package's texts are longer than [`crate::limits::CONTROL_BYTES`].
    #[error("package {number} of the index (`{name}`) is described by too much text")]
    TooLarge {
        /// Which package.
        number: u64,
        /// Its name.
        name: String,
    },
    /// The index holds more or fewer packages than its root element says.
    #[error("the index promises {promised} packages and has {found}")]
    Count {
        /// What the root element says.
        promised: u64,
        /// How many there are.
        found: u64,
    },
}

/// Reads `primary.xml` and hands each package to `visit`, in order; one package is in memory at a time.
/// `location` is the package's `href`, made a whole URL where the package has an `xml:base`. About 4 ns per byte.
///
/// # Errors
/// [`PrimaryError`], which names the package. `visit` has then seen the packages before it.
pub fn scan(
    reader: impl BufRead,
    visit: &mut dyn FnMut(&PackageRecord<'_>),
) -> Result<(), PrimaryError> {
    let mut xml = Xml::new(reader);
    let promised = read_root(&mut xml)?;
    let mut package = Package::default();
    let mut relations = Vec::new();
    let mut found = 0_u64;
    loop {
        match xml.next()? {
            Token::Open(element) if element.name() == "package" => {}
            Token::Open(_) => {
                xml.skip()?;
                continue;
            }
            Token::Close | Token::End => break,
        }
        found = found.saturating_add(1);
        package.clear(found);
        package.read(&mut xml)?;
        let record = package.record(relations)?;
        visit(&record);
        relations = recycle(record.relations);
    }
    if !matches!(xml.next()?, Token::End) {
        return Err(PrimaryError::Root(String::new()));
    }
    match promised {
        Some(promised) if promised != found => Err(PrimaryError::Count { promised, found }),
        _ => Ok(()),
    }
}

/// The number of packages that the root element promises.
fn read_root(xml: &mut Xml<impl BufRead>) -> Result<Option<u64>, PrimaryError> {
    match xml.next()? {
        Token::Open(root) if root.name() == "metadata" => {
            let promised = root.attribute("packages")?;
            Ok(promised.and_then(|text| decimal(&text)))
        }
        Token::Open(other) => Err(PrimaryError::Root(excerpt(other.name()))),
        Token::Close | Token::End => Err(PrimaryError::Root(String::new())),
    }
}

/// Empties a vector and keeps its memory for texts of another lifetime: the standard library collects in place.
fn recycle<'b>(mut relations: Vec<Relation<'_>>) -> Vec<Relation<'b>> {
    relations.clear();
    relations.into_iter().map_while(|_| None).collect()
}

/// Decimal digits only: the standard library would take `+5` too.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}
