//! The helper's side of a session: its outer process, which only waits, and PID 1, which sets up and serves.
//!
//! Whoever dies takes the rest along. The caller: PID 1 sees the connection close. The outer process: PID 1 gets a
//! parent-death signal (the outer process has one thread, so that is sound). PID 1: the kernel kills its namespace, and
//! the outer process ends.

use super::protocol::{Reply, Request};
use super::sources::Sources;
use super::{SandboxSpec, bound, commands, confine, mounts};
use crate::helper::{Channel, FrameKind};
use crate::sys::{self, Forked, Kernel, Linux, Namespaces};
use rustix::process::{PidfdFlags, Signal, WaitOptions};
use std::fmt::Display;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

/// A step of setting up that failed.
#[derive(Debug)]
pub(super) struct SetupError {
    step: String,
    message: String,
}

impl SetupError {
    /// Makes the mapping function for `map_err`.
    pub(super) fn at<E: std::error::Error>(step: impl Display) -> impl FnOnce(E) -> Self {
        let step = step.to_string();
        move |error| {
            let mut message = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                message = format!("{message}: {error}");
                cause = error.source();
            }
            Self { step, message }
        }
    }
}

/// Is the helper of a session until its end.
pub(crate) fn serve(mut channel: Channel, spec: &SandboxSpec) -> ExitCode {
    match split(spec) {
        Ok(Side::Outer(code)) => code,
        Ok(Side::Init { outer, bounded }) => {
            let ready = set_up(&Linux, spec).and_then(|()| bounded.settle());
            let answer = match &ready {
                Ok(bounded) => Reply::Ready { bounded: *bounded },
                Err(error) => Reply::Setup {
                    step: error.step.clone(),
                    message: error.message.clone(),
                },
            };
            let told = channel.tell(&answer);
            if ready.is_err() || told.is_err() {
                return ExitCode::FAILURE;
            }
            serve_commands(&mut channel, spec, &outer)
        }
        Err(error) => {
            let reply = Reply::Setup {
                step: "make a pid namespace".to_owned(),
                message: error.to_string(),
            };
            // If the caller is gone there is nobody to tell.
            channel.tell(&reply).ok();
            ExitCode::FAILURE
        }
    }
}

enum Side {
    /// The outer process, after PID 1 has ended.
    Outer(ExitCode),
    /// PID 1, with a descriptor of the outer process.
    Init { outer: OwnedFd, bounded: Bounded },
}

/// Whether the number of processes is bounded.
enum Bounded {
    /// By the pid namespace.
    Yes,
    /// The outer process is making a control group, and will say.
    Asked(UnixStream),
}

impl Bounded {
    fn settle(self) -> Result<bool, SetupError> {
        match self {
            Self::Yes => Ok(true),
            Self::Asked(mut outer) => {
                bound::question(&mut outer).map_err(SetupError::at("wait for the outer process"))
            }
        }
    }
}

fn split(spec: &SandboxSpec) -> io::Result<Side> {
    sys::close_on_exec_from(3)?;
    // Without a controlling terminal nothing inside can type into the caller's.
    rustix::process::setsid()?;
    sys::leave_session_keyring();
    // Rather this than a service of the host; a kernel without the file has no such choice.
    fs::write("/proc/self/oom_score_adj", "300").ok();
    let outer = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    let outside = bound::largest_number();
    let (mut above, mut below) = UnixStream::pair()?;
    Linux.unshare(Namespaces::NEWPID)?;
    match sys::fork()? {
        Forked::Child => {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            drop(above);
            let done = bound::bound_namespace(spec.limits.processes, outside);
            bound::answer(&mut below, done)?;
            let bounded = if done {
                Bounded::Yes
            } else {
                Bounded::Asked(below)
            };
            Ok(Side::Init { outer, bounded })
        }
        Forked::Parent(init) => {
            drop(below);
            let mut group = None;
            if let Ok(false) = bound::question(&mut above) {
                group = bound::Group::around(init, spec.limits.processes);
                // PID 1 may have died meanwhile, which is seen below.
                bound::answer(&mut above, group.is_some()).ok();
            }
            let ended = rustix::process::waitpid(Some(init), WaitOptions::empty())?;
            drop(group);
            let good = ended.is_some_and(|(_, status)| status.exit_status() == Some(0));
            Ok(Side::Outer(if good {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }))
        }
    }
}

fn set_up(kernel: &dyn Kernel, spec: &SandboxSpec) -> Result<(), SetupError> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    kernel
        .unshare(
            Namespaces::NEWNS
                | Namespaces::NEWIPC
                | Namespaces::NEWUTS
                | Namespaces::NEWNET
                | Namespaces::NEWCGROUP,
        )
        .map_err(SetupError::at("make namespaces"))?;
    kernel
        .make_mounts_private()
        .map_err(SetupError::at("make mounts private"))?;
    let sources = Sources::open(kernel, spec)?;
    kernel
        .pivot_into(&sources.root)
        .map_err(SetupError::at("enter the root"))?;
    mounts::furnish(kernel, spec, &sources, Path::new("/"))?;
    kernel
        .set_hostname(&spec.hostname)
        .map_err(SetupError::at("set the host name"))?;
    kernel
        .bring_up_loopback()
        .map_err(SetupError::at("bring up the loopback interface"))?;
    confine::limit(&spec.limits)?;
    confine::confine(kernel, spec.setuid)?;
    confine::hide()
}

/// Serves until the caller closes the connection, which is how a session ends well.
fn serve_commands(channel: &mut Channel, spec: &SandboxSpec, outer: &OwnedFd) -> ExitCode {
    let mut stdin = Vec::new();
    loop {
        let mut command = match channel.hear() {
            Ok(Request::Run(command)) => command,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return ExitCode::SUCCESS;
            }
            Err(_) => return ExitCode::FAILURE,
        };
        match channel.receive(&mut stdin) {
            Ok(FrameKind::Output) => command.stdin = std::mem::take(&mut stdin),
            _ => return ExitCode::FAILURE,
        }
        if commands::run(channel, spec, &command, outer).is_err() {
            return ExitCode::FAILURE;
        }
    }
}
