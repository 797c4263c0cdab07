//! What is asked of the resolver: repositories, what is installed, and what is wanted.

use std::collections::BTreeMap;
use vzpkg_metadata::index::Index;
use vzpkg_metadata::lock::Lock;
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
    /// Specs of packages that must not be there afterwards.
    pub remove: Vec<String>,
    /// What else moves to newer versions.
    pub upgrade: Upgrade,
    /// deb: take every package that says `Essential: yes`.
    pub essential: bool,
    /// Take what chosen packages recommend (rpm: also what supplements them) where it can be had.
    pub recommends: bool,
    /// Globs over names of packages that must not be chosen from a repository.
    pub excludes: Vec<String>,
    /// Globs over names of installed packages that must not change.
    pub holds: Vec<String>,
    /// Versions that names have if they are chosen at all, whatever is installed: what holds mean where nothing is.
    pub fixed: BTreeMap<String, String>,
    /// Whether an installed package may move to a lower version.
    pub allow_downgrade: bool,
    /// Drop installed packages that nothing requested needs any more.
    pub autoremove: bool,
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
