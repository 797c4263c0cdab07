//! Why a request cannot be met, for people: a tree of sentences and the changes that would help.

use std::fmt;

/// Why a request cannot be met. `Display` is a tree for people: several lines, without a final newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What contradicts what, beginning with the request.
    pub problems: Vec<Statement>,
    /// Changes to the request each of which would make it possible, smallest first; empty if none was found.
    pub suggestions: Vec<String>,
}

/// One sentence and what explains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Lower case, no full stop.
    pub text: String,
    /// Why.
    pub because: Vec<Self>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request cannot be met")?;
        branches(f, &self.problems, "")?;
        for suggestion in &self.suggestions {
            write!(f, "\nit would work {suggestion}")?;
        }
        Ok(())
    }
}

fn branches(f: &mut fmt::Formatter<'_>, statements: &[Statement], indent: &str) -> fmt::Result {
    for (number, statement) in statements.iter().enumerate() {
        let last = number + 1 == statements.len();
        let (branch, below) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        write!(f, "\n{indent}{branch}{}", statement.text)?;
        branches(f, &statement.because, &format!("{indent}{below}"))?;
    }
    Ok(())
}
