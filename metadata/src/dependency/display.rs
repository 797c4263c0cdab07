//! Relations as text again, in the notation of their family; [`Expression::parse`] reads what this writes.

use super::{Atom, Branches, Comparison, Expression, Qualifier};
use crate::Family;
use std::fmt;

/// Prints an expression in the notation of one family.
#[derive(Debug, Clone, Copy)]
pub struct DisplayExpression<'e, 'a> {
    expression: &'e Expression<'a>,
    family: Family,
}

impl<'a> Expression<'a> {
    /// This expression in the notation of `family`.
    pub const fn display(&self, family: Family) -> DisplayExpression<'_, 'a> {
        DisplayExpression {
            expression: self,
            family,
        }
    }
}

impl Comparison {
    /// The operator as `family` writes it.
    pub const fn as_str(self, family: Family) -> &'static str {
        match (self, family) {
            (Self::Less, Family::Deb) => "<<",
            (Self::Less, Family::Rpm) => "<",
            (Self::LessEqual, _) => "<=",
            (Self::Equal, _) => "=",
            (Self::GreaterEqual, _) => ">=",
            (Self::Greater, Family::Deb) => ">>",
            (Self::Greater, Family::Rpm) => ">",
        }
    }
}

impl fmt::Display for DisplayExpression<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = match (self.expression, self.family) {
            (Expression::Or(parts), Family::Deb) => return list(f, parts, self.family, " | "),
            (Expression::Atom(one), family) => return atom(f, one, family),
            (Expression::And(parts), _) => Ok((parts, " and ")),
            (Expression::Or(parts), _) => Ok((parts, " or ")),
            (Expression::With(parts), _) => Ok((parts, " with ")),
            (Expression::If(branches), _) => Err((branches, "if")),
            (Expression::Unless(branches), _) => Err((branches, "unless")),
            (Expression::Without(parts), _) => {
                let (left, right) = parts.as_ref();
                let (left, right) = (left.display(self.family), right.display(self.family));
                return write!(f, "({left} without {right})");
            }
        };
        f.write_str("(")?;
        match separator {
            Ok((parts, separator)) => list(f, parts, self.family, separator)?,
            Err((branches, word)) => condition(f, branches, self.family, word)?,
        }
        f.write_str(")")
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expression<'_>],
    family: Family,
    separator: &str,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{}", part.display(family))?;
    }
    Ok(())
}

fn condition(
    f: &mut fmt::Formatter<'_>,
    branches: &Branches<'_>,
    family: Family,
    word: &str,
) -> fmt::Result {
    let then = branches.then.display(family);
    let condition = branches.condition.display(family);
    write!(f, "{then} {word} {condition}")?;
    match &branches.otherwise {
        Some(otherwise) => write!(f, " else {}", otherwise.display(family)),
        None => Ok(()),
    }
}

fn atom(f: &mut fmt::Formatter<'_>, atom: &Atom<'_>, family: Family) -> fmt::Result {
    f.write_str(atom.name)?;
    match atom.qualifier {
        Qualifier::None => {}
        Qualifier::Any => f.write_str(":any")?,
        Qualifier::Native => f.write_str(":native")?,
        Qualifier::Arch(arch) => write!(f, ":{arch}")?,
    }
    match (atom.constraint, family) {
        (None, _) => Ok(()),
        (Some(wanted), Family::Deb) => write!(
            f,
            " ({} {})",
            wanted.comparison.as_str(family),
            wanted.version
        ),
        (Some(wanted), Family::Rpm) => {
            write!(
                f,
                " {} {}",
                wanted.comparison.as_str(family),
                wanted.version
            )
        }
    }
}
