//! Who is meant by a name: the packages that have it or provide it, those preferred first.
//!
//! rpm: as libsolv decides, what is installed comes first, then the repository of the best priority; only then the name, the
//! architecture and the provided version count.

use super::expression::filter;
use crate::policy;
use crate::pool::{Group, Pool, Solvable};
use std::cmp::Ordering;
use vzpkg_metadata::Family;
use vzpkg_metadata::dependency::{Atom, Constraint, Expression};
use vzpkg_metadata::index::IndexedPackage;
use vzpkg_metadata::package::RelationKind;
use vzpkg_metadata::version::evr;

impl<'a> Pool<'a> {
    /// The packages that satisfy an atom and may be chosen; if none may, those that may not, so that it can be said why.
    pub(crate) fn providers(&mut self, atom: &Atom<'_>) -> Vec<Group> {
        let all = self.matching(atom);
        let usable = filter(all.clone(), |one| {
            let entry = self.entry(self.name(one));
            entry.usable.contains(&one)
        });
        let mut groups = if usable.is_empty() { all } else { usable };
        for group in &mut groups {
            let entry = self.entry(group.name);
            let position = |one: &Solvable| entry.usable.iter().position(|other| other == one);
            group
                .members
                .sort_by_key(|one| position(one).unwrap_or(usize::MAX));
        }
        self.order(&mut groups, atom.name);
        if self.family == Family::Rpm && groups.len() > 1 {
            self.order_by_provided_version(&mut groups, atom);
        }
        groups
    }

    /// As [`Self::providers`] of a name that was asked for: the packages that have it come before those that provide it,
    /// whatever the priorities of their repositories.
    pub(crate) fn named_or_providing(&mut self, name: &str) -> Vec<Group> {
        let mut groups = self.providers(&Atom::named(name));
        groups.sort_by_key(|group| !self.stays_in_front(group, name));
        groups
    }

    /// Whether it has the name, or is installed.
    fn stays_in_front(&self, group: &Group, name: &str) -> bool {
        let first = group.members.first().copied();
        let package = first.and_then(|one| self.package(one));
        package.is_some_and(|package| package.name() == name) || self.has_installed(group)
    }

    fn has_installed(&self, group: &Group) -> bool {
        group.members.iter().any(|&one| self.is_installed(one))
    }

    /// rpm: the best priority of a repository that some of `members` are from; 0 where that does not count.
    pub(crate) fn priority_of(&self, members: &[Solvable]) -> i32 {
        if self.family != Family::Rpm || members.iter().any(|&one| self.is_installed(one)) {
            return 0;
        }
        let priorities = members
            .iter()
            .filter_map(|&one| self.repository_priority(one));
        priorities.min().unwrap_or_default()
    }

    /// rpm: among packages that provide a name in different versions, the highest first. Those that have the name, and
    /// what is installed, stay in front; so does what a repository of a better priority has.
    fn order_by_provided_version(&self, groups: &mut [Group], atom: &Atom<'_>) {
        let provided = |group: &Group| {
            let package = self.package(*group.members.first()?)?;
            let mut best: Option<Constraint<'_>> = None;
            for clause in package.relations_of(RelationKind::Provides) {
                if let Some(Expression::Atom(provide)) = clause.expression()
                    && provide.name == atom.name
                    && let Some(constraint) = provide.constraint
                    && best.is_none_or(|best| reach(&best, &constraint).is_lt())
                {
                    best = Some(constraint);
                }
            }
            best
        };
        let priorities = groups.iter().filter(|group| !self.has_installed(group));
        let best = priorities
            .map(|group| self.priority_of(&group.members))
            .min();
        let priority = |group: &Group| {
            let of_repository =
                (!self.has_installed(group)).then(|| self.priority_of(&group.members));
            of_repository.or(best)
        };
        let stays = |group: &Group| self.stays_in_front(group, atom.name);
        let foreign = |group: &Group| {
            let first = group.members.first();
            first.is_some_and(|&one| !self.is_native(one))
        };
        groups.sort_by(|a, b| {
            let by_version = match (provided(a), provided(b)) {
                (Some(a), Some(b)) => reach(&b, &a),
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            let by_arch = foreign(a).cmp(&foreign(b));
            let by_priority = priority(a).cmp(&priority(b));
            let in_front = stays(b).cmp(&stays(a));
            by_priority.then(in_front).then(by_arch).then(by_version)
        });
    }

    /// Preferred first: what is installed, for rpm the best priority, the real name, then as the family ranks providers.
    fn order(&self, groups: &mut [Group], wanted: &str) {
        groups.sort_by_cached_key(|group| {
            let best = group.members.first();
            let package = best.and_then(|&one| self.package(one));
            let installed = self.has_installed(group);
            let priority = self.priority_of(&group.members);
            let named = package.is_some_and(|package| package.name() == wanted);
            let deb = package
                .filter(|_| self.family == Family::Deb)
                .map(|package| policy::deb::provider_rank(&package));
            let rpm = package
                .filter(|_| self.family == Family::Rpm)
                .map(|package| {
                    let entry = self.entry(group.name);
                    policy::rpm::provider_rank(&package, entry.usable.first() == best)
                });
            (!installed, priority, !named, deb, rpm)
        });
    }

    /// Every package that an atom speaks of, by name or by what it provides, grouped by name.
    pub(crate) fn matching(&mut self, atom: &Atom<'_>) -> Vec<Group> {
        let mut groups = self.called(atom);
        for source in 0..self.sources.len() {
            for provider in self.sources[source].index.providers(atom.name) {
                if atom.accepts_provide(self.family, provider.constraint.as_ref()) {
                    self.collect(source, provider.package, atom, &mut groups);
                }
            }
        }
        // Not in the order in which an index lists them.
        let version = |group: &Group| group.members.first().and_then(|&one| self.package(one));
        groups.sort_by(|a, b| {
            let by_label = self.entry(a.name).label.cmp(&self.entry(b.name).label);
            by_label.then_with(|| match (version(a), version(b)) {
                (Some(a), Some(b)) => policy::preference(self.family, &a, &b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            })
        });
        groups
    }

    /// Every package whose own name and version an atom speaks of.
    pub(crate) fn called(&mut self, atom: &Atom<'_>) -> Vec<Group> {
        let mut groups = Vec::new();
        for source in 0..self.sources.len() {
            for package in self.sources[source].index.by_name(atom.name) {
                let wanted = atom.constraint.as_ref();
                if wanted.is_none_or(|wanted| wanted.allows(self.family, package.version())) {
                    self.collect(source, package, atom, &mut groups);
                }
            }
        }
        groups
    }

    fn collect(
        &mut self,
        source: usize,
        package: IndexedPackage<'a>,
        atom: &Atom<'_>,
        groups: &mut Vec<Group>,
    ) {
        if self.family == Family::Deb
            && !policy::deb::qualifier_holds(atom.qualifier, &self.arch, &package)
        {
            return;
        }
        let Some(name) = self.name_of(package) else {
            return;
        };
        let solvable = self.canonical(self.solvable(source, package));
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) if group.members.contains(&solvable) => {}
            Some(group) => group.members.push(solvable),
            None => groups.push(Group {
                name,
                members: vec![solvable],
            }),
        }
    }
}

/// Which of two ranges of versions reaches higher: a total order.
fn reach(a: &Constraint<'_>, b: &Constraint<'_>) -> Ordering {
    evr::compare_strictly(a.version, b.version).then_with(|| a.comparison.cmp(&b.comparison))
}
