//! Guards of directories: one process at a time brings an index or a mirror up to date. Who waits says for whom.

use crate::context::Context;
use crate::error::FetchError;
use crate::retry;
use crate::transport::Stop;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::guard::{Attempt, FileGuard, Holder, Share};

/// Between two looks at a directory that another process brings up to date.
const POLL: Duration = Duration::from_millis(200);

/// Keeps other processes from updating the same directory while the guard lives; waits for one that does.
///
/// # Errors
/// As [`take`].
pub(crate) fn lock(
    context: &Context,
    stop: &Stop,
    directory: &Path,
) -> Result<FileGuard, FetchError> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let work = format!("brings `{name}` up to date");
    let path = directory.join("lock");
    let mut guard = take(context, stop, &path, Share::Exclusive, &work)?;
    // Only shown to people: what cannot be written is left out.
    drop(guard.sign());
    Ok(guard)
}

/// The length of an open file that is still the one of this name.
pub(crate) fn length_if_same(file: &File, path: &Path) -> Option<u64> {
    let (held, named) = (file.metadata().ok()?, fs::metadata(path).ok()?);
    let same = (held.dev(), held.ino()) == (named.dev(), named.ino());
    same.then_some(held.len())
}

/// Takes the guard of a file; who waits for others says so once. `work` is what they do with it: "… `main` up to date".
///
/// # Errors
/// [`FetchError::Busy`] where it takes longer than [`crate::ClientOptions::guard_wait`], [`FetchError::Cancelled`] while
/// waiting; [`FetchError::File`] where the file cannot be made or locked.
pub(crate) fn take(
    context: &Context,
    stop: &Stop,
    path: &Path,
    share: Share,
    work: &str,
) -> Result<FileGuard, FetchError> {
    let mut waited = Duration::ZERO;
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(FileError::on("open", path))?;
        let mut file = match FileGuard::attempt(file, share).map_err(FileError::on("lock", path))? {
            // Whoever removes a directory holds its guard: then this is one of a file that is gone.
            Attempt::Held(guard) if length_if_same(&guard, path).is_some() => return Ok(guard),
            Attempt::Held(_) => {
                let directory = path.parent().unwrap_or(path);
                durable::create_directories(directory, 0o755)?;
                continue;
            }
            Attempt::Busy(file) => file,
        };
        // Those who share a guard do not sign it.
        let holder = Holder::read(&mut file);
        let holder = holder.map_or_else(|| "another process".to_owned(), |it| it.to_string());
        if waited >= context.options.guard_wait {
            let work = work.to_owned();
            return Err(FetchError::Busy { holder, work });
        }
        if waited.is_zero() {
            let text = format!("waiting for {holder}, which {work}");
            context.reporter.message(&text);
        }
        retry::sleep(context, stop, POLL)?;
        waited = waited.saturating_add(POLL);
    }
}
