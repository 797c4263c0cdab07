//! `ct set`: another configuration. Limits of a running container change at once, everything else with its next start.
//!
//! A note beside the bundle says that limits and configuration may differ; whoever finds it gives the container what
//! its configuration says ([`settle_limits`]).

use super::guard::ContainerGuard;
use super::state::{RunState, state};
use super::{Config, ContainerError, ContainerPaths, quota};
use crate::oci::{Disk, OciRuntime, limits};
use std::fs;
use std::io;
use std::path::PathBuf;
use vzpkg_metadata::durable::FileError;

/// What became of a changed configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// The container runs, with these limits from now on.
    Running,
    /// It does not run.
    Stopped,
}

/// Gives a container another configuration.
///
/// # Errors
/// [`ContainerError::Limit`], [`ContainerError::Config`]; it has the old one then.
pub fn set(
    paths: &ContainerPaths,
    config: &Config,
    runtime: &dyn OciRuntime,
) -> Result<Changed, ContainerError> {
    let _guard = ContainerGuard::take(paths)?;
    let old = Config::of(paths)?;
    let runs = state(paths, runtime)?.state != RunState::Stopped;
    // Also of a stopped one: the kernel keeps it.
    let area = &paths.private;
    quota::limit(area, paths, config.limits.disk)?;
    let changed = change(paths, &old, config, runs);
    if changed.is_err() {
        // The first error is the one to tell.
        drop(quota::limit(area, paths, old.limits.disk));
    }
    changed
}

fn change(
    paths: &ContainerPaths,
    old: &Config,
    config: &Config,
    runs: bool,
) -> Result<Changed, ContainerError> {
    if !runs || old.limits == config.limits {
        config.write(&paths.config())?;
        return Ok(if runs {
            Changed::Running
        } else {
            Changed::Stopped
        });
    }
    let note = note(paths);
    fs::write(&note, "").map_err(FileError::on("write", &note))?;
    let done = limit(paths, config).and_then(|()| Ok(config.write(&paths.config())?));
    if done.is_err() {
        // The first error is the one to tell.
        drop(limit(paths, old));
    }
    drop(fs::remove_file(&note));
    done.map(|()| Changed::Running)
}

/// Whether a change of limits was cut short.
pub fn has_unsettled_limits(paths: &ContainerPaths) -> bool {
    note(paths).exists()
}

/// Finishes or undoes a change of limits that was cut short: the container gets what its configuration says.
///
/// # Errors
/// [`ContainerError::Limit`], [`ContainerError::Config`]
pub fn settle_limits(
    paths: &ContainerPaths,
    runtime: &dyn OciRuntime,
) -> Result<(), ContainerError> {
    let _guard = ContainerGuard::take(paths)?;
    // One that has ended has no limits any more.
    if state(paths, runtime)?.state != RunState::Stopped {
        limit(paths, &Config::of(paths)?)?;
    }
    let note = note(paths);
    match fs::remove_file(&note) {
        // The run may have ended meanwhile, and taken the note with it.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::on("remove", note)(error).into())
        }
        _ => Ok(()),
    }
}

/// Gone with the run of the container.
fn note(paths: &ContainerPaths) -> PathBuf {
    paths.bundle.join("limits-change")
}

fn limit(paths: &ContainerPaths, config: &Config) -> Result<(), ContainerError> {
    // Also to take a limit away.
    let disk = Disk::of(&paths.private).map_err(FileError::on("read", &paths.private))?;
    let applied = limits::apply(&paths.cgroup(), &config.limits, &paths.private, disk);
    applied.map_err(|source| ContainerError::Limit {
        container: paths.id.clone(),
        source,
    })
}
