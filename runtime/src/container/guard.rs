//! One command at a time for each container: an exclusive lock on its private directory.
//!
//! The lock is the kernel's and ends with the process that holds it, whatever happened to that.

use super::{ContainerError, ContainerPaths};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::guard::{Attempt, FileGuard, Share};

/// Holds a container while it lives.
#[derive(Debug)]
pub struct ContainerGuard {
    directory: FileGuard,
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
        Self::checked(directory, paths)
    }

    /// Takes the container as soon as a helper of a killed command has ended: a matter of milliseconds.
    ///
    /// # Errors
    /// As [`ContainerGuard::take`], [`ContainerError::Busy`] after `patience`.
    pub fn take_within(paths: &ContainerPaths, patience: Duration) -> Result<Self, ContainerError> {
        let until = Instant::now() + patience;
        loop {
            match Self::take(paths) {
                Err(ContainerError::Busy(_)) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                other => return other,
            }
        }
    }

    /// Another descriptor of the lock: who holds it keeps the container after this process was killed.
    ///
    /// # Errors
    /// Where there is no descriptor left.
    pub fn share(&self) -> io::Result<OwnedFd> {
        Ok(self.directory.try_clone()?.into())
    }

    fn checked(directory: FileGuard, paths: &ContainerPaths) -> Result<Self, ContainerError> {
        // Destroyed between the opening and the lock: the name is gone, or another's.
        if same_place(&directory, paths) {
            Ok(Self { directory })
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
