//! Files of the staging that the sandbox sees read-only: written once, with the modes that they have inside.

use super::{BuildError, Plan, ids};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::FileError;
use vzpkg_runtime::sandbox::Bind;

/// Makes a directory that everybody may look into.
pub(super) fn directory(staging: &Path, name: &str) -> Result<PathBuf, FileError> {
    let directory = staging.join(name);
    fs::DirBuilder::new()
        .mode(0o755)
        .create(&directory)
        .map_err(FileError::on("create directory", &directory))?;
    Ok(directory)
}

/// Writes a new file.
pub(super) fn file(
    directory: &Path,
    name: &str,
    mode: u32,
    content: &[u8],
) -> Result<(), FileError> {
    let path = directory.join(name);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&path)
        .and_then(|mut file| file.write_all(content))
        .map_err(FileError::on("write", path))
}

/// The `sysusers.d` files of the packages with the ids of the plan, for `/run/sysusers.d` at `at`: there they stand before
/// those of the same name in `/usr/lib`. `None` where no id is open.
pub(super) fn sysusers(
    plan: &Plan<'_>,
    staging: &Path,
    at: PathBuf,
) -> Result<Option<Bind>, BuildError> {
    let pinned = ids::pinned_sysusers(plan)?;
    if pinned.is_empty() {
        return Ok(None);
    }
    let directory = directory(staging, "sysusers.d")?;
    for (name, content) in &pinned {
        file(&directory, name, 0o644, content.as_bytes())?;
    }
    Ok(Some(Bind::read_only(directory, at)))
}
