//! What an expression asks for or forbids:
//!
//! * an atom, deb `a | b`, rpm `with` and `without`: sets of packages, one requirement;
//! * rpm `and`: several requirements; `if`: a conditional requirement;
//! * whatever else stands inside another expression becomes a *pseudo solvable* that carries it as rules of its own.

use crate::pool::{Condition, ConditionId, Group, Name, Need, Pool, Rules, Solvable};
use vzpkg_metadata::dependency::{Branches, Expression};

impl Pool<'_> {
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
        self.imply(whole, &branches.condition, &branches.then, rules);
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

    /// The condition that `expression`, which [`is_of_sets`], holds; `None` if it never can.
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
                let before = Expression::And(before.to_vec());
                let need = self.where_holds(&before, expression, |pool| {
                    vec![pool.wrap(expression, inner)]
                });
                rules.needs.extend(need);
            }
            // Not (a and not b): where a is, b is. With `else c` also not (b and c).
            Expression::Unless(branches) => {
                self.imply(expression, &branches.then, &branches.condition, rules);
                if let Some(otherwise) = &branches.otherwise {
                    let both = vec![branches.condition.clone(), otherwise.clone()];
                    self.forbid(&Expression::And(both), own, rules);
                }
            }
            // Not (a or not b): b is and a is not. With `else c`: not (a and b), and where c is, b is.
            Expression::If(branches) => {
                let Branches {
                    then,
                    condition,
                    otherwise,
                } = branches.as_ref();
                if let Some(otherwise) = otherwise {
                    let both = vec![condition.clone(), then.clone()];
                    self.forbid(&Expression::And(both), own, rules);
                    self.imply(expression, otherwise, condition, rules);
                } else {
                    self.need(condition, rules);
                    self.forbid(then, own, rules);
                }
            }
        }
    }

    /// Adds the rule that where `when` holds, `then` does.
    fn imply(
        &mut self,
        whole: &Expression<'_>,
        when: &Expression<'_>,
        then: &Expression<'_>,
        rules: &mut Rules,
    ) {
        let need = self.where_holds(when, whole, |pool| pool.groups(then));
        rules.needs.extend(need);
    }

    /// One of `choices`, where `when` holds; nothing if that never can be.
    fn where_holds(
        &mut self,
        when: &Expression<'_>,
        whole: &Expression<'_>,
        choices: impl FnOnce(&mut Self) -> Vec<Group>,
    ) -> Option<Need> {
        if is_of_sets(when) {
            let condition = self.condition_of(when)?;
            let groups = choices(self);
            return Some(self.conditional(condition, groups, whole));
        }
        // What itself holds `if` or `unless` is no condition that the solver knows: "not `when`, or one of `choices`".
        let mut not = Rules::default();
        self.forbid(when, Name(0), &mut not);
        let mut groups = vec![self.wrap(whole, not)];
        groups.extend(choices(self));
        Some(Need {
            requirement: self.requirement(&groups),
            condition: None,
        })
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

    pub(super) fn forbid_groups(&mut self, groups: &[Group], own: Name, rules: &mut Rules) {
        for group in groups {
            // A package does not conflict with itself, nor with what it provides.
            if group.name != own {
                let set = self.intern_set(group.name, &group.members, true);
                rules.forbids.push(set);
            }
        }
    }
}

/// Whether it holds nothing but sets of packages, joined by `and` and `or`.
fn is_of_sets(expression: &Expression<'_>) -> bool {
    match expression {
        Expression::And(parts) | Expression::Or(parts) => parts.iter().all(is_of_sets),
        Expression::Atom(_) | Expression::With(_) | Expression::Without(_) => true,
        Expression::If(_) | Expression::Unless(_) => false,
    }
}

fn contains(groups: &[Group], solvable: Solvable) -> bool {
    groups.iter().any(|group| group.members.contains(&solvable))
}

pub(super) fn filter(groups: Vec<Group>, keep: impl Fn(Solvable) -> bool) -> Vec<Group> {
    groups
        .into_iter()
        .map(|mut group| {
            group.members.retain(|&one| keep(one));
            group
        })
        .filter(|group| !group.members.is_empty())
        .collect()
}
