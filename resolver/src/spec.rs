//! What a user writes to name packages, and which packages that means.

use crate::policy::{self, Pin, Rulebook};
use crate::pool::{Group, Name, Pool, Solvable};
use crate::request::ResolveError;
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::dependency::{Atom, Expression};
use vzpkg_metadata::{Family, glob, version};

/// One spec and the choices that satisfy it; for a glob, one of these per name.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// As the user wrote it.
    pub(crate) spec: String,
    /// Preferred first; empty if nothing matches.
    pub(crate) groups: Vec<Group>,
}

fn is_glob(spec: &str) -> bool {
    spec.contains(['*', '?'])
}

fn refuse(spec: &str) -> ResolveError {
    ResolveError::Spec {
        spec: spec.chars().take(200).collect(),
    }
}

/// Notes `name=version` and `name/repository` of deb specs, before any candidate is chosen.
pub(crate) fn pin(family: Family, spec: &str, rulebook: &mut Rulebook) {
    if family != Family::Deb || spec.contains(['(', '|', ' ']) {
        return;
    }
    if let Some((name, version)) = spec.split_once('=') {
        let pin = Pin::Version(version.to_owned());
        rulebook.pins.insert(bare(name).to_owned(), pin);
    } else if let Some((name, repository)) = spec.split_once('/') {
        let pin = Pin::Repository(repository.to_owned());
        rulebook.pins.insert(bare(name).to_owned(), pin);
    }
}

fn bare(name: &str) -> &str {
    name.split_once(':').map_or(name, |(name, _)| name)
}

/// What `spec` asks to be installed.
///
/// # Errors
/// [`ResolveError::Spec`] for a text that can name nothing.
pub(crate) fn wanted(pool: &mut Pool<'_>, spec: &str) -> Result<Vec<Wanted>, ResolveError> {
    let spec = spec.trim_ascii();
    if spec.is_empty() || spec.chars().any(char::is_control) {
        return Err(refuse(spec));
    }
    if is_glob(spec) && !spec.contains(['(', ' ']) {
        let all: Vec<Wanted> = names_like(pool, spec)
            .into_iter()
            .map(|name| Wanted {
                spec: spec.to_owned(),
                groups: pool.named_or_providing(&name),
            })
            .collect();
        if !all.is_empty() {
            return Ok(all);
        }
        if pool.family == Family::Rpm {
            return Ok(meant(pool, spec));
        }
    }
    let groups = match pool.family {
        Family::Deb => deb(pool, spec)?,
        Family::Rpm => rpm(pool, spec)?,
    };
    let spec = spec.to_owned();
    Ok(vec![Wanted { spec, groups }])
}

/// The names that `spec` asks to be removed: exact, or by glob.
pub(crate) fn unwanted(pool: &mut Pool<'_>, spec: &str) -> Vec<Name> {
    let names = if is_glob(spec) {
        names_like(pool, spec)
    } else {
        BTreeSet::from([bare(spec).to_owned()])
    };
    names
        .iter()
        .flat_map(|name| pool.names_called(name))
        .collect()
}

/// Whether some package that may be chosen meets a spec; of `(a if b)`, whether one is called `a`.
pub(crate) fn is_there(pool: &mut Pool<'_>, wanted: &Wanted) -> bool {
    let conditional = match Expression::parse(pool.family, &wanted.spec) {
        Ok(Expression::If(branches)) => Some(pool.groups(&branches.then)),
        _ => None,
    };
    let groups = conditional.as_ref().unwrap_or(&wanted.groups);
    groups.iter().any(|group| {
        let usable = &pool.entry(group.name).usable;
        group.members.iter().any(|one| usable.contains(one))
    })
}

