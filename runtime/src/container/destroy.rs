//! `ct destroy`: the container and everything private of it goes, whole, also after a crash.

use super::guard::ContainerGuard;
use super::{ContainerError, ContainerPaths, leftovers};
use crate::oci::OciRuntime;
use std::fs;
use std::io;
use std::path::Path;
use vzpkg_metadata::durable::{self, FileError, STAGING_PREFIX};

/// Kills the container if it runs, makes it unknown in one rename, and removes its files. What a crash leaves of the
/// removal is rubbish that [`sweep`] removes. The caller removes the row of its database first.
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
    let rubbish = paths.private.with_file_name(format!(
        "{STAGING_PREFIX}{}.gone.{}",
        std::process::id(),
        paths.id
    ));
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

/// Removes what interrupted creates and destroys left in the directory of all private areas. Names of living processes
/// are left alone: they may be at work.
///
/// # Errors
/// [`ContainerError::File`]
pub fn sweep(private_area: &Path) -> Result<(), ContainerError> {
    let entries = match fs::read_dir(private_area) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::on("read", private_area)(error).into()),
    };
    for entry in entries {
        let entry = entry.map_err(FileError::on("read", private_area))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let owner = name
            .strip_prefix(STAGING_PREFIX)
            .and_then(|rest| rest.split('.').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(FileError::on("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubbish_of_dead_processes_is_swept_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let living = format!("{STAGING_PREFIX}{}.web", std::process::id());
        let dead = format!("{STAGING_PREFIX}4194999.gone.web");
        for name in [living.as_str(), dead.as_str(), "web"] {
            fs::create_dir_all(directory.path().join(name).join("upper")).unwrap();
        }
        sweep(directory.path()).unwrap();
        assert!(directory.path().join(living).exists());
        assert!(directory.path().join("web").exists());
        assert!(!directory.path().join(dead).exists());
    }
}
