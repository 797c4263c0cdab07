//! Relations: each distinct text is parsed once, into nodes that lie one after the other.

use super::interner::Interner;
use super::tables::{Bound, CLAUSE_BITS, NodeRow, SpelledRow, tag};
use super::words::Words;
use crate::Family;
use crate::dependency::{Atom, Branches, Expression, Qualifier};
use std::fmt::Write as _;

/// The distinct relations of an index, while it is built.
#[derive(Debug)]
pub(super) struct Clauses {
    family: Family,
    /// The texts are needed for comparing only: the file has those that do not follow from the nodes.
    known: Interner,
    /// By number: the first node.
    pub(super) first_nodes: Vec<u32>,
    pub(super) nodes: Vec<NodeRow>,
    pub(super) spelled: Vec<SpelledRow>,
    /// Used again for each relation.
    usual: String,
}

impl Clauses {
    pub(super) fn new(family: Family) -> Self {
        Self {
            family,
            known: Interner::default(),
            first_nodes: Vec::new(),
            nodes: Vec::new(),
            spelled: Vec::new(),
            usual: String::new(),
        }
    }

    /// Notes the text of the relation of this number, which is the next; `None` if it has another already.
    pub(super) fn know(&mut self, number: u32, text: &str) -> Option<()> {
        let (found, _) = self.known.intern(text)?;
        (found == number).then_some(())
    }

    /// The number of a relation text; `None` when the numbers are used up. A text that is no relation has one too:
    /// nothing satisfies it.
    pub(super) fn number(&mut self, words: &mut Words, text: &str) -> Option<u32> {
        let (number, new) = self.known.intern(text)?;
        if number >> CLAUSE_BITS != 0 {
            return None;
        }
        if new {
            let first = self.nodes.len();
            self.first_nodes.push(u32::try_from(first).ok()?);
            let expression = Expression::parse(self.family, text).ok();
            let stored = expression.as_ref().and_then(|expression| {
                let stored = self.node(words, expression);
                stored.is_some().then_some(expression)
            });
            self.usual.clear();
            if let Some(expression) = stored {
                // Writing to a `String` cannot fail.
                let _ = write!(self.usual, "{}", expression.display(self.family));
            } else {
                self.nodes.truncate(first);
                self.nodes.push(NodeRow::default());
            }
            if self.usual != text {
                let text = words.text(text)?;
                let clause = number;
                self.spelled.push(SpelledRow { clause, text });
            }
        }
        Some(number)
    }

    /// The name and bound of a relation that is one atom.
    pub(super) fn atom(&self, clause: u32) -> Option<(u32, u32)> {
        let first = *self.first_nodes.get(clause as usize)?;
        let node = self.nodes.get(first as usize)?;
        (node.tag == tag::ATOM).then_some((node.name, node.bound))
    }

    /// Appends the nodes of an expression; `None` where it has what no node can hold.
    fn node(&mut self, words: &mut Words, expression: &Expression<'_>) -> Option<()> {
        match expression {
            Expression::Atom(atom) => {
                self.nodes.push(atom_row(words, atom)?);
                Some(())
            }
            Expression::And(parts) => self.group(words, tag::AND, parts),
            Expression::Or(parts) => self.group(words, tag::OR, parts),
            Expression::With(parts) => self.group(words, tag::WITH, parts),
            Expression::If(branches) => self.branches(words, tag::IF, branches),
            Expression::Unless(branches) => self.branches(words, tag::UNLESS, branches),
            Expression::Without(parts) => self.group(words, tag::WITHOUT, [&parts.0, &parts.1]),
        }
    }

    fn branches(&mut self, words: &mut Words, tag: u8, branches: &Branches<'_>) -> Option<()> {
        let mut parts = vec![&branches.then, &branches.condition];
        parts.extend(&branches.otherwise);
        self.group(words, tag, parts)
    }

    fn group<'e, 't: 'e>(
        &mut self,
        words: &mut Words,
        tag: u8,
        parts: impl IntoIterator<Item = &'e Expression<'t>, IntoIter: ExactSizeIterator>,
    ) -> Option<()> {
        let mut parts = parts.into_iter();
        self.nodes.push(NodeRow {
            tag,
            children: u16::try_from(parts.len()).ok()?,
            ..NodeRow::default()
        });
        parts.try_for_each(|part| self.node(words, part))
    }
}

fn atom_row(words: &mut Words, atom: &Atom<'_>) -> Option<NodeRow> {
    let qualifier = match atom.qualifier {
        Qualifier::None => 0,
        Qualifier::Any => 1,
        Qualifier::Native => 2,
        Qualifier::Arch(arch) => words.arch(arch)?.checked_add(2)?,
    };
    let bound = match atom.constraint {
        None => Bound::NONE,
        Some(wanted) => Bound::new(wanted.comparison as u8, words.text(wanted.version)?)?,
    };
    Some(NodeRow {
        tag: tag::ATOM,
        qualifier,
        children: 0,
        name: words.name(atom.name)?,
        bound: bound.0,
    })
}
