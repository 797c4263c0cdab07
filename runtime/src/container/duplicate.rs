//! `ct clone` and `ct rename`: a private area under another name, as a copy or itself. Whole or not at all, as one that
//! is made new ([`super::create()`]).

use super::copy::{Treatment, copy};
use super::create::{not_placed, staging};
use super::guard::ContainerGuard;
use super::state::{RunState, state};
use super::{Config, ContainerError, ContainerPaths, leftovers, prepare, quota};
use crate::oci::OciRuntime;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::durable::{self, FileError};

/// Makes the private area `to` with `config` and a copy of the private changes of the stopped container `from`; `treat`
/// says what of them. It has no way back to an earlier version.
///
/// # Errors
/// [`ContainerError::Exists`], [`ContainerError::Running`], [`ContainerError::File`]; nothing is left then.
pub fn duplicate(
    from: &ContainerPaths,
    to: &ContainerPaths,
    config: &Config,
    treat: &dyn Fn(&RelPath, &Metadata) -> Treatment,
    runtime: &dyn OciRuntime,
) -> Result<(), ContainerError> {
    let _guard = ContainerGuard::take(from)?;
    stands_still(from, runtime)?;
    if to.private.exists() {
        return Err(ContainerError::Exists(to.id.clone()));
    }
    let staging = staging(to)?;
    let staged = ContainerPaths {
        private: staging.clone(),
        ..to.clone()
    };
    let fill = || {
        durable::create_directories(&staging, 0o711)?;
        quota::adopt(&staging, &to.private)?;
        quota::limit(&staging, to, config.limits.disk)?;
        copy(&from.upper(), &staged.upper(), treat)?;
        prepare::copy(from, &staged)?;
        config.write(&staged.config())?;
        sync(&staging)?;
        durable::publish(&staging, &to.private).map_err(|error| not_placed(&to.id, error))
    };
    let made = fill();
    if made.is_err() {
        drop(fs::remove_dir_all(&staging));
    }
    made
}

/// Gives the private area of a stopped container another name. Done before in part or as a whole, it is finished. The
/// caller has changed the row of its database before.
///
/// # Errors
/// [`ContainerError::Running`], [`ContainerError::Config`], [`ContainerError::File`]
pub fn rename(from: &ContainerPaths, to: &ContainerPaths) -> Result<(), ContainerError> {
    if !to.private.exists() {
        let _guard = ContainerGuard::take(from)?;
        durable::publish(&from.private, &to.private)?;
    }
    let _guard = ContainerGuard::take(to)?;
    let mut config = Config::read(&to.config())?;
    if config.id != to.id {
        config.id = to.id.clone();
        config.write(&to.config())?;
    }
    match fs::remove_dir(&from.root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::on("remove", &from.root)(error).into())
        }
        _ => Ok(()),
    }
}

/// Everything copied reaches the disk.
fn sync(staging: &Path) -> Result<(), FileError> {
    let synced = File::open(staging).and_then(|area| Ok(rustix::fs::syncfs(&area)?));
    synced.map_err(FileError::on("sync", staging))
}

/// Refuses a container that runs, and clears what a crash left of one that does not.
///
/// # Errors
/// [`ContainerError::Running`], [`ContainerError::Oci`]
pub fn stands_still(
    paths: &ContainerPaths,
    runtime: &dyn OciRuntime,
) -> Result<(), ContainerError> {
    if state(paths, runtime)?.state != RunState::Stopped {
        return Err(ContainerError::Running(paths.id.clone()));
    }
    leftovers::clear(paths, runtime)
}
