//! How a request becomes problems for the solver, and which of their solutions is taken.
//!
//! On nothing, there is one problem. On an installed set there are up to three, each giving up more: keep every
//! installed name; keep what was requested, the rest where possible; for a removal, keep what is essential, the rest
//! where possible. The first that can be solved is taken; an upgrade takes the second if the first had to hold
//! something back and the second upgrades more. What is held is kept in all of them.
//!
//! What is installed beside its older versions (kernels) does not move: a newer version is wished for, and once it is
//! there, the oldest go.

use crate::policy;
use crate::pool::{Group, Name, Need, Pool, Rules, SetId, Solvable};
use crate::provider::{Engine as _, Problem, Refutation, Resolvo};
use crate::request::{Request, ResolveError, Upgrade};
use crate::spec::{self, Wanted};
use crate::weak;
use std::collections::BTreeMap;
use vzpkg_metadata::Family;
use vzpkg_metadata::dependency::Atom;
use vzpkg_metadata::index::IndexedPackage;
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::transaction::Reason;

/// What is asked, in terms of the pool.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) wanted: Vec<Wanted>,
    /// Packages that say `Essential: yes`, sorted by name.
    pub(crate) essential: Vec<Group>,
    pub(crate) unwanted: Vec<Name>,
    /// What is installed and not unwanted, sorted by name, with the choices that keep it.
    pub(crate) installed: Vec<(Solvable, Vec<Group>, Reason)>,
    /// Newer versions of what is installed beside its older ones, with the reasons of those.
    pub(crate) further: Vec<(Group, Reason)>,
    /// Everything installed.
    pub(crate) before: Vec<Solvable>,
}

/// How much of what is installed must stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    Requested,
    Essential,
}

/// A solution: what is there afterwards, sorted by name.
#[derive(Debug)]
pub(crate) struct Solution {
    pub(crate) chosen: Vec<Solvable>,
}

impl Goal {
    /// Reads the request.
    ///
    /// # Errors
    /// [`ResolveError::Spec`].
    pub(crate) fn new(
        pool: &mut Pool<'_>,
        request: &Request,
        lock: Option<&Lock>,
    ) -> Result<Self, ResolveError> {
        let mut wanted = Vec::new();
        for spec in &request.install {
            wanted.extend(spec::wanted(pool, spec)?);
        }
        for spec in &request.if_present {
            let found = spec::wanted(pool, spec)?;
            wanted.extend(found.into_iter().filter(|it| spec::is_there(pool, it)));
        }
        if request.best {
            for wanted in &mut wanted {
                spec::only_best(pool, wanted);
            }
        }
        let mut unwanted: Vec<Name> = Vec::new();
        for spec in &request.remove {
            unwanted.extend(spec::unwanted(pool, spec));
        }
        let (before, installed) = installed(pool, request, lock, &unwanted);
        let further = further(pool, request, &installed);
        Ok(Self {
            wanted,
            essential: if request.essential {
                essential(pool)
            } else {
                Vec::new()
            },
            unwanted,
            installed,
            further,
            before,
        })
    }

    /// The same without the oldest of the packages of which `chosen` has more versions than the limit allows; `None` if
    /// there are none.
    fn without_surplus(&self, pool: &Pool<'_>, limit: usize, chosen: &[Solvable]) -> Option<Self> {
        let mut surplus = Vec::new();
        for (group, _) in &self.further {
            let name = group.members.first().and_then(|&one| pool.package(one))?;
            let mut versions: Vec<_> = chosen
                .iter()
                .filter_map(|&one| Some((one, pool.package(one)?)))
                .filter(|(_, package)| {
                    package.name() == name.name() && pool.is_install_only(*package)
                })
                .collect();
            versions.sort_by(|(_, a), (_, b)| policy::preference(pool.family, a, b));
            let over = versions.iter().skip(limit);
            let over = over.filter(|(one, _)| !pool.is_held(*one));
            surplus.extend(over.map(|(one, _)| pool.name(*one)));
        }
        let stays = |(solvable, ..): &&(Solvable, Vec<Group>, Reason)| {
            !surplus.contains(&pool.name(*solvable))
        };
        let unwanted = self.unwanted.iter().chain(&surplus).copied().collect();
        (limit > 0 && !surplus.is_empty()).then(|| Self {
            wanted: self.wanted.clone(),
            essential: self.essential.clone(),
            unwanted,
            installed: self.installed.iter().filter(stays).cloned().collect(),
            further: self.further.clone(),
            before: self.before.clone(),
        })
    }

