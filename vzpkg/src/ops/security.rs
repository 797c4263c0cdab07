//! Which packages have security updates, and what they are.
//!
//! deb: what an archive offers whose signed `Release` file calls itself one of security updates
//! ([`Release::is_security`](vzpkg_metadata::apt::release::Release::is_security)). rpm: that would be told by advisories
//! (`updateinfo`), which are not read, so it is refused.

use super::plan::{Goal, Question};
use crate::error::{CommandError, CommandResult, Kind};
use std::collections::BTreeMap;
use vzpkg_cache::store::{Hold, VersionRecord};
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::Transaction;
use vzpkg_metadata::{Family, version};
use vzpkg_repo_client::Repository;
use vzpkg_resolver::{Solve, Target};

/// Whether the repositories of a template say which updates are about security.
pub(crate) fn is_known(repositories: &[Repository]) -> bool {
    repositories.iter().any(|repository| repository.security)
}

/// The packages of `lock` for which a security archive has something newer, and the newest that it has; none that are
/// held.
pub(crate) fn updates(lock: &Lock, repositories: &[Repository], holds: &[Hold]) -> Vec<Target> {
    let mut found = BTreeMap::new();
    for package in &lock.packages {
        if holds.iter().any(|hold| hold.pattern.matches(&package.name)) {
            continue;
        }
        let archives = repositories.iter().filter(|repository| repository.security);
        let offered = archives.flat_map(|repository| {
            let named = repository.index.as_index().by_name(package.name.as_str());
            named
                .map(|package| package.version().to_owned())
                .collect::<Vec<_>>()
        });
        let compare = |a: &str, b: &str| version::compare(lock.family, a, b);
        let newer = offered.filter(|version| compare(version, &package.version).is_gt());
        if let Some(newest) = newer.max_by(|a, b| compare(a, b)) {
            found.insert(package.name.to_string(), Some(newest));
        }
    }
    let target = |(name, version)| Target { name, version };
    found.into_iter().map(target).collect()
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
            "advisories (`updateinfo`) of yum repositories are not read yet".to_owned(),
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
