//! The caller's side of a session.

use super::output::Output;
use super::protocol::{Reply, Request};
use super::{OutputReporter, RunCommand, RunOutcome, SandboxError, SandboxSpec, Stream};
use crate::HelperCommand;
use crate::helper::{Channel, FrameKind, Job};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::PidfdFlags;
use std::io::{self, Read as _};
use std::process::Child;
use std::time::{Duration, Instant};

/// How much longer than the command's own time PID 1 may need to answer before it counts as lost.
const GRACE: Duration = Duration::from_secs(30);

/// Between two looks at whether the caller still wants the command.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// How many seconds the end of a session may take where nobody waits for the proof of it.
const PATIENCE_AT_END: i64 = 10;

/// A running session. Dropping it kills every process in it and waits for that.
///
/// ```no_run
/// # use vzpkg_runtime::{HelperCommand, sandbox::{Root, RunCommand, Sandbox, SandboxSpec}};
/// let helper = HelperCommand::new("/proc/self/exe", ["__helper"]);
/// let mut sandbox = Sandbox::start(&SandboxSpec::new(Root::Host), &helper)?;
/// let outcome = sandbox.run(&RunCommand::new(["sh", "-c", "echo ready"]), &())?;
/// assert!(outcome.success());
/// sandbox.finish()?;
/// # Ok::<(), vzpkg_runtime::sandbox::SandboxError>(())
/// ```
#[derive(Debug)]
pub struct Sandbox {
    helper: Child,
    channel: Channel,
    timeout: Duration,
    bounded: bool,
    ended: bool,
}

impl Sandbox {
    /// Starts a session: namespaces, mounts, confinement; no command yet. About 5 ms.
    ///
    /// # Errors
    /// [`SandboxError::Helper`], [`SandboxError::Setup`], [`SandboxError::Lost`]: nothing is left of the session then.
    pub fn start(spec: &SandboxSpec, helper: &HelperCommand) -> Result<Self, SandboxError> {
        let job = Job::Sandbox(Box::new(spec.clone()));
        let (child, channel) = helper.start(&job).map_err(|source| SandboxError::Helper {
            program: helper.program.clone(),
            source,
        })?;
        let mut sandbox = Self {
            helper: child,
            channel,
            timeout: spec.limits.timeout,
            bounded: false,
            ended: false,
        };
        sandbox.channel.set_patience(GRACE).ok();
        match sandbox.channel.hear() {
            Ok(Reply::Ready { bounded }) => {
                sandbox.bounded = bounded;
                Ok(sandbox)
            }
            Ok(Reply::Setup { step, message }) => Err(SandboxError::Setup { step, message }),
            Ok(Reply::Exec { .. } | Reply::Ended { .. }) => Err(sandbox.lost("it spoke nonsense")),
            Err(error) => Err(sandbox.lost(&error.to_string())),
        }
    }

    /// Whether [`super::Limits::processes`] is enforced. Old kernels on hosts without a control group for it cannot.
    pub const fn is_bounded(&self) -> bool {
        self.bounded
    }

