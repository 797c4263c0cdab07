//! `ct destroy`: the container and everything private of it goes, whole, also after a crash.

use super::guard::ContainerGuard;
use super::{ContainerError, ContainerPaths, leftovers};
use crate::oci::OciRuntime;
use std::fs;
use std::io;
use std::path::Path;
use vzpkg_metadata::durable::{self, FileError};

/// Kills the container if it runs, makes it unknown in one rename, and removes its files. What a crash leaves of the
/// removal is rubbish that [`durable::sweep`] removes. The caller removes the row of its database afterwards.
///
/// # Errors
/// [`ContainerError`]; a container that does not exist is [`ContainerError::Unknown`] after its leftovers are gone.
pub fn destroy(paths: &ContainerPaths, runtime: &dyn OciRuntime) -> Result<(), ContainerError> {
    let guard = ContainerGuard::take(paths);
    if let Ok(_) | Err(ContainerError::Unknown(_)) = &guard {
        leftovers::clear(paths, runtime)?;
        remove_mount_point(&paths.root)?;
    }
    let _guard = guard?;
    let rubbish = durable::own_place(paths.area(), &format!("gone.{}", paths.id))?;
    durable::publish(&paths.private, &rubbish)?;
    fs::remove_dir_all(&rubbish).map_err(FileError::on("remove", &rubbish))?;
    Ok(())
}

fn remove_mount_point(root: &Path) -> Result<(), FileError> {
    match fs::remove_dir(root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::on("remove", root)(error))
        }
        _ => Ok(()),
    }
}