    fn problem(&self, pool: &mut Pool<'_>, keep: Keep) -> Problem {
        let mut problem = Problem::default();
        let hard = |pool: &mut Pool<'_>, groups: &[Group], problem: &mut Problem| {
            let requirement = pool.requirement(groups);
            problem.needs.push(Need {
                requirement,
                condition: None,
            });
        };
        for group in &self.essential {
            hard(pool, std::slice::from_ref(group), &mut problem);
        }
        for wanted in &self.wanted {
            hard(pool, &wanted.groups, &mut problem);
        }
        let mut soft: Vec<(bool, &Vec<Group>)> = Vec::new();
        for (solvable, groups, reason) in &self.installed {
            let package = pool.package(*solvable);
            let essential =
                *reason == Reason::Essential || package.is_some_and(IndexedPackage::essential);
            let must = pool.is_held(*solvable)
                || match keep {
                    Keep::All => true,
                    Keep::Requested => essential || !reason.is_automatic(),
                    Keep::Essential => essential,
                };
            if must {
                hard(pool, groups, &mut problem);
            } else {
                soft.push((reason.is_automatic(), groups));
            }
        }
        // A package that was split is obsoleted by all of its parts; one of them is enough, all are wanted.
        for (solvable, groups, _) in &self.installed {
            let own = pool.name(*solvable);
            let parts = groups.iter().take_while(|group| group.name != own);
            let parts: Vec<&Group> = parts.collect();
            if parts.len() > 1 {
                for part in parts {
                    problem.wishes.push(wish(pool, std::slice::from_ref(part)));
                }
            }
        }
        for (group, _) in &self.further {
            problem.wishes.push(wish(pool, std::slice::from_ref(group)));
        }
        soft.sort_by_key(|(automatic, _)| *automatic);
        for (_, groups) in soft {
            problem.wishes.push(wish(pool, groups));
        }
        for &name in &self.unwanted {
            problem.forbids.push(none_of(pool, name));
        }
        problem
    }
}

/// A pseudo solvable that is there if one of `groups` is.
pub(crate) fn wish(pool: &mut Pool<'_>, groups: &[Group]) -> Solvable {
    let requirement = pool.requirement(groups);
    let need = Need {
        requirement,
        condition: None,
    };
    let rules = Rules {
        needs: vec![need],
        forbids: Vec::new(),
    };
    pool.add_pseudo(String::new(), rules)
}

fn none_of(pool: &mut Pool<'_>, name: Name) -> SetId {
    pool.intern_set(name, &[], false)
}

/// The candidates of every name of which some candidate is essential, by name.
fn essential(pool: &mut Pool<'_>) -> Vec<Group> {
    let mut names: BTreeMap<String, Name> = BTreeMap::new();
    for source in 0..pool.sources.len() {
        for package in pool.sources[source].index.packages() {
            if package.essential()
                && let Some(name) = pool.name_of(package)
            {
                names.insert(package.name().to_owned(), name);
            }
        }
    }
    let groups = names.into_values().map(|name| {
        let members = pool.entry(name).usable.iter().copied();
        // A candidate that is no longer essential is not asked for.
        let members = members
            .filter(|&one| pool.package(one).is_some_and(IndexedPackage::essential))
            .collect();
        Group { name, members }
    });
    groups.filter(|group| !group.members.is_empty()).collect()
}

type Installed = Vec<(Solvable, Vec<Group>, Reason)>;

