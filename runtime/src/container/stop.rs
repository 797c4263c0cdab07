//! `ct stop`: asks process 1 to end, waits, and kills what is left; then nothing of the running container remains.

use super::guard::ContainerGuard;
use super::start::STOP_SIGNAL;
use super::state::{RunState, state};
use super::{ContainerError, ContainerPaths, leftovers};
use crate::oci::OciRuntime;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use vzpkg_metadata::durable;

/// How long killed processes may take to be gone: the kernel frees their memory first.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// How a container is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Its init is asked to shut down (SIGRTMIN+3 for systemd, else TERM) and killed after this time.
    Gentle(Duration),
    /// Killed at once.
    Kill,
}

/// Stops a container and removes its mounts, bundle and cgroups. A stopped one is fine.
///
/// # Errors
/// [`ContainerError::Unknown`], [`ContainerError::DoesNotStop`], [`ContainerError::Oci`], [`ContainerError::Mount`]
pub fn stop(
    paths: &ContainerPaths,
    mode: StopMode,
    runtime: &dyn OciRuntime,
) -> Result<(), ContainerError> {
    let _guard = ContainerGuard::take(paths)?;
    let now = state(paths, runtime)?;
    if let (RunState::Running, Some(pid)) = (now.state, now.pid) {
        // Gone between the question and here: fine.
        if let Some(process) = open(pid) {
            end(paths, mode, runtime, &process)?;
        }
    }
    leftovers::clear(paths, runtime)
}

fn end(
    paths: &ContainerPaths,
    mode: StopMode,
    runtime: &dyn OciRuntime,
    process: &OwnedFd,
) -> Result<(), ContainerError> {
    if let StopMode::Gentle(timeout) = mode {
        // A process that has just ended is refused here and seen below.
        drop(runtime.kill(&paths.id, stop_signal(paths), false));
        if ends_within(process, timeout) {
            return Ok(());
        }
    }
    drop(runtime.kill(&paths.id, libc::SIGKILL, false));
    if ends_within(process, KILL_TIMEOUT) {
        return Ok(());
    }
    Err(ContainerError::DoesNotStop {
        container: paths.id.clone(),
        seconds: KILL_TIMEOUT.as_secs(),
    })
}

fn stop_signal(paths: &ContainerPaths) -> i32 {
    let text = durable::read_file(&paths.bundle.join(STOP_SIGNAL), 16).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.trim().parse().unwrap_or(libc::SIGTERM)
}

fn open(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Waits until the process has ended. When process 1 of a pid namespace has, all others have.
fn ends_within(process: &OwnedFd, timeout: Duration) -> bool {
    let until = Instant::now() + timeout;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut waiting = [PollFd::new(process, PollFlags::IN)];
        match poll(&mut waiting, Some(&left)) {
            Ok(0) => return false,
            Ok(_) => return true,
            // Interrupted by a signal: wait for the rest.
            Err(_) if Instant::now() < until => {}
            Err(_) => return false,
        }
    }
}
