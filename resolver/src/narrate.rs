//! From a refutation to sentences.

use crate::explain::Statement;
use crate::pool::{Need, Pool, Requirement, SetId, Solvable};
use crate::provider::{Fact, Refutation};
use crate::solution::Goal;
use std::collections::BTreeSet;
use vzpkg_metadata::dependency::{Atom, Expression};
use vzpkg_metadata::package::RelationKind;

/// How deep the tree of reasons goes. Nobody reads further, and a repository may hold a chain of any length.
const DEPTH: usize = 30;

/// The tree of reasons, beginning with what the request asks for.
pub(crate) fn narrate(pool: &mut Pool<'_>, goal: &Goal, refutation: &Refutation) -> Vec<Statement> {
    let mut narrator = Narrator {
        pool,
        goal,
        facts: &refutation.facts,
        told: BTreeSet::new(),
        depth: 0,
    };
    let mut problems: Vec<Statement> = Vec::new();
    // The solver stops at the first of these; people want to see all.
    for wanted in goal.wanted.iter().filter(|wanted| wanted.groups.is_empty()) {
        problems.push(narrator.missing("the request", &wanted.spec));
    }
    if !problems.is_empty() {
        return problems;
    }
    for fact in &refutation.facts {
        let statement = match fact {
            Fact::Needs {
                by: None,
                requirement,
                choices,
            } => {
                let (subject, text) = narrator.root(*requirement);
                narrator.needs(&subject, &text, choices)
            }
            Fact::Forbids { by: None, with } => Statement {
                text: format!("{} is to be removed", narrator.label(*with)),
                because: Vec::new(),
            },
            _ => continue,
        };
        if !problems.contains(&statement) {
            problems.push(statement);
        }
    }
    problems
}

struct Narrator<'n, 'a> {
    pool: &'n mut Pool<'a>,
    goal: &'n Goal,
    facts: &'n [Fact],
    told: BTreeSet<Solvable>,
    /// How deep in the tree we are.
    depth: usize,
}

impl Narrator<'_, '_> {
    /// `name version`.
    fn label(&self, solvable: Solvable) -> String {
        match self.pool.package(solvable) {
            Some(package) => {
                let entry = self.pool.entry(self.pool.name(solvable));
                format!("{} {}", entry.label, package.version())
            }
            None => self.pool.entry(self.pool.name(solvable)).label.clone(),
        }
    }

    /// Who in the request needs this, and what it is called there.
    fn root(&mut self, requirement: Requirement) -> (String, String) {
        for wanted in &self.goal.wanted {
            if self.pool.requirement(&wanted.groups) == requirement {
                return ("the request".to_owned(), wanted.spec.clone());
            }
        }
        for group in &self.goal.essential {
            if self.pool.requirement(std::slice::from_ref(group)) == requirement {
                let label = self.pool.entry(group.name).label.clone();
                return ("every system".to_owned(), label);
            }
        }
        for (solvable, groups, _) in &self.goal.installed {
            if self.pool.requirement(groups) == requirement {
                let label = self.pool.entry(self.pool.name(*solvable)).label.clone();
                let held = self.pool.is_held(*solvable);
                let subject = if held { "held" } else { "installed" };
                return (format!("what is {subject}"), label);
            }
        }
        let sets = self.pool.sets_of(requirement);
        let label = sets.last().map_or_else(String::new, |&set| {
            let name = self.pool.set(set).name;
            self.pool.entry(name).label.clone()
        });
        ("what is installed".to_owned(), label)
    }

    fn missing(&mut self, subject: &str, text: &str) -> Statement {
        let available = self.available(text);
        Statement {
            text: format!("{subject} needs `{text}`, which no package provides{available}"),
            because: Vec::new(),
        }
    }

    fn needs(&mut self, subject: &str, text: &str, choices: &[Solvable]) -> Statement {
        let Some(&first) = choices.first() else {
            return self.missing(subject, text);
        };
        // A rule that no relation spells out: what a rich `Conflicts` amounts to.
        if text.is_empty() {
            let rule = self.label(first);
            return Statement {
                text: format!("{subject} conflicts with `{rule}`"),
                because: Vec::new(),
            };
        }
        let mut because: Vec<Statement> = Vec::new();
        for &choice in choices {
            // The rule itself, which stands above already.
            if self.pool.package(choice).is_none() && self.label(choice) == text {
                continue;
            }
            let statement = self.choice(choice);
            // A choice that is only named explains nothing.
            let empty = statement.because.is_empty() && statement.text == self.label(choice);
            if !empty && !because.contains(&statement) {
                because.push(statement);
            }
        }
        Statement {
            text: format!("{subject} needs `{text}`"),
            because: merged(because),
        }
    }

