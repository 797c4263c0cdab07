//! Relation texts of both families as expressions: who is asked for, in which versions, and how such wishes combine.
//!
//! One type serves both families. A deb clause is an [`Expression::Or`] of atoms, or one atom; an rpm clause is one atom
//! or a rich dependency. Parsing borrows from the text, is strict, and is bounded in depth, so that a hostile index can
//! neither overflow the stack nor be half understood. What a clause *means* among packages is the resolver's business.

mod deb;
mod display;
mod rpm;

pub use display::DisplayExpression;

use crate::{Family, version};

/// How deep rich dependencies may nest. The deepest in Fedora is 4; rpm itself refuses above 20.
pub const DEPTH: usize = 16;

/// The most operands of one clause. The longest in Debian has 32 alternatives.
pub const OPERANDS: usize = 1000;

/// How a version is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Comparison {
    /// deb `<<`, rpm `<`
    Less = 1,
    /// `<=`
    LessEqual = 2,
    /// `=`
    Equal = 3,
    /// `>=`
    GreaterEqual = 4,
    /// deb `>>`, rpm `>`
    Greater = 5,
}

/// Versions that satisfy: `(>= 1.2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Constraint<'a> {
    /// How.
    pub comparison: Comparison,
    /// Compared with what; not empty.
    pub version: &'a str,
}

/// The architecture that a deb relation asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qualifier<'a> {
    /// None given: the native one, or any if the package is `Multi-Arch: foreign`.
    #[default]
    None,
    /// `:any`
    Any,
    /// `:native`
    Native,
    /// `:arm64` and so on.
    Arch(&'a str),
}

/// One name with its conditions: `a:any (>= 1)`, `a >= 1`, `/bin/sh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom<'a> {
    /// A package name, a provided name, or (rpm) an absolute path.
    pub name: &'a str,
    /// deb only.
    pub qualifier: Qualifier<'a>,
    /// Which versions; `None` for all.
    pub constraint: Option<Constraint<'a>>,
}

/// A relation, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression<'a> {
    /// One name.
    Atom(Atom<'a>),
    /// rpm `(a and b)`: all of them.
    And(Vec<Self>),
    /// deb `a | b`, rpm `(a or b)`: one of them, the first preferred.
    Or(Vec<Self>),
    /// rpm `(a if b)`, `(a if b else c)`.
    If(Box<Branches<'a>>),
    /// rpm `(a unless b)`, `(a unless b else c)`.
    Unless(Box<Branches<'a>>),
    /// rpm `(a with b)`: one package that satisfies all of them.
    With(Vec<Self>),
    /// rpm `(a without b)`: one package that satisfies the first and not the second.
    Without(Box<(Self, Self)>),
}

/// The parts of an `if` or `unless`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branches<'a> {
    /// `a` in `(a if b else c)`.
    pub then: Expression<'a>,
    /// `b`
    pub condition: Expression<'a>,
    /// `c`
    pub otherwise: Option<Expression<'a>>,
}

/// Why a text is no relation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no relation: {problem}")]
pub struct DependencyError {
    /// The text, cut at 200 characters.
    pub text: String,
    /// What is wrong with it.
    pub problem: DependencyProblem,
}

/// What is wrong with a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DependencyProblem {
    /// A name was expected and there is none.
    #[error("a name is missing")]
    Name,
    /// A character that a name or version cannot have.
    #[error("a name or version holds a character that it cannot")]
    Character,
    /// `>` without a version, or a version without its bracket.
    #[error("a version is missing or not closed")]
    Version,
    /// Brackets do not match.
    #[error("brackets do not match")]
    Bracket,
    /// A word that is no operator, or different operators in one bracket.
    #[error("an operator is unknown, or two are mixed without brackets")]
    Operator,
    /// Nested deeper than [`DEPTH`] or longer than [`OPERANDS`].
    #[error("it is nested too deep or too long")]
    TooComplex,
    /// Something follows the end.
    #[error("something follows its end")]
    Trailing,
}