    /// Runs one command to its end. A command that fails is an outcome, not an error. Processes that it leaves behind
    /// get 200 ms while they hold its output open, and are killed.
    ///
    /// # Errors
    /// [`SandboxError::Exec`] where the program cannot be executed; [`SandboxError::Lost`] and
    /// [`SandboxError::Cancelled`] end the session.
    pub fn run(
        &mut self,
        command: &RunCommand,
        reporter: &dyn OutputReporter,
    ) -> Result<RunOutcome, SandboxError> {
        let deadline = Instant::now() + command.timeout.unwrap_or(self.timeout) + GRACE;
        let asked = self
            .channel
            .tell(&Request::Run(command.clone()))
            .and_then(|()| self.channel.send(FrameKind::Output, &command.stdin));
        asked.map_err(|error| self.lost(&error.to_string()))?;
        let mut output = Output::new(command.stdout_limit);
        let mut bytes = Vec::new();
        loop {
            while !self.has_spoken() && Instant::now() < deadline {
                if reporter.cancelled() {
                    self.give_up();
                    return Err(SandboxError::Cancelled);
                }
            }
            match self.receive(deadline, &mut bytes) {
                Ok(FrameKind::Output) => output.take(Stream::Stdout, &bytes, reporter),
                Ok(FrameKind::Complaint) => output.take(Stream::Stderr, &bytes, reporter),
                Ok(FrameKind::Message) => break,
                Err(error) => return Err(self.lost(&error.to_string())),
            }
        }
        match serde_json::from_slice(&bytes) {
            Ok(Reply::Ended {
                status,
                left_behind,
            }) => {
                let (tail, stdout, stdout_truncated) = output.finish(reporter);
                Ok(RunOutcome {
                    status,
                    tail,
                    stdout,
                    stdout_truncated,
                    left_behind,
                })
            }
            Ok(Reply::Exec { program, message }) => Err(SandboxError::Exec { program, message }),
            Ok(Reply::Ready { .. } | Reply::Setup { .. }) | Err(_) => {
                Err(self.lost("it spoke nonsense"))
            }
        }
    }

    /// Ends the session and returns when the last of its processes is gone: the helper outlives PID 1, whose end the
    /// kernel reports only when its namespace is empty. The mounts are gone with them.
    ///
    /// # Errors
    /// [`SandboxError::Lost`] where the helper had died before.
    pub fn finish(mut self) -> Result<(), SandboxError> {
        match self.end() {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.lost("it ended before it was asked to")),
            Err(error) => Err(self.lost(&error.to_string())),
        }
    }

    /// Waits a moment; whether there is something to receive, be it the end.
    fn has_spoken(&self) -> bool {
        let mut polled = [PollFd::new(&self.channel, PollFlags::IN)];
        match rustix::event::poll(&mut polled, Some(&LOOK)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => false,
            Ok(_) | Err(_) => true,
        }
    }

    fn receive(&mut self, deadline: Instant, bytes: &mut Vec<u8>) -> io::Result<FrameKind> {
        let patience = deadline.saturating_duration_since(Instant::now());
        self.channel.set_patience(patience)?;
        self.channel.receive(bytes)
    }

    /// Closes the connection, which ends PID 1, and waits for the helper. Returns whether all went as it should.
    fn end(&mut self) -> io::Result<bool> {
        self.ended = true;
        self.channel.close();
        Ok(self.helper.wait()?.success())
    }

    /// [`Sandbox::end`], but where a process hangs in the kernel it is left to its fate after [`PATIENCE_AT_END`].
    fn give_up(&mut self) {
        self.channel.close();
        let pid = rustix::process::Pid::from_child(&self.helper);
        if let Ok(exit) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            let mut polled = [PollFd::new(&exit, PollFlags::IN)];
            let patience = Timespec {
                tv_sec: PATIENCE_AT_END,
                tv_nsec: 0,
            };
            rustix::event::poll(&mut polled, Some(&patience)).ok();
        }
        // PID 1 dies with the helper (parent-death signal), and everything with PID 1.
        self.helper.kill().ok();
        // It has been killed and is ours to wait for: there is nothing left that could fail.
        self.end().ok();
    }

    /// Kills what is left, and tells why.
    fn lost(&mut self, reason: &str) -> SandboxError {
        if !self.ended {
            self.give_up();
        }
        let mut last_words = Vec::new();
        if let Some(stderr) = self.helper.stderr.take() {
            // Whatever is there: a process that hangs may hold the other end open.
            rustix::io::ioctl_fionbio(&stderr, true).ok();
            stderr.take(4096).read_to_end(&mut last_words).ok();
        }
        let last_words = String::from_utf8_lossy(&last_words);
        let message = match last_words.trim() {
            "" => reason.to_owned(),
            words => words.to_owned(),
        };
        SandboxError::Lost { message }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !self.ended {
            self.give_up();
        }
    }
}
