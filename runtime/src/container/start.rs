//! `ct start`: the root file system is put together, described in a bundle, and handed to the OCI runtime.
//!
//! The root file system never shows in the host's mounts: it is attached aside for the runtime ([`rootfs::aside`]), and
//! then belongs to the container's mount namespace alone and ends with it, whatever happens to us. Every other step is
//! undone where a later one fails; what a kill leaves is cleared by the next command ([`super::leftovers`]).

use super::ahead::Ahead;
use super::guard::ContainerGuard;
use super::state::{RunState, state};
use super::{
    Config, ContainerError, ContainerPaths, UserNamespace, init, leftovers, prepare, quota,
};
use crate::container::config::ID_COUNT;
use crate::oci::{BundleSpec, Disk, InitKind, LimitError, OciRuntime, cgroups};
use crate::rootfs::{self, IdMap, Lower, MountError, MountSpec, Tier};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::thread;
use vzpkg_metadata::durable::FileError;

/// The file of a bundle that says which signal asks process 1 to end.
pub(super) const STOP_SIGNAL: &str = "stop-signal";

/// What a start needs besides the container itself.
#[derive(Debug, Clone)]
pub struct StartSpec {
    /// How root file systems are mounted here ([`crate::rootfs::probe`]).
    pub tier: Tier,
    /// The version of the container's link.
    pub lower: Lower,
    /// The generation of the link: names the work directory.
    pub generation: u64,
    /// Where the one mount of each version is kept.
    pub shared: Option<PathBuf>,
}

/// Starts a stopped container and returns the host's id of its process 1. What a crash left is cleared first; the
/// caller has called [`super::recover`] before it read the link.
///
/// # Errors
/// [`ContainerError`]; nothing is mounted and nothing runs then.
pub fn start(
    paths: &ContainerPaths,
    config: &Config,
    spec: &StartSpec,
    runtime: &dyn OciRuntime,
) -> Result<u32, ContainerError> {
    start_beside(paths, config, spec, runtime, &|| ())
}

/// As [`start`]; `meanwhile` is called while the OCI runtime makes the container, which takes most of the time and waits a
/// lot. It is not called where it did not come to that.
///
/// # Errors
/// As [`start`].
pub fn start_beside(
    paths: &ContainerPaths,
    config: &Config,
    spec: &StartSpec,
    runtime: &dyn OciRuntime,
    meanwhile: &(dyn Fn() + Sync),
) -> Result<u32, ContainerError> {
    let _guard = ContainerGuard::take(paths)?;
    if let RunState::Running | RunState::Paused = state(paths, runtime)?.state {
        return Err(ContainerError::Running(paths.id.clone()));
    }
    leftovers::clear(paths, runtime)?;
    let started = launch(paths, config, spec, runtime, meanwhile);
    started.inspect_err(|_| clear_failed(paths, runtime))
}

/// The error of the start is the one to tell; what cannot be cleared now is cleared by the next command.
fn clear_failed(paths: &ContainerPaths, runtime: &dyn OciRuntime) {
    drop(leftovers::clear(paths, runtime));
}

fn launch(
    paths: &ContainerPaths,
    config: &Config,
    spec: &StartSpec,
    runtime: &dyn OciRuntime,
    meanwhile: &(dyn Fn() + Sync),
) -> Result<u32, ContainerError> {
    let console = console(paths)?;
    thread::scope(|scope| {
        let ahead = Ahead::begin(scope, paths, runtime, console)?;
        finish(ahead, paths, config, spec, meanwhile)
    })
}

/// The runtime loads while the root file system is put together.
fn finish(
    ahead: Ahead<'_>,
    paths: &ContainerPaths,
    config: &Config,
    spec: &StartSpec,
    meanwhile: &(dyn Fn() + Sync),
) -> Result<u32, ContainerError> {
    let pid = match root_file_system(paths, config, spec) {
        Ok(root) => ahead.run(config, root, meanwhile)?,
        Err(error) => {
            ahead.give_up();
            return Err(error);
        }
    };
    prepare::done(paths)?;
    Ok(pid)
}

