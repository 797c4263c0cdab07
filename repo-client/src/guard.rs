//! The guard of a repository's directory: one process at a time brings an index up to date.

use crate::context::Context;
use crate::error::FetchError;
use crate::retry;
use crate::transport::Stop;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;
use vzpkg_metadata::durable::FileError;

/// Between two looks at a directory that another process brings up to date.
const POLL: Duration = Duration::from_millis(200);

/// Keeps other processes from updating the same directory, as long as the file is open; waits for one that does.
///
/// # Errors
/// [`FetchError::Cancelled`] while waiting; [`FetchError::File`] where the directory takes no guard.
pub(crate) fn lock(context: &Context, stop: &Stop, directory: &Path) -> Result<File, FetchError> {
    let path = directory.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(FileError::on("open", &path))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => retry::sleep(context, stop, POLL)?,
            Err(TryLockError::Error(error)) => {
                return Err(FileError::on("lock", &path)(error).into());
            }
        }
    }
}
