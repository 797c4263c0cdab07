//! Which packages differ between two locks, and which way.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::transaction::Reason;
use vzpkg_metadata::{Arch, Digest, PackageName, version};

/// Which way a package moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageMove {
    /// Only the second version has it.
    Added,
    /// Only the first version has it.
    Removed,
    /// To a higher version.
    Up,
    /// To a lower version.
    Down,
    /// The same version, another file: it was built again.
    Rebuilt,
}

/// A package that is not the same in both versions.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// Which way it moved.
    #[serde(rename = "change")]
    pub moved: PackageMove,
    /// Its version in the first version of the template.
    pub from: Option<String>,
    /// Its version in the second.
    pub to: Option<String>,
    /// Why it is there; of one that is gone, why it was.
    pub reason: String,
}

/// The packages that differ, by name and architecture. Of one that is installed in several versions side by side, as
/// rpm's kernels are, each version is a package of its own where it cannot be paired.
pub(super) fn changes(before: &Lock, after: &Lock) -> Vec<PackageChange> {
    let (mut old, new) = (by_name(before), by_name(after));
    let mut found = Vec::new();
    for (key, mut arrived) in new {
        let mut left = old.remove(&key).unwrap_or_default();
        // What is the same on both sides is no change.
        arrived.retain(|package| {
            let same = left.iter().position(|other| package.is_same_as(other));
            same.map(|at| left.remove(at)).is_none()
        });
        let mut left = left.into_iter();
        for package in arrived {
            found.push(change(after, left.next(), package));
        }
        found.extend(left.map(gone));
    }
    found.extend(old.into_values().flatten().map(gone));
    found.sort_by(|a, b| (&a.name, &a.arch, &a.to).cmp(&(&b.name, &b.arch, &b.to)));
    found
}

/// A package of a lock, whether its file is known or not.
#[derive(Clone, Copy)]
struct Package<'a> {
    name: &'a PackageName,
    arch: &'a Arch,
    version: &'a str,
    /// What is known of its file: its hash and why it is there.
    file: Option<(&'a Digest, &'a Reason)>,
}

impl Package<'_> {
    fn is_same_as(&self, other: &Self) -> bool {
        match (self.file, other.file) {
            (Some((one, _)), Some((other, _))) => one == other,
            _ => self.version == other.version,
        }
    }

    fn reason(&self) -> String {
        self.file.map_or_else(
            || "installed in a container".to_owned(),
            |(_, reason)| reason.to_string(),
        )
    }
}

fn by_name(lock: &Lock) -> BTreeMap<(&str, &str), Vec<Package<'_>>> {
    let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let known = lock.packages.iter().map(|package| Package {
        name: &package.name,
        arch: &package.arch,
        version: &package.version,
        file: Some((&package.sha256, &package.reason)),
    });
    let unknown = lock.installed.iter().map(|package| Package {
        name: &package.name,
        arch: &package.arch,
        version: &package.version,
        file: None,
    });
    for package in known.chain(unknown) {
        let key = (package.name.as_str(), package.arch.as_str());
        names.entry(key).or_default().push(package);
    }
    names
}

fn change(lock: &Lock, from: Option<Package<'_>>, to: Package<'_>) -> PackageChange {
    let order = from.map(|from| version::compare(lock.family, from.version, to.version));
    PackageChange {
        name: to.name.to_string(),
        arch: to.arch.to_string(),
        moved: match order {
            None => PackageMove::Added,
            Some(Ordering::Less) => PackageMove::Up,
            Some(Ordering::Greater) => PackageMove::Down,
            Some(Ordering::Equal) => PackageMove::Rebuilt,
        },
        from: from.map(|from| from.version.to_owned()),
        to: Some(to.version.to_owned()),
        reason: to.reason(),
    }
}

fn gone(package: Package<'_>) -> PackageChange {
    PackageChange {
        name: package.name.to_string(),
        arch: package.arch.to_string(),
        moved: PackageMove::Removed,
        from: Some(package.version.to_owned()),
        to: None,
        reason: package.reason(),
    }
}
