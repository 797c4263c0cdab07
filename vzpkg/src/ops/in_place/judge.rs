//! What a container lacks of the packages of another version: what was done between the two versions, as far as the
//! container has not done it itself, or otherwise. Pure.

use crate::ops::sources::known_by_lock;
use std::cmp::Ordering;
use vzpkg_cache::merge::{Decision, ReportLine};
use vzpkg_metadata::lock::{Change, Lock, LockedPackage};
use vzpkg_metadata::transaction::{Action, Step, Transaction};
use vzpkg_metadata::{Arch, version};

/// A package that a container has, as its own package manager says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) name: String,
    /// `[epoch:]version-release`, or a deb version.
    pub(super) version: String,
    pub(super) arch: String,
    /// Whether it is there in full: its scripts have run.
    pub(super) whole: bool,
}

impl Present {
    pub(super) fn is(&self, name: &str, version: &str, arch: &str) -> bool {
        self.name == name && self.version == version && self.arch == arch
    }
}

/// What there is to do, and what of the container's own stays although the version has it otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) transaction: Transaction,
    pub(super) kept: Vec<ReportLine>,
}

/// The steps from `before` to `after` that are left to do for a container which has `present`.
pub(super) fn judge(before: &Lock, after: &Lock, present: &[Present]) -> Judged {
    let mut judged = Judged {
        transaction: Transaction {
            family: after.family,
            steps: Vec::new(),
        },
        kept: Vec::new(),
    };
    for change in before.changes_to(after) {
        let Change { action, package } = &change;
        match step(after, action, package, present) {
            Outcome::Done => {}
            Outcome::Do(action) => judged.transaction.steps.push(Step {
                action,
                package: known_by_lock(package),
                reason: package.reason.clone(),
            }),
            Outcome::Keep { private, template } => judged.kept.push(ReportLine {
                subject: format!("package {}:{}", package.name, package.arch),
                decision: Decision::PackageKept { private, template },
            }),
        }
    }
    judged
}

/// What comes of one change.
enum Outcome {
    /// Nothing is left of it to do.
    Done,
    Do(Action),
    /// The container's own stays.
    Keep {
        private: Option<String>,
        template: Option<String>,
    },
}

fn step(after: &Lock, action: &Action, package: &LockedPackage, present: &[Present]) -> Outcome {
    let name = package.name.as_str();
    let mine: Vec<&Present> = present
        .iter()
        .filter(|of| of.name == name && kind(&after.arch, &of.arch) == kind_of(after, package))
        .collect();
    let arch = package.arch.as_str();
    let is_there = mine.iter().any(|of| of.is(name, &package.version, arch));
    let compare = |a: &str, b: &str| version::compare(after.family, a, b);
    let highest = mine
        .iter()
        .max_by(|a, b| compare(&a.version, &b.version))
        .map(|of| of.version.clone());
    let came_from = match action {
        Action::Remove if is_there => return Outcome::Do(Action::Remove),
        Action::Remove => return left(after, package, highest),
        _ if is_there => return Outcome::Done,
        Action::Install if has_several(after, package) => return Outcome::Do(Action::Install),
        Action::Install => None,
        Action::Upgrade { from } | Action::Downgrade { from } => Some(from),
    };
    let template = Some(package.version.clone());
    match highest {
        // Somebody removed it in the container.
        None if came_from.is_some() => Outcome::Keep {
            private: None,
            template,
        },
        None => Outcome::Do(Action::Install),
        Some(own) if Some(&own) == came_from => Outcome::Do(action.clone()),
        Some(own) => match compare(&own, &package.version) {
            Ordering::Greater => Outcome::Keep {
                private: Some(own),
                template,
            },
            Ordering::Equal => Outcome::Done,
            Ordering::Less => Outcome::Do(Action::Upgrade { from: own }),
        },
    }
}

/// What the version dropped and the container has in another version, or not at all.
fn left(after: &Lock, package: &LockedPackage, own: Option<String>) -> Outcome {
    let stays = after.packages.iter().any(|of| of.name == package.name);
    match own {
        Some(own) if !stays => Outcome::Keep {
            private: Some(own),
            template: None,
        },
        _ => Outcome::Done,
    }
}

