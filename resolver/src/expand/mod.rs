//! From relations to rules: what one package asks for and forbids, put to a solver that knows only "one of these" and
//! "none of those".
//!
//! Expressions become rules in [`expression`]; who is meant by a name is told by [`providers`].

mod expression;
mod providers;

use crate::policy;
use crate::pool::{Name, Need, Pool, Requirement, Rules, Solvable};
use std::rc::Rc;
use vzpkg_metadata::Family;
use vzpkg_metadata::dependency::Expression;
use vzpkg_metadata::index::{Clause, IndexedPackage};
use vzpkg_metadata::package::RelationKind;

impl<'a> Pool<'a> {
    /// The rules of one package.
    pub(crate) fn compile(&mut self, source: usize, package: IndexedPackage<'a>) -> Rules {
        let mut rules = Rules::default();
        let Some(own) = self.name_of(package) else {
            return rules;
        };
        self.lockstep(package, &mut rules);
        for (kind, clause) in package.relations() {
            match kind {
                RelationKind::PreDepends | RelationKind::Depends => {
                    let needs = self.needs_of(source, clause);
                    for need in needs.iter() {
                        rules.needs.push(self.hinted(package, *need));
                    }
                }
                RelationKind::Conflicts | RelationKind::Breaks => {
                    if let Some(expression) = clause.expression() {
                        self.forbid(&expression, own, &mut rules);
                    }
                }
                RelationKind::Obsoletes => {
                    if let Some(Expression::Atom(atom)) = clause.expression() {
                        let groups = self.called(&atom);
                        self.forbid_groups(&groups, own, &mut rules);
                    }
                }
                _ => {}
            }
        }
        rules
    }

    /// rpm: a package of a foreign architecture shares files with its native twin, so both must be of one version.
    fn lockstep(&mut self, package: IndexedPackage<'a>, rules: &mut Rules) {
        let class = policy::arch_class(self.family, &self.arch, package.arch());
        if class.is_none_or(str::is_empty) {
            return;
        }
        let beside = |pool: &Self, one: Solvable| {
            let other = pool.package(one);
            other.is_some_and(|other| pool.is_install_only(other))
        };
        for name in self.names_called(package.name()) {
            let entry = self.entry(name);
            let others: Vec<Solvable> = entry
                .usable
                .iter()
                .copied()
                .filter(|&one| {
                    let other = self.package(one);
                    other.is_some_and(|other| other.version() != package.version())
                        && !beside(self, one)
                })
                .collect();
            if !others.is_empty() && entry.label == package.name() {
                let set = self.intern_set(name, &others, true);
                rules.forbids.push(set);
            }
        }
    }

    /// The requirements of one clause of source number `source`, made once per distinct text.
    pub(crate) fn needs_of(&mut self, source: usize, clause: Clause<'a>) -> Rc<Vec<Need>> {
        let key = (source, clause.id());
        if let Some(needs) = self.clauses.get(&key) {
            return Rc::clone(needs);
        }
        let mut rules = Rules::default();
        match clause.expression() {
            Some(expression) => self.need(&expression, &mut rules),
            // What cannot be read cannot be met.
            None => rules.needs.push(self.impossible()),
        }
        let needs = Rc::new(rules.needs);
        self.clauses.insert(key, Rc::clone(&needs));
        needs
    }

    /// rpm: among several providers, those come first that the package itself recommends or suggests (glibc suggests
    /// which of 200 language packs it means).
    fn hinted(&mut self, package: IndexedPackage<'a>, need: Need) -> Need {
        let Requirement::Any(union) = need.requirement else {
            return need;
        };
        if self.family != Family::Rpm {
            return need;
        }
        let mut hints: Vec<Name> = Vec::new();
        for (kind, clause) in package.relations() {
            if matches!(kind, RelationKind::Recommends | RelationKind::Suggests)
                && let Some(Expression::Atom(atom)) = clause.expression()
            {
                hints.extend(self.called(&atom).iter().map(|group| group.name));
            }
        }
        let mut sets = self.union(union).to_vec();
        sets.sort_by_key(|&set| {
            let set = self.set(set);
            let installed = set.members.iter().any(|&one| self.is_installed(one));
            let hinted = hints.contains(&set.name) || self.enhances(&set.members, package);
            (!installed, self.priority_of(&set.members), !hinted)
        });
        Need {
            requirement: self.intern_union(sets),
            ..need
        }
    }

    /// Whether one of `members` says that it enhances or supplements `package`.
    fn enhances(&self, members: &[Solvable], package: IndexedPackage<'_>) -> bool {
        let packages = members.iter().filter_map(|&one| self.package(one));
        let mut relations = packages.flat_map(IndexedPackage::relations);
        relations.any(|(kind, clause)| {
            let reverse = matches!(kind, RelationKind::Enhances | RelationKind::Supplements);
            reverse
                && matches!(clause.expression(), Some(Expression::Atom(atom)) if atom.name == package.name())
        })
    }

    fn impossible(&mut self) -> Need {
        Need {
            requirement: self.requirement(&[]),
            condition: None,
        }
    }

    /// Whether one of `chosen` is in one of the sets of a requirement.
    pub(crate) fn is_met(
        &self,
        requirement: Requirement,
        chosen: impl Fn(Solvable) -> bool,
    ) -> bool {
        self.sets_of(requirement)
            .into_iter()
            .any(|set| self.set(set).members.iter().any(|&one| chosen(one)))
    }
}