    /// Why a choice does not do.
    fn choice(&mut self, solvable: Solvable) -> Statement {
        let label = self.label(solvable);
        if let Some(statement) = self.excluded(solvable, &label) {
            return statement;
        }
        if self.depth >= DEPTH {
            return Statement {
                text: "… and so on".to_owned(),
                because: Vec::new(),
            };
        }
        if !self.told.insert(solvable) {
            return Statement {
                text: format!("{label} (see above)"),
                because: Vec::new(),
            };
        }
        self.depth += 1;
        let because = self.reasons(solvable, &label);
        self.depth -= 1;
        match <[Statement; 1]>::try_from(because) {
            // `a 1` → `a 1 needs b` says it twice.
            Ok([only]) if only.text.starts_with(&label) => only,
            Ok([only]) => Statement {
                text: label,
                because: vec![only],
            },
            Err(because) => Statement {
                text: label,
                because,
            },
        }
    }

    /// What the refutation says of a choice, each once.
    fn reasons(&mut self, solvable: Solvable, label: &str) -> Vec<Statement> {
        let mut because = Vec::new();
        for fact in self.facts {
            let statement = match fact {
                Fact::Needs {
                    by: Some(by),
                    requirement,
                    choices,
                } if *by == solvable => {
                    let text = self.relation(solvable, *requirement);
                    self.needs(label, &text, choices)
                }
                Fact::Forbids { by: Some(by), with } if *by == solvable => {
                    self.clash(solvable, *with)
                }
                Fact::Forbids { by: Some(by), with } if *with == solvable => {
                    self.clash(*by, solvable)
                }
                Fact::Forbids { by: None, with } if *with == solvable => Statement {
                    text: format!("{label} is to be removed"),
                    because: Vec::new(),
                },
                Fact::SameName(one, other) if *one == solvable || *other == solvable => {
                    let (one, other) = (self.label(*one), self.label(*other));
                    Statement {
                        text: format!("only one of {one} and {other} can be installed"),
                        because: Vec::new(),
                    }
                }
                _ => continue,
            };
            if !because.contains(&statement) {
                because.push(statement);
            }
        }
        because
    }

    fn excluded(&self, solvable: Solvable, label: &str) -> Option<Statement> {
        let entry = self.pool.entry(self.pool.name(solvable));
        let (_, why) = entry.excluded.iter().find(|(one, _)| *one == solvable)?;
        Some(Statement {
            text: format!("{label} cannot be chosen: {why}"),
            because: Vec::new(),
        })
    }

    fn clash(&mut self, by: Solvable, with: Solvable) -> Statement {
        if self.pool.package(by).is_none() {
            let owner = self.facts.iter().find_map(|fact| match fact {
                Fact::Needs {
                    by: Some(owner),
                    choices,
                    ..
                } if choices.contains(&by) => Some(*owner),
                _ => None,
            });
            let rule = self.label(by);
            return Statement {
                text: owner.map_or_else(String::new, |owner| self.rule(owner, &rule)),
                because: Vec::new(),
            };
        }
        let (verb, clause) = self.clashing_relation(by, with);
        let (by, with) = (self.label(by), self.label(with));
        let text = if clause.is_empty() {
            format!("{by} {verb} {with}")
        } else {
            format!("{by} {verb} `{clause}`, which is {with}")
        };
        let because = Vec::new();
        Statement { text, because }
    }

    /// The relation text of a package that makes this requirement.
    fn relation(&mut self, solvable: Solvable, requirement: Requirement) -> String {
        let Some((source, package)) = self.pool.locate(solvable) else {
            return self.label(solvable);
        };
        for (kind, clause) in package.relations() {
            if !matches!(kind, RelationKind::PreDepends | RelationKind::Depends) {
                continue;
            }
            let needs = self.pool.needs_of(source, clause);
            let wanted = self.members(requirement);
            let same = |need: &Need| self.members(need.requirement) == wanted;
            if needs.iter().any(same) {
                return clause.text();
            }
        }
        String::new()
    }

    fn members(&self, requirement: Requirement) -> BTreeSet<SetId> {
        self.pool.sets_of(requirement).into_iter().collect()
    }