/// Whether a version has several packages of one name beside each other, as kernels.
fn has_several(lock: &Lock, package: &LockedPackage) -> bool {
    let alike = |of: &&LockedPackage| {
        of.name == package.name && kind_of(lock, of) == kind_of(lock, package)
    };
    lock.packages.iter().filter(alike).count() > 1
}

/// Packages of one name take each other's place where they are for this machine or for any, or for the same other one.
fn kind<'a>(native: &Arch, arch: &'a str) -> Option<&'a str> {
    let any = arch.parse::<Arch>().is_ok_and(|arch| arch.is_independent());
    (arch != native.as_str() && !any).then_some(arch)
}

fn kind_of<'a>(lock: &Lock, package: &'a LockedPackage) -> Option<&'a str> {
    kind(&lock.arch, package.arch.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vzpkg_metadata::ByteSize;
    use vzpkg_metadata::transaction::Reason;
    use vzpkg_metadata::{Digest, Family};

    fn lock(packages: &[(&str, &str)]) -> Lock {
        let mut lock = Lock::empty(Family::Deb, "amd64".parse().unwrap());
        lock.packages = packages
            .iter()
            .map(|(name, version)| LockedPackage {
                name: name.parse().unwrap(),
                arch: "amd64".parse().unwrap(),
                version: (*version).to_owned(),
                sha256: Digest::of(format!("{name} {version}").as_bytes()),
                size: ByteSize(1),
                reason: Reason::Requested,
            })
            .collect();
        lock.packages.sort();
        lock
    }

    fn present(packages: &[(&str, &str)]) -> Vec<Present> {
        let one = |(name, version): &(&str, &str)| Present {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            arch: "amd64".to_owned(),
            whole: true,
        };
        packages.iter().map(one).collect()
    }

    /// `+name version`, `-name version`; what stays as `=name`.
    fn judged(before: &[(&str, &str)], after: &[(&str, &str)], has: &[(&str, &str)]) -> String {
        let judged = judge(&lock(before), &lock(after), &present(has));
        let steps = judged.transaction.steps.iter().map(|step| {
            let sign = match &step.action {
                Action::Remove => "-".to_owned(),
                Action::Install => "+".to_owned(),
                Action::Upgrade { from } => format!("{from}<"),
                Action::Downgrade { from } => format!("{from}>"),
            };
            format!("{sign}{} {}", step.package.name, step.package.version)
        });
        let kept = judged.kept.iter().map(|line| format!("={}", line.subject));
        steps.chain(kept).collect::<Vec<_>>().join(", ")
    }

    const BEFORE: &[(&str, &str)] = &[("a", "1"), ("b", "2"), ("gone", "1")];
    const AFTER: &[(&str, &str)] = &[("a", "2"), ("b", "1"), ("new", "1")];

    #[test]
    fn a_container_that_changed_no_packages_gets_everything() {
        let all = "-gone 1, 1<a 2, 2>b 1, +new 1";
        assert_eq!(judged(BEFORE, AFTER, BEFORE), all);
        let more = [BEFORE, &[("own", "7")]].concat();
        assert_eq!(judged(BEFORE, AFTER, &more), all, "what it added stays");
        assert_eq!(judged(BEFORE, AFTER, AFTER), "", "it is there already");
    }

    #[test]
    fn what_the_container_changed_itself_stays_where_it_is_higher_or_gone() {
        let has = [("a", "3"), ("b", "1.5"), ("gone", "2"), ("new", "0.5")];
        assert_eq!(
            judged(BEFORE, AFTER, &has),
            "0.5<new 1, =package gone:amd64, =package a:amd64, =package b:amd64"
        );
        let has = [("gone", "1")];
        assert_eq!(
            judged(BEFORE, AFTER, &has),
            "-gone 1, +new 1, =package a:amd64, =package b:amd64"
        );
        let lower = [("a", "0"), ("b", "0")];
        assert_eq!(judged(BEFORE, AFTER, &lower), "0<a 2, 0<b 1, +new 1");
    }

    #[test]
    fn kernels_come_beside_each_other() {
        let (before, after) = ([("k", "1"), ("k", "2")], [("k", "2"), ("k", "3")]);
        assert_eq!(judged(&before, &after, &before), "-k 1, +k 3");
        assert_eq!(judged(&before, &after, &[("k", "2")]), "+k 3");
    }
}
