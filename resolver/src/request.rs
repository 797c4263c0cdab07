//! What is asked of the resolver: repositories, what is installed, and what is wanted.

use std::collections::BTreeMap;
use std::sync::Arc;
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::index::Index;
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::yum::module_filter::ModuleFilter;
use vzpkg_metadata::{Family, RepoId};

/// One repository.
#[derive(Debug, Clone)]
pub struct Repository<'a> {
    /// Its id, unique among the repositories of a request.
    pub id: RepoId,
    /// Its packages.
    pub index: Index<'a>,
    /// Lower wins, as yum's `priority` (default 99): a package of a lower number hides all of that name with a higher.
    /// Repositories of the same number compete by version.
    pub priority: i32,
    /// Patterns of packages that must not be chosen from this repository, as [`Request::excludes`].
    pub excludes: Vec<String>,
    /// rpm: module streams that are on hide nothing here.
    pub hotfixes: bool,
    /// deb: how willingly its packages are taken.
    pub automatic: Automatic,
}

/// What is installed already.
#[derive(Debug, Clone, Copy)]
pub struct Installed<'a> {
    /// The records of the installed packages.
    pub index: Index<'a>,
    /// Why each is there, and its sha256.
    pub lock: &'a Lock,
}

/// Which installed packages move to newer versions without being named in [`Request::install`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// Only where the request needs it.
    #[default]
    None,
    /// All that can.
    All,
    /// These must, if there is anything newer; others only where these need it.
    Only(Vec<Target>),
}

/// An installed package that is to move.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its name, of whatever architecture.
    pub name: String,
    /// To which version; `None`: the best there is.
    pub version: Option<String>,
}

/// What is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Package specs: a name, a path (rpm), `name=version` or `name/repository` (deb), `name.arch` or a NEVRA (rpm), a
    /// relation such as `name >= 2`, or a glob over names.
    pub install: Vec<String>,
    /// The same for what may be missing, as the members of a group may: a spec that no package meets is passed over.
    pub if_present: Vec<String>,
    /// Specs of packages that must not be there afterwards.
    pub remove: Vec<String>,
    /// What else moves to newer versions.
    pub upgrade: Upgrade,
    /// deb: take every package that says `Essential: yes`.
    pub essential: bool,
    /// Take what chosen packages recommend (rpm: also what supplements them) where it can be had.
    pub recommends: bool,
    /// Patterns of packages that must not be chosen from a repository: globs over names; rpm: also over `name.arch`,
    /// `name-version-release` and `name-version-release.arch`.
    pub excludes: Vec<String>,
    /// rpm: what the module streams that are on and off hide.
    pub modules: Arc<ModuleFilter>,
    /// Globs over names of installed packages that must not change: they neither move nor go, needed or not, and nothing
    /// takes their place.
    pub holds: Vec<String>,
    /// Versions that names have if they are chosen at all, whatever is installed: what holds mean where nothing is.
    pub fixed: BTreeMap<String, String>,
    /// Whether an installed package may move to a lower version.
    pub allow_downgrade: bool,
    /// Whether requested packages that are installed may go where the request cannot be met beside them.
    pub allow_erasing: bool,
    /// Nothing but the best version of what is requested, and of what an upgrade is asked to move, will do. Else the best
    /// version that works.
    pub best: bool,
    /// rpm: packages that are installed beside their older versions.
    pub install_only: InstallOnly,
    /// Drop installed packages that nothing requested needs any more.
    pub autoremove: bool,
}

/// rpm: packages of which several versions are installed at once, as kernels are. Only those of the native architecture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstallOnly {
    /// Their names, or what they provide.
    pub names: Vec<String>,
    /// How many versions of each name an upgrade leaves; 0: all.
    pub limit: usize,
}

impl InstallOnly {
    /// dnf's own list and limit.
    pub fn usual() -> Self {
        let names = [
            "kernel",
            "kernel-PAE",
            "installonlypkg(kernel)",
            "installonlypkg(kernel-module)",
            "installonlypkg(vm)",
            "multiversion(kernel)",
        ];
        Self {
            names: names.map(str::to_owned).to_vec(),
            limit: 3,
        }
    }
}

/// Why a request cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ResolveError {
    /// A spec that is neither a name nor anything else known.
    #[error("`{spec}` is no package specification")]
    Spec {
        /// As given.
        spec: String,
    },
    /// A repository of the other family.
    #[error("repository `{repository}` holds {found} packages, expected {expected}")]
    Family {
        /// Which one.
        repository: RepoId,
        /// What it holds.
        found: Family,
        /// What the request is for.
        expected: Family,
    },
    /// An index that was changed behind our back, or an internal contradiction.
    #[error("the package index of {} is damaged", name_of(.repository.as_ref()))]
    Damaged {
        /// Which one; `None` for the index of what is installed.
        repository: Option<RepoId>,
    },
}

fn name_of(repository: Option<&RepoId>) -> String {
    repository.map_or_else(
        || "what is installed".to_owned(),
        |repository| format!("repository `{repository}`"),
    )
}
