//! What vzpkg wants of an OCI runtime, and what can go wrong with one; which program that is, is another matter
//! ([`super::runtime_binary`]).

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use vzpkg_metadata::ContainerId;

/// What the runtime says about a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerStatus {
    /// It is being made.
    Creating,
    /// Made, process 1 does not run yet.
    Created,
    /// Process 1 runs.
    Running,
    /// Frozen.
    Paused,
    /// Process 1 has ended; the container is not deleted yet.
    Stopped,
}

/// The state of a container that the runtime knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciState {
    /// What it does.
    pub status: ContainerStatus,
    /// The host's id of its process 1; `None` where it has ended.
    pub pid: Option<u32>,
}

impl OciState {
    /// Of a container that is being made and has no process yet.
    pub(super) const CREATING: Self = Self {
        status: ContainerStatus::Creating,
        pid: None,
    };
}

/// A command to run in a running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecProcess {
    /// The command; looked up in `PATH` of its environment.
    pub argv: Vec<String>,
    /// `NAME=value`, besides the variables of process 1; the last of a name holds.
    pub environment: Vec<String>,
    /// Where it starts; absolute, inside.
    pub cwd: String,
    /// The ids it runs as, inside.
    pub user: (u32, u32),
    /// Whether it gets a terminal of its own.
    pub terminal: bool,
}

/// The standard streams of a command that does not get this process' own.
#[derive(Debug)]
pub struct Streams {
    /// What it reads.
    pub input: Stdio,
    /// Where it prints to.
    pub output: Stdio,
    /// Where it says what went wrong.
    pub errors: Stdio,
}

/// Why the runtime could not be found or did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// No runtime was named, and none of the known ones works here.
    #[error("no OCI runtime works here: {}", tried.join("; "))]
    NoneWorks {
        /// One line for each that was tried: its name and its own words.
        tried: Vec<String>,
    },
    /// The program cannot be started.
    #[error("cannot run `{}`", program.display())]
    Spawn {
        /// Which.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The directory for its state, or a file in it or in a bundle, cannot be made.
    #[error("cannot create `{}` for the OCI runtime", path.display())]
    Create {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The runtime ran and refused.
    #[error("`{} {verb}` of container `{container}` said: {message}", program.display())]
    Refused {
        /// Which runtime.
        program: PathBuf,
        /// `run`, `kill`, `delete` …
        verb: &'static str,
        /// For which container.
        container: ContainerId,
        /// Its own words, the last line or the `msg` of its log.
        message: String,
    },
    /// Its answer cannot be read.
    #[error("`{} state` gave an answer that is not understood", program.display())]
    State {
        /// Which runtime.
        program: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// A runtime that was started ahead of the configuration of its container.
pub trait Begun {
    /// Puts the configuration into the bundle, makes the container and lets its process 1 run. Returns the host's id of
    /// process 1.
    ///
    /// # Errors
    /// [`OciError`] in the runtime's own words.
    fn run(self: Box<Self>, configuration: &[u8]) -> Result<u32, OciError>;
}

/// What vzpkg wants of an OCI runtime. The container's name in the runtime is its [`ContainerId`].
pub trait OciRuntime: fmt::Debug + Sync {
    /// The program, for messages.
    fn program(&self) -> &Path;

    /// Starts the runtime on a bundle, an existing directory that has no configuration yet. Where the runtime can wait for
    /// one, it loads meanwhile, which is half of its work; nothing is made before [`Begun::run`], and nothing is left
    /// where that is never called. The container's process 1 prints to `console`.
    ///
    /// # Errors
    /// [`OciError`]
    fn begin<'a>(
        &'a self,
        container: &'a ContainerId,
        bundle: &'a Path,
        console: File,
    ) -> Result<Box<dyn Begun + 'a>, OciError>;

    /// Runs a command in a running container with this process' standard streams, and waits for it.
    ///
    /// # Errors
    /// [`OciError::Spawn`]; that the command failed is in the status.
    fn exec(&self, container: &ContainerId, process: &ExecProcess) -> Result<ExitStatus, OciError>;

    /// As [`Self::exec`] with these streams; signals of the terminal do not reach the command.
    ///
    /// # Errors
    /// As [`Self::exec`].
    fn exec_with(
        &self,
        container: &ContainerId,
        process: &ExecProcess,
        streams: Streams,
    ) -> Result<ExitStatus, OciError>;

    /// Sends a signal to process 1, or to all processes.
    ///
    /// # Errors
    /// [`OciError`]
    fn kill(&self, container: &ContainerId, signal: i32, all: bool) -> Result<(), OciError>;

    /// Forgets a container; with `force` it is killed first.
    ///
    /// # Errors
    /// [`OciError`]; a container that is not known is no error.
    fn delete(&self, container: &ContainerId, force: bool) -> Result<(), OciError>;

    /// What the runtime knows; `None` for a container it does not know.
    ///
    /// # Errors
    /// [`OciError`]
    fn state(&self, container: &ContainerId) -> Result<Option<OciState>, OciError>;
}
