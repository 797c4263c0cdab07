//! Weak dependencies, by rounds: whatever the chosen packages recommend, and whatever supplements them, is wished for;
//! the solver takes the wishes it can; what that brings in may recommend more. Wishes never change what was chosen
//! without them, for they come after everything else.

use crate::pool::{Group, Name, Pool, Solvable};
use crate::provider::{Engine, Problem};
use crate::solution::{Goal, wish};
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::dependency::Expression;
use vzpkg_metadata::index::IndexedPackage;
use vzpkg_metadata::package::RelationKind;

/// More rounds than any chain of recommendations in a distribution is long.
const ROUNDS: usize = 100;

/// `chosen` and what it recommends, where that can be had.
pub(crate) fn add_recommended(
    engine: &dyn Engine,
    pool: &mut Pool<'_>,
    goal: &Goal,
    mut problem: Problem,
    mut chosen: Vec<Solvable>,
) -> Option<Vec<Solvable>> {
    let mut seen: BTreeSet<(usize, u32)> = BTreeSet::new();
    let mut supplements: BTreeSet<Solvable> = BTreeSet::new();
    for _ in 0..ROUNDS {
        let before = problem.wishes.len();
        recommended(pool, goal, &chosen, &mut seen, &mut problem);
        supplementing(pool, &chosen, &mut supplements, &mut problem);
        if problem.wishes.len() == before {
            break;
        }
        chosen = engine.solve(pool, &problem)?;
    }
    Some(chosen)
}

/// Wishes for what packages that are new recommend; what was installed before has had its chance.
fn recommended(
    pool: &mut Pool<'_>,
    goal: &Goal,
    chosen: &[Solvable],
    seen: &mut BTreeSet<(usize, u32)>,
    problem: &mut Problem,
) {
    let mut new: Vec<_> = chosen
        .iter()
        .filter(|solvable| !goal.before.contains(solvable))
        .filter_map(|&solvable| pool.locate(solvable))
        .collect();
    new.sort_by_key(|(_, package)| (package.name(), package.arch()));
    for (source, package) in new {
        for clause in package.relations_of(RelationKind::Recommends) {
            if !seen.insert((source, clause.id())) {
                continue;
            }
            let needs = pool.needs_of(source, clause);
            for need in needs.iter() {
                let member = |one| chosen.binary_search(&one).is_ok();
                if need.condition.is_some() || !pool.is_met(need.requirement, member) {
                    let rules = crate::pool::Rules {
                        needs: vec![*need],
                        forbids: Vec::new(),
                    };
                    let wish = pool.add_pseudo(String::new(), rules);
                    problem.wishes.push(wish);
                }
            }
        }
    }
}

/// Wishes for packages that supplement what is chosen, in the best version that does.
fn supplementing(
    pool: &mut Pool<'_>,
    chosen: &[Solvable],
    seen: &mut BTreeSet<Solvable>,
    problem: &mut Problem,
) {
    let mut found: BTreeMap<(&str, Name), Vec<Solvable>> = BTreeMap::new();
    for source in 0..pool.sources.len() {
        let index = pool.sources[source].index;
        for (package, clause) in index.with_relation(RelationKind::Supplements) {
            let Some(expression) = clause.expression() else {
                continue;
            };
            if holds(pool, &expression, chosen)
                && let Some(name) = pool.name_of(package)
                && !has_native_twin(pool, name, package)
            {
                let solvable = pool.canonical(pool.solvable(source, package));
                if pool.entry(name).usable.contains(&solvable) {
                    let members = found.entry((package.name(), name)).or_default();
                    members.push(solvable);
                }
            }
        }
    }
    for ((_, name), members) in found {
        let entry = pool.entry(name);
        let there = |one: &Solvable| chosen.binary_search(one).is_ok();
        let best = entry
            .usable
            .iter()
            .copied()
            .find(|one| members.contains(one));
        if let Some(best) = best
            && !entry.usable.iter().any(there)
            && seen.insert(best)
        {
            let members = vec![best];
            let wish = wish(pool, &[Group { name, members }]);
            problem.wishes.push(wish);
        }
    }
}

/// Whether a package of a foreign architecture has a native one of its name: then only that one supplements.
fn has_native_twin(pool: &mut Pool<'_>, name: Name, package: IndexedPackage<'_>) -> bool {
    let label = |pool: &Pool<'_>, name| pool.entry(name).label.clone();
    label(pool, name) != package.name()
        && pool
            .names_called(package.name())
            .into_iter()
            .any(|other| label(pool, other) == package.name())
}

/// Whether an expression holds among the chosen packages (sorted by number).
pub(crate) fn holds(pool: &mut Pool<'_>, expression: &Expression<'_>, chosen: &[Solvable]) -> bool {
    match expression {
        Expression::And(parts) => parts.iter().all(|part| holds(pool, part, chosen)),
        Expression::Or(parts) => parts.iter().any(|part| holds(pool, part, chosen)),
        Expression::If(branches) => {
            if holds(pool, &branches.condition, chosen) {
                holds(pool, &branches.then, chosen)
            } else {
                let otherwise = branches.otherwise.as_ref();
                otherwise.is_none_or(|otherwise| holds(pool, otherwise, chosen))
            }
        }
        Expression::Unless(branches) => {
            if holds(pool, &branches.condition, chosen) {
                let otherwise = branches.otherwise.as_ref();
                otherwise.is_some_and(|otherwise| holds(pool, otherwise, chosen))
            } else {
                holds(pool, &branches.then, chosen)
            }
        }
        Expression::Atom(_) | Expression::With(_) | Expression::Without(_) => pool
            .groups(expression)
            .iter()
            .flat_map(|group| &group.members)
            .any(|one| chosen.binary_search(one).is_ok()),
    }
}