/// As [`start_beside`], for a container that was made since its runtime was begun ([`Ahead::begin_new`]).
///
/// # Errors
/// As [`start`].
pub fn start_new(
    ahead: Ahead<'_>,
    paths: &ContainerPaths,
    config: &Config,
    spec: &StartSpec,
    runtime: &dyn OciRuntime,
    meanwhile: &(dyn Fn() + Sync),
) -> Result<u32, ContainerError> {
    let _guard = ContainerGuard::take(paths)?;
    let started = if ahead.name_console(&paths.console()).is_ok() {
        finish(ahead, paths, config, spec, meanwhile)
    } else {
        // A private area that is a project of its own, for its quota, takes no file from outside.
        ahead.give_up();
        leftovers::clear(paths, runtime)?;
        launch(paths, config, spec, runtime, meanwhile)
    };
    started.inspect_err(|_| clear_failed(paths, runtime))
}

/// The root file system of a container and what belongs to it, attached nowhere.
fn root_file_system(
    paths: &ContainerPaths,
    config: &Config,
    spec: &StartSpec,
) -> Result<OwnedFd, ContainerError> {
    quota::limit(&paths.private, paths, config.limits.disk)?;
    prepare::machine_id(paths)?;
    prepare::work_directory(paths, spec.generation)?;
    if let UserNamespace::Private { first_id } = config.user_namespace {
        cgroups::delegate(&paths.cgroup(), first_id)?;
    }
    let mount = rootfs::assemble(&mount_spec(paths, config, spec));
    mount.map_err(|source| refused(paths, source))
}

pub(super) fn refused(paths: &ContainerPaths, source: MountError) -> ContainerError {
    ContainerError::Mount {
        container: paths.id.clone(),
        source,
    }
}

/// An empty file for what process 1 prints; that of the run before is kept beside it.
fn console(paths: &ContainerPaths) -> Result<File, FileError> {
    let path = paths.console();
    // Not durable on purpose: it is a copy of what was on a screen.
    match rustix::fs::rename(&path, paths.console_before()) {
        Err(error) if error != rustix::io::Errno::NOENT => {
            return Err(FileError::on("rename", path)(error.into()));
        }
        _ => {}
    }
    File::options()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(FileError::on("create", path))
}

/// The disk of the private area, where a limit is about it.
pub(super) fn disk(
    paths: &ContainerPaths,
    config: &Config,
) -> Result<Option<Disk>, ContainerError> {
    if config.limits.io.is_none() {
        return Ok(None);
    }
    let disk = Disk::of(&paths.private).map_err(FileError::on("read", &paths.private))?;
    let no_disk = || ContainerError::Limit {
        container: paths.id.clone(),
        source: LimitError::NoDisk {
            path: paths.private.clone(),
        },
    };
    Ok(Some(disk.ok_or_else(no_disk)?))
}

/// The root file system of a container.
pub(super) fn mount_spec(paths: &ContainerPaths, config: &Config, spec: &StartSpec) -> MountSpec {
    let mut mount = MountSpec::new(spec.tier, spec.lower.clone())
        .with_upper(paths.upper(), paths.work(spec.generation));
    mount.shared.clone_from(&spec.shared);
    if let UserNamespace::Private { first_id } = config.user_namespace {
        mount.id_map = Some(IdMap {
            first: first_id,
            count: ID_COUNT,
        });
    }
    mount
}

/// What the OCI runtime is to read; what else belongs into the bundle is written.
pub(super) fn describe(
    paths: &ContainerPaths,
    config: &Config,
    init: &InitKind,
) -> Result<Vec<u8>, ContainerError> {
    let mut prepare = prepare::lines(paths)?;
    prepare.extend(init::first_start(paths));
    let bundle = BundleSpec {
        config,
        rootfs: paths.root.clone(),
        init: init.clone(),
        cgroup: paths.cgroup(),
        disk: disk(paths, config)?,
        prepare,
        open_files: open_files(),
    };
    let json = bundle
        .to_spec()
        .and_then(|spec| Ok(serde_json::to_vec(&spec)?))
        .map_err(|source| ContainerError::Bundle {
            container: paths.id.clone(),
            source,
        })?;
    // Not durable on purpose: the bundle is gone with the machine.
    let path = paths.bundle.join(STOP_SIGNAL);
    fs::write(&path, init.stop_signal().to_string())
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
        .map_err(FileError::on("write", path))?;
    Ok(json)
}

/// What systemd gives its services, or our own limit if that is less.
fn open_files() -> u64 {
    const GENEROUS: u64 = 524_288;
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    own.unwrap_or(GENEROUS).min(GENEROUS)
}
