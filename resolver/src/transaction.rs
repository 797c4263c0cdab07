//! From a solution to the transaction: what changes, why, and in which order.

use crate::order::{self, Relations};
use crate::pool::{Pool, Requirement, Solvable};
use crate::reasons::{Follow, reasons};
use crate::request::{Request, ResolveError};
use crate::solution::{Goal, Solution};
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::package::RelationKind;
use vzpkg_metadata::transaction::{Action, PackageRef, Reason, Step, Transaction};
use vzpkg_metadata::version;
use vzpkg_metadata::{ByteSize, RepoId};

/// The steps from what is installed to the solution: removals first, what is needed before what needs it.
///
/// # Errors
/// [`ResolveError::Damaged`] if an index names packages in a way that none can be named.
pub(crate) fn transaction(
    pool: &mut Pool<'_>,
    goal: &Goal,
    solution: &Solution,
    request: &Request,
) -> Result<Transaction, ResolveError> {
    let follow = Follow {
        recommends: request.recommends || request.autoremove,
        installed: !request.autoremove,
    };
    let walked = reasons(pool, goal, &solution.chosen, follow);
    let before: BTreeMap<_, _> = goal
        .before
        .iter()
        .map(|&solvable| (pool.name(solvable), solvable))
        .collect();
    let locked: BTreeMap<_, _> = goal
        .installed
        .iter()
        .map(|(solvable, _, reason)| (*solvable, reason))
        .collect();
    // What nothing leads to: automatic packages that nothing needs any more (with `autoremove`), and what a choice
    // brought in that the solver took back later.
    let requested: BTreeSet<_> = goal
        .installed
        .iter()
        .filter(|(.., reason)| !reason.is_automatic())
        .map(|(solvable, ..)| pool.name(*solvable))
        .collect();
    let unneeded = |solvable: &Solvable| {
        !walked.contains_key(solvable) && !requested.contains(&pool.name(*solvable))
    };
    let stays: BTreeMap<_, _> = solution
        .chosen
        .iter()
        .filter(|solvable| !unneeded(solvable))
        .map(|&solvable| (pool.name(solvable), solvable))
        .collect();
    let gone: Vec<Solvable> = goal
        .before
        .iter()
        .copied()
        .filter(|&solvable| !stays.contains_key(&pool.name(solvable)))
        .collect();
    let incoming: Vec<Solvable> = solution
        .chosen
        .iter()
        .copied()
        .filter(|solvable| !goal.before.contains(solvable) && !unneeded(solvable))
        .collect();
    let mut steps = Vec::new();
    for solvable in in_order(pool, &gone).into_iter().rev() {
        let reason = locked
            .get(&solvable)
            .map_or(Reason::Requested, |&it| it.clone());
        steps.push(Step {
            action: Action::Remove,
            package: package_ref(pool, solvable)?,
            reason,
        });
    }
    for solvable in in_order(pool, &incoming) {
        let previous = before.get(&pool.name(solvable)).copied();
        let new = walked.get(&solvable).cloned();
        let old = previous.and_then(|one| locked.get(&one)).copied().cloned();
        // What a user asks for now counts; else a package keeps the reason it had.
        let reason = match (new, old) {
            (Some(Reason::Requested), _) | (None, None) => Reason::Requested,
            (_, Some(old)) => old,
            (Some(new), None) => new,
        };
        steps.push(Step {
            action: action(pool, solvable, previous),
            package: package_ref(pool, solvable)?,
            reason,
        });
    }
    let family = pool.family;
    Ok(Transaction { family, steps })
}

fn action(pool: &Pool<'_>, solvable: Solvable, previous: Option<Solvable>) -> Action {
    let version = |one: Solvable| pool.package(one).map_or("", |package| package.version());
    let Some(previous) = previous else {
        return Action::Install;
    };
    let from = version(previous).to_owned();
    if version::compare(pool.family, version(solvable), &from).is_lt() {
        Action::Downgrade { from }
    } else {
        Action::Upgrade { from }
    }
}

