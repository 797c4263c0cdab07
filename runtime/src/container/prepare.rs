//! What is made in the private area before a start: machine-id, the work directory, caches that a relink dropped.

use super::ContainerPaths;
use std::fs;
use std::io;
use std::path::Path;
use vzpkg_metadata::durable::{self, FileError};

/// Something that a relink cannot merge and that the container makes again at its next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Regenerate {
    /// `/etc/ld.so.cache`.
    LdSoCache,
}

impl Regenerate {
    /// The shell line that makes it.
    const fn line(self) -> &'static str {
        match self {
            Self::LdSoCache => "ldconfig",
        }
    }
}

/// The list of what is to be made again, one shell line each, all of them ours.
fn list(paths: &ContainerPaths) -> std::path::PathBuf {
    paths.private.join("prepare")
}

/// Remembers, durably, what the next start makes again.
pub(super) fn remember(paths: &ContainerPaths, wanted: &[Regenerate]) -> Result<(), FileError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let lines: Vec<&str> = wanted.iter().map(|what| what.line()).collect();
    let text = lines.join("\n");
    durable::write_file(&list(paths), 0o600, text.as_bytes())
}

/// The shell lines for the next start.
pub(super) fn lines(paths: &ContainerPaths) -> Result<Vec<String>, FileError> {
    let path = list(paths);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(&durable::read_file(&path, 1 << 16)?).into_owned();
    Ok(text.lines().map(str::to_owned).collect())
}

/// Gives a copy of the container the same list.
pub(super) fn copy(from: &ContainerPaths, to: &ContainerPaths) -> Result<(), FileError> {
    let path = list(from);
    if !path.exists() {
        return Ok(());
    }
    let text = durable::read_file(&path, 1 << 16)?;
    durable::write_file(&list(to), 0o600, &text)
}

/// The start has happened.
pub(super) fn done(paths: &ContainerPaths) -> Result<(), FileError> {
    let path = list(paths);
    if path.exists() {
        durable::remove_file(&path)?;
    }
    Ok(())
}

/// Gives a container that has an empty machine-id one of its own: 32 hexadecimal digits, as systemd does itself; here
/// for every init.
pub(super) fn machine_id(paths: &ContainerPaths) -> Result<(), FileError> {
    let path = paths.upper().join("etc/machine-id");
    let plain = |path: &Path| {
        fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == 0)
    };
    // `etc` is the container's own to replace by a link; beneath it nothing is written then.
    let etc = fs::symlink_metadata(paths.upper().join("etc")).is_ok_and(|meta| meta.is_dir());
    if !etc || !plain(&path) {
        return Ok(());
    }
    let random = Path::new("/proc/sys/kernel/random/uuid");
    let uuid = fs::read_to_string(random).map_err(FileError::on("read", random))?;
    let id: String = uuid.chars().filter(char::is_ascii_hexdigit).collect();
    durable::write_file(&path, 0o444, format!("{id}\n").as_bytes())
}

/// Makes the empty work directory of this generation and removes all others.
pub(super) fn work_directory(paths: &ContainerPaths, generation: u64) -> Result<(), FileError> {
    let private = &paths.private;
    let entries = fs::read_dir(private).map_err(FileError::on("read", private))?;
    for entry in entries {
        let entry = entry.map_err(FileError::on("read", private))?;
        if entry.file_name().to_string_lossy().starts_with("work.") {
            fs::remove_dir_all(entry.path()).map_err(FileError::on("remove", entry.path()))?;
        }
    }
    let work = paths.work(generation);
    match fs::create_dir(&work) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(FileError::on("create directory", work)(error))
        }
        _ => Ok(()),
    }
}
