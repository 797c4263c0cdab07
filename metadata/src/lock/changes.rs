//! What turns the packages of one lock into those of another: the steps of the build between them, without what only a
//! repository knows.

use super::{Lock, LockedPackage};
use crate::transaction::Action;
use crate::{Arch, PackageName, version};
use std::collections::BTreeMap;

/// One package and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happens.
    pub action: Action,
    /// The package that comes, or goes for [`Action::Remove`].
    pub package: LockedPackage,
}

impl Lock {
    /// The changes from this lock's packages to those of `next`, removals first, else by name. A package whose reason
    /// alone differs is no change: nothing is built for that.
    ///
    /// As the resolver has it: what takes the place of one package of its name replaces it, unless another of that name
    /// stays (kernels do).
    pub fn changes_to(&self, next: &Self) -> Vec<Change> {
        let mut names = BTreeMap::<_, Versions<'_>>::new();
        for package in &self.packages {
            let versions = names.entry(self.key(package)).or_default();
            if next.has(package) {
                versions.stay = true;
            } else {
                versions.gone.push(package);
            }
        }
        for package in next.packages.iter().filter(|package| !self.has(package)) {
            let versions = names.entry(self.key(package)).or_default();
            versions.come.push(package);
        }
        let changes = names
            .into_values()
            .flat_map(|versions| self.changes_of(&versions));
        let (mut removed, come): (Vec<_>, Vec<_>) =
            changes.partition(|change| change.action == Action::Remove);
        removed.extend(come);
        removed
    }

    /// What packages that replace each other have in common: those of the native architecture and of none, those of each
    /// other one.
    fn key<'a>(&self, package: &'a LockedPackage) -> (&'a PackageName, Option<&'a Arch>) {
        let LockedPackage { name, arch, .. } = package;
        let foreign = *arch != self.arch && !arch.is_independent();
        (name, foreign.then_some(arch))
    }

    fn has(&self, package: &LockedPackage) -> bool {
        let same_name = |other: &LockedPackage| other.name.cmp(&package.name);
        let start = self
            .packages
            .partition_point(|other| same_name(other).is_lt());
        let named = self.packages.iter().skip(start);
        named
            .take_while(|other| other.name == package.name)
            .any(|other| other.sha256 == package.sha256)
    }

    fn changes_of(&self, versions: &Versions<'_>) -> Vec<Change> {
        let Versions { gone, come, stay } = versions;
        let replaced = if *stay { 0 } else { gone.len().min(come.len()) };
        let removals = gone.iter().skip(replaced).map(|&package| Change {
            action: Action::Remove,
            package: package.clone(),
        });
        let arrivals = come.iter().enumerate().map(|(position, &package)| {
            let previous = gone.get(position).filter(|_| position < replaced);
            Change {
                action: previous.map_or(Action::Install, |previous| {
                    self.instead_of(previous, package)
                }),
                package: package.clone(),
            }
        });
        removals.chain(arrivals).collect()
    }

    fn instead_of(&self, previous: &LockedPackage, package: &LockedPackage) -> Action {
        let from = previous.version.clone();
        if version::compare(self.family, &package.version, &from).is_lt() {
            Action::Downgrade { from }
        } else {
            Action::Upgrade { from }
        }
    }
}

/// The packages of one name.
#[derive(Default)]
struct Versions<'a> {
    gone: Vec<&'a LockedPackage>,
    come: Vec<&'a LockedPackage>,
    stay: bool,
}
