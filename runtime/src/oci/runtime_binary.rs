//! The OCI runtime as a program: which one, how it is called, and what it said when it refused.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use vzpkg_metadata::ContainerId;

/// A runtime's log of one call: a few lines; more is cut off by refusing to read it.
const LOG_BYTES: u64 = 1 << 20;

/// The file of a bundle into which the runtime writes the host's id of process 1, last of all.
pub const PID_FILE: &str = "pid";

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
    const CREATING: Self = Self {
        status: ContainerStatus::Creating,
        pid: None,
    };
}

/// A command to run in a running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecProcess {
    /// The command; looked up in `PATH` of its environment.
    pub argv: Vec<String>,
    /// `NAME=value`, complete.
    pub environment: Vec<String>,
    /// Where it starts; absolute, inside.
    pub cwd: String,
    /// The ids it runs as, inside.
    pub user: (u32, u32),
    /// Whether it gets a terminal of its own.
    pub terminal: bool,
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
    StateDirectory {
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

/// What vzpkg wants of an OCI runtime. The container's name in the runtime is its [`ContainerId`].
pub trait OciRuntime: fmt::Debug + Sync {
    /// The program, for messages.
    fn program(&self) -> &Path;

    /// Makes the container of this bundle and lets its process 1 run, which prints to `console`. Calls `meanwhile` once,
    /// while the runtime is at work. Returns the host's id of process 1.
    ///
    /// # Errors
    /// [`OciError`] in the runtime's own words.
    fn run(
        &self,
        container: &ContainerId,
        bundle: &Path,
        console: File,
        meanwhile: &dyn Fn(),
    ) -> Result<u32, OciError>;

    /// Runs a command in a running container with this process' standard streams, and waits for it.
    ///
    /// # Errors
    /// [`OciError::Spawn`]; that the command failed is in the status.
    fn exec(&self, container: &ContainerId, process: &ExecProcess) -> Result<ExitStatus, OciError>;

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

/// A runtime binary with its state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeBinary {
    program: PathBuf,
    state: PathBuf,
}

impl RuntimeBinary {
    /// A binary that is taken as it is; its state lies below `state` (usually `/run/vzpkg/oci`).
    pub const fn new(program: PathBuf, state: PathBuf) -> Self {
        Self { program, state }
    }

    /// A call of the runtime whose own words go to `log`.
    fn call(&self, log: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--root")
            .arg(&self.state)
            .arg("--log")
            .arg(log)
            .args(["--log-format", "json"])
            .env_clear()
            .env("PATH", super::bundle::PATH);
        command
    }

    /// Runs a call to its end. What it says goes to the file of `output`, which the processes of a container inherit, and
    /// whose function is called while it runs.
    fn complete(
        &self,
        verb: &'static str,
        container: &ContainerId,
        arguments: impl FnOnce(&mut Command),
        output: Option<(File, &dyn Fn())>,
    ) -> Result<(), OciError> {
        let log = self.log(container);
        let spawn = |source| OciError::Spawn {
            program: self.program.clone(),
            source,
        };
        let mut command = self.call(&log);
        command.arg(verb);
        arguments(&mut command);
        command.stdin(Stdio::null());
        let (status, said) = if let Some((file, meanwhile)) = output {
            let errors = file.try_clone().map_err(spawn)?;
            let mut running = command.stdout(file).stderr(errors).spawn().map_err(spawn)?;
            meanwhile();
            (running.wait().map_err(spawn)?, Vec::new())
        } else {
            let output = command.stdout(Stdio::null()).output().map_err(spawn)?;
            (output.status, output.stderr)
        };
        let message = last_error(&log).unwrap_or_else(|| last_line(&said, status));
        drop(fs::remove_file(&log));
        if status.success() {
            return Ok(());
        }
        Err(OciError::Refused {
            program: self.program.clone(),
            verb,
            container: container.clone(),
            message,
        })
    }

    /// What the runtime says about a container that it should know.
    fn ask(&self, container: &ContainerId) -> Result<OciState, OciError> {
        let log = self.log(container);
        let mut command = self.call(&log);
        command.arg("state").arg(container.as_str());
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|source| OciError::Spawn {
                program: self.program.clone(),
                source,
            })?;
        let message = last_error(&log).unwrap_or_else(|| last_line(&output.stderr, output.status));
        drop(fs::remove_file(&log));
        if !output.status.success() {
            return Err(OciError::Refused {
                program: self.program.clone(),
                verb: "state",
                container: container.clone(),
                message,
            });
        }
        let answer: Answer =
            serde_json::from_slice(&output.stdout).map_err(|source| OciError::State {
                program: self.program.clone(),
                source,
            })?;
        Ok(answer.into_state())
    }

    /// The log of one call: a name of its own, for several commands and threads may ask about one container at once.
    fn log(&self, container: &ContainerId) -> PathBuf {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("{container}.{}.{serial}.log", std::process::id());
        self.state.join(name)
    }

    fn prepare(&self) -> Result<(), OciError> {
        // Nobody but root learns what runs here.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.state)
            .map_err(|source| OciError::StateDirectory {
                path: self.state.clone(),
                source,
            })
    }
}

impl OciRuntime for RuntimeBinary {
    fn program(&self) -> &Path {
        &self.program
    }