/// Leaves the best version of each name; where some of the choices have the name that was asked for, no other name but of
/// what obsoletes it.
pub(crate) fn only_best(pool: &Pool<'_>, wanted: &mut Wanted) {
    let package = |group: &Group| group.members.first().and_then(|&one| pool.package(one));
    let named = |group: &Group| package(group).is_some_and(|it| it.name() == wanted.spec);
    if let Some(last) = wanted.groups.iter().rposition(named) {
        wanted.groups.truncate(last + 1);
    }
    let beside = wanted.groups.iter().filter_map(package);
    let beside = beside.filter(|&package| pool.is_install_only(package));
    let best = beside.min_by(|a, b| policy::preference(pool.family, a, b));
    if let Some(best) = best {
        wanted.groups.retain(|group| {
            let package = package(group);
            package.is_none_or(|it| !pool.is_install_only(it) || it.version() == best.version())
        });
    }
    only_best_of(pool, &mut wanted.groups);
}

/// Leaves the best version of each group that has any that may be chosen.
pub(crate) fn only_best_of(pool: &Pool<'_>, groups: &mut [Group]) {
    for group in groups {
        let usable = &pool.entry(group.name).usable;
        let of = |one: Solvable| pool.package(one);
        let candidates = group.members.iter().filter(|one| usable.contains(one));
        let packages = candidates.filter_map(|&one| of(one));
        let best = packages.min_by(|a, b| policy::preference(pool.family, a, b));
        if let Some(best) = best {
            let version = best.version();
            let is_best = |one: &Solvable| of(*one).is_some_and(|it| it.version() == version);
            group.members.retain(is_best);
        }
    }
}

/// The names of packages that match a glob, sorted.
fn names_like(pool: &Pool<'_>, glob: &str) -> BTreeSet<String> {
    let indexes = pool.sources.iter().map(|source| source.index);
    indexes
        .flat_map(|index| index.names().map(move |name| (index, name)))
        .filter(|(index, name)| glob::matches(glob, name) && index.by_name(name).next().is_some())
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// rpm: the packages whose name, version and architecture match a glob, one choice per name; one that nothing satisfies
/// if there are none.
fn meant(pool: &mut Pool<'_>, glob: &str) -> Vec<Wanted> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for source in 0..pool.sources.len() {
        let packages = pool.sources[source].index.packages();
        for package in packages.filter(|package| policy::means(glob, package)) {
            let Some(name) = pool.name_of(package) else {
                continue;
            };
            let solvable = pool.canonical(pool.solvable(source, package));
            let members = Vec::new();
            let key = pool.entry(name).label.clone();
            let group = groups.entry(key).or_insert(Group { name, members });
            if group.name == name && !group.members.contains(&solvable) {
                group.members.push(solvable);
            }
        }
    }
    let groups = narrow(pool, groups.into_values().collect(), |_, _| true);
    let of = |groups| Wanted {
        spec: glob.to_owned(),
        groups,
    };
    if groups.is_empty() {
        return vec![of(groups)];
    }
    groups.into_iter().map(|group| of(vec![group])).collect()
}

fn deb(pool: &mut Pool<'_>, spec: &str) -> Result<Vec<Group>, ResolveError> {
    if !spec.contains(['(', '|', ' '])
        && let Some((name, pinned)) = spec.split_once(['=', '/'])
    {
        let by_version = spec.contains('=');
        let groups = pool.called(&Atom::named(bare(name)));
        return Ok(narrow(pool, groups, |pool, one| {
            let Some((source, package)) = pool.locate(one) else {
                return false;
            };
            if by_version {
                return package.version() == pinned;
            }
            let repository = pool.sources[source].repository;
            repository.is_some_and(|repository| repository.id.as_str() == pinned)
        }));
    }
    let expression = Expression::parse(Family::Deb, spec).ok();
    let expression = expression.ok_or_else(|| refuse(spec))?;
    Ok(pool.groups(&expression))
}

