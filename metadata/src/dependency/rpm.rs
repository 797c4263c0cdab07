//! rpm dependencies: `name`, `name >= evr`, and rich ones (rpm's "Boolean Dependencies"): `(a if (b or c) else d)`.

use super::{
    Atom, Branches, Comparison, Constraint, DEPTH, DependencyProblem, Expression, OPERANDS,
    Qualifier,
};

/// Parses one dependency.
pub(super) fn parse(text: &str) -> Result<Expression<'_>, DependencyProblem> {
    let mut cursor = Cursor {
        rest: text,
        operands: 0,
        is_rich: text.trim_ascii_start().starts_with('('),
    };
    cursor.skip_space();
    let expression = if cursor.is_rich {
        cursor.rich(0)?
    } else {
        Expression::Atom(cursor.atom()?)
    };
    cursor.skip_space();
    if cursor.rest.is_empty() {
        Ok(expression)
    } else {
        Err(DependencyProblem::Trailing)
    }
}

struct Cursor<'a> {
    rest: &'a str,
    operands: usize,
    /// Whether brackets have a meaning of their own.
    is_rich: bool,
}

impl<'a> Cursor<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// A word ends at a space, or at a bracket that it did not open: `libc.so.6(GLIBC_2.4)(64bit)`. In a rich dependency
    /// it closes what it opens, or nobody could tell its brackets from those around it.
    fn word(&mut self) -> Result<&'a str, DependencyProblem> {
        let mut open = 0_usize;
        let end = self.rest.find(|c: char| match c {
            '(' => {
                open = open.saturating_add(1);
                false
            }
            ')' if open == 0 => true,
            ')' => {
                open = open.saturating_sub(1);
                false
            }
            other => other.is_ascii_whitespace(),
        });
        let (word, rest) = self
            .rest
            .split_at_checked(end.unwrap_or(self.rest.len()))
            .unwrap_or((self.rest, ""));
        self.rest = rest;
        if self.is_rich && open > 0 {
            return Err(DependencyProblem::Bracket);
        }
        Ok(word)
    }

    fn atom(&mut self) -> Result<Atom<'a>, DependencyProblem> {
        self.operands = self.operands.saturating_add(1);
        if self.operands > OPERANDS {
            return Err(DependencyProblem::TooComplex);
        }
        let name = checked(self.word()?, DependencyProblem::Name)?;
        self.skip_space();
        let operator = self
            .rest
            .find(|c| !matches!(c, '<' | '=' | '>'))
            .and_then(|end| self.rest.split_at_checked(end))
            .unwrap_or((self.rest, ""));
        let (operator, rest) = operator;
        let constraint = if operator.is_empty() {
            None
        } else {
            let comparison = comparison(operator)?;
            self.rest = rest;
            self.skip_space();
            let version = checked(self.word()?, DependencyProblem::Version)?;
            Some(Constraint {
                comparison,
                version,
            })
        };
        Ok(Atom {
            name,
            qualifier: Qualifier::None,
            constraint,
        })
    }

    /// One operand: an atom or a bracket.
    fn operand(&mut self, depth: usize) -> Result<Expression<'a>, DependencyProblem> {
        self.skip_space();
        if self.rest.starts_with('(') {
            self.rich(depth.saturating_add(1))
        } else {
            self.atom().map(Expression::Atom)
        }
    }

    /// After an operand: the next operator, or `None` at the closing bracket, which is taken.
    fn operator(&mut self) -> Result<Option<&'a str>, DependencyProblem> {
        self.skip_space();
        if let Some(rest) = self.rest.strip_prefix(')') {
            self.rest = rest;
            return Ok(None);
        }
        match self.word()? {
            "" => Err(DependencyProblem::Bracket),
            word => Ok(Some(word)),
        }
    }

    fn rich(&mut self, depth: usize) -> Result<Expression<'a>, DependencyProblem> {
        if depth >= DEPTH {
            return Err(DependencyProblem::TooComplex);
        }
        self.rest = self
            .rest
            .strip_prefix('(')
            .ok_or(DependencyProblem::Bracket)?;
        let first = self.operand(depth)?;
        match self.operator()? {
            None => Ok(first),
            Some("and") => self.chain("and", first, depth).map(Expression::And),
            Some("or") => self.chain("or", first, depth).map(Expression::Or),
            Some("with") => {
                let parts = self.chain("with", first, depth)?;
                if parts.iter().all(selects_packages) {
                    Ok(Expression::With(parts))
                } else {
                    Err(DependencyProblem::Operator)
                }
            }
            Some("without") => {
                let second = self.operand(depth)?;
                match self.operator()? {
                    None if selects_packages(&first) && selects_packages(&second) => {
                        Ok(Expression::Without(Box::new((first, second))))
                    }
                    _ => Err(DependencyProblem::Operator),
                }
            }
            Some("if") => self.branches(first, depth).map(Expression::If),
            Some("unless") => self.branches(first, depth).map(Expression::Unless),
            Some(_) => Err(DependencyProblem::Operator),
        }
    }

    /// `b and c and d)` after `a and`.
    fn chain(
        &mut self,
        word: &str,
        first: Expression<'a>,
        depth: usize,
    ) -> Result<Vec<Expression<'a>>, DependencyProblem> {
        let mut parts = vec![first];
        loop {
            parts.push(self.operand(depth)?);
            match self.operator()? {
                None => return Ok(parts),
                Some(next) if next == word => {}
                Some(_) => return Err(DependencyProblem::Operator),
            }
        }
    }

    /// `b)` or `b else c)` after `a if`.
    fn branches(
        &mut self,
        then: Expression<'a>,
        depth: usize,
    ) -> Result<Box<Branches<'a>>, DependencyProblem> {
        let condition = self.operand(depth)?;
        let otherwise = match self.operator()? {
            None => None,
            Some("else") => {
                let otherwise = self.operand(depth)?;
                if self.operator()?.is_some() {
                    return Err(DependencyProblem::Operator);
                }
                Some(otherwise)
            }
            Some(_) => return Err(DependencyProblem::Operator),
        };
        Ok(Box::new(Branches {
            then,
            condition,
            otherwise,
        }))
    }
}

/// What `with` and `without` may join: expressions about one package each.
fn selects_packages(expression: &Expression<'_>) -> bool {
    match expression {
        Expression::Atom(_) | Expression::With(_) | Expression::Without(_) => true,
        Expression::Or(parts) => parts.iter().all(selects_packages),
        _ => false,
    }
}

fn comparison(operator: &str) -> Result<Comparison, DependencyProblem> {
    match operator {
        "<" => Ok(Comparison::Less),
        "<=" | "=<" => Ok(Comparison::LessEqual),
        "=" | "==" => Ok(Comparison::Equal),
        ">=" | "=>" => Ok(Comparison::GreaterEqual),
        ">" => Ok(Comparison::Greater),
        _ => Err(DependencyProblem::Operator),
    }
}

fn checked(text: &str, missing: DependencyProblem) -> Result<&str, DependencyProblem> {
    if text.is_empty() || text.starts_with(['<', '=', '>']) {
        return Err(missing);
    }
    if text.chars().any(char::is_control) {
        return Err(DependencyProblem::Character);
    }
    Ok(text)
}
