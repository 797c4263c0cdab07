//! Whether a solution keeps every rule, judged apart from the solver.
//!
//! resolvo 0.12.2 can lose a conditional requirement whose condition is met by the very package that has it, and can find
//! no solution where there is one with conditions (both found by trying random universes). So the solutions of problems
//! with conditional requirements are checked; if one is wrong or missing, the problem is solved again without them.

use crate::pool::{Condition, ConditionId, Need, Pool, SetId, Solvable};
use vzpkg_metadata::dependency::DEPTH;

/// Whether `chosen` (sorted by number) keeps the rules of all its packages. Pseudo solvables are judged by their rules.
pub(crate) fn keeps_all_rules(pool: &mut Pool<'_>, chosen: &[Solvable]) -> bool {
    chosen.iter().all(|&one| keeps(pool, chosen, one, 0))
}

fn keeps(pool: &mut Pool<'_>, chosen: &[Solvable], solvable: Solvable, depth: usize) -> bool {
    let rules = pool.rules(solvable);
    rules.forbids.iter().all(|&set| allowed(pool, chosen, set))
        && rules
            .needs
            .iter()
            .all(|need| is_met(pool, chosen, need, depth))
}

fn allowed(pool: &Pool<'_>, chosen: &[Solvable], set: SetId) -> bool {
    let set = pool.set(set);
    let of_name = |one: &&Solvable| pool.name(**one) == set.name;
    let mut hit = chosen.iter().filter(of_name);
    hit.all(|one| set.members.binary_search(one).is_ok() != set.inverse)
}

fn is_met(pool: &mut Pool<'_>, chosen: &[Solvable], need: &Need, depth: usize) -> bool {
    if let Some(condition) = need.condition
        && !holds(pool, chosen, condition, depth)
    {
        return true;
    }
    let sets = pool.sets_of(need.requirement);
    sets.into_iter()
        .any(|set| is_there(pool, chosen, set, depth))
}

fn is_there(pool: &mut Pool<'_>, chosen: &[Solvable], set: SetId, depth: usize) -> bool {
    pool.set(set).members.clone().into_iter().any(|one| {
        if pool.package(one).is_some() {
            chosen.binary_search(&one).is_ok()
        } else {
            depth <= DEPTH && keeps(pool, chosen, one, depth + 1)
        }
    })
}

fn holds(pool: &mut Pool<'_>, chosen: &[Solvable], condition: ConditionId, depth: usize) -> bool {
    match pool.condition(condition) {
        Condition::Set(set) => is_there(pool, chosen, set, depth),
        Condition::And(left, right) => {
            holds(pool, chosen, left, depth) && holds(pool, chosen, right, depth)
        }
        Condition::Or(left, right) => {
            holds(pool, chosen, left, depth) || holds(pool, chosen, right, depth)
        }
    }
}
