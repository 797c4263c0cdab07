//! `ct exec` and `ct enter`: a command or a shell in a running container.

use super::accounts::database;
use super::beneath::{open_inside, open_root};
use super::state::{RunState, state};
use super::{Config, ContainerError, ContainerPaths};
use crate::oci::bundle::PATH;
use crate::oci::{ExecProcess, OciRuntime, Streams, moves};
use rustix::fs::{FileType, OFlags, fstat};
use std::os::fd::{AsFd, OwnedFd};
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
        run(paths, config, spec, None, runtime)
    })
}

/// As [`exec`] with these streams; signals of the terminal do not reach the command.
///
/// # Errors
/// As [`exec`].
pub(super) fn exec_with(
    paths: &ContainerPaths,
    config: &Config,
    spec: &ExecSpec,
    streams: Streams,
    runtime: &dyn OciRuntime,
) -> Result<u8, ContainerError> {
    thread::scope(|scope| {
        scope.spawn(moves::begin);
        run(paths, config, spec, Some(streams), runtime)
    })
}

fn run(
    paths: &ContainerPaths,
    config: &Config,
    spec: &ExecSpec,
    streams: Option<Streams>,
    runtime: &dyn OciRuntime,
) -> Result<u8, ContainerError> {
    let root = running_root(paths, runtime)?;
    look_up(paths, config, &root, spec)?;
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
    let status = match streams {
        Some(streams) => runtime.exec_with(&paths.id, &process, streams),
        None => runtime.exec(&paths.id, &process),
    }?;
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
        .filter(|shell| matches!(find(&root, "/", "", shell), Found::Executable))
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
pub(super) fn running_root(
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
    spec: &ExecSpec,
) -> Result<(), ContainerError> {
    let command = spec.argv.first().map(String::as_str).unwrap_or_default();
    let directory = spec.cwd.as_deref().unwrap_or("/");
    let found = find(root, directory, search(config, spec), command);
    let (container, command) = (paths.id.clone(), command.to_owned());
    match found {
        Found::Executable => Ok(()),
        Found::File => Err(ContainerError::NotExecutable { container, command }),
        Found::Nothing => Err(ContainerError::NoCommand { container, command }),
    }
}

/// The `PATH` that the command will have: the last one of its own, else that of the container.
fn search<'a>(config: &'a Config, spec: &'a ExecSpec) -> &'a str {
    let own = spec.environment.iter().rfind(|(name, _)| name == "PATH");
    own.map(|(_, value)| value)
        .or_else(|| config.environment.get("PATH"))
        .map_or(PATH, String::as_str)
}

/// What is there under the name of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// A file that may not be executed.
    File,
    Executable,
}

/// Looks for a command as a process in `directory` does whose `PATH` is `search`.
fn find(root: impl AsFd, directory: &str, search: &str, command: &str) -> Found {
    let directory = Path::new(directory);
    let mut found = Found::Nothing;
    let directories: Vec<&str> = if command.contains('/') {
        vec![""]
    } else {
        search.split(':').collect()
    };
    for place in directories.into_iter().filter(|_| !command.is_empty()) {
        let path = directory.join(place).join(command);
        let Ok(file) = open_inside(root.as_fd(), &path, OFlags::PATH) else {
            continue;
        };
        let mode = fstat(&file).map_or(0, |stat| stat.st_mode);
        if !FileType::from_raw_mode(mode).is_file() {
            continue;
        }
        if mode & 0o111 != 0 {
            return Found::Executable;
        }
        found = Found::File;
    }
    found
}

/// The shell of user 0 in the container's own database.
fn root_shell(root: &OwnedFd) -> Option<String> {
    database(root, "/etc/passwd")?
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&"0"))
        .and_then(|fields| fields.get(6).map(|&shell| shell.to_owned()))
        .filter(|shell| shell.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::UserNamespace;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_command_is_looked_for_where_it_will_be_run() {
        let directory = tempfile::tempdir().unwrap();
        for (name, mode) in [("opt/app/run", 0o755), ("opt/app/text", 0o644)] {
            let file = directory.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let root = open_root(directory.path()).unwrap();
        for (at, search, command, expected) in [
            ("/", PATH, "run", Found::Nothing),
            ("/", "/bin:/opt/app", "run", Found::Executable),
            ("/", "/opt/app", "text", Found::File),
            ("/", PATH, "/opt/app/run", Found::Executable),
            ("/", PATH, "./run", Found::Nothing),
            ("/opt/app", PATH, "./run", Found::Executable),
            ("/opt", PATH, "app/run", Found::Executable),
            ("/opt", PATH, "../../../opt/app/run", Found::Executable),
            ("/opt/app", PATH, "run", Found::Nothing),
            ("/opt/app", "/bin:.", "run", Found::Executable),
            ("/opt/app", PATH, "", Found::Nothing),
        ] {
            let found = find(&root, at, search, command);
            assert_eq!(found, expected, "{command} in {at}, PATH={search}");
        }
    }

    #[test]
    fn the_path_of_the_command_wins_over_that_of_the_container() {
        let mut config = Config::new("web".parse().unwrap(), 0, UserNamespace::Host);
        let mut spec = ExecSpec::default();
        assert_eq!(search(&config, &spec), PATH);
        config.environment.insert("PATH".into(), "/of/it".into());
        assert_eq!(search(&config, &spec), "/of/it");
        for place in ["/first", "/last"] {
            spec.environment.push(("PATH".into(), place.into()));
        }
        assert_eq!(search(&config, &spec), "/last");
    }

    #[test]
    fn a_user_database_that_is_no_file_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let etc = directory.path().join("etc");
        fs::create_dir(&etc).unwrap();
        let passwd = etc.join("passwd");
        let root = open_root(directory.path()).unwrap();
        fs::write(&passwd, "root:x:0:0::/root:/bin/ash\n").unwrap();
        assert_eq!(root_shell(&root).as_deref(), Some("/bin/ash"));
        fs::remove_file(&passwd).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &passwd, rustix::fs::Mode::RWXU).unwrap();
        assert_eq!(root_shell(&root), None);
    }
}