impl Comparison {
    /// Whether a version that compares so to the wanted one satisfies.
    pub const fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::GreaterEqual => order.is_ge(),
            Self::Greater => order.is_gt(),
        }
    }

    const fn takes_less(self) -> bool {
        matches!(self, Self::Less | Self::LessEqual)
    }

    const fn takes_equal(self) -> bool {
        matches!(self, Self::LessEqual | Self::Equal | Self::GreaterEqual)
    }

    const fn takes_greater(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterEqual)
    }
}

impl Constraint<'_> {
    /// Whether `version` satisfies.
    pub fn allows(&self, family: Family, version: &str) -> bool {
        self.comparison
            .holds(version::compare(family, version, self.version))
    }

    /// Whether some version satisfies both: what rpm asks of a requirement and a provide that is a range itself.
    pub fn overlaps(&self, family: Family, other: &Self) -> bool {
        let (left, right) = (self.comparison, other.comparison);
        match version::compare(family, self.version, other.version) {
            std::cmp::Ordering::Less => left.takes_greater() || right.takes_less(),
            std::cmp::Ordering::Greater => left.takes_less() || right.takes_greater(),
            std::cmp::Ordering::Equal => {
                (left.takes_equal() && right.takes_equal())
                    || (left.takes_less() && right.takes_less())
                    || (left.takes_greater() && right.takes_greater())
                    || (family == Family::Rpm
                        && (self.is_any_release_of(other) || other.is_any_release_of(self)))
            }
        }
    }

    /// rpm, for versions that are equal as far as they go: whether this one has no release, the other has one, and this
    /// one takes its version. Then some release of it is among what the other takes.
    fn is_any_release_of(&self, other: &Self) -> bool {
        let is_whole = |constraint: &Self| constraint.version.contains('-');
        self.comparison.takes_equal() && !is_whole(self) && is_whole(other)
    }
}

impl<'a> Atom<'a> {
    /// A name without conditions.
    pub const fn named(name: &'a str) -> Self {
        Self {
            name,
            qualifier: Qualifier::None,
            constraint: None,
        }
    }

    /// Whether a package that provides this name in the versions `provided` satisfies the constraint. A provide without
    /// a version satisfies any constraint in rpm and none in deb.
    pub fn accepts_provide(&self, family: Family, provided: Option<&Constraint<'_>>) -> bool {
        match (&self.constraint, provided) {
            (None, _) => true,
            (Some(_), None) => family == Family::Rpm,
            (Some(wanted), Some(provided)) => wanted.overlaps(family, provided),
        }
    }
}

impl<'a> Expression<'a> {
    /// Parses one relation: one comma-separated item of a deb field, or one rpm dependency.
    ///
    /// ```
    /// use vzpkg_metadata::Family;
    /// use vzpkg_metadata::dependency::Expression;
    /// let clause = Expression::parse(Family::Deb, "mawk | awk:any (>= 1.3)")?;
    /// assert_eq!(clause.display(Family::Deb).to_string(), "mawk | awk:any (>= 1.3)");
    /// let rich = Expression::parse(Family::Rpm, "(a >= 1 if (b or c) else d)")?;
    /// assert_eq!(rich.display(Family::Rpm).to_string(), "(a >= 1 if (b or c) else d)");
    /// # Ok::<(), vzpkg_metadata::dependency::DependencyError>(())
    /// ```
    ///
    /// # Errors
    /// [`DependencyError`] with what is wrong.
    pub fn parse(family: Family, text: &'a str) -> Result<Self, DependencyError> {
        let parsed = match family {
            Family::Deb => deb::parse(text),
            Family::Rpm => rpm::parse(text),
        };
        parsed.map_err(|problem| DependencyError {
            text: text.chars().take(200).collect(),
            problem,
        })
    }

