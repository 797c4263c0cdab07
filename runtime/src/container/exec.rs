//! `ct exec` and `ct enter`: a command or a shell in a running container.

use super::beneath::{open_inside, open_root};
use super::state::{RunState, state};
use super::{Config, ContainerError, ContainerPaths};
use crate::oci::bundle::PATH;
use crate::oci::{ExecProcess, OciRuntime, moves};
use rustix::fs::{FileType, OFlags, fstat};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::thread;
use vzpkg_metadata::durable::FileError;

/// Exit codes of our own, as podman has them.
pub mod code {
    /// The command could not be run for a reason of ours or of the runtime.
    pub const OURS: u8 = 125;
    /// The command was found but cannot be executed.
    pub const NOT_EXECUTABLE: u8 = 126;
    /// The command is not in the container.
    pub const NOT_FOUND: u8 = 127;
}

/// A user database is a few kilobytes; what is longer is not read.
const PASSWD_BYTES: u64 = 16 << 20;

/// A command for a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// Variables in addition to the container's own.
    pub environment: Vec<(String, String)>,
    /// Where it starts; `None` is `/`.
    pub cwd: Option<String>,
    /// The ids it runs as; `None` is root.
    pub user: Option<(u32, u32)>,
    /// Whether it gets a terminal; `vzpkg` asks for one when its own standard input is one.
    pub terminal: bool,
}

/// Runs a command with this process' standard streams and returns its own exit code; 128 + N if signal N ended it.
///
/// # Errors
/// [`ContainerError::Unknown`], [`ContainerError::NotRunning`], [`ContainerError::NoCommand`],
/// [`ContainerError::NotExecutable`], [`ContainerError::Oci`]; [`exit_code`] says which code each one is.
pub fn exec(
    paths: &ContainerPaths,
    config: &Config,
    spec: &ExecSpec,
    runtime: &dyn OciRuntime,
) -> Result<u8, ContainerError> {
    thread::scope(|scope| {
        // The runtime moves the command into the container's control groups.
        scope.spawn(moves::begin);
        run(paths, config, spec, runtime)
    })
}

fn run(
    paths: &ContainerPaths,
    config: &Config,
    spec: &ExecSpec,
    runtime: &dyn OciRuntime,
) -> Result<u8, ContainerError> {
    let root = running_root(paths, runtime)?;
    let command = spec.argv.first().map(String::as_str).unwrap_or_default();
    look_up(paths, config, &root, command)?;
    let environment = spec.environment.iter();
    let process = ExecProcess {
        argv: spec.argv.clone(),
        environment: environment
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        cwd: spec.cwd.clone().unwrap_or_else(|| "/".to_owned()),
        user: spec.user.unwrap_or_default(),
        terminal: spec.terminal,
    };
    let status = runtime.exec(&paths.id, &process)?;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(code::OURS))
}

/// Runs the shell of root, or `/bin/sh`, as a login shell, with a terminal if there is one.
///
/// # Errors
/// As [`exec`].
pub fn enter(
    paths: &ContainerPaths,
    config: &Config,
    terminal: Option<&str>,
    runtime: &dyn OciRuntime,
) -> Result<u8, ContainerError> {
    let root = running_root(paths, runtime)?;
    let shell = root_shell(&root)
        .filter(|shell| look_up(paths, config, &root, shell).is_ok())
        .unwrap_or_else(|| "/bin/sh".to_owned());
    let kind = terminal.map(|kind| ("TERM".to_owned(), kind.to_owned()));
    let spec = ExecSpec {
        argv: vec![shell, "-l".to_owned()],
        environment: kind.into_iter().collect(),
        cwd: None,
        user: None,
        terminal: terminal.is_some(),
    };
    exec(paths, config, &spec, runtime)
}

/// The exit code for an error of [`exec`] and [`enter`].
pub const fn exit_code(error: &ContainerError) -> u8 {
    match error {
        ContainerError::NoCommand { .. } => code::NOT_FOUND,
        ContainerError::NotExecutable { .. } => code::NOT_EXECUTABLE,
        _ => code::OURS,
    }
}

/// The root of process 1 of a running container.
fn running_root(
    paths: &ContainerPaths,
    runtime: &dyn OciRuntime,
) -> Result<OwnedFd, ContainerError> {
    let now = state(paths, runtime)?;
    let not_running = || ContainerError::NotRunning(paths.id.clone());
    let pid = now
        .pid
        .filter(|_| now.state == RunState::Running)
        .ok_or_else(not_running)?;
    let root = format!("/proc/{pid}/root");
    open_root(Path::new(&root)).map_err(|error| FileError::on("open", root)(error.into()).into())
}

/// Whether a command can be run: the runtime's own answer is a sentence, and its exit code any number.
fn look_up(
    paths: &ContainerPaths,
    config: &Config,
    root: &OwnedFd,
    command: &str,
) -> Result<(), ContainerError> {
    let (container, command) = (paths.id.clone(), command.to_owned());
    let search = config.environment.get("PATH").map_or(PATH, String::as_str);
    let directories: Vec<&str> = if command.contains('/') {
        vec![""]
    } else {
        search.split(':').collect()
    };
    let mut found = false;
    for directory in directories.into_iter().filter(|_| !command.is_empty()) {
        let path = Path::new(directory).join(&command);
        let Ok(file) = open_inside(root, &path, OFlags::PATH) else {
            continue;
        };
        let mode = fstat(&file).map_or(0, |stat| stat.st_mode);
        let is_file = FileType::from_raw_mode(mode).is_file();
        found |= is_file;
        if is_file && mode & 0o111 != 0 {
            return Ok(());
        }
    }
    Err(if found {
        ContainerError::NotExecutable { container, command }
    } else {
        ContainerError::NoCommand { container, command }
    })
}

/// The shell of user 0 in the container's own database.
fn root_shell(root: &OwnedFd) -> Option<String> {
    let file = open_inside(root, Path::new("/etc/passwd"), OFlags::RDONLY).ok()?;
    let mut text = String::new();
    let read = File::from(file)
        .take(PASSWD_BYTES)
        .read_to_string(&mut text);
    read.ok()?;
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&"0"))
        .and_then(|fields| fields.get(6).map(|&shell| shell.to_owned()))
        .filter(|shell| shell.starts_with('/'))
}
