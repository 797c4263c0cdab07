//! The lock: what a version is made of, as a text file that can be kept, diffed, merged line by line and built from.
//!
//! ```text
//! vzpkg-lock 1
//! family deb
//! arch amd64
//! base sha256:91c4…
//! epoch 1757663741
//! id messagebus 412:412
//! package adduser 3.152 all 7a3c… 63804 dependency:openssh-server
//! link sha256:91c4… 1755000000
//! +package adduser 3.150 all 03bd… 63712 dependency:openssh-server
//! -package adduser 3.152 all 7a3c… 63804 dependency:openssh-server
//! ```
//!
//! One format for deb and rpm. Header lines come in this order; `id` and `package` lines are sorted by name; so two
//! locks differ in exactly the lines that changed. No URLs: a package is found by its hash in any repository. What the
//! lock does not say is taken from the template: scripts, repositories, keys.
//!
//! A version that was committed from a container is no recipe: `committed` names the tree, which nothing else can make, and
//! `installed NAME VERSION ARCH` each package of it of which nobody knows the file. Only such a lock has format 2.
//!
//! A version that was built on another is made by repeating what was done, so its lock carries the chain ([`chain`]) back
//! to a version that was built from nothing (`base none`).

mod chain;
mod changes;
mod text;

pub use chain::{ChainError, Link};
pub use changes::Change;
pub use text::{LineProblem, LockError};

use crate::transaction::{Action, PackageRef, Reason, Transaction};
use crate::{Arch, ByteSize, Digest, Family, PackageName};
use std::collections::{BTreeMap, BTreeSet};

/// The format number of a lock that can be built from.
pub const FORMAT: u32 = 1;

/// That of a lock which tells of a tree that was committed from a container, or built on one; the newest.
pub const COMMITTED_FORMAT: u32 = 2;

/// The ids of one user name and the group of the same name; a name may be only one of the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ids {
    /// User id, if there is a user of this name.
    pub uid: Option<u32>,
    /// Group id, if there is a group of this name.
    pub gid: Option<u32>,
}

/// One package of a lock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedPackage {
    /// Its name.
    pub name: PackageName,
    /// Its architecture, as the family spells it.
    pub arch: Arch,
    /// deb version, or `[epoch:]version-release`.
    pub version: String,
    /// SHA-256 of the package file.
    pub sha256: Digest,
    /// Size of the package file.
    pub size: ByteSize,
    /// Why it is there.
    pub reason: Reason,
}

/// A package that a container had installed itself: there, but from a file that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Installed {
    /// Its name.
    pub name: PackageName,
    /// Its architecture, as the family spells it.
    pub arch: Arch,
    /// deb version, or `[epoch:]version-release`.
    pub version: String,
}

impl Installed {
    /// What a package database says; `None` where a part of it is no name or version.
    pub fn new(name: &str, version: &str, arch: &str) -> Option<Self> {
        text::is_version(version).then_some(())?;
        Some(Self {
            name: name.parse().ok()?,
            arch: arch.parse().ok()?,
            version: version.to_owned(),
        })
    }
}

impl std::fmt::Display for Installed {
    /// `hello 2.10-3 amd64`, as in a lock.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.name, self.version, self.arch)
    }
}

/// What a version is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Which package family.
    pub family: Family,
    /// The native architecture, as the family spells it.
    pub arch: Arch,
    /// The tree digest of the version this one was built on; `None` for a bootstrap.
    pub base: Option<Digest>,
    /// Times in the tree are clamped to this second since 1970.
    pub epoch: i64,
    /// User and group ids that the build was told to use, by name.
    pub ids: BTreeMap<String, Ids>,
    /// Every package of the version, sorted by name, architecture and version.
    pub packages: Vec<LockedPackage>,
    /// The versions below this one: its base first, last the one that was built from nothing. Empty with a base where
    /// nobody knows how that was made.
    pub chain: Vec<Link>,
    /// The tree itself, where it was committed from a container: nothing else makes it.
    pub committed: Option<Digest>,
    /// Packages that are in the tree beside [`Self::packages`], and of which no file is known.
    pub installed: BTreeSet<Installed>,
}

impl Lock {
    /// An empty lock: nothing installed, no base, epoch 0.
    pub const fn empty(family: Family, arch: Arch) -> Self {
        Self {
            family,
            arch,
            base: None,
            epoch: 0,
            ids: BTreeMap::new(),
            packages: Vec::new(),
            chain: Vec::new(),
            committed: None,
            installed: BTreeSet::new(),
        }
    }

    /// The packages after `transaction` was carried out on this lock's. Everything else is kept.
    #[must_use]
    pub fn after(&self, transaction: &Transaction) -> Self {
        let key = |package: &PackageRef| (package.name.clone(), package.arch.clone());
        let mut packages = self.packages.clone();
        for step in &transaction.steps {
            let leaving = match &step.action {
                Action::Install => None,
                Action::Upgrade { from } | Action::Downgrade { from } => Some(from),
                Action::Remove => Some(&step.package.version),
            };
            let (name, arch) = key(&step.package);
            packages.retain(|package| {
                package.name != name
                    || Some(&package.version) != leaving
                    || (package.arch != arch && step.action == Action::Remove)
            });
            if step.action != Action::Remove {
                packages.push(LockedPackage {
                    name,
                    arch,
                    version: step.package.version.clone(),
                    sha256: step.package.sha256,
                    size: step.package.size,
                    reason: step.reason.clone(),
                });
            }
        }
        packages.sort();
        Self {
            packages,
            ..self.clone()
        }
    }

    /// The digest of the text form.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests;