/// Everything installed, and of it what is to be kept, with the choices that keep it; both by name.
fn installed(
    pool: &mut Pool<'_>,
    request: &Request,
    lock: Option<&Lock>,
    unwanted: &[Name],
) -> (Vec<Solvable>, Installed) {
    let Some(source) = pool
        .sources
        .iter()
        .position(|source| source.repository.is_none())
    else {
        return (Vec::new(), Vec::new());
    };
    let reasons: BTreeMap<(&str, &str), &Reason> = lock
        .map(|lock| lock.packages.iter())
        .into_iter()
        .flatten()
        .map(|package| {
            (
                (package.name.as_str(), package.arch.as_str()),
                &package.reason,
            )
        })
        .collect();
    let mut packages: Vec<_> = pool.sources[source].index.packages().collect();
    packages.sort_by_key(|package| (package.name(), package.arch()));
    let mut before = Vec::new();
    let mut kept = Vec::new();
    for package in packages {
        let Some(name) = pool.name_of(package) else {
            continue;
        };
        let solvable = pool.canonical(pool.solvable(source, package));
        before.push(solvable);
        if unwanted.contains(&name) {
            continue;
        }
        let groups = choices(pool, request, solvable, package.name());
        let key = (package.name(), package.arch());
        let reason = reasons
            .get(&key)
            .map_or(Reason::Requested, |&reason| reason.clone());
        kept.push((solvable, groups, reason));
    }
    (before, kept)
}

