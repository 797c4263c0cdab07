//! The OCI runtime as a program: how it is called, and what it said when it refused.

use super::ahead::{self, CONFIGURATION, Waiting};
use super::runtime::{
    Begun, ContainerStatus, ExecProcess, OciError, OciRuntime, OciState, Streams,
};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use vzpkg_metadata::ContainerId;

/// A runtime's log of one call: a few lines; more is cut off by refusing to read it.
const LOG_BYTES: u64 = 1 << 20;

/// The file of a bundle into which the runtime writes the host's id of process 1, last of all.
pub const PID_FILE: &str = "pid";

/// The file into which the runtime writes its own words of one call; it goes with this.
#[derive(Debug)]
struct Log(PathBuf);

impl Drop for Log {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// A runtime binary with its state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeBinary {
    program: PathBuf,
    state: PathBuf,
    /// Whether it reads its configuration once and as a stream, so that it can be started before there is one.
    waits: bool,
}

impl RuntimeBinary {
    /// A binary that is taken as it is; its state lies below `state`, which no other root uses: a container's
    /// name in the runtime is its name, and two roots may have one of the same name.
    pub const fn new(program: PathBuf, state: PathBuf) -> Self {
        Self {
            program,
            state,
            waits: false,
        }
    }

    /// The same, if it was seen to wait for its configuration.
    pub(super) const fn waiting(mut self, waits: bool) -> Self {
        self.waits = waits;
        self
    }