    fn run(
        &self,
        container: &ContainerId,
        bundle: &Path,
        console: File,
        meanwhile: &dyn Fn(),
    ) -> Result<u32, OciError> {
        self.prepare()?;
        // Asking `state` instead would start another process.
        let pid_file = bundle.join(PID_FILE);
        let arguments = |command: &mut Command| {
            command.arg("--detach").arg("--bundle").arg(bundle);
            command
                .arg("--pid-file")
                .arg(&pid_file)
                .arg(container.as_str());
        };
        self.complete("run", container, arguments, Some((console, meanwhile)))?;
        let pid = vzpkg_metadata::durable::read_file(&pid_file, 16).unwrap_or_default();
        let pid = String::from_utf8_lossy(&pid).trim().parse();
        pid.map_err(|_unreadable| OciError::Refused {
            program: self.program.clone(),
            verb: "run",
            container: container.clone(),
            message: "it wrote no process id".to_owned(),
        })
    }

    fn exec(&self, container: &ContainerId, process: &ExecProcess) -> Result<ExitStatus, OciError> {
        let log = self.log(container);
        let mut command = self.call(&log);
        command.arg("exec");
        if process.terminal {
            command.arg("--tty");
        }
        for variable in &process.environment {
            command.arg("--env").arg(variable);
        }
        let (uid, gid) = process.user;
        command
            .args(["--cwd", &process.cwd, "--user", &format!("{uid}:{gid}")])
            .arg(container.as_str())
            .args(&process.argv);
        let status = command.status().map_err(|source| OciError::Spawn {
            program: self.program.clone(),
            source,
        })?;
        let message = last_error(&log);
        drop(fs::remove_file(&log));
        match message {
            // The runtime's own failure: a command that only failed writes nothing into the runtime's log.
            Some(message) if !status.success() => Err(OciError::Refused {
                program: self.program.clone(),
                verb: "exec",
                container: container.clone(),
                message,
            }),
            _ => Ok(status),
        }
    }

    fn kill(&self, container: &ContainerId, signal: i32, all: bool) -> Result<(), OciError> {
        let arguments = |command: &mut Command| {
            if all {
                command.arg("--all");
            }
            command.arg(container.as_str()).arg(signal.to_string());
        };
        self.complete("kill", container, arguments, None)
    }

    fn delete(&self, container: &ContainerId, force: bool) -> Result<(), OciError> {
        if !self.state.join(container.as_str()).exists() {
            return Ok(());
        }
        let arguments = |command: &mut Command| {
            if force {
                command.arg("--force");
            }
            command.arg(container.as_str());
        };
        self.complete("delete", container, arguments, None)
    }

    fn state(&self, container: &ContainerId) -> Result<Option<OciState>, OciError> {
        // All three runtimes keep a directory of this name; asking for a missing one costs a process and gives an
        // answer in words.
        let directory = self.state.join(container.as_str());
        if !directory.exists() {
            return Ok(None);
        }
        match self.ask(container) {
            Err(OciError::Refused { .. }) => match is_known(&directory) {
                None => Ok(None),
                Some(false) => Ok(Some(OciState::CREATING)),
                // It was made between the question and this look.
                Some(true) => self.ask(container).map(Some),
            },
            answer => answer.map(Some),
        }
    }
}

/// Whether the runtime has written down what it knows of a container, in its directory; `None` where there is no such
/// directory. The file is `state.json` of runc and youki, and `status` of crun. Between the two, one is being made, or its
/// making was cut short.
fn is_known(directory: &Path) -> Option<bool> {
    let files = ["state.json", "status"];
    let known = files.iter().any(|file| directory.join(file).exists());
    directory.exists().then_some(known)
}

/// What `state` prints, as far as it matters here.
#[derive(serde::Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    pid: u32,
}

impl Answer {
    fn into_state(self) -> OciState {
        let status = match self.status.as_str() {
            "creating" => ContainerStatus::Creating,
            "created" => ContainerStatus::Created,
            "running" => ContainerStatus::Running,
            "paused" => ContainerStatus::Paused,
            _ => ContainerStatus::Stopped,
        };
        OciState {
            status,
            pid: Some(self.pid).filter(|&pid| pid != 0 && status != ContainerStatus::Stopped),
        }
    }
}

/// The last error in a runtime's JSON log.
fn last_error(log: &Path) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Line {
        #[serde(default)]
        level: String,
        #[serde(default)]
        msg: String,
    }
    let bytes = vzpkg_metadata::durable::read_file(log, LOG_BYTES).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let mut errors = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Line>(line).ok())
        .filter(|line| matches!(line.level.as_str(), "error" | "fatal" | "ERROR"));
    errors.next_back().map(|line| line.msg)
}

fn last_line(said: &[u8], status: ExitStatus) -> String {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.map_or_else(|| status.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_s_own_words_are_found_in_its_log() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        fs::write(
            &log,
            "{\"level\":\"warning\",\"msg\":\"w\"}\n{\"level\":\"error\",\"msg\":\"no such thing\"}\nrubbish\n",
        )
        .unwrap();
        assert_eq!(last_error(&log).as_deref(), Some("no such thing"));
        assert_eq!(last_error(&directory.path().join("none")), None);
    }

    #[test]
    fn a_stopped_container_has_no_pid() {
        for (status, pid, expected) in [
            ("running", 7, Some(7)),
            ("stopped", 7, None),
            ("stopped", 0, None),
            ("created", 9, Some(9)),
        ] {
            let answer: Answer =
                serde_json::from_str(&format!("{{\"status\":\"{status}\",\"pid\":{pid}}}"))
                    .unwrap();
            assert_eq!(answer.into_state().pid, expected, "{status}");
        }
    }

    #[test]
    fn an_unknown_container_costs_no_process() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = RuntimeBinary::new("/nonexistent".into(), directory.path().into());
        let id: ContainerId = "x".parse().unwrap();
        assert_eq!(runtime.state(&id).unwrap(), None);
        runtime.delete(&id, true).unwrap();
        let console = tempfile::tempfile().unwrap();
        let missing = runtime.run(&id, directory.path(), console, &|| ());
        assert!(matches!(missing, Err(OciError::Spawn { .. })));
    }
}
