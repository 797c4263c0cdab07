//! One `<package>` of `primary.xml` while it is read, and the [`PackageRecord`] it becomes.

use super::primary::{PrimaryError, decimal};
use super::relation::{Entry, push_evr};
use super::xml::{Element, Token, Xml};
use crate::package::{MultiArch, PackageRecord, Priority, Relation, RelationKind};
use crate::text::excerpt;
use crate::{Digest, Family, limits};
use std::borrow::Cow;
use std::io::BufRead;
use std::ops::Range;

/// A part of [`Package::text`].
type Span = Range<usize>;

/// The package that is being read. Its texts lie one after the other in `text`.
#[derive(Debug, Default)]
pub(super) struct Package {
    number: u64,
    text: String,
    name: Option<Span>,
    arch: Option<Span>,
    version: Option<Span>,
    sha256: Option<Digest>,
    summary: Option<Span>,
    location: Option<Span>,
    source: Option<Span>,
    group: Option<Span>,
    size: Option<(u64, u64)>,
    relations: Vec<(RelationKind, Span)>,
}

impl Package {
    /// Forgets the package and keeps the memory.
    pub(super) fn clear(&mut self, number: u64) {
        let mut text = std::mem::take(&mut self.text);
        let mut relations = std::mem::take(&mut self.relations);
        text.clear();
        relations.clear();
        *self = Self {
            number,
            text,
            relations,
            ..Self::default()
        };
    }

    fn get(&self, span: Option<&Span>) -> &str {
        let text = span.and_then(|span| self.text.get(span.clone()));
        text.unwrap_or_default()
    }

