//! What a start that was cut short, a crash or a reboot left of a container that does not run: found and removed.

use super::{ContainerError, ContainerPaths};
use crate::oci::{OciRuntime, PID_FILE, cgroups, orphans};
use crate::rootfs;
use std::fs;
use std::io;
use vzpkg_metadata::durable::FileError;

/// Removes the container from the runtime, whatever is mounted in its place, its bundle and its cgroups. Whatever still
/// runs is killed: the caller has made sure that nothing should.
///
/// # Errors
/// [`ContainerError`]
pub fn clear(paths: &ContainerPaths, runtime: &dyn OciRuntime) -> Result<(), ContainerError> {
    // A runtime that has written the id of process 1 has done its work.
    if paths.bundle.exists() && !paths.bundle.join(PID_FILE).exists() {
        orphans::end(&paths.bundle).map_err(|source| ContainerError::Processes {
            container: paths.id.clone(),
            source,
        })?;
    }
    runtime.delete(&paths.id, true)?;
    rootfs::unmount(&paths.root).map_err(|source| ContainerError::Mount {
        container: paths.id.clone(),
        source,
    })?;
    match fs::remove_dir_all(&paths.bundle) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FileError::on("remove", &paths.bundle)(error).into());
        }
        _ => {}
    }
    Ok(cgroups::remove(&paths.cgroup())?)
}
