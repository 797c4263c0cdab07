//! The template area of a node: which templates are there, and which one a name means.
//!
//! A directory is a template iff it holds a file `packages`; a base OS template also holds `package_manager`. Names are
//! resolved by trying the directories that exist, for an OS name and a set may hold `-` themselves
//! (VZPKG-REFERENCE §2.1). Reading costs a few system calls per name; [`TemplateArea::list`] walks the whole area.

use super::error::TemplateError;
use super::files::Reader;
use super::location::{DEFAULT_SET, TemplateLocation};
use super::url_map::UrlMap;
use super::{Template, load};
use crate::{Arch, RelPath, TemplateName};
use std::path::{Path, PathBuf};

/// Names offered when one is not found.
const NEAR_NAMES: usize = 3;

/// The directory that holds the templates of a node.
#[derive(Debug, Clone)]
pub struct TemplateArea {
    path: PathBuf,
    host_arch: Option<Arch>,
}

impl TemplateArea {
    /// The area at `path`, which need not exist yet. Short names mean the architecture this program was built for.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            host_arch: std::env::consts::ARCH.parse().ok(),
        }
    }

    /// Where the area lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The `url.map` of the area; the shipped one where the area has none.
    ///
    /// # Errors
    /// [`TemplateError`] where the file cannot be read or understood.
    pub fn url_map(&self) -> Result<UrlMap, TemplateError> {
        let Some(reader) = Reader::open(&self.path)? else {
            return Ok(UrlMap::shipped());
        };
        let relative = relative(super::shipped::URL_MAP_PATH);
        if !reader.is_file(&relative)? {
            return Ok(UrlMap::shipped());
        }
        UrlMap::parse(&reader.text(&relative)?, &reader.path_of(&relative))
    }

    /// All templates of the node, OS templates before their applications, sorted. Directories that no name can have are
    /// passed over.
    ///
    /// # Errors
    /// [`TemplateError::File`] where a directory cannot be read.
    pub fn list(&self) -> Result<Vec<TemplateLocation>, TemplateError> {
        let mut found = Vec::new();
        let Some(reader) = Reader::open(&self.path)? else {
            return Ok(found);
        };
        for os in reader.names(&RelPath::root())? {
            for version in reader.names(&relative(&os))? {
                for arch in reader.names(&relative(&format!("{os}/{version}")))? {
                    let base = TemplateLocation::os_template(&os, &version, &arch, DEFAULT_SET);
                    if let Ok(base) = base
                        && is_template(&reader, &base)?
                    {
                        list_below(&reader, &base, &mut found)?;
                    }
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The template a name means: full (`debian-13-x86_64-minimal`, `debian-13-x86_64/nginx`) or short (`debian-13`,
    /// the architecture of the host). A full name comes before a short one.
    ///
    /// # Errors
    /// [`TemplateError::NotFound`] with names that are close, [`TemplateError::Ambiguous`] where several directories
    /// make the name, [`TemplateError::File`] where the area cannot be read.
    pub fn resolve(&self, name: &TemplateName) -> Result<TemplateLocation, TemplateError> {
        let found = match Reader::open(&self.path)? {
            Some(reader) => self.candidates(&reader, name.as_str())?,
            None => Vec::new(),
        };
        let mut each = found.iter();
        match (each.next(), each.next()) {
            (Some(one), None) => Ok(one.clone()),
            (None, _) => Err(TemplateError::NotFound {
                name: name.clone(),
                near: self.near(name)?,
            }),
            (Some(_), Some(_)) => Err(TemplateError::Ambiguous {
                name: name.clone(),
                candidates: found.iter().map(|l| l.directory().to_string()).collect(),
            }),
        }
    }

    /// Whether a name means a template, or several; costs the same few system calls if it does not.
    ///
    /// # Errors
    /// [`TemplateError::File`] where the area cannot be read.
    pub fn knows(&self, name: &TemplateName) -> Result<bool, TemplateError> {
        match Reader::open(&self.path)? {
            Some(reader) => Ok(!self.candidates(&reader, name.as_str())?.is_empty()),
            None => Ok(false),
        }
    }

    /// Resolves a name and reads everything the template says, inheritance included.
    ///
    /// # Errors
    /// As [`TemplateArea::resolve`]; [`TemplateError::Line`] and [`TemplateError::BadFile`] for what its files say.
    pub fn load(&self, name: &TemplateName, url_map: &UrlMap) -> Result<Template, TemplateError> {
        self.load_at(&self.resolve(name)?, url_map)
    }

    /// Reads the template at a location that [`TemplateArea::list`] or [`TemplateArea::resolve`] gave.
    ///
    /// # Errors
    /// As [`TemplateArea::load`].
    pub fn load_at(
        &self,
        location: &TemplateLocation,
        url_map: &UrlMap,
    ) -> Result<Template, TemplateError> {
        let not_found = |name| TemplateError::NotFound {
            name,
            near: Vec::new(),
        };
        match Reader::open(&self.path)? {
            Some(reader) if is_template(&reader, location)? => {
                load::load(&reader, location, url_map)
            }
            _ => Err(not_found(location.name()?)),
        }
    }

    fn candidates(
        &self,
        reader: &Reader,
        name: &str,
    ) -> Result<Vec<TemplateLocation>, TemplateError> {
        let (os_name, application) = match name.split_once('/') {
            Some((os_name, application)) => (os_name, Some(application)),
            None => (name, None),
        };
        let mut found = full_names(reader, os_name)?;
        if found.is_empty()
            && let Some(arch) = &self.host_arch
        {
            found = short_names(reader, os_name, arch)?;
        }
        let Some(application) = application else {
            return Ok(found);
        };
        let mut applications = Vec::new();
        for os in found {
            applications.append(&mut applications_of(reader, &os, application)?);
        }
        applications.sort();
        applications.dedup();
        Ok(applications)
    }

    fn near(&self, name: &TemplateName) -> Result<Vec<String>, TemplateError> {
        let common = |other: &str| {
            let same = name.as_str().bytes().zip(other.bytes());
            same.take_while(|(a, b)| a == b).count()
        };
        let mut names: Vec<(usize, String)> = self
            .list()?
            .into_iter()
            .map(|location| location.to_string())
            .map(|other| (common(&other), other))
            .filter(|(length, _)| *length >= 3)
            .collect();
        names.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        names.truncate(NEAR_NAMES);
        Ok(names.into_iter().map(|(_, name)| name).collect())
    }
}

/// A path made of checked parts; one that is none after all names nothing.
fn relative(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap_or_default()
}

/// Whether the location holds a template, and its base a base OS template.
fn is_template(reader: &Reader, location: &TemplateLocation) -> Result<bool, TemplateError> {
    let base = location.base().directory();
    let (Ok(packages), Ok(manager), Ok(base_packages)) = (
        location.directory().join(b"packages"),
        base.join(b"package_manager"),
        base.join(b"packages"),
    ) else {
        return Ok(false);
    };
    Ok(reader.is_file(&packages)?
        && reader.is_file(&manager)?
        && (location.is_base() || reader.is_file(&base_packages)?))
}

fn list_below(
    reader: &Reader,
    base: &TemplateLocation,
    found: &mut Vec<TemplateLocation>,
) -> Result<(), TemplateError> {
    let config = format!("{}/{}/{}/config", base.os(), base.version(), base.arch());
    for set in reader.names(&relative(&format!("{config}/os")))? {
        let location =
            TemplateLocation::os_template(base.os(), base.version(), base.arch().as_str(), &set);
        keep(reader, location.ok(), found)?;
    }
    for name in reader.names(&relative(&format!("{config}/app")))? {
        for set in reader.names(&relative(&format!("{config}/app/{name}")))? {
            keep(reader, base.with_application(&name, &set).ok(), found)?;
        }
    }
    Ok(())
}

fn keep(
    reader: &Reader,
    location: Option<TemplateLocation>,
    found: &mut Vec<TemplateLocation>,
) -> Result<(), TemplateError> {
    if let Some(location) = location
        && is_template(reader, &location)?
        && location.name().is_ok()
    {
        found.push(location);
    }
    Ok(())
}

/// `text` cut at every `-`: what is before, what is after.
fn cuts(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices('-').filter_map(|(at, _)| {
        let (before, after) = text.split_at_checked(at)?;
        Some((before, after.strip_prefix('-')?))
    })
}

/// `text` alone in the default set, then every way to see a set behind a `-`.
fn with_sets(text: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::once((text, DEFAULT_SET)).chain(cuts(text))
}

fn full_names(reader: &Reader, text: &str) -> Result<Vec<TemplateLocation>, TemplateError> {
    let mut found = Vec::new();
    for (os, rest) in cuts(text) {
        for (version, rest) in cuts(rest) {
            for (arch, set) in with_sets(rest) {
                let location = TemplateLocation::os_template(os, version, arch, set);
                keep(reader, location.ok(), &mut found)?;
            }
        }
    }
    Ok(found)
}

fn short_names(
    reader: &Reader,
    text: &str,
    arch: &Arch,
) -> Result<Vec<TemplateLocation>, TemplateError> {
    let mut found = Vec::new();
    for (os, rest) in cuts(text) {
        for (version, set) in with_sets(rest) {
            let location = TemplateLocation::os_template(os, version, arch.as_str(), set);
            keep(reader, location.ok(), &mut found)?;
        }
    }
    Ok(found)
}

fn applications_of(
    reader: &Reader,
    os: &TemplateLocation,
    text: &str,
) -> Result<Vec<TemplateLocation>, TemplateError> {
    let mut found = Vec::new();
    for (name, set) in with_sets(text) {
        keep(reader, os.with_application(name, set).ok(), &mut found)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