fn package_ref(pool: &Pool<'_>, solvable: Solvable) -> Result<PackageRef, ResolveError> {
    let damaged = |repository: Option<RepoId>| ResolveError::Damaged { repository };
    let (source, package) = pool.locate(solvable).ok_or_else(|| damaged(None))?;
    let repository = pool.sources[source]
        .repository
        .map(|repository| repository.id.clone());
    let named = || {
        Some(PackageRef {
            name: package.name().parse().ok()?,
            arch: package.arch().parse().ok()?,
            version: package.version().to_owned(),
            sha256: package.sha256(),
            size: ByteSize(package.size()),
            installed_size: ByteSize(package.installed_size()),
            location: package.location(),
            repository: repository.clone(),
        })
    };
    named().ok_or_else(|| damaged(repository.clone()))
}

/// `steps` in the order in which [`transaction`] would have put them; those whose package no source has come last.
pub(crate) fn sequence(pool: &mut Pool<'_>, steps: Vec<Step>) -> Vec<Step> {
    let mut found: BTreeMap<Solvable, Step> = BTreeMap::new();
    let mut unknown = Vec::new();
    for step in steps {
        let name = step.package.name.as_str();
        let solvable = pool.names_called(name).into_iter().find_map(|name| {
            let entry = pool.entry(name);
            let excluded = entry.excluded.iter().map(|(one, _)| one);
            let mut all = entry.usable.iter().chain(excluded);
            all.find(|&&one| {
                let package = pool.package(one);
                package.is_some_and(|package| package.sha256() == step.package.sha256)
            })
            .copied()
        });
        match solvable {
            Some(solvable) => {
                found.insert(solvable, step);
            }
            None => unknown.push(step),
        }
    }
    let mut packages: Vec<Solvable> = found.keys().copied().collect();
    packages.sort_by_cached_key(|&one| {
        pool.package(one)
            .map(|package| (package.name(), package.arch(), package.version()))
    });
    let mut ordered: Vec<Step> = in_order(pool, &packages)
        .into_iter()
        .filter_map(|solvable| found.remove(&solvable))
        .collect();
    ordered.extend(unknown);
    ordered
}

/// `packages` (sorted by name) in order of installation.
fn in_order(pool: &mut Pool<'_>, packages: &[Solvable]) -> Vec<Solvable> {
    let number: BTreeMap<Solvable, usize> = packages.iter().copied().zip(0..).collect();
    let mut relations = Relations {
        count: packages.len(),
        ..Relations::default()
    };
    for (&solvable, &from) in &number {
        let Some((source, package)) = pool.locate(solvable) else {
            continue;
        };
        for (kind, clause) in package.relations() {
            let edges = match kind {
                RelationKind::PreDepends => &mut relations.strict,
                RelationKind::Depends => &mut relations.loose,
                _ => continue,
            };
            for need in pool.needs_of(source, clause).iter() {
                let mut members = Vec::new();
                flatten(pool, need.requirement, &mut members, 0);
                let present = members.iter().filter_map(|one| number.get(one));
                edges.extend(present.filter(|&&to| to != from).map(|&to| (from, to)));
            }
        }
    }
    order::order(&relations)
        .into_iter()
        .map(|number| packages[number])
        .collect()
}

/// All packages that could meet a requirement, through pseudo solvables.
fn flatten(pool: &mut Pool<'_>, requirement: Requirement, found: &mut Vec<Solvable>, depth: usize) {
    for set in pool.sets_of(requirement) {
        for one in pool.set(set).members.clone() {
            if pool.package(one).is_some() {
                found.push(one);
            } else if depth < vzpkg_metadata::dependency::DEPTH {
                for need in &pool.rules(one).needs {
                    flatten(pool, need.requirement, found, depth + 1);
                }
            }
        }
    }
}