    fn shown_name(&self) -> String {
        let name = self
            .get(self.name.as_ref())
            .chars()
            .take(limits::IDENTIFIER_BYTES);
        name.map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    fn missing(&self, element: &'static str) -> PrimaryError {
        let (number, name) = (self.number, self.shown_name());
        PrimaryError::Missing {
            number,
            name,
            element,
        }
    }

    fn bad(&self, element: &'static str, value: &str) -> PrimaryError {
        let (number, name) = (self.number, self.shown_name());
        PrimaryError::Value {
            number,
            name,
            element,
            value: excerpt(value),
        }
    }

    fn once(&self, before: bool, element: &'static str) -> Result<(), PrimaryError> {
        if before {
            let (number, name) = (self.number, self.shown_name());
            return Err(PrimaryError::Twice {
                number,
                name,
                element,
            });
        }
        Ok(())
    }

    /// Reads up to `</package>`.
    pub(super) fn read(&mut self, xml: &mut Xml<impl BufRead>) -> Result<(), PrimaryError> {
        loop {
            if self.text.len() as u64 > limits::CONTROL_BYTES {
                let (number, name) = (self.number, self.shown_name());
                return Err(PrimaryError::TooLarge { number, name });
            }
            let element = match xml.next()? {
                Token::Open(element) => element,
                Token::Close | Token::End => return Ok(()),
            };
            match element.name() {
                "name" => {
                    self.once(self.name.is_some(), "name")?;
                    self.name = Some(self.take_text(xml)?);
                }
                "arch" => {
                    self.once(self.arch.is_some(), "arch")?;
                    self.arch = Some(self.take_text(xml)?);
                }
                "version" => {
                    self.once(self.version.is_some(), "version")?;
                    self.version = Some(self.take_version(&element)?);
                    xml.skip()?;
                }
                "checksum" => {
                    self.once(self.sha256.is_some(), "checksum")?;
                    let kind = element.attribute("type")?.map(Cow::into_owned);
                    self.sha256 = Some(self.take_checksum(xml, kind)?);
                }
                "summary" if self.summary.is_none() => self.summary = Some(self.take_text(xml)?),
                "size" => {
                    self.once(self.size.is_some(), "size")?;
                    self.size = Some(self.take_size(&element)?);
                    xml.skip()?;
                }
                "location" => {
                    self.once(self.location.is_some(), "location")?;
                    self.location = Some(self.take_location(&element)?);
                    xml.skip()?;
                }
                "format" => self.read_format(xml)?,
                _ => xml.skip()?,
            }
        }
    }

    fn take_text(&mut self, xml: &mut Xml<impl BufRead>) -> Result<Span, PrimaryError> {
        let start = self.text.len();
        xml.text_into(&mut self.text)?;
        Ok(start..self.text.len())
    }

    fn take_version(&mut self, element: &Element<'_>) -> Result<Span, PrimaryError> {
        let (mut epoch, mut version, mut release) = (None, None, None);
        for attribute in element.attributes() {
            let (name, value) = attribute?;
            match name {
                "epoch" => element.put(&mut epoch, value)?,
                "ver" => element.put(&mut version, value)?,
                "rel" => element.put(&mut release, value)?,
                _ => {}
            }
        }
        let version = version.ok_or_else(|| self.missing("version ver"))?;
        let release = release.ok_or_else(|| self.missing("version rel"))?;
        for (part, element) in [(&version, "version ver"), (&release, "version rel")] {
            if part.is_empty() || part.bytes().any(|byte| !is_version_byte(byte)) {
                return Err(self.bad(element, part));
            }
        }
        let epoch = epoch.unwrap_or_default();
        if !epoch.is_empty() && decimal(&epoch).is_none() {
            return Err(self.bad("version epoch", &epoch));
        }
        let start = self.text.len();
        push_evr(&mut self.text, &epoch, &version, Some(&release));
        Ok(start..self.text.len())
    }

    fn take_checksum(
        &mut self,
        xml: &mut Xml<impl BufRead>,
        kind: Option<String>,
    ) -> Result<Digest, PrimaryError> {
        let span = self.take_text(xml)?;
        let kind = kind.ok_or_else(|| self.missing("checksum type"))?;
        if kind != "sha256" {
            let (number, name) = (self.number, self.shown_name());
            return Err(PrimaryError::Checksum { number, name, kind });
        }
        let value = self.text.get(span).unwrap_or_default().trim();
        let digest = value.parse().ok();
        digest.ok_or_else(|| self.bad("checksum", value))
    }

    fn take_size(&self, element: &Element<'_>) -> Result<(u64, u64), PrimaryError> {
        let number = |name: &'static str, shown: &'static str| {
            let value = element.attribute(name)?;
            let value = value.ok_or_else(|| self.missing(shown))?;
            decimal(&value).ok_or_else(|| self.bad(shown, &value))
        };
        Ok((
            number("package", "size package")?,
            number("installed", "size installed")?,
        ))
    }

    fn take_location(&mut self, element: &Element<'_>) -> Result<Span, PrimaryError> {
        let href = element.attribute("href")?;
        let href = href.ok_or_else(|| self.missing("location href"))?;
        if href.is_empty() {
            return Err(self.bad("location href", &href));
        }
        let start = self.text.len();
        if let Some(base) = element
            .attribute("xml:base")?
            .filter(|base| !base.is_empty())
        {
            self.text.push_str(base.trim_end_matches('/'));
            self.text.push('/');
        }
        self.text.push_str(&href);
        Ok(start..self.text.len())
    }

    /// Reads up to `</format>`: relations, files, the source package.
    fn read_format(&mut self, xml: &mut Xml<impl BufRead>) -> Result<(), PrimaryError> {
        loop {
            let element = match xml.next()? {
                Token::Open(element) => element,
                Token::Close | Token::End => return Ok(()),
            };
            let kind = match element.name() {
                "rpm:provides" => RelationKind::Provides,
                "rpm:requires" => RelationKind::Depends,
                "rpm:conflicts" => RelationKind::Conflicts,
                "rpm:obsoletes" => RelationKind::Obsoletes,
                "rpm:recommends" => RelationKind::Recommends,
                "rpm:suggests" => RelationKind::Suggests,
                "rpm:supplements" => RelationKind::Supplements,
                "rpm:enhances" => RelationKind::Enhances,
                "rpm:sourcerpm" => {
                    self.once(self.source.is_some(), "rpm:sourcerpm")?;
                    self.source = Some(self.take_text(xml)?);
                    continue;
                }
                "rpm:group" if self.group.is_none() => {
                    self.group = Some(self.take_text(xml)?);
                    continue;
                }
                "file" => {
                    let span = self.take_text(xml)?;
                    let path = self.text.get(span.clone()).unwrap_or_default();
                    if !path.starts_with('/') {
                        return Err(self.bad("file", path));
                    }
                    self.relations.push((RelationKind::File, span));
                    continue;
                }
                _ => {
                    xml.skip()?;
                    continue;
                }
            };
            self.read_entries(xml, kind)?;
        }
    }

    /// Reads the entries of one kind, up to its closing tag.
    fn read_entries(
        &mut self,
        xml: &mut Xml<impl BufRead>,
        kind: RelationKind,
    ) -> Result<(), PrimaryError> {
        loop {
            match xml.next()? {
                Token::Open(element) if element.name() == "rpm:entry" => {
                    let entry = Entry::read(&element)?;
                    let start = self.text.len();
                    entry
                        .push(&mut self.text)
                        .map_err(|value| self.bad("rpm:entry", &value))?;
                    let kind = match kind {
                        RelationKind::Depends if entry.is_pre() => RelationKind::PreDepends,
                        kind => kind,
                    };
                    self.relations.push((kind, start..self.text.len()));
                }
                Token::Open(_) => {}
                Token::Close | Token::End => return Ok(()),
            }
            xml.skip()?;
        }
    }

    /// The finished record; `relations` is an empty vector whose memory is used.
    pub(super) fn record<'s>(
        &'s self,
        mut relations: Vec<Relation<'s>>,
    ) -> Result<PackageRecord<'s>, PrimaryError> {
        for (there, element) in [
            (self.name.is_some(), "name"),
            (self.arch.is_some(), "arch"),
            (self.version.is_some(), "version"),
            (self.location.is_some(), "location"),
        ] {
            if !there {
                return Err(self.missing(element));
            }
        }
        let sha256 = self.sha256.ok_or_else(|| self.missing("checksum"))?;
        let (size, installed_size) = self.size.ok_or_else(|| self.missing("size"))?;
        let (name, arch) = (self.get(self.name.as_ref()), self.get(self.arch.as_ref()));
        if !is_name(name) {
            return Err(self.bad("name", name));
        }
        if arch.is_empty() || !arch.bytes().all(is_arch_byte) {
            return Err(self.bad("arch", arch));
        }
        let text = |span: &Span| self.text.get(span.clone()).unwrap_or_default();
        let borrowed = |(kind, span): &(RelationKind, Span)| (*kind, Cow::Borrowed(text(span)));
        relations.extend(self.relations.iter().map(borrowed));
        Ok(PackageRecord {
            family: Family::Rpm,
            name,
            version: Cow::Borrowed(self.get(self.version.as_ref())),
            arch,
            source: source_name(self.get(self.source.as_ref())),
            section: self.get(self.group.as_ref()).trim(),
            location: self.get(self.location.as_ref()),
            size,
            installed_size,
            sha256,
            essential: false,
            protected: false,
            multi_arch: MultiArch::No,
            priority: Priority::Optional,
            summary: self
                .get(self.summary.as_ref())
                .trim()
                .lines()
                .next()
                .unwrap_or_default(),
            relations,
        })
    }
}

/// As [`crate::PackageName`] allows it.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= limits::IDENTIFIER_BYTES
        && bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-._~^".contains(&byte))
}

const fn is_arch_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What a version or a release may hold: everything visible but the two separators.
const fn is_version_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'-' && byte != b':'
}

/// `389-ds-base` of `389-ds-base-2.5.1-1.el9.src.rpm`.
fn source_name(file: &str) -> &str {
    let mut parts = file.rsplitn(3, '-');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(_), Some(name)) => name,
        _ => "",
    }
}
