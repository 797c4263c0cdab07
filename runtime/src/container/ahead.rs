//! An OCI runtime that was begun ahead of its container: it loads while the root file system is put together, and, where
//! the container is new, while that is made.
//!
//! Both happen in a mount namespace of the runtime's own ([`rootfs::aside`]). What is given up leaves a bundle without a
//! container, which [`super::leftovers`] clears.

use super::start::{describe, refused};
use super::{Config, ContainerError, ContainerPaths, init, leftovers};
use crate::oci::{ContainerStatus, OciRuntime, cgroups, moves};
use crate::rootfs::{self, Aside, MountError};
use rustix::fs::{AtFlags, CWD, OFlags, linkat};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Scope, ScopedJoinHandle};
use vzpkg_metadata::durable::{self, FileError};

/// What a runtime waits for.
#[derive(Debug)]
struct Ready {
    config: Config,
    /// The root file system, attached nowhere.
    root: OwnedFd,
}

/// A runtime that waits for its container.
#[derive(Debug)]
pub struct Ahead<'scope> {
    give: Sender<Ready>,
    running: ScopedJoinHandle<'scope, Result<Result<u32, ContainerError>, MountError>>,
    paths: &'scope ContainerPaths,
    /// What process 1 prints, while it has no name.
    console: Option<File>,
}

impl<'scope> Ahead<'scope> {
    /// Begins the runtime of a stopped container of which nothing is left. The caller holds its guard.
    pub(super) fn begin(
        scope: &'scope Scope<'scope, '_>,
        paths: &'scope ContainerPaths,
        runtime: &'scope dyn OciRuntime,
        console: File,
    ) -> Result<Self, ContainerError> {
        durable::create_directories(&paths.root, 0o755)?;
        durable::create_directories(&paths.bundle, 0o700)?;
        cgroups::make(&paths.cgroup())?;
        // Nobody can make a group from here on, until the kernel has waited for what the runtime will ask for.
        scope.spawn(moves::begin);
        let (give, take) = mpsc::channel();
        let run = move |place: Aside<'_>| run(place, paths, runtime, console, &take);
        let running = rootfs::aside(scope, &paths.root, run);
        Ok(Self {
            give,
            running,
            paths,
            console: None,
        })
    }

    /// Begins the runtime of a container that is being made, and whose name nobody else can use meanwhile. `None` where the
    /// runtime knows a container of that name, which is to be left alone, and where the file system cannot have a file
    /// without a name, for what process 1 prints: its place is not there yet.
    ///
    /// # Errors
    /// [`ContainerError`] where what is left of another container cannot be cleared.
    pub fn begin_new(
        scope: &'scope Scope<'scope, '_>,
        paths: &'scope ContainerPaths,
        runtime: &'scope dyn OciRuntime,
    ) -> Result<Option<Self>, ContainerError> {
        let known = runtime.state(&paths.id)?;
        if known.is_some_and(|known| known.status != ContainerStatus::Stopped) {
            return Ok(None);
        }
        leftovers::clear(paths, runtime)?;
        let area = paths.area();
        let Ok(console) = nameless(area) else {
            return Ok(None);
        };
        let same = console.try_clone().map_err(FileError::on("open", area))?;
        let mut ahead = Self::begin(scope, paths, runtime, same)?;
        ahead.console = Some(console);
        Ok(Some(ahead))
    }

    /// Gives the file of a new container its name.
    pub(super) fn name_console(&self, name: &Path) -> Result<(), FileError> {
        let Some(console) = &self.console else {
            return Ok(());
        };
        let nameless = format!("/proc/self/fd/{}", console.as_raw_fd());
        let named = linkat(CWD, nameless, CWD, name, AtFlags::SYMLINK_FOLLOW);
        named.map_err(|error| FileError::on("create", name)(error.into()))
    }

    /// The runtime makes the container; `meanwhile` is called while it does.
    pub(super) fn run(
        self,
        config: &Config,
        root: OwnedFd,
        meanwhile: &dyn Fn(),
    ) -> Result<u32, ContainerError> {
        let config = config.clone();
        // Nobody takes it where the runtime could not be started, which is told by what it returns.
        if self.give.send(Ready { config, root }).is_ok() {
            meanwhile();
        }
        let ended = self.running.join();
        let ended = ended.unwrap_or_else(|panic| resume_unwind(panic));
        ended.map_err(|source| refused(self.paths, source))?
    }

    /// Ends the runtime, which has made nothing.
    pub fn give_up(self) {
        drop(self.give);
        drop(self.running.join());
    }
}

/// Starts the runtime, and describes the container to it when that is there.
fn run(
    place: Aside<'_>,
    paths: &ContainerPaths,
    runtime: &dyn OciRuntime,
    console: File,
    ready: &Receiver<Ready>,
) -> Result<u32, ContainerError> {
    let begun = runtime.begin(&paths.id, &paths.bundle, console)?;
    // Else it is given up, and nobody asks why.
    let ready = ready.recv();
    let Ready { config, root } =
        ready.map_err(|_given_up| ContainerError::Unknown(paths.id.clone()))?;
    let attached = place.attach(&root);
    attached.map_err(|source| refused(paths, source))?;
    let init = init::kind(paths, &config)?;
    Ok(begun.run(&describe(paths, &config, &init)?)?)
}

/// A file that is only to be appended to, below a directory and without a name.
fn nameless(directory: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::APPEND;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let mut options = File::options();
    options
        .write(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(directory)
}
