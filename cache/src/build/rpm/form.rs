//! The forms in which rpm keeps its headers: which file is which, and how to reach every header in it.

use super::{berkeley, ndb, sqlite};

/// The file with the headers in each form of the database. A tree has one of them.
pub(super) const PACKAGES: [(&str, Form); 3] = [
    ("rpmdb.sqlite", Form::Sqlite),
    ("Packages.db", Form::Ndb),
    ("Packages", Form::Berkeley),
];

/// The forms in which rpm keeps its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Berkeley,
    Sqlite,
    Ndb,
}

impl Form {
    /// What a file of this name is.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        let known = PACKAGES.iter().find(|(known, _)| known.as_bytes() == name);
        known.map(|(_, form)| *form)
    }

    /// Calls `each` with every header, whole.
    pub(super) fn for_each_header(
        self,
        bytes: &mut [u8],
        each: Each<'_>,
    ) -> Result<(), berkeley::Problem> {
        match self {
            Self::Berkeley => {
                let mut database = berkeley::Database::open(bytes)?;
                database.for_each_header(|header| each(header.as_mut_slice()))
            }
            Self::Sqlite => sqlite::for_each_header(bytes, each),
            Self::Ndb => ndb::for_each_header(bytes, each),
        }
    }

    /// The same, and puts back what it changed.
    pub(super) fn change_each_header(
        self,
        bytes: &mut Vec<u8>,
        each: Each<'_>,
    ) -> Result<(), berkeley::Problem> {
        match self {
            Self::Sqlite => sqlite::change_each_header(bytes, each),
            Self::Berkeley | Self::Ndb => self.for_each_header(bytes, each),
        }
    }
}

/// What is called with every header.
pub(super) type Each<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<(), berkeley::Problem>;
