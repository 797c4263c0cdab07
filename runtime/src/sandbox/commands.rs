//! One command of a session, as PID 1 runs it.

use super::protocol::Reply;
use super::{RunCommand, RunStatus, SandboxSpec};
use crate::helper::{Channel, FrameKind};
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long processes that a command left behind may go on writing to its output.
const LEFT_BEHIND_GRACE: Duration = Duration::from_millis(200);

/// How often orphans are waited for while a command runs.
const TICK: Duration = Duration::from_millis(50);

/// Runs one command and reports on it. An error means that the session is over: the caller is gone.
pub(super) fn run(
    channel: &mut Channel,
    spec: &SandboxSpec,
    command: &RunCommand,
    outer: &OwnedFd,
) -> io::Result<()> {
    let started = Instant::now();
    let child = match start(spec, command) {
        Ok(child) => child,
        Err(error) => {
            return channel.tell(&Reply::Exec {
                program: command.argv.first().cloned().unwrap_or_default(),
                message: error.to_string(),
            });
        }
    };
    let deadline = started + command.timeout.unwrap_or(spec.limits.timeout);
    let mut running = Running::new(child, command, deadline)?;
    while !running.is_over() {
        running.wait_for_something(channel, outer)?;
    }
    let left_behind = kill_left_behind();
    // Everyone who could write is dead; what they wrote is in the pipes.
    running.drain(channel)?;
    channel.tell(&Reply::Ended {
        status: running.status(),
        left_behind,
    })
}

fn start(spec: &SandboxSpec, command: &RunCommand) -> io::Result<Child> {
    let mut environment = spec.environment.clone();
    environment.extend(command.environment.clone());
    let name = command.argv.first().ok_or(io::ErrorKind::InvalidInput)?;
    let path = environment.get("PATH").map_or("", String::as_str);
    let program = find_program(name, path)?;
    let stdin = if command.stdin.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    };
    let mut process = Command::new(program);
    process
        .arg0(name)
        .args(&command.argv[1..])
        .env_clear()
        .envs(environment)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if !command.directory.as_os_str().is_empty() {
        if !command.directory.is_dir() {
            let message = format!("there is no directory `{}`", command.directory.display());
            return Err(io::Error::new(io::ErrorKind::NotADirectory, message));
        }
        process.current_dir(&command.directory);
    }
    process.spawn()
}

