//! rpm: who obsoletes what. A package that obsoletes an installed one takes its place in an update, or where that one cannot
//! stay; a name that is asked for means what obsoletes it.

use crate::policy;
use crate::pool::{Group, Obsoletes, Pool, Solvable, Source};
use vzpkg_metadata::Family;
use vzpkg_metadata::dependency::{Constraint, Expression};
use vzpkg_metadata::index::IndexedPackage;
use vzpkg_metadata::package::RelationKind;

impl<'a> Pool<'a> {
    /// The packages that obsolete `old` and may be chosen, each a choice of its own, sorted by name, best version first.
    pub(crate) fn obsoleters(&mut self, old: Solvable) -> Vec<Group> {
        let is_native = self.is_native(old);
        let mut groups = Vec::new();
        for (source, newer) in self.obsoleting(old) {
            let Some(name) = self.name_of(newer) else {
                continue;
            };
            let one = self.canonical(self.solvable(source, newer));
            // A foreign package does not take the place of a native one.
            let fits = !is_native || self.is_native(one);
            if fits && self.entry(name).usable.contains(&one) {
                let members = vec![one];
                groups.push(Group { name, members });
            }
        }
        groups
    }

    /// Those of [`Self::obsoleters`] that are taken where `old` could be had as well: not from a repository of a worse
    /// priority than one that has `old`.
    pub(crate) fn preferred_obsoleters(&mut self, old: Solvable) -> Vec<Group> {
        let mut groups = self.obsoleters(old);
        let version = |one| self.package(one).map(IndexedPackage::version);
        let entry = self.entry(self.name(old));
        let equals = entry.usable.iter().copied();
        let equals = equals.filter(|&one| version(one) == version(old));
        let own = equals.filter_map(|one| self.repository_priority(one)).min();
        groups.retain(|group| {
            let first = group.members.first();
            let its = first.and_then(|&one| self.repository_priority(one));
            its.zip(own).is_none_or(|(its, own)| its <= own)
        });
        groups
    }

    /// The packages of all repositories that obsolete `old`, sorted by name, best version first.
    fn obsoleting(&mut self, old: Solvable) -> Vec<(usize, IndexedPackage<'a>)> {
        let Some(target) = self.package(old) else {
            return Vec::new();
        };
        let sources = &self.sources;
        let obsoletes = self.obsoletes.get_or_insert_with(|| obsoletes(sources));
        let to_it = obsoletes.get(target.name()).into_iter().flatten();
        let hits = to_it.filter(|(_, package, wanted)| {
            let allows = |wanted: &Constraint<'_>| wanted.allows(Family::Rpm, target.version());
            package.name() != target.name() && wanted.as_ref().is_none_or(allows)
        });
        let mut found: Vec<_> = hits
            .map(|(source, package, _)| (*source, *package))
            .collect();
        found.sort_by(|(_, a), (_, b)| {
            let by_name = a.name().cmp(b.name());
            by_name.then_with(|| policy::preference(Family::Rpm, a, b))
        });
        found
    }
}

/// Everything that is obsoleted by name. One pass over the relations, where an update asks for every installed package.
fn obsoletes<'a>(sources: &[Source<'a>]) -> Obsoletes<'a> {
    let mut found = Obsoletes::new();
    for (number, source) in sources.iter().enumerate() {
        for (package, clause) in source.index.with_relation(RelationKind::Obsoletes) {
            if let Some(Expression::Atom(atom)) = clause.expression() {
                let entry = (number, package, atom.constraint);
                found.entry(atom.name).or_default().push(entry);
            }
        }
    }
    found
}
