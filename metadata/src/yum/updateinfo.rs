//! `updateinfo.xml`: the advisories of a yum repository, read as a stream, of which only those about security are told.

use super::XmlError;
use super::xml::{Element, Token, Xml};
use crate::text::excerpt;
use std::io::BufRead;

/// Why bytes are no usable `updateinfo.xml`.
#[derive(Debug, thiserror::Error)]
pub enum UpdateinfoError {
    /// Not the XML we take.
    #[error("`updateinfo.xml` cannot be read")]
    Xml(#[from] XmlError),
    /// The root element is another, or something follows it.
    #[error("`<{0}>` is not the root of an `updateinfo.xml`")]
    Root(String),
    /// A package without one of `name`, `version`, `release` and `arch`.
    #[error("a package of advisory {number} has no `{attribute}`")]
    Missing {
        /// Which advisory, counted from 1.
        number: u64,
        /// The attribute.
        attribute: &'static str,
    },
}

/// A package that a security advisory names: this version of it is the first without the fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Advised {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// `[epoch:]version-release`, without an epoch of 0.
    pub version: String,
}

/// Reads `updateinfo.xml` and hands each package of each advisory of type `security` to `visit`, in order. The texts are
/// foreign; nothing is known of them but that they are not empty.
///
/// # Errors
/// [`UpdateinfoError`]. `visit` has then seen the packages before it.
pub fn scan(reader: impl BufRead, visit: &mut dyn FnMut(Advised)) -> Result<(), UpdateinfoError> {
    let mut xml = Xml::new(reader);
    match xml.next()? {
        Token::Open(root) if root.name() == "updates" => {}
        Token::Open(other) => return Err(UpdateinfoError::Root(excerpt(other.name()))),
        Token::Close | Token::End => return Err(UpdateinfoError::Root(String::new())),
    }
    let mut number = 0_u64;
    loop {
        match xml.next()? {
            Token::Open(update) if update.name() == "update" => {
                number = number.saturating_add(1);
                if update.attribute("type")?.as_deref() == Some("security") {
                    packages(&mut xml, number, visit)?;
                } else {
                    xml.skip()?;
                }
            }
            Token::Open(_) => xml.skip()?,
            Token::Close | Token::End => break,
        }
    }
    match xml.next()? {
        Token::End => Ok(()),
        Token::Open(other) => Err(UpdateinfoError::Root(excerpt(other.name()))),
        Token::Close => Err(UpdateinfoError::Root(String::new())),
    }
}

/// Reads to the end of an advisory: `pkglist`, in it `collection`, in it `package`.
fn packages<R: BufRead>(
    xml: &mut Xml<R>,
    number: u64,
    visit: &mut dyn FnMut(Advised),
) -> Result<(), UpdateinfoError> {
    let mut open = 0_u32;
    loop {
        let advised = match xml.next()? {
            Token::Open(element) => match element.name() {
                "pkglist" | "collection" => {
                    open = open.saturating_add(1);
                    continue;
                }
                "package" => Some(advised(&element, number)?),
                _ => None,
            },
            Token::Close if open > 0 => {
                open = open.saturating_sub(1);
                continue;
            }
            Token::Close | Token::End => return Ok(()),
        };
        if let Some(advised) = advised {
            visit(advised);
        }
        xml.skip()?;
    }
}

fn advised(element: &Element<'_>, number: u64) -> Result<Advised, UpdateinfoError> {
    let wanted = |attribute: &'static str| {
        let found = element.attribute(attribute)?;
        let found = found.filter(|text| !text.is_empty());
        let missing = UpdateinfoError::Missing { number, attribute };
        found.map(std::borrow::Cow::into_owned).ok_or(missing)
    };
    let (version, release) = (wanted("version")?, wanted("release")?);
    let epoch = element.attribute("epoch")?;
    let epoch = epoch.filter(|epoch| !epoch.is_empty() && *epoch != "0");
    Ok(Advised {
        name: wanted("name")?,
        arch: wanted("arch")?,
        version: match epoch {
            Some(epoch) => format!("{epoch}:{version}-{release}"),
            None => format!("{version}-{release}"),
        },
    })
}
