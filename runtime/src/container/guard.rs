//! One command at a time for each container: an exclusive lock on its private directory.
//!
//! The lock is the kernel's and ends with the process that holds it, whatever happened to that.

use super::{ContainerError, ContainerPaths};
use std::fs::File;
use std::io;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::guard::{Attempt, FileGuard, Share};

/// Holds a container while it lives.
#[derive(Debug)]
pub struct ContainerGuard {
    _directory: FileGuard,
}

impl ContainerGuard {
    /// Takes the container.
    ///
    /// # Errors
    /// [`ContainerError::Unknown`] where there is no private area, [`ContainerError::Busy`] where another command has
    /// it, [`ContainerError::File`].
    pub fn take(paths: &ContainerPaths) -> Result<Self, ContainerError> {
        let directory = match File::open(&paths.private) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ContainerError::Unknown(paths.id.clone()));
            }
            Err(error) => return Err(FileError::on("open", &paths.private)(error).into()),
        };
        let attempt = FileGuard::attempt(directory, Share::Exclusive)
            .map_err(FileError::on("lock", &paths.private))?;
        let Attempt::Held(directory) = attempt else {
            return Err(ContainerError::Busy(paths.id.clone()));
        };
        // Destroyed between the opening and the lock: the name is gone, or another's.
        if same_place(&directory, paths) {
            Ok(Self {
                _directory: directory,
            })
        } else {
            Err(ContainerError::Unknown(paths.id.clone()))
        }
    }
}

fn same_place(directory: &File, paths: &ContainerPaths) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let named = std::fs::metadata(&paths.private);
    let held = directory.metadata();
    matches!((named, held), (Ok(named), Ok(held)) if (named.dev(), named.ino()) == (held.dev(), held.ino()))
}
