//! Why the database cannot do what was asked.

use super::super::guard::GuardError;
use std::path::PathBuf;
use vzpkg_metadata::VersionName;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::lock::Ids;

/// A name that would get a second id, or an id that would get a second name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdClash {
    /// The name that was to be reserved.
    pub name: String,
    /// What was asked for.
    pub wanted: Ids,
    /// Who has it: the same name with other ids, or another name.
    pub holder: String,
    /// What the holder has.
    pub held: Ids,
}

/// Why the database cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// SQLite refused.
    #[error("cannot {operation} in the database `{}`", path.display())]
    Sqlite {
        /// What was tried.
        operation: &'static str,
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A value that this vzpkg would not have written.
    #[error("the database holds an invalid {what}: `{value}`")]
    Damaged {
        /// Which value.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// It is not there, or has no tables, while versions are recorded.
    #[error("the database `{}` is lost, but the store holds versions", path.display())]
    Lost {
        /// Where it should be.
        path: PathBuf,
    },
    /// It is being made again, or whoever did that was stopped.
    #[error("the database `{}` is being made again, or that was cut short", path.display())]
    Unfinished {
        /// Where it is to be.
        path: PathBuf,
    },
    /// Another file has its place since it was opened.
    #[error("the database `{}` was replaced while this command ran", path.display())]
    Replaced {
        /// Its place.
        path: PathBuf,
    },
    /// Made by a newer vzpkg.
    #[error("the database has schema {found}, newer than this vzpkg, which knows {known}")]
    Newer {
        /// Its schema.
        found: u32,
        /// The newest schema known here.
        known: u32,
    },
    /// Made by an older vzpkg, and this user may not bring it up to date.
    #[error("the database has schema {found}; this vzpkg needs {known}")]
    Older {
        /// Its schema.
        found: u32,
        /// The schema needed here.
        known: u32,
    },
    /// A file of it cannot be made, or records cannot be listed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process is creating it and does not finish.
    #[error("the database cannot be created")]
    Guard(#[from] GuardError),
    /// There is no such template, version, tag or container.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It is there already.
    #[error("{what} `{name}` exists")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A version that something uses cannot be removed.
    #[error("version `{version}` is in use: {user}")]
    InUse {
        /// The version.
        version: VersionName,
        /// By what: `it is the head`, `it is kept`, `container web1 is linked to it`.
        user: String,
    },
    /// Ids that contradict the registry.
    #[error("`{}` cannot have ids {}: `{}` has {}", .0.name, ids(.0.wanted), .0.holder, ids(.0.held))]
    IdClash(Box<IdClash>),
    /// All ranges of container ids are given out.
    #[error("no range of 65,536 ids is left for a container")]
    NoIdRange,
}

impl DatabaseError {
    /// Whether the file is not, or not any more, what was written: not a full disk, a missing right or a busy writer.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Self::Damaged { .. } | Self::Lost { .. } | Self::Unfinished { .. } => true,
            Self::Sqlite { source, .. } => {
                matches!(
                    source.sqlite_error_code(),
                    Some(DatabaseCorrupt | NotADatabase)
                ) || is_missing_table(source)
            }
            _ => false,
        }
    }

    /// Whether it lies where nothing can be changed.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Sqlite { source, .. } if is_read_only(source))
    }

    /// Whether the disk is full.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::Sqlite { source, .. } => is_full(source),
            Self::File(error) => error.is_no_space(),
            _ => false,
        }
    }
}

/// What SQLite says of a file system that takes no changes.
fn is_read_only(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly)
}

/// What SQLite says of a full disk.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

/// A table or column that the schema number promises.
fn is_missing_table(error: &rusqlite::Error) -> bool {
    let text = error.to_string();
    text.starts_with("no such table") || text.starts_with("no such column")
}

fn ids(ids: Ids) -> String {
    let id = |id: Option<u32>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    format!("{}:{}", id(ids.uid), id(ids.gid))
}
