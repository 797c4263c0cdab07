//! Which packages have security updates, and what they are.
//!
//! deb: what an archive offers whose signed `Release` file calls itself one of security updates
//! ([`Release::is_security`](vzpkg_metadata::apt::release::Release::is_security)); a package moves to the newest version of
//! such an archive. rpm: what the advisories of type `security` name (`updateinfo` of the repositories); a package moves to
//! the newest version that one names, or the first one after it that there is.

use super::plan::{Goal, Question};
use crate::error::{CommandError, CommandResult, Kind};
use std::collections::BTreeMap;
use vzpkg_cache::store::VersionRecord;
use vzpkg_metadata::lock::{Lock, LockedPackage};
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::Transaction;
use vzpkg_metadata::{Family, version};
use vzpkg_repo_client::{Advisories, Repository, Security};
use vzpkg_resolver::{Solve, Target};

/// Whether the repositories of a template say which updates are about security.
pub(crate) fn is_known(repositories: &[Repository]) -> bool {
    let mut repositories = repositories.iter();
    repositories.any(|repository| repository.security != Security::Unknown)
}

/// The packages of `lock` that have security updates, held or not, and to which version those go.
///
/// # Errors
/// [`Kind::Environment`] for advisories that cannot be read.
pub(crate) fn updates(lock: &Lock, repositories: &[Repository]) -> CommandResult<Vec<Target>> {
    let mut advisories = Vec::new();
    for repository in repositories {
        if let Security::Advisories(path) = &repository.security {
            advisories.push(Advisories::read(path)?);
        }
    }
    let mut found = BTreeMap::new();
    for package in &lock.packages {
        let update = in_archives(lock, repositories, package)
            .or_else(|| advised(lock, repositories, &advisories, package));
        if let Some(version) = update {
            found.insert(package.name.to_string(), Some(version));
        }
    }
    let target = |(name, version)| Target { name, version };
    Ok(found.into_iter().map(target).collect())
}

/// deb: the newest version that a security archive has, if it is newer than what is there.
fn in_archives(
    lock: &Lock,
    repositories: &[Repository],
    package: &LockedPackage,
) -> Option<String> {
    let compare = |a: &str, b: &str| version::compare(lock.family, a, b);
    let archives = repositories
        .iter()
        .filter(|repository| repository.security == Security::All);
    let offered = archives.flat_map(|repository| versions(lock.family, repository, package));
    let newest = offered.max_by(|a, b| compare(a, b))?;
    compare(&newest, &package.version).is_gt().then_some(newest)
}

/// rpm: the lowest version there is that has what the newest advisory is about.
fn advised(
    lock: &Lock,
    repositories: &[Repository],
    advisories: &[Advisories],
    package: &LockedPackage,
) -> Option<String> {
    let compare = |a: &str, b: &str| version::compare(lock.family, a, b);
    let (name, arch) = (package.name.as_str(), package.arch.as_str());
    let named = advisories
        .iter()
        .filter_map(|advisories| advisories.newest(name, arch, &package.version));
    let wanted = named.max_by(|a, b| compare(a, b))?;
    let offered = repositories
        .iter()
        .flat_map(|repository| versions(lock.family, repository, package));
    let enough = offered.filter(|version| compare(version, wanted).is_ge());
    enough.min_by(|a, b| compare(a, b))
}

/// The versions of a package that a repository has; of rpm packages those of its architecture.
fn versions(family: Family, repository: &Repository, package: &LockedPackage) -> Vec<String> {
    let named = repository.index.as_index().by_name(package.name.as_str());
    let arch = package.arch.as_str();
    let usable = named.filter(|found| family == Family::Deb || found.arch() == arch);
    usable.map(|found| found.version().to_owned()).collect()
}

/// Says that security updates cannot be told from others.
///
/// # Errors
/// [`Kind::Unmet`], if so.
pub(crate) fn check_known(template: &Template, repositories: &[Repository]) -> CommandResult {
    if is_known(repositories) {
        return Ok(());
    }
    let name = &template.name;
    let (why, hint) = match template.family {
        Family::Rpm => (
            "none of its repositories has advisories (`updateinfo`)".to_owned(),
            format!("name the packages: vzpkg update {name} --only PACKAGE"),
        ),
        Family::Deb => (
            "no suite, codename, label or origin of its repositories ends in `-security`"
                .to_owned(),
            format!("add the security suite to `repositories` of `{name}`"),
        ),
    };
    let text = format!("it is not known which updates of `{name}` are about security: {why}");
    Err(CommandError::message(Kind::Unmet, text).hint(hint))
}

/// A transaction with as many security updates as fit together, and the packages whose updates do not.
#[derive(Debug)]
pub(crate) struct Fitting {
    pub(crate) transaction: Transaction,
    pub(crate) left_out: Vec<String>,
}

/// Moves `base` to `targets`: all at once if that can be, else one after the other, so that one that cannot be had keeps
/// none of the others back.
///
/// # Errors
/// As the resolver's.
pub(crate) fn fit(
    question: &Question<'_>,
    base: &VersionRecord,
    targets: &[Target],
) -> CommandResult<Fitting> {
    let mut left_out = Vec::new();
    if let Solve::Solved(transaction) = question.solve(Goal::Move(base, targets))? {
        return Ok(Fitting {
            transaction,
            left_out,
        });
    }
    let mut taken: Vec<Target> = Vec::new();
    let mut best = Transaction {
        family: base.lock.family,
        steps: Vec::new(),
    };
    for target in targets {
        taken.push(target.clone());
        match question.solve(Goal::Move(base, &taken))? {
            Solve::Solved(transaction) => best = transaction,
            Solve::Impossible(_) => {
                taken.pop();
                let version = target.version.as_deref().unwrap_or_default();
                left_out.push(format!("{} {version}", target.name));
            }
        }
    }
    Ok(Fitting {
        transaction: best,
        left_out,
    })
}
