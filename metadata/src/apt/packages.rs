//! `Packages`: every package of one component and architecture, scanned without copying.
//!
//! Strict: every package must have what fetching and verifying it needs, once, and well-formed. Relations are only
//! split at commas here; [`crate::dependency`] parses them, once per distinct text.

use super::deb822::{Reader, SyntaxError};
use super::fields::{Draft, FieldProblem, Known};
use crate::package::PackageRecord;

/// Why a text is no `Packages` index. Packages are counted from 1; a name is empty where it is not known yet.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PackagesError {
    /// A paragraph that is none.
    #[error("package {number} of the index (`{name}`) cannot be read")]
    Syntax {
        /// Which package.
        number: usize,
        /// Its name.
        name: String,
        /// What is wrong.
        source: SyntaxError,
    },
    /// A field that every package must have is not there.
    #[error("package {number} of the index (`{name}`) has no field `{field}`")]
    Missing {
        /// Which package.
        number: usize,
        /// Its name.
        name: String,
        /// The field.
        field: &'static str,
    },
    /// A field whose value is not what it must be.
    #[error("package {number} of the index (`{name}`): field `{field}` is {problem}")]
    Field {
        /// Which package.
        number: usize,
        /// Its name.
        name: String,
        /// The field, as written.
        field: String,
        /// What is wrong with its value.
        problem: FieldProblem,
    },
}

impl PackagesError {
    /// The same error in a text that follows `before` packages: for an index that is scanned in pieces.
    #[must_use]
    pub fn counted_after(mut self, before: usize) -> Self {
        let (Self::Syntax { number, .. }
        | Self::Missing { number, .. }
        | Self::Field { number, .. }) = &mut self;
        *number = number.saturating_add(before);
        self
    }
}

/// What a package of an index must say.
const REQUIRED: [(Known, &str); 6] = [
    (Known::Package, "Package"),
    (Known::Version, "Version"),
    (Known::Architecture, "Architecture"),
    (Known::Filename, "Filename"),
    (Known::Size, "Size"),
    (Known::Sha256, "SHA256"),
];

/// Reads `text` and hands each package to `visit`, in order. The record is reused: what must outlive the call is
/// copied by `visit`; texts in it borrow from `text`. No allocation per package.
///
/// # Errors
/// [`PackagesError`], which names the package. `visit` has then seen the packages before it.
pub fn scan<'a>(
    text: &'a str,
    visit: &mut dyn FnMut(&PackageRecord<'a>),
) -> Result<(), PackagesError> {
    let mut reader = Reader::new(text);
    let mut draft = Draft::new();
    let mut number = 0_usize;
    while reader.next_paragraph() {
        number = number.saturating_add(1);
        draft.clear();
        read_paragraph(&mut reader, &mut draft, number)?;
        visit(&draft.record);
    }
    Ok(())
}

fn read_paragraph<'a>(
    reader: &mut Reader<'a>,
    draft: &mut Draft<'a>,
    number: usize,
) -> Result<(), PackagesError> {
    loop {
        let field = reader.next_field().map_err(|source| {
            let name = draft.record.name.to_owned();
            PackagesError::Syntax {
                number,
                name,
                source,
            }
        })?;
        let Some(field) = field else { break };
        draft.take(field).map_err(|problem| PackagesError::Field {
            number,
            name: draft.record.name.to_owned(),
            field: field.name.to_owned(),
            problem,
        })?;
    }
    for (known, field) in REQUIRED {
        if !draft.has(known) {
            let name = draft.record.name.to_owned();
            return Err(PackagesError::Missing {
                number,
                name,
                field,
            });
        }
    }
    Ok(())
}
