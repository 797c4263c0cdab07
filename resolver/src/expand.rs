//! From relations to rules: who provides what, and how each kind of expression is put to a solver that knows only
//! "one of these" and "none of those".
//!
//! * an atom, deb `a | b`, rpm `with` and `without`: sets of packages, one requirement;
//! * rpm `and`: several requirements; `if`: a conditional requirement;
//! * whatever else stands inside another expression becomes a *pseudo solvable* that carries it as rules of its own.

use crate::policy;
use crate::pool::{Condition, ConditionId, Group, Name, Need, Pool, Requirement, Rules, Solvable};
use std::cmp::Ordering;
use std::rc::Rc;
use vzpkg_metadata::dependency::{Atom, Branches, Constraint, Expression};
use vzpkg_metadata::index::{Clause, IndexedPackage};
use vzpkg_metadata::package::RelationKind;
use vzpkg_metadata::{Family, version};

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
        for name in self.names_called(package.name()) {
            let entry = self.entry(name);
            let others: Vec<Solvable> = entry
                .usable
                .iter()
                .copied()
                .filter(|&one| {
                    let other = self.package(one);
                    other.is_some_and(|other| other.version() != package.version())
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
            (!installed, !hinted)
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

    /// Adds the requirement that `expression` holds.
    pub(crate) fn need(&mut self, expression: &Expression<'_>, rules: &mut Rules) {
        match expression {
            Expression::And(parts) => {
                for part in parts {
                    self.need(part, rules);
                }
            }
            Expression::If(branches) => self.need_if(expression, branches, rules),
            // What rpm itself or its plugins provide is not a package.
            Expression::Atom(atom) if atom.name.starts_with("rpmlib(") => {}
            other => {
                let groups = self.groups(other);
                let requirement = self.requirement(&groups);
                rules.needs.push(Need {
                    requirement,
                    condition: None,
                });
            }
        }
    }

    /// `(a if b else c)` is "b implies a" and "b or c".
    fn need_if(&mut self, whole: &Expression<'_>, branches: &Branches<'_>, rules: &mut Rules) {
        if let Some(condition) = self.condition_of(&branches.condition) {
            let groups = self.groups(&branches.then);
            let need = self.conditional(condition, groups, whole);
            rules.needs.push(need);
        }
        if let Some(otherwise) = &branches.otherwise {
            let mut groups = self.groups(&branches.condition);
            groups.extend(self.groups(otherwise));
            let requirement = self.requirement(&groups);
            rules.needs.push(Need {
                requirement,
                condition: None,
            });
        }
    }

    /// The choices that satisfy an expression, preferred first. What is not a plain set of packages is wrapped.
    pub(crate) fn groups(&mut self, expression: &Expression<'_>) -> Vec<Group> {
        match expression {
            Expression::Atom(atom) => self.providers(atom),
            Expression::Or(parts) => {
                let mut groups: Vec<Group> = Vec::new();
                for part in parts {
                    groups.extend(self.groups(part));
                }
                // A choice that was made once stays.
                let installed =
                    |group: &Group| !group.members.iter().any(|&one| self.is_installed(one));
                groups.sort_by_key(installed);
                groups
            }
            Expression::With(parts) => {
                let mut sets = parts.iter().map(|part| self.groups(part));
                let first = sets.next().unwrap_or_default();
                let rest: Vec<_> = sets.collect();
                rest.iter()
                    .fold(first, |kept, with| filter(kept, |one| contains(with, one)))
            }
            Expression::Without(parts) => {
                let kept = self.groups(&parts.0);
                let without = self.groups(&parts.1);
                filter(kept, |one| !contains(&without, one))
            }
            Expression::And(_) | Expression::If(_) => {
                let mut rules = Rules::default();
                self.need(expression, &mut rules);
                vec![self.wrap(expression, rules)]
            }
            Expression::Unless(branches) => self.unless(expression, branches),
        }
    }

    /// `(a unless b else c)` is "a and not b" or "b and c".
    fn unless(&mut self, whole: &Expression<'_>, branches: &Branches<'_>) -> Vec<Group> {
        let mut rules = Rules::default();
        self.need(&branches.then, &mut rules);
        self.forbid(&branches.condition, Name(0), &mut rules);
        let mut groups = vec![self.wrap(whole, rules)];
        if let Some(otherwise) = &branches.otherwise {
            let mut rules = Rules::default();
            self.need(&branches.condition, &mut rules);
            self.need(otherwise, &mut rules);
            groups.push(self.wrap(whole, rules));
        }
        groups
    }

    fn wrap(&mut self, expression: &Expression<'_>, rules: Rules) -> Group {
        let label = expression.display(self.family).to_string();
        let solvable = self.add_pseudo(label, rules);
        Group {
            name: self.name(solvable),
            members: vec![solvable],
        }
    }

    /// The condition that `expression` holds; `None` if it never can.
    fn condition_of(&mut self, expression: &Expression<'_>) -> Option<ConditionId> {
        if let Expression::And(parts) = expression {
            let mut all = None;
            for part in parts {
                let next = self.condition_of(part)?;
                all = Some(match all {
                    None => next,
                    Some(before) => self.intern_condition(Condition::And(before, next)),
                });
            }
            return all;
        }
        if let Expression::Or(parts) = expression {
            let mut any = None;
            for part in parts {
                if let Some(next) = self.condition_of(part) {
                    any = Some(self.either(any, next));
                }
            }
            return any;
        }
        let groups = self.groups(expression);
        let mut any = None;
        for group in groups {
            let set = self.intern_set(group.name, &group.members, false);
            let next = self.intern_condition(Condition::Set(set));
            any = Some(self.either(any, next));
        }
        any
    }

    fn either(&mut self, before: Option<ConditionId>, next: ConditionId) -> ConditionId {
        match before {
            None => next,
            Some(before) => self.intern_condition(Condition::Or(before, next)),
        }
    }

    /// Adds the rule that `expression` does not hold beside a package of the name `own`.
    pub(crate) fn forbid(&mut self, expression: &Expression<'_>, own: Name, rules: &mut Rules) {
        match expression {
            Expression::Atom(atom) => {
                let groups = self.matching(atom);
                self.forbid_groups(&groups, own, rules);
            }
            Expression::Or(parts) => {
                for part in parts {
                    self.forbid(part, own, rules);
                }
            }
            Expression::With(_) | Expression::Without(_) => {
                let groups = self.groups(expression);
                self.forbid_groups(&groups, own, rules);
            }
            // Not (a and b): where all but the last are, the last is not.
            Expression::And(parts) => {
                let Some((last, before)) = parts.split_last() else {
                    return;
                };
                let mut inner = Rules::default();
                self.forbid(last, own, &mut inner);
                let condition = self.condition_of(&Expression::And(before.to_vec()));
                let group = self.wrap(expression, inner);
                if let Some(condition) = condition {
                    rules
                        .needs
                        .push(self.conditional(condition, vec![group], expression));
                }
            }
            // Not (a and not b): where a is, b is.
            Expression::Unless(branches) => {
                let condition = self.condition_of(&branches.then);
                let groups = self.groups(&branches.condition);
                if let Some(condition) = condition {
                    rules
                        .needs
                        .push(self.conditional(condition, groups, expression));
                }
            }
            // Not (a or not b): b is and a is not.
            Expression::If(branches) => {
                self.need(&branches.condition, rules);
                self.forbid(&branches.then, own, rules);
            }
        }
    }

    /// One of `groups`, where `condition` holds. Without conditional requirements it is "not `condition`, or one of
    /// `groups`": the same, but it makes the solver choose where it need not.
    fn conditional(
        &mut self,
        condition: ConditionId,
        groups: Vec<Group>,
        whole: &Expression<'_>,
    ) -> Need {
        if !self.rulebook.unconditional {
            return Need {
                requirement: self.requirement(&groups),
                condition: Some(condition),
            };
        }
        let label = whole.display(self.family).to_string();
        let mut choices = self.negated(condition, &label);
        choices.extend(groups);
        Need {
            requirement: self.requirement(&choices),
            condition: None,
        }
    }

    /// Choices each of which means that `condition` does not hold.
    fn negated(&mut self, condition: ConditionId, label: &str) -> Vec<Group> {
        let mut rules = Rules::default();
        match self.condition(condition) {
            Condition::And(left, right) => {
                let mut either = self.negated(left, label);
                either.extend(self.negated(right, label));
                return either;
            }
            Condition::Or(left, right) => {
                for part in [left, right] {
                    let groups = self.negated(part, label);
                    let requirement = self.requirement(&groups);
                    rules.needs.push(Need {
                        requirement,
                        condition: None,
                    });
                }
            }
            Condition::Set(set) => {
                let set = self.set(set).clone();
                rules
                    .forbids
                    .push(self.intern_set(set.name, &set.members, !set.inverse));
            }
        }
        let solvable = self.add_pseudo(label.to_owned(), rules);
        vec![Group {
            name: self.name(solvable),
            members: vec![solvable],
        }]
    }

    fn forbid_groups(&mut self, groups: &[Group], own: Name, rules: &mut Rules) {
        for group in groups {
            // A package does not conflict with itself, nor with what it provides.
            if group.name != own {
                let set = self.intern_set(group.name, &group.members, true);
                rules.forbids.push(set);
            }
        }
    }

    /// The packages that satisfy an atom and may be chosen; if none may, those that may not, so that it can be said why.
    pub(crate) fn providers(&mut self, atom: &Atom<'_>) -> Vec<Group> {
        let all = self.matching(atom);
        let usable = filter_ref(&all, |one| {
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

    /// rpm: among packages that provide a name in different versions, the highest first. Those that have the name, and
    /// what is installed, stay in front.
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
        let stays = |group: &Group| {
            let first = group.members.first().copied();
            let named = first.and_then(|one| self.package(one));
            named.is_some_and(|package| package.name() == atom.name)
                || group.members.iter().any(|&one| self.is_installed(one))
        };
        let foreign = |group: &Group| {
            let first = group.members.first().copied();
            let package = first.and_then(|one| self.package(one));
            package.is_some_and(|package| {
                let class = policy::arch_class(self.family, &self.arch, package.arch());
                class != Some("")
            })
        };
        groups.sort_by(|a, b| {
            let by_version = match (provided(a), provided(b)) {
                (Some(a), Some(b)) => reach(&b, &a),
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            let by_arch = foreign(a).cmp(&foreign(b));
            stays(b).cmp(&stays(a)).then(by_arch).then(by_version)
        });
    }

    /// Preferred first: what is installed, the real name, then as the family ranks providers.
    fn order(&self, groups: &mut [Group], wanted: &str) {
        groups.sort_by_cached_key(|group| {
            let best = group.members.first();
            let package = best.and_then(|&one| self.package(one));
            let installed = group.members.iter().any(|&one| self.is_installed(one));
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
            (!installed, !named, deb, rpm)
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
        groups.sort_by(|a, b| self.entry(a.name).label.cmp(&self.entry(b.name).label));
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

/// Which of two ranges of versions reaches higher.
fn reach(a: &Constraint<'_>, b: &Constraint<'_>) -> Ordering {
    version::evr::compare(a.version, b.version).then_with(|| a.comparison.cmp(&b.comparison))
}

fn contains(groups: &[Group], solvable: Solvable) -> bool {
    groups.iter().any(|group| group.members.contains(&solvable))
}

fn filter(groups: Vec<Group>, keep: impl Fn(Solvable) -> bool) -> Vec<Group> {
    groups
        .into_iter()
        .map(|mut group| {
            group.members.retain(|&one| keep(one));
            group
        })
        .filter(|group| !group.members.is_empty())
        .collect()
}

fn filter_ref(groups: &[Group], keep: impl Fn(Solvable) -> bool) -> Vec<Group> {
    filter(groups.to_vec(), keep)
}
