//! deb clauses: `a (>= 1) | b:any` (Debian policy 7.1). Binary packages only, so no architecture lists or profiles.

use super::{Atom, Comparison, Constraint, DependencyProblem, Expression, OPERANDS, Qualifier};

/// Parses one item of a relation field.
pub(super) fn parse(text: &str) -> Result<Expression<'_>, DependencyProblem> {
    let mut alternatives = text.split('|');
    let first = atom(alternatives.next().unwrap_or_default())?;
    let mut parts = Vec::new();
    for alternative in alternatives {
        if parts.is_empty() {
            parts.push(Expression::Atom(first));
        }
        if parts.len() >= OPERANDS {
            return Err(DependencyProblem::TooComplex);
        }
        parts.push(Expression::Atom(atom(alternative)?));
    }
    Ok(if parts.is_empty() {
        Expression::Atom(first)
    } else {
        Expression::Or(parts)
    })
}

fn atom(text: &str) -> Result<Atom<'_>, DependencyProblem> {
    let text = text.trim_ascii();
    let end = text
        .find(|c: char| c == '(' || c.is_ascii_whitespace())
        .unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let (name, qualifier) = match name.split_once(':') {
        Some((name, "any")) => (name, Qualifier::Any),
        Some((name, "native")) => (name, Qualifier::Native),
        Some((name, arch)) => (name, Qualifier::Arch(checked(arch, "-_")?)),
        None => (name, Qualifier::None),
    };
    Ok(Atom {
        name: checked(name, "+-._")?,
        qualifier,
        constraint: constraint(rest.trim_ascii())?,
    })
}

fn constraint(text: &str) -> Result<Option<Constraint<'_>>, DependencyProblem> {
    if text.is_empty() {
        return Ok(None);
    }
    let inner = text.strip_prefix('(').ok_or(DependencyProblem::Trailing)?;
    let (inner, rest) = inner.split_once(')').ok_or(DependencyProblem::Version)?;
    if !rest.is_empty() {
        return Err(DependencyProblem::Trailing);
    }
    let inner = inner.trim_ascii();
    let end = inner
        .find(|c| !matches!(c, '<' | '=' | '>'))
        .ok_or(DependencyProblem::Version)?;
    let (operator, version) = inner.split_at_checked(end).unwrap_or((inner, ""));
    let comparison = match operator {
        "<<" => Comparison::Less,
        // A single `<` or `>` is deprecated and includes equality (deb-control(5)).
        "<=" | "<" => Comparison::LessEqual,
        "=" => Comparison::Equal,
        ">=" | ">" => Comparison::GreaterEqual,
        ">>" => Comparison::Greater,
        _ => return Err(DependencyProblem::Operator),
    };
    let version = checked(version.trim_ascii(), "+-.~:_").map_err(|problem| match problem {
        DependencyProblem::Name => DependencyProblem::Version,
        other => other,
    })?;
    Ok(Some(Constraint {
        comparison,
        version,
    }))
}

fn checked<'a>(text: &'a str, others: &str) -> Result<&'a str, DependencyProblem> {
    if text.is_empty() {
        return Err(DependencyProblem::Name);
    }
    let good = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    if text.chars().all(good) {
        Ok(text)
    } else {
        Err(DependencyProblem::Character)
    }
}
