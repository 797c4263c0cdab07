//! What differs between the families, and what a request forbids: which versions of a name may be chosen, in which
//! order, and which of several providers comes first.

pub(crate) mod deb;
pub(crate) mod rpm;

use crate::pool::{NameEntry, Solvable, Source};
use crate::request::Target;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use vzpkg_metadata::index::IndexedPackage;
use vzpkg_metadata::yum::module_filter::ModuleFilter;
use vzpkg_metadata::{Arch, Family, glob, version};

/// One candidate: its solvable, the number of its source, the package.
pub(crate) type Candidate<'a> = (Solvable, usize, IndexedPackage<'a>);

/// Why a package may not be chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exclusion {
    /// The request excludes it by this glob.
    Glob(String),
    /// deb: another version is the candidate.
    NotCandidate(String),
    /// A repository with a better priority has packages of that name.
    Priority(String),
    /// A higher version is installed.
    Downgrade(String),
    /// The installed version is held.
    Held(String),
    /// The request wants it to move to this version.
    Behind(String),
    /// It is of a module stream that is off.
    StreamOff(String),
    /// A module stream that is on has packages in its place.
    Modular(String),
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glob(glob) => write!(f, "it is excluded by `{glob}`"),
            Self::NotCandidate(version) => write!(f, "{version} is the candidate version"),
            Self::Priority(repository) => {
                write!(f, "repository `{repository}` has a better priority")
            }
            Self::Downgrade(version) => write!(f, "the higher version {version} is installed"),
            Self::Held(version) => write!(f, "version {version} is held"),
            Self::Behind(version) => write!(f, "it is to move to {version}"),
            Self::StreamOff(stream) => write!(f, "the module stream `{stream}` is not on"),
            Self::Modular(stream) => write!(f, "the module stream `{stream}` takes its place"),
        }
    }
}

/// A version or repository that a deb spec asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pin {
    Version(String),
    Repository(String),
}

impl Pin {
    /// Whether it asks for this candidate of its name.
    pub(crate) fn names(
        &self,
        (_, source, package): Candidate<'_>,
        sources: &[Source<'_>],
    ) -> bool {
        match self {
            Self::Version(version) => package.version() == version,
            Self::Repository(id) => {
                let repository = sources[source].repository;
                repository.is_some_and(|repository| repository.id.as_str() == id)
            }
        }
    }
}

/// What the request says about versions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rulebook {
    pub(crate) excludes: Vec<String>,
    pub(crate) holds: Vec<String>,
    pub(crate) fixed: BTreeMap<String, String>,
    pub(crate) pins: BTreeMap<String, Pin>,
    /// Names that must leave their installed version, for this one or the best.
    pub(crate) targets: BTreeMap<String, Option<String>>,
    /// Newest first; else what is installed first.
    pub(crate) upgrade: bool,
    pub(crate) allow_downgrade: bool,
    /// rpm: names, or what they provide, of packages that are installed beside their older versions.
    pub(crate) install_only: Vec<String>,
    /// rpm: what module streams hide.
    pub(crate) modules: Arc<ModuleFilter>,
    /// deb: every version may be chosen, not only the candidate. Used to look for a way out of a conflict.
    pub(crate) any_version: bool,
    /// Conditional requirements are put as choices, which a refutation can be told of and the solver never loses.
    pub(crate) unconditional: bool,
}

impl Rulebook {
    /// Notes that an installed package is to move.
    pub(crate) fn aim(&mut self, family: Family, target: &Target) {
        let Target { name, version } = target;
        self.targets.insert(name.clone(), version.clone());
        if let (Family::Deb, Some(version)) = (family, version) {
            let pin = Pin::Version(version.clone());
            self.pins.insert(name.clone(), pin);
        }
    }

