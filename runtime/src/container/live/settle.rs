//! After a live relink: when the last process has left the overlay before, the present one forgets what it remembers of
//! names.
//!
//! A process that is not bound can still change a file by a descriptor that it opened before (`fchmod` of a file of the
//! version copies it up through the old overlay). The present overlay may have looked the name up already, and would
//! show the version's file for ever. A reconfiguration of nothing makes it drop every name that nobody uses: tried, it
//! shows what a fresh overlay would show, and unlike a second pivot it puts no third overlay on the upper below services
//! that work in the present one by then.

use super::census::Depth;
use super::relink::{LiveTarget, freezer, look};
use crate::container::state::{RunState, state};
use crate::container::{ContainerPaths, RelinkError};
use crate::sys::{Kernel, Linux};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::FileError;

/// Says that somebody may still be in an earlier overlay; gone with the machine and with the run of the container.
fn note(paths: &ContainerPaths) -> PathBuf {
    paths.bundle.join("unsettled")
}

/// Remembers that processes may still be in the overlay before.
pub(super) fn begin(paths: &ContainerPaths) -> Result<(), RelinkError> {
    let note = note(paths);
    Ok(fs::write(&note, b"").map_err(FileError::on("write", note))?)
}

/// Whether a relink of this run of the container is not settled yet.
pub fn is_unsettled(paths: &ContainerPaths) -> bool {
    note(paths).exists()
}

/// Settles a relink if nobody is in an earlier overlay any more; returns whether nothing is left to settle. Free for a
/// container that was not relinked while it runs.
///
/// # Errors
/// [`RelinkError::Refused`] where the container cannot be looked at.
pub fn settle(target: &LiveTarget<'_>) -> Result<bool, RelinkError> {
    settle_with(&Linux, target)
}

fn settle_with(kernel: &dyn Kernel, target: &LiveTarget<'_>) -> Result<bool, RelinkError> {
    let paths = target.paths;
    if !is_unsettled(paths) {
        return Ok(true);
    }
    let now = state(paths, target.runtime)?;
    let (RunState::Running, Some(init)) = (now.state, now.pid) else {
        return Ok(true);
    };
    let freezer = freezer(paths, init)?;
    let census = look(paths, init, &freezer, &BTreeSet::new(), Depth::Everything)?;
    let is_behind = |process: &super::Process| !process.old.is_empty();
    forget(kernel, paths, init)?;
    if census.processes.iter().any(is_behind) {
        return Ok(false);
    }
    match fs::remove_file(note(paths)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::on("remove", note(paths))(error).into())
        }
        _ => Ok(true),
    }
}

fn forget(kernel: &dyn Kernel, paths: &ContainerPaths, init: u32) -> Result<(), RelinkError> {
    let root = format!("/proc/{init}/root");
    kernel
        .forget_names(Path::new(&root))
        .map_err(|error| RelinkError::Refused {
            container: paths.id.clone(),
            why: format!("its overlay does not forget names: {error}"),
        })
}
