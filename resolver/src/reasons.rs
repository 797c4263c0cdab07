//! Why each chosen package is there: a walk from what was requested along the relations that are met.

use crate::pool::{Group, Pool, Requirement, Solvable};
use crate::solution::Goal;
use crate::weak;
use std::collections::{BTreeMap, VecDeque};
use vzpkg_metadata::PackageName;
use vzpkg_metadata::package::RelationKind;
use vzpkg_metadata::transaction::Reason;

/// Which packages a walk begins with and what it follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Follow {
    /// Whether recommendations lead on.
    pub(crate) recommends: bool,
    /// Whether all that was installed counts as wanted, not only what was requested.
    pub(crate) installed: bool,
}

/// The reasons of all `chosen` packages that something leads to. What is missing is needed by nothing.
///
/// Requested and essential packages come first, then their dependencies by breadth, then what those recommend. An
/// installed package keeps its reason unless it is requested now.
pub(crate) fn reasons(
    pool: &mut Pool<'_>,
    goal: &Goal,
    chosen: &[Solvable],
    follow: Follow,
) -> BTreeMap<Solvable, Reason> {
    let mut walk = Walk {
        chosen: {
            let mut sorted = chosen.to_vec();
            sorted.sort_unstable();
            sorted
        },
        reasons: BTreeMap::new(),
        queue: VecDeque::new(),
        visited: Vec::new(),
    };
    walk.roots(pool, goal, chosen);
    walk.go_on(pool, follow);
    // What is held stays, whether something needs it or not, and so does what it needs.
    walk.installed(pool, goal, |pool, one, _| pool.is_held(one));
    walk.go_on(pool, follow);
    if follow.installed {
        walk.installed(pool, goal, |_, _, _| true);
        walk.go_on(pool, follow);
    }
    walk.reasons
}

struct Walk {
    /// Sorted by number.
    chosen: Vec<Solvable>,
    reasons: BTreeMap<Solvable, Reason>,
    queue: VecDeque<Solvable>,
    visited: Vec<Solvable>,
}

impl Walk {
    fn has(&self, solvable: Solvable) -> bool {
        self.chosen.binary_search(&solvable).is_ok()
    }

    fn give(&mut self, solvable: Solvable, reason: Reason) -> bool {
        if self.reasons.contains_key(&solvable) {
            return false;
        }
        self.reasons.insert(solvable, reason);
        self.queue.push_back(solvable);
        true
    }

    fn roots(&mut self, pool: &mut Pool<'_>, goal: &Goal, chosen: &[Solvable]) {
        for wanted in &goal.wanted {
            let members = wanted.groups.iter().flat_map(|group| &group.members);
            // Only the first choice that is there: the others have reasons of their own.
            let members: Vec<Solvable> = members.copied().collect();
            if let Some(&one) = members.iter().find(|&&one| self.has(one)) {
                self.give(one, Reason::Requested);
                continue;
            }
            // A rich expression stands for rules, and what meets those was asked for.
            for one in members {
                if pool.package(one).is_none() {
                    for need in &pool.rules(one).needs {
                        for met in self.met(pool, need.requirement, 0) {
                            self.give(met, Reason::Requested);
                        }
                    }
                }
            }
        }
        // What was requested before stays requested, in its newer version or as what replaces it.
        self.installed(pool, goal, |_, _, reason| !reason.is_automatic());
        for &one in chosen {
            let essential = goal
                .essential
                .iter()
                .any(|group| group.members.contains(&one));
            if essential {
                self.give(one, Reason::Essential);
            }
        }
    }