    /// Calls `visit` with every atom, in text order.
    pub fn for_each_atom(&self, visit: &mut dyn FnMut(&Atom<'a>)) {
        match self {
            Self::Atom(atom) => visit(atom),
            Self::And(parts) | Self::Or(parts) | Self::With(parts) => {
                for part in parts {
                    part.for_each_atom(visit);
                }
            }
            Self::If(branches) | Self::Unless(branches) => {
                branches.then.for_each_atom(visit);
                branches.condition.for_each_atom(visit);
                if let Some(otherwise) = &branches.otherwise {
                    otherwise.for_each_atom(visit);
                }
            }
            Self::Without(parts) => {
                parts.0.for_each_atom(visit);
                parts.1.for_each_atom(visit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_print_what_they_parse() {
        for (family, texts) in [
            (
                Family::Deb,
                &[
                    "libc6 (>= 2.36)",
                    "default-mta | mail-transport-agent",
                    "python3:any (<< 3.14~)",
                    "gcc:native | g++-12 (= 1:2.0-1+b1)",
                    "x:arm64 (>> 1)",
                ][..],
            ),
            (
                Family::Rpm,
                &[
                    "libc.so.6(GLIBC_2.34)(64bit)",
                    "/usr/bin/perl",
                    "perl(Foo::Bar) >= 2:1.0-3.el9",
                    "(a and b >= 1 and c)",
                    "((a with b = 3) or (c without d < 4))",
                    "(a if b)",
                    "(a unless (b and c) else (d or e))",
                    "(pkgconfig(x) >= 1 if foo(y) else /bin/sh)",
                ][..],
            ),
        ] {
            for text in texts {
                let parsed = Expression::parse(family, text).unwrap();
                assert_eq!(parsed.display(family).to_string(), *text);
            }
        }
    }

    #[test]
    fn loose_spelling_is_read() {
        let parsed = Expression::parse(Family::Deb, " a(>=1)|b ( < 2 ) ").unwrap();
        assert_eq!(
            parsed.display(Family::Deb).to_string(),
            "a (>= 1) | b (<= 2)"
        );
        let parsed = Expression::parse(Family::Rpm, "( a  >=1   or  b )").unwrap();
        assert_eq!(parsed.display(Family::Rpm).to_string(), "(a >= 1 or b)");
    }

    #[test]
    fn what_is_no_relation_is_refused() {
        for text in [
            "",
            "|",
            "a |",
            "a (1)",
            "a (>= )",
            "a (>= 1",
            "a (>= 1) x",
            "a (== 1)",
            "a b",
            "a:b:c",
            "a [amd64]",
            "a <!nocheck>",
            "ä",
            "a (>= 1 2)",
            "/bin/sh",
        ] {
            assert!(Expression::parse(Family::Deb, text).is_err(), "{text:?}");
        }
        for text in [
            "",
            "(",
            "()",
            "(a",
            "(a and)",
            "(a and b or c)",
            "(a xor b)",
            "a >=",
            "a b",
            ">= 1",
            "(a if b else c else d)",
            "(a without b without c)",
            "((a and b) with c)",
            "a <> 1",
            "(a) b",
        ] {
            assert!(Expression::parse(Family::Rpm, text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn nesting_and_length_are_bounded() {
        let deep = format!("{}a{}", "(b or ".repeat(100_000), ")".repeat(100_000));
        let problem = Expression::parse(Family::Rpm, &deep).unwrap_err().problem;
        assert_eq!(problem, DependencyProblem::TooComplex);
        let long = vec!["a"; OPERANDS * 2].join(" | ");
        let problem = Expression::parse(Family::Deb, &long).unwrap_err().problem;
        assert_eq!(problem, DependencyProblem::TooComplex);
    }

    #[test]
    fn provides_satisfy_as_their_family_says() {
        let wants = |family, want, provide: &str| {
            let Ok(Expression::Atom(want)) = Expression::parse(family, want) else {
                panic!("{want}");
            };
            let Ok(Expression::Atom(provide)) = Expression::parse(family, provide) else {
                panic!("{provide}");
            };
            want.accepts_provide(family, provide.constraint.as_ref())
        };
        assert!(wants(Family::Deb, "a", "a"));
        assert!(wants(Family::Deb, "a (>= 1)", "a (= 1)"));
        assert!(!wants(Family::Deb, "a (>= 1)", "a"));
        assert!(wants(Family::Rpm, "a >= 1", "a"));
        assert!(wants(Family::Rpm, "a >= 1", "a < 5"));
        assert!(wants(Family::Rpm, "a < 1", "a < 5"));
        assert!(!wants(Family::Rpm, "a < 1", "a >= 1"));
        assert!(wants(Family::Rpm, "a = 1.0", "a = 1.0-5"));
        assert!(!wants(Family::Rpm, "a > 1.0", "a = 1.0-5"));
    }
}
