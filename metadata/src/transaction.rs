//! What the resolver decided: which packages to install, upgrade and remove, in which order, and why.
//!
//! A value: it is made, shown to the user, then carried out. It says nothing about how.

use crate::{Arch, ByteSize, Digest, Family, PackageName, RepoId};
use std::fmt;
use std::str::FromStr;

/// One package, exactly: enough to fetch it from any mirror and to know it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct PackageRef {
    /// Its name.
    pub name: PackageName,
    /// Its architecture in the spelling of the family.
    pub arch: Arch,
    /// deb version, or `[epoch:]version-release`.
    pub version: String,
    /// SHA-256 of the package file, from the signed index.
    pub sha256: Digest,
    /// Size of the package file.
    pub size: ByteSize,
    /// Size when installed, as the package claims.
    pub installed_size: ByteSize,
    /// The repository that offers it; `None` where it is known from a lock or an installed system only.
    pub repository: Option<RepoId>,
    /// Where it lies below the repository's base URL; empty if unknown. Foreign text: never a path on this machine.
    pub location: String,
}

impl fmt::Display for PackageRef {
    /// `name version arch`, separated by spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.version, self.arch)
    }
}

/// Why a package is part of a version.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub enum Reason {
    /// The template (or the user) names it.
    Requested,
    /// deb: `Essential: yes`.
    Essential,
    /// Another package needs it.
    Dependency(PackageName),
    /// Another package recommends it.
    Recommended(PackageName),
}

impl Reason {
    /// Whether apt would mark the package as automatically installed.
    pub const fn is_automatic(&self) -> bool {
        matches!(self, Self::Dependency(_) | Self::Recommended(_))
    }
}

impl fmt::Display for Reason {
    /// `requested`, `essential`, `dependency:NAME`, `recommended:NAME`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("requested"),
            Self::Essential => f.write_str("essential"),
            Self::Dependency(of) => write!(f, "dependency:{of}"),
            Self::Recommended(of) => write!(f, "recommended:{of}"),
        }
    }
}

/// A text that is no [`Reason`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no reason: expected `requested`, `essential`, `dependency:NAME` or `recommended:NAME`"
)]
pub struct ReasonParseError(String);

impl FromStr for Reason {
    type Err = ReasonParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ReasonParseError(text.to_owned());
        match text.split_once(':') {
            None if text == "requested" => Ok(Self::Requested),
            None if text == "essential" => Ok(Self::Essential),
            Some(("dependency", of)) => of.parse().map(Self::Dependency).ok().ok_or_else(error),
            Some(("recommended", of)) => of.parse().map(Self::Recommended).ok().ok_or_else(error),
            _ => Err(error()),
        }
    }
}

impl TryFrom<String> for Reason {
    type Error = ReasonParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.to_string()
    }
}

/// What happens to one package.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase", tag = "action")]
pub enum Action {
    /// It was not there.
    Install,
    /// A lower version was there.
    Upgrade {
        /// The version that goes.
        from: String,
    },
    /// A higher version was there.
    Downgrade {
        /// The version that goes.
        from: String,
    },
    /// It goes. The [`Step`]'s package is the one that was there.
    Remove,
}

/// One package and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// What happens.
    #[serde(flatten)]
    pub action: Action,
    /// The package that comes, or goes for [`Action::Remove`].
    pub package: PackageRef,
    /// Why it is (or was) there.
    pub reason: Reason,
}

/// All steps from one set of packages to the next.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Transaction {
    /// Which package manager carries it out.
    pub family: Family,
    /// In order: what a package needs comes before it; removals come first.
    pub steps: Vec<Step>,
}

impl Transaction {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The packages that come (install, upgrade, downgrade), in order.
    pub fn incoming(&self) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(|step| step.action != Action::Remove)
    }

    /// The packages that go away altogether, in order.
    pub fn removed(&self) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(|step| step.action == Action::Remove)
    }

    /// The bytes of all package files that come.
    pub fn download_size(&self) -> ByteSize {
        self.incoming().map(|step| step.package.size).sum()
    }
}