    /// What is there of installed packages, and of what replaces them, with the reasons they had.
    fn installed(
        &mut self,
        pool: &Pool<'_>,
        goal: &Goal,
        which: impl Fn(&Pool<'_>, Solvable, &Reason) -> bool,
    ) {
        for (solvable, groups, reason) in &goal.installed {
            if !which(pool, *solvable, reason) {
                continue;
            }
            let is_there = |group: &&Group| group.members.iter().any(|&one| self.has(one));
            let mut there: Vec<&Group> = groups.iter().filter(is_there).collect();
            // Where its own name is still there, nothing replaces it.
            let own = pool.name(*solvable);
            if there.iter().any(|group| group.name == own) {
                there.retain(|group| group.name == own);
            }
            for group in there {
                self.give_members(group, reason);
            }
        }
        for (group, reason) in &goal.further {
            let first = group.members.first();
            if first.is_some_and(|&one| which(pool, one, reason)) {
                self.give_members(group, reason);
            }
        }
    }

    fn give_members(&mut self, group: &Group, reason: &Reason) {
        for &one in &group.members {
            if self.has(one) {
                self.give(one, reason.clone());
            }
        }
    }

    /// Follows relations until they lead nowhere new.
    fn go_on(&mut self, pool: &mut Pool<'_>, follow: Follow) {
        loop {
            self.dependencies(pool);
            if !self.recommendations(pool, follow.recommends) {
                break;
            }
        }
    }

    fn dependencies(&mut self, pool: &mut Pool<'_>) {
        while let Some(solvable) = self.queue.pop_front() {
            self.visited.push(solvable);
            let Some(of) = name_of(pool, solvable) else {
                continue;
            };
            let rules = pool.rules(solvable);
            for need in &rules.needs {
                for one in self.met(pool, need.requirement, 0) {
                    self.give(one, Reason::Dependency(of.clone()));
                }
            }
        }
    }

    /// The chosen packages that meet a requirement, through pseudo solvables.
    fn met(&self, pool: &mut Pool<'_>, requirement: Requirement, depth: usize) -> Vec<Solvable> {
        let mut found = Vec::new();
        for set in pool.sets_of(requirement) {
            for one in pool.set(set).members.clone() {
                if self.has(one) {
                    found.push(one);
                } else if pool.package(one).is_none() && depth < vzpkg_metadata::dependency::DEPTH {
                    for need in &pool.rules(one).needs {
                        found.extend(self.met(pool, need.requirement, depth + 1));
                    }
                }
            }
        }
        found
    }

    /// One step along what is recommended; whether that led anywhere.
    fn recommendations(&mut self, pool: &mut Pool<'_>, follow: bool) -> bool {
        if !follow {
            return false;
        }
        let mut any = false;
        for solvable in self.visited.clone() {
            let (Some((source, package)), Some(of)) =
                (pool.locate(solvable), name_of(pool, solvable))
            else {
                continue;
            };
            for clause in package.relations_of(RelationKind::Recommends) {
                for need in pool.needs_of(source, clause).iter() {
                    for one in self.met(pool, need.requirement, 0) {
                        any |= self.give(one, Reason::Recommended(of.clone()));
                    }
                }
            }
        }
        any || self.supplements(pool)
    }

    fn supplements(&mut self, pool: &mut Pool<'_>) -> bool {
        let mut any = false;
        for solvable in self.chosen.clone() {
            let Some(package) = pool.package(solvable) else {
                continue;
            };
            if self.reasons.contains_key(&solvable) {
                continue;
            }
            for clause in package.relations_of(RelationKind::Supplements) {
                let Some(expression) = clause.expression() else {
                    continue;
                };
                let visited = self.visited.clone();
                let mut sorted = visited.clone();
                sorted.sort_unstable();
                if !weak::holds(pool, &expression, &sorted) {
                    continue;
                }
                let mut named = None;
                expression.for_each_atom(&mut |atom| {
                    let groups = pool.providers(atom);
                    let members = groups.iter().flat_map(|group| &group.members);
                    let hit = members.into_iter().find(|one| visited.contains(one));
                    named = named.or(hit.copied());
                });
                if let Some(of) = named.and_then(|one| name_of(pool, one)) {
                    any |= self.give(solvable, Reason::Recommended(of));
                }
            }
        }
        any
    }
}

fn name_of(pool: &Pool<'_>, solvable: Solvable) -> Option<PackageName> {
    pool.package(solvable)?.name().parse().ok()
}