    /// A rich relation of `owner`, of which `rule` is a part, as a sentence.
    fn rule(&self, owner: Solvable, rule: &str) -> String {
        let label = self.label(owner);
        let needed = self.pool.package(owner).is_some_and(|package| {
            let mut relations = package.relations();
            relations.any(|(kind, clause)| {
                let text = clause
                    .expression()
                    .map(|expression| expression.display(self.pool.family).to_string());
                matches!(kind, RelationKind::PreDepends | RelationKind::Depends)
                    && text.is_some_and(|text| text.contains(rule))
            })
        });
        let verb = if needed { "needs" } else { "conflicts with" };
        format!("{label} {verb} `{rule}`")
    }

    /// Which relation of `by` excludes `with`: a verb and the text.
    fn clashing_relation(&mut self, by: Solvable, with: Solvable) -> (&'static str, String) {
        let Some(package) = self.pool.package(by) else {
            return ("conflicts with", String::new());
        };
        for (kind, clause) in package.relations() {
            let verb = match kind {
                RelationKind::Conflicts => "conflicts with",
                RelationKind::Breaks => "breaks",
                RelationKind::Obsoletes => "obsoletes",
                _ => continue,
            };
            let mut hit = false;
            if let Some(expression) = clause.expression() {
                expression.for_each_atom(&mut |atom| {
                    let groups = self.pool.matching(atom);
                    hit |= groups.iter().any(|group| group.members.contains(&with));
                });
            }
            if hit {
                return (verb, clause.text());
            }
        }
        ("conflicts with", String::new())
    }

    /// What there is instead: other versions, or similar names.
    fn available(&mut self, text: &str) -> String {
        let Ok(expression) = Expression::parse(self.pool.family, text) else {
            return String::new();
        };
        let mut name = None;
        expression.for_each_atom(&mut |atom| name = name.or(Some(atom.name)));
        let Some(name) = name else {
            return String::new();
        };
        let mut found: Vec<Solvable> = Vec::new();
        for group in self.pool.matching(&Atom::named(name)) {
            found.extend(group.members);
        }
        if !found.is_empty() {
            let mut labels: Vec<String> = found.iter().map(|&one| self.label(one)).collect();
            labels.sort();
            labels.dedup();
            labels.truncate(4);
            return format!("; there is {}", labels.join(", "));
        }
        let similar = self.similar(name);
        if similar.is_empty() {
            String::new()
        } else {
            format!("; did you mean {}?", similar.join(", "))
        }
    }

    /// Up to three names of packages that look like this one.
    fn similar(&self, name: &str) -> Vec<String> {
        let most = match name.len() {
            0..=2 => 0,
            3..=5 => 1,
            _ => 2,
        };
        let mut found: BTreeSet<(usize, &str)> = BTreeSet::new();
        for source in &self.pool.sources {
            for other in source.index.names() {
                if other.len().abs_diff(name.len()) <= most
                    && let distance = distance(name, other)
                    && distance <= most
                    && source.index.by_name(other).next().is_some()
                {
                    found.insert((distance, other));
                }
            }
        }
        found
            .into_iter()
            .take(3)
            .map(|(_, name)| format!("`{name}`"))
            .collect()
    }
}

/// Versions of one package that fail for the same reason become one statement.
fn merged(statements: Vec<Statement>) -> Vec<Statement> {
    let mut kept: Vec<(Statement, Vec<String>)> = Vec::new();
    for statement in statements {
        let mut words = statement.text.splitn(3, ' ');
        let (name, version) = (words.next(), words.next().unwrap_or_default().to_owned());
        let rest = words.next();
        let same = kept.iter_mut().find(|(other, _)| {
            let mut words = other.text.splitn(3, ' ');
            let other_name = words.next();
            let other_rest = words.nth(1);
            rest.is_some()
                && (other_name, other_rest, &other.because) == (name, rest, &statement.because)
        });
        match same {
            Some((_, versions)) => versions.push(version),
            None => kept.push((statement, vec![version])),
        }
    }
    kept.into_iter()
        .map(|(mut statement, versions)| {
            if let [first, .., last] = versions.as_slice() {
                let others = versions.len() - 1;
                let range = if others == 1 {
                    format!("{first} (also {last})")
                } else {
                    format!("{first} (also {others} other versions down to {last})")
                };
                statement.text = statement.text.replacen(first.as_str(), &range, 1);
            }
            statement
        })
        .collect()
}

/// How many bytes must be inserted, removed or replaced to make one text of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, byte) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, &with) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(byte != with);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
