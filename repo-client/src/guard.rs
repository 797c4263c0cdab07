//! The guard of a repository's directory: one process at a time brings an index up to date. Who waits says for whom.

use crate::context::Context;
use crate::error::FetchError;
use crate::retry;
use crate::transport::Stop;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
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
                sign(&mut guard);
                return Ok(guard);
            }
            Attempt::Busy(file) => file,
        };
        if !std::mem::replace(&mut told, true) {
            let holder = holder(&mut file);
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            let text = format!("waiting for {holder}, which brings `{name}` up to date");
            context.reporter.message(&text);
        }
        retry::sleep(context, stop, POLL)?;
    }
}

/// Says in the file who holds it. Only shown to people: what cannot be written, a full disk for one, is left out.
fn sign(file: &mut File) {
    let text = std::process::id().to_string();
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(text.as_bytes()));
    drop(written);
}

/// Who holds the guard of this file, as it says.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file
        .rewind()
        .and_then(|()| file.take(20).read_to_string(&mut text));
    match (read, text.parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("process {pid}"),
        _ => "another process".to_owned(),
    }
}