/// What keeps something installed of the name `text`: that name or, for rpm, what obsoletes it.
///
/// Where the package is to move, its versions come first down to one that is obsoleted, then what obsoletes that. Else what
/// obsoletes it takes its place where it cannot stay.
fn choices(pool: &mut Pool<'_>, request: &Request, solvable: Solvable, text: &str) -> Vec<Group> {
    let name = pool.name(solvable);
    let mut own = Group {
        name,
        members: pool.entry(name).usable.clone(),
    };
    let moves = moves(request, text);
    if request.best && moves {
        spec::only_best_of(pool, std::slice::from_mut(&mut own));
    }
    if pool.family != Family::Rpm || !gives_way(request, text) || pool.is_held(solvable) {
        return vec![own];
    }
    let mut groups = Vec::new();
    if moves && let Some((at, obsoleters)) = obsoleted(pool, &own, solvable) {
        let rest = own.members.split_off(at);
        if !own.members.is_empty() {
            groups.push(own);
        }
        groups.extend(obsoleters);
        own = Group {
            name,
            members: rest,
        };
    }
    groups.push(own);
    for group in pool.obsoleters(solvable) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// The first of the versions of `own`, down to the installed one, that is obsoleted, and what is taken in its place.
fn obsoleted(pool: &mut Pool<'_>, own: &Group, installed: Solvable) -> Option<(usize, Vec<Group>)> {
    let last = own.members.iter().position(|&one| one == installed);
    let last = last.unwrap_or(own.members.len());
    for (at, &one) in own
        .members
        .iter()
        .enumerate()
        .take_while(|(at, _)| *at <= last)
    {
        let obsoleters = pool.preferred_obsoleters(one);
        if !obsoleters.is_empty() {
            return Some((at, obsoleters));
        }
    }
    None
}

/// The newest version of each package that is installed beside its older ones, where an upgrade is asked for and it is not
/// there yet.
fn further(pool: &mut Pool<'_>, request: &Request, installed: &Installed) -> Vec<(Group, Reason)> {
    let mut newest: BTreeMap<&str, (IndexedPackage<'_>, &Reason)> = BTreeMap::new();
    for (solvable, _, reason) in installed {
        let Some(package) = pool.package(*solvable) else {
            continue;
        };
        let stays = pool.rulebook.is_held(package.name()) || !moves(request, package.name());
        if !pool.is_install_only(package) || stays {
            continue;
        }
        let known = newest.entry(package.name()).or_insert((package, reason));
        if policy::preference(pool.family, &package, &known.0).is_lt() {
            *known = (package, reason);
        }
    }
    let mut found = Vec::new();
    for (text, (present, reason)) in newest {
        let groups = pool.providers(&Atom::named(text));
        let candidates = groups.into_iter().filter(|group| {
            let first = group.members.first().and_then(|&one| pool.package(one));
            first.is_some_and(|package| package.name() == text && pool.is_install_only(package))
        });
        let best = candidates.min_by(|a, b| {
            let package = |group: &Group| group.members.first().and_then(|&one| pool.package(one));
            match (package(a), package(b)) {
                (Some(a), Some(b)) => policy::preference(pool.family, &a, &b),
                _ => std::cmp::Ordering::Equal,
            }
        });
        let Some(best) = best else { continue };
        let package = best.members.first().and_then(|&one| pool.package(one));
        let newer = |package: IndexedPackage<'_>| {
            vzpkg_metadata::version::compare(pool.family, package.version(), present.version())
                .is_gt()
        };
        if package.is_some_and(newer) {
            found.push((best, reason.clone()));
        }
    }
    found
}

/// Whether an installed package of this name may give way to what obsoletes it: not where it is to move to a version.
fn gives_way(request: &Request, name: &str) -> bool {
    match &request.upgrade {
        Upgrade::Only(targets) => targets
            .iter()
            .all(|target| target.name != name || target.version.is_none()),
        Upgrade::None | Upgrade::All => true,
    }
}

/// Whether an installed package of this name is to move to something newer.
fn moves(request: &Request, name: &str) -> bool {
    match &request.upgrade {
        Upgrade::None => false,
        Upgrade::All => true,
        Upgrade::Only(targets) => targets.iter().any(|target| target.name == name),
    }
}

/// Solves the request; `None` if it cannot be.
pub(crate) fn solve(pool: &mut Pool<'_>, goal: &Goal, request: &Request) -> Option<Solution> {
    let first = attempt(pool, goal, request, Keep::All);
    if goal.installed.is_empty() {
        return first.map(|chosen| Solution { chosen });
    }
    let chosen = match first {
        Some(chosen) if request.upgrade == Upgrade::All => {
            let held_back = behind(pool, goal, &chosen);
            let other = (held_back > 0).then(|| attempt(pool, goal, request, Keep::Requested));
            match other.flatten() {
                Some(other) if behind(pool, goal, &other) < held_back => other,
                _ => chosen,
            }
        }
        Some(chosen) => chosen,
        None => match attempt(pool, goal, request, Keep::Requested) {
            Some(chosen) => chosen,
            None if request.remove.is_empty() && !request.allow_erasing => return None,
            None => attempt(pool, goal, request, Keep::Essential)?,
        },
    };
    let limit = request.install_only.limit;
    let narrower = goal.without_surplus(pool, limit, &chosen);
    let fewer = narrower.and_then(|goal| attempt(pool, &goal, request, Keep::All));
    let chosen = fewer.unwrap_or(chosen);
    Some(Solution { chosen })
}

/// Why the request cannot be met, for a pool that is made for explanations. What is only a dependency of something
/// installed is not held against it.
pub(crate) fn refute(pool: &mut Pool<'_>, goal: &Goal, request: &Request) -> Refutation {
    let keep = match (goal.installed.is_empty(), request.remove.is_empty()) {
        (true, _) => Keep::All,
        (false, true) if !request.allow_erasing => Keep::Requested,
        (false, _) => Keep::Essential,
    };
    let mut problem = goal.problem(pool, keep);
    problem.wishes.clear();
    Resolvo.refute(pool, &problem)
}

/// How many chosen packages are not the best of their name.
fn behind(pool: &Pool<'_>, goal: &Goal, chosen: &[Solvable]) -> usize {
    let best = |solvable: &&Solvable| {
        let entry = pool.entry(pool.name(**solvable));
        goal.before.contains(solvable) && entry.usable.first() != Some(*solvable)
    };
    chosen.iter().filter(best).count()
}

fn attempt(
    pool: &mut Pool<'_>,
    goal: &Goal,
    request: &Request,
    keep: Keep,
) -> Option<Vec<Solvable>> {
    let problem = goal.problem(pool, keep);
    let chosen = Resolvo.solve(pool, &problem)?;
    let chosen = if request.recommends {
        weak::add_recommended(&Resolvo, pool, goal, problem, chosen)?
    } else {
        chosen
    };
    Some(sorted(pool, chosen))
}

/// By name, architecture and version.
fn sorted(pool: &Pool<'_>, mut chosen: Vec<Solvable>) -> Vec<Solvable> {
    chosen.sort_by_cached_key(|&one| {
        pool.package(one)
            .map(|package| (package.name(), package.arch(), package.version()))
    });
    chosen
}