fn rpm(pool: &mut Pool<'_>, spec: &str) -> Result<Vec<Group>, ResolveError> {
    if spec.starts_with('(') || spec.contains(' ') {
        let expression = Expression::parse(Family::Rpm, spec).ok();
        let expression = expression.ok_or_else(|| refuse(spec))?;
        return Ok(pool.groups(&expression));
    }
    let named = pool.called(&Atom::named(spec));
    if !named.is_empty() {
        let obsoleters = obsoleters(pool, &named);
        let mut groups = pool.named_or_providing(spec);
        // What is there and need not move is not replaced for having been asked for.
        let is_there = |group: &Group| pool.entry(group.name).installed.is_some();
        let stays = !pool.rulebook.upgrade && named.iter().any(is_there);
        let at = if stays { groups.len() } else { 0 };
        groups.splice(at..at, obsoleters);
        return Ok(groups);
    }
    if let Some((name, arch)) = spec.rsplit_once('.') {
        let groups = pool.called(&Atom::named(name));
        let groups = narrow(pool, groups, |pool, one| {
            pool.package(one)
                .is_some_and(|package| package.arch() == arch)
        });
        if !groups.is_empty() {
            return Ok(groups);
        }
    }
    for (name, evr, arch) in nevras(spec) {
        let groups = pool.called(&Atom::named(name));
        let groups = narrow(pool, groups, |pool, one| {
            let package = pool.package(one);
            package.is_some_and(|package| {
                let same_arch = arch.is_none_or(|arch| package.arch() == arch);
                same_arch && evr_matches(&evr, package.version())
            })
        });
        if !groups.is_empty() {
            return Ok(groups);
        }
    }
    Ok(pool.providers(&Atom::named(spec)))
}

/// Every way to read a spec as name, `[epoch:]version[-release]`, architecture. The epoch may also stand before the name, as
/// yum prints it.
fn nevras(spec: &str) -> Vec<(&str, String, Option<&str>)> {
    let mut found = Vec::new();
    let (epoch, spec) = match spec.split_once(':') {
        Some((epoch, rest)) if is_number(epoch) => (format!("{epoch}:"), rest),
        _ => (String::new(), spec),
    };
    let with_arch = spec.rsplit_once('.').map(|(rest, arch)| (rest, Some(arch)));
    for (text, arch) in with_arch.into_iter().chain([(spec, None)]) {
        let dashes: Vec<usize> = text.rmatch_indices('-').map(|(at, _)| at).take(2).collect();
        for at in dashes.into_iter().rev() {
            found.push((&text[..at], format!("{epoch}{}", &text[at + 1..]), arch));
        }
    }
    found
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a version that a user wrote means this one: an epoch or release that was not written does not matter.
fn evr_matches(written: &str, version_text: &str) -> bool {
    let found = if written.contains(':') {
        version_text
    } else {
        version_text
            .split_once(':')
            .map_or(version_text, |(_, rest)| rest)
    };
    version::evr::compare(written, found).is_eq()
}

/// Packages that obsolete what is `named`: installing the old name means the new one. Not where the old one is held, or has
/// a version that it must have.
fn obsoleters(pool: &mut Pool<'_>, named: &[Group]) -> Vec<Group> {
    let mut found = Vec::new();
    for group in named {
        let entry = pool.entry(group.name);
        let Some(&best) = entry.usable.first() else {
            continue;
        };
        let is_held = entry.installed.is_some_and(|one| pool.is_held(one));
        let package = pool.package(best);
        let fixed = &pool.rulebook.fixed;
        if is_held || package.is_some_and(|package| fixed.contains_key(package.name())) {
            continue;
        }
        for group in pool.preferred_obsoleters(best) {
            if !found.contains(&group) {
                found.push(group);
            }
        }
    }
    found
}

/// The members that `keep` accepts; those that may be chosen, unless there are none.
fn narrow(
    pool: &Pool<'_>,
    groups: Vec<Group>,
    keep: impl Fn(&Pool<'_>, Solvable) -> bool,
) -> Vec<Group> {
    let mut all = Vec::new();
    for mut group in groups {
        group.members.retain(|&one| keep(pool, one));
        let entry = pool.entry(group.name);
        if group.members.iter().any(|one| entry.usable.contains(one)) {
            group.members.retain(|one| entry.usable.contains(one));
        }
        if !group.members.is_empty() {
            all.push(group);
        }
    }
    all
}