/// Finds a program as `execvp` does; a name with a slash is a path.
fn find_program(name: &str, path: &str) -> io::Result<PathBuf> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let candidates = path.split(':').map(|place| Path::new(place).join(name));
    for candidate in candidates {
        let found = std::fs::metadata(&candidate);
        if found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0) {
            return Ok(candidate);
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// A command between its start and its end.
struct Running<'a> {
    pid: Pid,
    exit: OwnedFd,
    status: Option<WaitStatus>,
    /// When it ended, and how long others may still write.
    until: Option<Instant>,
    deadline: Instant,
    timed_out: bool,
    input: Option<(OwnedFd, &'a [u8])>,
    output: Option<OwnedFd>,
    complaints: Option<OwnedFd>,
    buffer: Vec<u8>,
}

impl<'a> Running<'a> {
    fn new(mut child: Child, command: &'a RunCommand, deadline: Instant) -> io::Result<Self> {
        let pid = Pid::from_child(&child);
        let unblocked = |pipe: Option<OwnedFd>| -> io::Result<Option<OwnedFd>> {
            if let Some(pipe) = &pipe {
                rustix::io::ioctl_fionbio(pipe, true)?;
            }
            Ok(pipe)
        };
        let input = unblocked(child.stdin.take().map(OwnedFd::from))?;
        Ok(Self {
            pid,
            exit: rustix::process::pidfd_open(pid, PidfdFlags::empty())?,
            status: None,
            until: None,
            deadline,
            timed_out: false,
            input: input.map(|pipe| (pipe, command.stdin.as_slice())),
            output: unblocked(child.stdout.take().map(OwnedFd::from))?,
            complaints: unblocked(child.stderr.take().map(OwnedFd::from))?,
            buffer: vec![0; 64 << 10],
        })
    }

    /// The command itself has ended (or its time), and nobody who still lives holds its output, or no longer may.
    fn is_over(&self) -> bool {
        let Some(until) = self.until else {
            return self.timed_out;
        };
        let silent = self.output.is_none() && self.complaints.is_none();
        silent || Instant::now() >= until || !sys::others_live()
    }

    fn status(&self) -> RunStatus {
        if self.timed_out {
            return RunStatus::TimedOut;
        }
        let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
        match self.status {
            Some(status) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => RunStatus::Exited(byte(code)),
                (None, signal) => RunStatus::Signaled(signal.map_or(u8::MAX, byte)),
            },
            None => RunStatus::Signaled(9),
        }
    }

    fn wait_for_something(&mut self, channel: &mut Channel, outer: &OwnedFd) -> io::Result<()> {
        let ready = self.poll(channel, outer)?;
        if ready.end_of_session {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if ready.input {
            self.feed();
        }
        self.pass_on(channel)?;
        for (pid, status) in std::iter::from_fn(next_dead) {
            if pid == self.pid {
                self.status = Some(status);
                self.until = Some(Instant::now() + LEFT_BEHIND_GRACE);
                self.input = None;
            }
        }
        self.timed_out |= self.status.is_none() && Instant::now() >= self.deadline;
        Ok(())
    }

    fn poll(&self, channel: &Channel, outer: &OwnedFd) -> io::Result<Ready> {
        let mut polled = vec![
            PollFd::new(channel, PollFlags::IN),
            PollFd::new(outer, PollFlags::IN),
        ];
        if self.status.is_none() {
            polled.push(PollFd::new(&self.exit, PollFlags::IN));
        }
        for pipe in [&self.output, &self.complaints].into_iter().flatten() {
            polled.push(PollFd::new(pipe, PollFlags::IN));
        }
        let input = self.input.as_ref().map(|(pipe, _)| {
            polled.push(PollFd::new(pipe, PollFlags::OUT));
            polled.len() - 1
        });
        let end = self.until.unwrap_or(self.deadline);
        let patience = end.saturating_duration_since(Instant::now()).min(TICK);
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        match rustix::event::poll(&mut polled, Some(&patience)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = |place: usize| !polled[place].revents().is_empty();
        Ok(Ready {
            // While a command runs the caller has nothing to say: it has gone away.
            end_of_session: ready(0) || ready(1),
            input: input.is_some_and(ready),
        })
    }

    /// Writes what fits of the standard input; whoever does not read it has enough.
    fn feed(&mut self) {
        let Some((pipe, rest)) = &mut self.input else {
            return;
        };
        match rustix::io::write(&*pipe, rest) {
            Ok(written) => *rest = &rest[written..],
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => *rest = &[],
        }
        if rest.is_empty() {
            self.input = None;
        }
    }

    /// Passes on what is in the pipes now, at most one buffer of each.
    fn pass_on(&mut self, channel: &mut Channel) -> io::Result<bool> {
        let mut any = false;
        for (pipe, kind) in [
            (&mut self.output, FrameKind::Output),
            (&mut self.complaints, FrameKind::Complaint),
        ] {
            let Some(source) = pipe.as_ref() else {
                continue;
            };
            match read(source.as_fd(), &mut self.buffer) {
                Ok(Some(length)) if length > 0 => {
                    any = true;
                    channel.send(kind, &self.buffer[..length])?;
                }
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => *pipe = None, // nobody writes to it any more
            }
        }
        Ok(any)
    }

    fn drain(&mut self, channel: &mut Channel) -> io::Result<()> {
        while self.pass_on(channel)? {}
        Ok(())
    }
}

struct Ready {
    end_of_session: bool,
    input: bool,
}

fn read(pipe: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match rustix::io::read(pipe, buffer) {
        Ok(length) => Ok(Some(length)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A process that has died, if one has.
fn next_dead() -> Option<(Pid, WaitStatus)> {
    rustix::process::wait(WaitOptions::NOHANG).ok().flatten()
}

/// Kills everyone but PID 1 and waits until nobody is left; says how many there were.
fn kill_left_behind() -> u32 {
    // Those who had ended by themselves do not count.
    while next_dead().is_some() {}
    let mut count = 0;
    while sys::others_live() {
        sys::kill_everyone_else();
        if let Ok(Some(_)) = rustix::process::wait(WaitOptions::empty()) {
            count += 1;
        }
    }
    count
}
