//! The one way to make a file visible: written beside its place, synced, renamed, and the directory synced.
//!
//! A reader sees the old content or the new, never half; after a crash, one of the two. A crash may leave a file whose
//! name starts with [`STAGING_PREFIX`]; it is rubbish and may be removed by whoever finds it without a live writer.
//! The store's bulk objects do not come through here one by one: they are staged and synced together (one `syncfs`).

mod leftovers;
mod tree;

pub use leftovers::{own_place, sweep, sweep_of};
pub use tree::OpenTree;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How the names of staging files begin.
pub const STAGING_PREFIX: &str = ".vzpkg-new.";

static SERIAL: AtomicU64 = AtomicU64::new(0);

/// A file operation that failed, with the path it was about.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} `{}`", path.display())]
pub struct FileError {
    /// What was tried, as a verb: "write", "read", "rename" …
    pub operation: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// Makes the mapping function for `map_err`: `File::open(path).map_err(FileError::on("open", path))`.
    pub fn on(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self {
            operation,
            path,
            source,
        }
    }

    /// Whether the disk or a quota is full.
    pub fn is_no_space(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

/// Replaces the file at `path` by one with these bytes and permission bits, durably.
///
/// # Errors
/// [`FileError`] names the step that failed; the old file is then still in place.
pub fn write_file(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), FileError> {
    let (staging, mut file) = stage(path, mode)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(FileError::on("write", path))
        .and_then(|()| publish(&staging, path));
    if written.is_err() {
        // The write failed; a staging file that cannot be removed either is rubbish that gc finds by its prefix.
        drop(fs::remove_file(&staging));
    }
    written
}

/// Opens a new, empty staging file beside `path`. The caller writes and syncs it, then calls [`publish`].
///
/// # Errors
/// [`FileError`] where the directory does not take a new file.
pub fn stage(path: &Path, mode: u32) -> Result<(PathBuf, File), FileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    loop {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let staging = path.with_file_name(leftovers::own_name(&format!("{serial}.{name}")));
        let mut options = OpenOptions::new();
        match options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&staging)
        {
            Ok(file) => return Ok((staging, file)),
            // Left by a dead process that had the same id.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(FileError::on("create", &staging)(error)),
        }
    }
}

/// Renames a synced file or directory into place and syncs the directory that holds it.
///
/// # Errors
/// [`FileError`] where the rename or the sync failed.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that renames"
)]
pub fn publish(staging: &Path, path: &Path) -> Result<(), FileError> {
    fs::rename(staging, path).map_err(FileError::on("put in place", path))?;
    sync_parent(path)
}

/// Renames a file or directory into place without any sync: for content that is named by its hash and checked on every
/// read, and for what is used while the caller syncs ([`sync_parent`], or one `syncfs` for many).
///
/// # Errors
/// [`FileError`] where the rename failed.
#[expect(
    clippy::disallowed_methods,
    reason = "this module is the one place that renames"
)]
pub fn put_in_place_unsynced(staging: &Path, path: &Path) -> Result<(), FileError> {
    fs::rename(staging, path).map_err(FileError::on("put in place", path))
}

/// Removes a file if it is there, without any sync: for hints and leftovers whose return does no harm.
///
/// # Errors
/// [`FileError`] for everything but "not found".
pub fn remove_unsynced(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::on("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes a file if it is there, and syncs the directory that held it.
///
/// # Errors
/// [`FileError`] for everything but "not found".
pub fn remove_file(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError::on("remove", path)(error)),
    }
}

/// Makes a directory and what is missing above it with these permission bits. Not synced: the first [`publish`] below
/// it makes its name durable together with its parent only if the caller syncs that too ([`sync_parent`]).
///
/// # Errors
/// [`FileError`] where a component cannot be made.
pub fn create_directories(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(FileError::on("create directory", path))
}

/// Syncs the directory that holds `path`, so that its name survives a crash.
///
/// # Errors
/// [`FileError`] where the directory cannot be opened or synced.
pub fn sync_parent(path: &Path) -> Result<(), FileError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(FileError::on("sync", parent))
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// [`FileError`]; a longer file is [`io::ErrorKind::FileTooLarge`].
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(FileError::on("read", path))?;
    if read as u64 > limit {
        return Err(FileError::on("read", path)(
            io::ErrorKind::FileTooLarge.into(),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_no_staging_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        write_file(&path, 0o600, b"old").unwrap();
        write_file(&path, 0o640, b"new").unwrap();
        assert_eq!(read_file(&path, 3).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(read_file(&path, 2).is_err());
        remove_file(&path).unwrap();
        remove_file(&path).unwrap();
    }

    #[test]
    fn what_a_dead_process_of_the_same_id_left_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let next = SERIAL.load(Ordering::Relaxed);
        // Other tests take numbers meanwhile.
        let left = (next..next + 100).map(|serial| {
            let name = leftovers::own_name(&format!("{serial}.f"));
            path.with_file_name(name)
        });
        let left: Vec<PathBuf> = left.collect();
        for file in &left {
            fs::write(file, "left").unwrap();
        }
        let (staging, _file) = stage(&path, 0o600).unwrap();
        assert!(!left.contains(&staging));
        assert!(left.iter().all(|file| fs::read(file).unwrap() == b"left"));
    }

    #[test]
    fn errors_name_the_path() {
        let error = write_file(Path::new("/nonexistent/x"), 0o600, b"").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/"), "{error}");
    }
}
