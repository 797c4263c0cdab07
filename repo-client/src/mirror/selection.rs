//! Which packages of its repositories a mirror brings here: all, those that a filter names with what they need, exactly
//! those that templates need, or each when somebody asks for it.
//!
//! The signed indexes stay as upstream made them, so they name more than is here; the list of a state says of every
//! package whether it is.

use super::config::MirrorConfig;
use super::error::MirrorError;
use super::indexed::PackageIndex;
use super::needed::Needed;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use vzpkg_metadata::index::{Index, IndexBuilder, IndexedPackage};
use vzpkg_metadata::{Arch, Digest, Family, MirrorName, TemplateName, glob, version};

/// What of its repositories a mirror brings here. Nothing said: everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    /// Names of packages, with `*` and `?`, which come with what they depend on.
    pub packages: Vec<String>,
    /// Sections of deb packages (`libs`; `contrib/libs` is one of `libs` too), groups of rpm packages.
    pub sections: Vec<String>,
    /// So many versions of a package at most, the newest; what others depend on comes whatever its version.
    pub newest: Option<usize>,
    /// Architectures, and what is of none.
    pub architectures: Vec<Arch>,
    /// Exactly what these templates need, beside what the others say.
    pub templates: Vec<TemplateName>,
    /// Nothing, until somebody asks for it.
    pub on_demand: bool,
}

/// Knows what templates need, which takes a resolver.
pub trait Chooser: Send + Sync {
    /// The digests of the packages that `templates` need of the state whose metadata lies in `directory`, laid out as it
    /// would be published.
    ///
    /// # Errors
    /// Whatever keeps it from an answer; the sync fails with it.
    fn choose(
        &self,
        mirror: &MirrorName,
        config: &MirrorConfig,
        templates: &[TemplateName],
        directory: &Path,
    ) -> Result<BTreeSet<Digest>, Box<dyn Error + Send + Sync>>;
}

/// Which packages are brought.
#[derive(Debug)]
pub(super) enum Chosen {
    Everything,
    These(BTreeSet<Digest>),
}

impl Chosen {
    pub(super) fn has(&self, digest: &Digest) -> bool {
        match self {
            Self::Everything => true,
            Self::These(digests) => digests.contains(digest),
        }
    }
}

impl Selection {
    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a filter must look at each package.
    fn has_filter(&self) -> bool {
        let named = !self.packages.is_empty() || !self.sections.is_empty();
        named || self.newest.is_some() || !self.architectures.is_empty()
    }

    /// What the filters choose of these indexes. Filters that match nothing and dependencies that nothing here meets are told
    /// in words.
    ///
    /// # Errors
    /// [`MirrorError::Config`] where no filter matches anything.
    pub(super) fn filtered(
        &self,
        indexes: &[&PackageIndex],
    ) -> Result<(Chosen, Vec<String>), MirrorError> {
        if !self.has_filter() {
            let nothing = self.on_demand || !self.templates.is_empty();
            let chosen = if nothing {
                Chosen::These(BTreeSet::new())
            } else {
                Chosen::Everything
            };
            return Ok((chosen, Vec::new()));
        }
        let mut digests = BTreeSet::new();
        let mut unmet = Vec::new();
        let mut idle: BTreeSet<&String> = self.packages.iter().chain(&self.sections).collect();
        for family in [Family::Deb, Family::Rpm] {
            let mut of_family = indexes.iter().filter(|index| index.family == family);
            if of_family.clone().next().is_none() {
                continue;
            }
            let mut builder = IndexBuilder::new(family);
            let mut in_section = BTreeSet::new();
            of_family.try_for_each(|index| {
                index.each(&mut |record| {
                    builder.add(record);
                    if self.has_section(record.section) {
                        in_section.insert(record.sha256);
                    }
                    idle.retain(|filter| !self.is_met(filter, record.name, record.section));
                    Ok(())
                })
            })?;
            let damaged = |error: &dyn Error| MirrorError::Config(error.to_string());
            let bytes = builder.finish().map_err(|error| damaged(&error))?;
            let index = Index::access(&bytes).map_err(|error| damaged(&error))?;
            let named = self.named(index, &in_section);
            let archs = self.architectures.iter();
            let archs = archs.map(|arch| arch.in_family(family).to_string());
            let mut needed = Needed::new(index, archs.collect());
            for package in self.newest_of(family, named) {
                digests.insert(package.sha256());
                if self.is_named(package.name()) {
                    needed.want(package);
                }
            }
            let (closure, missing) = needed.closure();
            digests.extend(closure);
            unmet.extend(missing);
        }
        let idle: Vec<String> = idle
            .into_iter()
            .map(|filter| format!("`{filter}`"))
            .collect();
        if digests.is_empty() && !idle.is_empty() && self.templates.is_empty() {
            let text = format!(
                "no package is called, or in a section called, {}",
                idle.join(" or ")
            );
            return Err(MirrorError::Config(text));
        }
        unmet.extend(idle);
        Ok((Chosen::These(digests), unmet))
    }

    fn has_section(&self, section: &str) -> bool {
        let short = section.rsplit('/').next().unwrap_or(section);
        let mut sections = self.sections.iter();
        sections.any(|wanted| wanted == section || wanted == short)
    }

    /// Whether this filter, of packages or of sections, matches a package.
    fn is_met(&self, filter: &String, name: &str, section: &str) -> bool {
        let short = section.rsplit('/').next().unwrap_or(section);
        (self.packages.contains(filter) && glob::matches(filter, name))
            || (self.sections.contains(filter) && (filter == section || filter == short))
    }

    fn is_named(&self, name: &str) -> bool {
        let mut globs = self.packages.iter();
        globs.any(|wanted| glob::matches(wanted, name))
    }

    fn named<'a>(
        &self,
        index: Index<'a>,
        in_section: &BTreeSet<Digest>,
    ) -> Vec<IndexedPackage<'a>> {
        let all = self.packages.is_empty() && self.sections.is_empty();
        let archs = &self.architectures;
        let fits = |arch: &str| {
            let mut wanted = archs.iter().map(|arch| arch.in_family(index.family()));
            archs.is_empty() || is_of_none(arch) || wanted.any(|wanted| wanted.as_str() == arch)
        };
        let packages = index.packages().filter(|package| {
            let wanted = all || self.is_named(package.name());
            fits(package.arch()) && (wanted || in_section.contains(&package.sha256()))
        });
        packages.collect()
    }

    /// At most so many versions of each package.
    fn newest_of<'a>(
        &self,
        family: Family,
        packages: Vec<IndexedPackage<'a>>,
    ) -> Vec<IndexedPackage<'a>> {
        let Some(newest) = self.newest else {
            return packages;
        };
        let mut versions: BTreeMap<(&str, &str), Vec<IndexedPackage<'a>>> = BTreeMap::new();
        for package in packages {
            let key = (package.name(), package.arch());
            versions.entry(key).or_default().push(package);
        }
        let mut left = Vec::new();
        for mut of_one in versions.into_values() {
            of_one.sort_by(|a, b| version::compare(family, b.version(), a.version()));
            let (mut count, mut last) = (0_usize, "");
            for package in of_one {
                if package.version() != last {
                    count = count.saturating_add(1);
                    last = package.version();
                }
                if count <= newest {
                    left.push(package);
                }
            }
        }
        left
    }
}

/// Whether an architecture is none: `all` of deb, `noarch` of rpm.
pub(super) fn is_of_none(arch: &str) -> bool {
    matches!(arch, "all" | "noarch")
}
