//! The cgroups of a container: handed to its own root, and removed when nothing of it is left.
//!
//! Limits and membership are the OCI runtime's job. It does not give a user-namespaced init the right to make groups
//! for its services, without which systemd does not start ("Failed to allocate manager object"); and a runtime that
//! was killed leaves empty groups behind.

use crate::cgroup_mounts::hierarchies;
use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::{self, FileError};

/// The files of a group that its owner writes, in both kinds of hierarchy.
const OWNED: [&str; 5] = [
    "cgroup.procs",
    "tasks",
    "cgroup.threads",
    "cgroup.subtree_control",
    "cgroup.clone_children",
];

/// Makes the group `path` (as in `cgroupsPath`: `/vzpkg/web-61eb21907686`) in the hierarchies without controllers
/// (`name=systemd`, cgroup2): the runtime puts the container into groups that it finds. A host that has neither is fine:
/// then there is no systemd on it to ask for them.
///
/// # Errors
/// [`FileError`] where the mounts cannot be read, or a group cannot be made.
pub fn make(path: &Path) -> Result<(), FileError> {
    for group in delegated(path)? {
        durable::create_directories(&group, 0o755)?;
    }
    Ok(())
}

/// The group `path` in the hierarchies without controllers.
fn delegated(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let hierarchies = hierarchies()?;
    let delegated = hierarchies.iter().filter(|one| one.is_delegated());
    Ok(delegated.map(|one| one.place(relative)).collect())
}

/// Gives the groups that [`make`] makes to `owner`.
///
/// # Errors
/// [`FileError`] where the mounts cannot be read, or a group is not there or does not take an owner.
pub fn delegate(path: &Path, owner: u32) -> Result<(), FileError> {
    for group in delegated(path)? {
        chown(&group, Some(owner), Some(owner))
            .map_err(FileError::on("change the owner of", &group))?;
        for name in OWNED {
            let file = group.join(name);
            match chown(&file, Some(owner), Some(owner)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(FileError::on("change the owner of", file)(error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Removes the group `path` (as in `cgroupsPath`: `/vzpkg/web-61eb21907686`) and those below it from every hierarchy. Groups with
/// processes stay.
///
/// # Errors
/// [`FileError`] where the mounts cannot be read.
pub fn remove(path: &Path) -> Result<(), FileError> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    for hierarchy in hierarchies()? {
        remove_below(&hierarchy.place(relative));
    }
    Ok(())
}

/// Depth first; only `rmdir`, which the kernel refuses for a group in use.
fn remove_below(group: &Path) {
    let Ok(entries) = fs::read_dir(group) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_below(&entry.path());
        }
    }
    drop(fs::remove_dir(group));
}