    /// Sorts the candidates of one name, preferred first, into usable and excluded ones.
    pub(crate) fn judge(
        &self,
        family: Family,
        label: String,
        candidates: &[Candidate<'_>],
        installed: Option<Solvable>,
        sources: &[Source<'_>],
    ) -> NameEntry {
        let installed_version = candidates
            .iter()
            .find(|(solvable, ..)| Some(*solvable) == installed)
            .map(|(.., package)| package.version());
        let pin = self.pins.get(&label);
        let mut usable: Vec<Candidate<'_>> = Vec::new();
        let mut excluded = Vec::new();
        let barred: Vec<Option<Exclusion>> = candidates
            .iter()
            .map(|candidate| self.barred(candidate, installed_version, sources))
            .collect();
        // What may not be chosen itself hides nothing.
        let best_priority = candidates
            .iter()
            .zip(&barred)
            .filter(|(_, barred)| barred.is_none())
            .filter_map(|((_, source, _), _)| sources[*source].repository)
            .min_by_key(|repository| repository.priority);
        for (&candidate, barred) in candidates.iter().zip(barred) {
            let (solvable, source, package) = candidate;
            let is_fixed = self.fixed.get(package.name()).map(String::as_str);
            if Some(solvable) == installed || is_fixed == Some(package.version()) {
                usable.push(candidate);
                continue;
            }
            let repository = sources[source].repository;
            let exclusion = barred
                .or_else(|| {
                    let this = repository?;
                    // Who names a version or a repository has chosen.
                    if pin.is_some_and(|pin| pin.names(candidate, sources)) {
                        return None;
                    }
                    let best = best_priority.filter(|best| best.priority < this.priority)?;
                    Some(Exclusion::Priority(best.id.to_string()))
                })
                .or_else(|| {
                    let higher = installed_version?;
                    let lower = version::compare(family, package.version(), higher).is_lt();
                    let wanted = self.allow_downgrade || pin.is_some();
                    (lower && !wanted).then(|| Exclusion::Downgrade(higher.to_owned()))
                });
            match exclusion {
                Some(exclusion) => excluded.push((solvable, exclusion)),
                None => usable.push(candidate),
            }
        }
        if family == Family::Deb && !self.any_version {
            deb::keep_candidate(&mut usable, &mut excluded, installed, pin, sources);
        }
        self.leave_behind(&mut usable, &mut excluded, installed);
        let mut usable: Vec<Solvable> = usable.into_iter().map(|(solvable, ..)| solvable).collect();
        if !self.upgrade
            && let Some(position) = usable.iter().position(|one| Some(*one) == installed)
        {
            usable[..=position].rotate_right(1);
        }
        NameEntry {
            label,
            usable,
            excluded,
            installed,
        }
    }

    /// Of a target that can move, leaves what it moves to.
    fn leave_behind(
        &self,
        usable: &mut Vec<Candidate<'_>>,
        excluded: &mut Vec<(Solvable, Exclusion)>,
        installed: Option<Solvable>,
    ) {
        let is_installed = |(solvable, ..): &Candidate<'_>| Some(*solvable) == installed;
        let (Some(current), Some((.., first))) =
            (usable.iter().position(is_installed), usable.first())
        else {
            return;
        };
        let Some(wanted) = self.targets.get(first.name()) else {
            return;
        };
        // What comes before the installed one is better than it.
        let mut better = usable[..current].iter();
        let goal = better.find(|(.., package)| {
            let version = wanted.as_deref();
            version.is_none_or(|version| package.version() == version)
        });
        let Some(&(goal, .., package)) = goal else {
            return;
        };
        let version = package.version().to_owned();
        usable.retain(|&(solvable, ..)| {
            if solvable != goal {
                excluded.push((solvable, Exclusion::Behind(version.clone())));
            }
            solvable == goal
        });
    }

    /// Why a candidate may not be chosen whatever else there is of its name.
    fn barred(
        &self,
        (_, source, package): &Candidate<'_>,
        installed: Option<&str>,
        sources: &[Source<'_>],
    ) -> Option<Exclusion> {
        let repository = sources[*source].repository;
        self.by_name(package, installed)
            .or_else(|| {
                let by_repository = &repository?.excludes;
                let pattern = by_repository.iter().find(|it| means(it, package));
                pattern.map(|pattern| Exclusion::Glob(pattern.clone()))
            })
            .or_else(|| rpm::hidden(&self.modules, repository?, package))
    }

    /// Whether what is installed under this name must not change.
    pub(crate) fn is_held(&self, name: &str) -> bool {
        self.holds.iter().any(|glob| glob::matches(glob, name))
    }

    fn by_name(&self, package: &IndexedPackage<'_>, installed: Option<&str>) -> Option<Exclusion> {
        let name = package.name();
        let pattern = self.excludes.iter().find(|it| means(it, package));
        if let Some(pattern) = pattern {
            return Some(Exclusion::Glob(pattern.clone()));
        }
        if let Some(version) = self.fixed.get(name) {
            return Some(Exclusion::Held(version.clone()));
        }
        installed
            .filter(|_| self.is_held(name))
            .map(|version| Exclusion::Held(version.to_owned()))
    }
}

/// Whether a pattern means a package: as a glob over its name, over its name and architecture, or over all of its
/// `name-version-release.arch`, with the epoch (before the version or before the name) or without and with the
/// architecture or without.
pub(crate) fn means(pattern: &str, package: &IndexedPackage<'_>) -> bool {
    let name = package.name();
    if glob::matches(pattern, name) {
        return true;
    }
    if !pattern.contains(['-', '.']) {
        return false;
    }
    let (version, arch) = (package.version(), package.arch());
    let (epoch, without_epoch) = version.split_once(':').unwrap_or(("0", version));
    let forms = [
        format!("{name}.{arch}"),
        format!("{name}-{version}"),
        format!("{name}-{version}.{arch}"),
        format!("{name}-{without_epoch}"),
        format!("{name}-{without_epoch}.{arch}"),
        format!("{epoch}:{name}-{without_epoch}"),
        format!("{epoch}:{name}-{without_epoch}.{arch}"),
    ];
    forms.iter().any(|form| glob::matches(pattern, form))
}

/// Which packages exclude each other by name: the native and the independent architecture form one class, `""`; every
/// other architecture is a class of its own. `None` for those that do not run here.
pub(crate) fn arch_class<'t>(family: Family, native: &Arch, arch: &'t str) -> Option<&'t str> {
    if arch == native.as_str() || arch == "all" || arch == "noarch" {
        return Some("");
    }
    match family {
        Family::Deb => None,
        Family::Rpm => rpm::is_compatible(native.as_str(), arch).then_some(arch),
    }
}

/// The order in which two packages of one name are tried: the higher version first, a native one before an independent
/// one.
pub(crate) fn preference(
    family: Family,
    a: &IndexedPackage<'_>,
    b: &IndexedPackage<'_>,
) -> Ordering {
    version::compare(family, b.version(), a.version())
        .then_with(|| is_independent(a).cmp(&is_independent(b)))
        // Versions that compare equal but are spelled differently.
        .then_with(|| b.version().cmp(a.version()))
        .then_with(|| a.arch().cmp(b.arch()))
}

fn is_independent(package: &IndexedPackage<'_>) -> bool {
    matches!(package.arch(), "all" | "noarch")
}
