//! The guard of a repository's directory: one process at a time brings an index up to date.

use crate::context::Context;
use crate::error::FetchError;
use crate::retry;
use crate::transport::Stop;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::guard::{Attempt, FileGuard, Share};

/// Between two looks at a directory that another process brings up to date.
const POLL: Duration = Duration::from_millis(200);

/// Keeps other processes from updating the same directory while the guard lives; waits for one that does.
///
/// # Errors
/// [`FetchError::Cancelled`] while waiting; [`FetchError::File`] where the directory takes no guard.
pub(crate) fn lock(
    context: &Context,
    stop: &Stop,
    directory: &Path,
) -> Result<FileGuard, FetchError> {
    let path = directory.join("lock");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(FileError::on("open", &path))?;
    loop {
        file = match FileGuard::attempt(file, Share::Exclusive)
            .map_err(FileError::on("lock", &path))?
        {
            Attempt::Held(guard) => return Ok(guard),
            Attempt::Busy(file) => file,
        };
        retry::sleep(context, stop, POLL)?;
    }
}