    /// A call of the runtime whose own words go to `log`.
    fn call(&self, log: &Log) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--root")
            .arg(&self.state)
            .arg("--log")
            .arg(&log.0)
            .args(["--log-format", "json"])
            .env_clear()
            .env("PATH", super::bundle::PATH);
        command
    }

    /// Runs a call to its end.
    fn complete(
        &self,
        verb: &'static str,
        container: &ContainerId,
        arguments: impl FnOnce(&mut Command),
    ) -> Result<(), OciError> {
        let log = self.log(container);
        let mut command = self.call(&log);
        command.arg(verb);
        arguments(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let output = command.output().map_err(|source| self.no_start(source))?;
        self.conclude(verb, container, &log, output.status, &output.stderr)
    }

    fn no_start(&self, source: std::io::Error) -> OciError {
        OciError::Spawn {
            program: self.program.clone(),
            source,
        }
    }

    /// What came of a call.
    fn conclude(
        &self,
        verb: &'static str,
        container: &ContainerId,
        log: &Log,
        status: ExitStatus,
        said: &[u8],
    ) -> Result<(), OciError> {
        let message = last_error(&log.0).unwrap_or_else(|| last_line(said, status));
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
        let output = command.stdin(Stdio::null()).output();
        let output = output.map_err(|source| self.no_start(source))?;
        self.conclude("state", container, &log, output.status, &output.stderr)?;
        let answer: Answer =
            serde_json::from_slice(&output.stdout).map_err(|source| OciError::State {
                program: self.program.clone(),
                source,
            })?;
        Ok(answer.into_state())
    }

    /// The log of one call: a name of its own, for several commands and threads may ask about one container at once; and
    /// none that a container can have, whose state lies beside it.
    fn log(&self, container: &ContainerId) -> Log {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!(".{container}.{}.{serial}.log", std::process::id());
        Log(self.state.join(name))
    }

    /// Runs a command in a container to its end, with what `shape` makes of the call.
    fn run_in(
        &self,
        container: &ContainerId,
        process: &ExecProcess,
        shape: impl FnOnce(&mut Command),
    ) -> Result<ExitStatus, OciError> {
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
        shape(&mut command);
        let status = command.status();
        let status = status.map_err(|source| self.no_start(source))?;
        match last_error(&log.0) {
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

    fn prepare(&self) -> Result<(), OciError> {
        // Nobody but root learns what runs here.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.state)
            .map_err(|source| OciError::Create {
                path: self.state.clone(),
                source,
            })
    }
}

impl OciRuntime for RuntimeBinary {
    fn program(&self) -> &Path {
        &self.program
    }

    fn begin<'a>(
        &'a self,
        container: &'a ContainerId,
        bundle: &'a Path,
        console: File,
    ) -> Result<Box<dyn Begun + 'a>, OciError> {
        self.prepare()?;
        let log = self.log(container);
        let mut command = self.call(&log);
        command.args(["run", "--detach", "--bundle"]).arg(bundle);
        // Asking `state` for the id instead would start another process.
        command.arg("--pid-file").arg(bundle.join(PID_FILE));
        command.arg(container.as_str());
        let errors = console.try_clone();
        let errors = errors.map_err(|source| self.no_start(source))?;
        command.stdin(Stdio::null()).stdout(console).stderr(errors);
        let stage = if self.waits {
            let waiting = Waiting::start(command, bundle);
            Stage::Waiting(waiting.map_err(|source| self.no_start(source))?)
        } else {
            Stage::NotStarted(command)
        };
        Ok(Box::new(BegunBinary {
            runtime: self,
            container,
            bundle,
            stage,
            log,
        }))
    }

    fn exec(&self, container: &ContainerId, process: &ExecProcess) -> Result<ExitStatus, OciError> {
        self.run_in(container, process, |_| {})
    }

    fn exec_with(
        &self,
        container: &ContainerId,
        process: &ExecProcess,
        streams: Streams,
    ) -> Result<ExitStatus, OciError> {
        self.run_in(container, process, |command| {
            let Streams {
                input,
                output,
                errors,
            } = streams;
            command.stdin(input).stdout(output).stderr(errors);
            command.process_group(0);
        })
    }

    fn kill(&self, container: &ContainerId, signal: i32, all: bool) -> Result<(), OciError> {
        let arguments = |command: &mut Command| {
            if all {
                command.arg("--all");
            }
            command.arg(container.as_str()).arg(signal.to_string());
        };
        self.complete("kill", container, arguments)
    }

    fn delete(&self, container: &ContainerId, force: bool) -> Result<(), OciError> {
        if !self.state.join(container.as_str()).is_dir() {
            return Ok(());
        }
        let arguments = |command: &mut Command| {
            if force {
                command.arg("--force");
            }
            command.arg(container.as_str());
        };
        self.complete("delete", container, arguments)
    }

    fn state(&self, container: &ContainerId) -> Result<Option<OciState>, OciError> {
        // All three runtimes keep a directory of this name; asking for a missing one costs a process and gives an
        // answer in words.
        let directory = self.state.join(container.as_str());
        if !directory.is_dir() {
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

/// How far a runtime is that was begun.
enum Stage {
    /// It loads, and waits for its configuration.
    Waiting(Waiting),
    /// It wants to find its configuration when it starts.
    NotStarted(Command),
}

struct BegunBinary<'a> {
    runtime: &'a RuntimeBinary,
    container: &'a ContainerId,
    bundle: &'a Path,
    stage: Stage,
    /// After `stage`: a runtime that is given up is killed first, and writes no more.
    log: Log,
}

impl Begun for BegunBinary<'_> {
    fn run(self: Box<Self>, configuration: &[u8]) -> Result<u32, OciError> {
        let path = self.bundle.join(CONFIGURATION);
        ahead::put(&path, configuration).map_err(|source| OciError::Create { path, source })?;
        let status = match self.stage {
            Stage::Waiting(waiting) => waiting.give(configuration),
            Stage::NotStarted(mut command) => command.status(),
        };
        let runtime = self.runtime;
        let status = status.map_err(|source| runtime.no_start(source))?;
        runtime.conclude("run", self.container, &self.log, status, &[])?;
        let pid = vzpkg_metadata::durable::read_file(&self.bundle.join(PID_FILE), 16);
        let pid = String::from_utf8_lossy(&pid.unwrap_or_default())
            .trim()
            .parse();
        pid.map_err(|_unreadable| OciError::Refused {
            program: runtime.program.clone(),
            verb: "run",
            container: self.container.clone(),
            message: "it wrote no process id".to_owned(),
        })
    }
}

/// Whether the runtime has written down what it knows of a container, in its directory; `None` where there is no such
/// directory. The file is `state.json` of runc and youki, and `status` of crun. Between the two, one is being made, or its
/// making was cut short.
fn is_known(directory: &Path) -> Option<bool> {
    let files = ["state.json", "status"];
    let known = files.iter().any(|file| directory.join(file).exists());
    directory.is_dir().then_some(known)
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
        // A file is no container, whoever left it there.
        fs::write(directory.path().join("x"), "").unwrap();
        let runtime = RuntimeBinary::new("/nonexistent".into(), directory.path().into());
        let id: ContainerId = "x".parse().unwrap();
        assert_eq!(runtime.state(&id).unwrap(), None);
        runtime.delete(&id, true).unwrap();
        for waits in [true, false] {
            let runtime = runtime.clone().waiting(waits);
            let console = tempfile::tempfile().unwrap();
            let begun = runtime.begin(&id, directory.path(), console);
            let missing = begun.and_then(|begun| begun.run(b"{}"));
            assert!(
                matches!(missing, Err(OciError::Spawn { .. })),
                "{missing:?}"
            );
        }
    }
}
