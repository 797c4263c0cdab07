//! What a container is doing, as the kernel and the OCI runtime say; nothing of it is stored.

use super::{ContainerError, ContainerPaths};
use crate::oci::{ContainerStatus, OciRuntime};
use std::fs;
use std::io;
use std::time::Duration;

/// The unit of times in /proc, fixed by Linux for user space on every architecture in use.
const TICKS_PER_SECOND: u64 = 100;

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// No process of it lives.
    Stopped,
    /// Its process 1 lives.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Created in the runtime, process 1 not let go: a start is under way or was cut short.
    Created,
}

/// What a container is doing, with what only a running one has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ContainerState {
    /// What it does.
    pub state: RunState,
    /// The host's id of its process 1.
    pub pid: Option<u32>,
    /// How long process 1 has been running.
    pub uptime: Option<Duration>,
}

/// Asks the runtime and the kernel. Changes nothing; free for a container that was not started since the machine was,
/// about 15 ms else.
///
/// # Errors
/// [`ContainerError::Unknown`], [`ContainerError::Oci`]
pub fn state(
    paths: &ContainerPaths,
    runtime: &dyn OciRuntime,
) -> Result<ContainerState, ContainerError> {
    if !paths.private.exists() {
        return Err(ContainerError::Unknown(paths.id.clone()));
    }
    let known = runtime.state(&paths.id)?;
    let pid = known.as_ref().and_then(|known| known.pid);
    let state = match known.map(|known| known.status) {
        None | Some(ContainerStatus::Stopped) => RunState::Stopped,
        Some(ContainerStatus::Creating | ContainerStatus::Created) => RunState::Created,
        Some(ContainerStatus::Running) => RunState::Running,
        Some(ContainerStatus::Paused) => RunState::Paused,
    };
    Ok(ContainerState {
        state,
        pid,
        uptime: pid.and_then(uptime),
    })
}

/// How long a process has been running; `None` if it has just ended.
fn uptime(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    up_since().ok()?.checked_sub(start_time(&stat)?)
}

/// How long the machine has been running.
pub(super) fn up_since() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/uptime")?;
    let seconds = text.split(' ').next().and_then(|first| first.parse().ok());
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// When a process was started, after the machine was, from its `/proc/PID/stat`.
pub(super) fn start_time(stat: &str) -> Option<Duration> {
    start_ticks(stat).map(ticks)
}

/// A time as /proc has it.
pub(super) const fn ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(1000) / TICKS_PER_SECOND)
}

/// Field 22 of `/proc/PID/stat`; the name before it may hold spaces and parentheses.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let tail = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 0 0";
        for name in ["sh", "a b", "x) S 9 9"] {
            assert_eq!(start_ticks(&format!("7 ({name}) {tail}")), Some(4242));
        }
        assert_eq!(start_ticks("7 (sh"), None);
        assert!(uptime(std::process::id()).unwrap() < Duration::from_hours(87_600));
    }
}
