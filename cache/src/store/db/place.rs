//! Whether the database is that of its store: in its place, whole, and still the file that was opened.
//!
//! An empty one in the place of one that was lost looks sound and names nothing, so a collection would take everything that
//! was ever made, with the records to make it again from. So none is made where versions are recorded, and none is used
//! that a rebuild may not have filled ([`crate::store::aside`]).

use super::super::layout::Layout;
use super::DatabaseError;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use vzpkg_metadata::Digest;
use vzpkg_metadata::durable::FileError;

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Purpose {
    /// To be used.
    Use,
    /// To be made again: what is missing in it is known, and nobody else works meanwhile.
    Rebuild,
}

/// A file, told from every other that is there at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that has this name now; `None` if there is none.
    pub(in crate::store) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

/// Refuses a database that is not there and was, and one that is being made again. Costs two lookups.
pub(in crate::store) fn check(layout: &Layout, purpose: Purpose) -> Result<(), DatabaseError> {
    let path = layout.database();
    if is_there(&path) {
        return match purpose {
            Purpose::Use if layout.database_aside().exists() => {
                Err(DatabaseError::Unfinished { path })
            }
            _ => Ok(()),
        };
    }
    match check_new(layout, purpose) {
        // Whoever records versions has made the database before: it is looked for once more after the records.
        Err(DatabaseError::Lost { .. }) if is_there(&path) => Ok(()),
        other => other,
    }
}

/// Whether there is a database. One without a byte beside a log was cut off: whoever opened it would lose the log.
fn is_there(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    path.exists() && (bytes(path) > 0 || bytes(Path::new(&log)) == 0)
}

/// Refuses a new database where there was one before.
pub(super) fn check_new(layout: &Layout, purpose: Purpose) -> Result<(), DatabaseError> {
    let path = layout.database();
    match (purpose, layout.database_aside().exists()) {
        (Purpose::Use, true) => Err(DatabaseError::Unfinished { path }),
        (_, false) if has_records(layout)? => Err(DatabaseError::Lost { path }),
        (Purpose::Rebuild, true) | (_, false) => Ok(()),
    }
}

/// Whether any version is recorded, even if its record cannot be read.
fn has_records(layout: &Layout) -> Result<bool, FileError> {
    let directory = layout.versions();
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries.map_err(FileError::on("list", &directory))?,
    };
    for entry in entries {
        let name = entry
            .map_err(FileError::on("list", &directory))?
            .file_name();
        let digest = name.to_str().and_then(|name| name.strip_suffix(".json"));
        if digest.is_some_and(|digest| digest.parse::<Digest>().is_ok()) {
            return Ok(true);
        }
    }
    Ok(false)
}
