//! The guard of a repository's directory: one process at a time brings an index up to date. Who waits says for whom.

use crate::context::Context;
use crate::error::FetchError;
use crate::retry;
use crate::transport::Stop;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::guard::{Attempt, FileGuard, Holder, Share};

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
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(FileError::on("open", &path))?;
    let mut told = false;
    loop {
        file = match FileGuard::attempt(file, Share::Exclusive)
            .map_err(FileError::on("lock", &path))?
        {
            Attempt::Held(mut guard) => {
                // Only shown to people: what cannot be written is left out.
                drop(guard.sign());
                return Ok(guard);
            }
            Attempt::Busy(file) => file,
        };
        if !std::mem::replace(&mut told, true) {
            let holder = Holder::read(&mut file)
                .map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            let text = format!("waiting for {holder}, which brings `{name}` up to date");
            context.reporter.message(&text);
        }
        retry::sleep(context, stop, POLL)?;
    }
}
