//! OCI runtimes that go on after the vzpkg that called them was killed: found by what they were called with, and ended.
//!
//! What they were making ends with them, or is found by its cgroup ([`super::cgroups`]).

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Arguments of a runtime are a few paths; of others nothing is to be known.
const ARGUMENT_BYTES: usize = 1 << 16;

/// How long a killed process may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kills every runtime that is at work on this bundle and waits until it is gone. Reads the arguments of every process of
/// the machine, about 20 µs each.
///
/// # Errors
/// Where `/proc` cannot be listed; [`io::ErrorKind::TimedOut`] for one that does not go.
pub fn end(bundle: &Path) -> io::Result<()> {
    let begin = Instant::now();
    loop {
        let mut found = false;
        for entry in fs::read_dir("/proc")? {
            let pid = entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(pid) = pid.and_then(Pid::from_raw) {
                found |= kill_if_at_work(pid, bundle);
            }
        }
        if !found {
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether it was at work; the handle makes sure that it is the one whose arguments were read.
fn kill_if_at_work(pid: Pid, bundle: &Path) -> bool {
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return false;
    };
    let arguments = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
    let at_work = arguments.is_ok_and(|arguments| names(&arguments, bundle));
    if at_work {
        // It may have ended by itself.
        let _gone = pidfd_send_signal(&process, Signal::KILL);
    }
    at_work
}

/// Whether these arguments, each ended by a zero byte, are those of a call about the bundle.
fn names(arguments: &[u8], bundle: &Path) -> bool {
    if arguments.len() > ARGUMENT_BYTES {
        return false;
    }
    let words: Vec<&OsStr> = arguments
        .split(|&byte| byte == 0)
        .map(OsStr::from_bytes)
        .collect();
    words.windows(2).any(
        |pair| matches!(pair, [flag, value] if *flag == "--bundle" && *value == bundle.as_os_str()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    #[test]
    fn only_a_call_about_this_very_bundle_is_meant() {
        let bundle = Path::new("/run/vzpkg/61eb21907686/ct/web");
        let call = |words: &[&str]| names(words.join("\0").as_bytes(), bundle);
        assert!(call(&[
            "runc",
            "run",
            "--bundle",
            "/run/vzpkg/61eb21907686/ct/web",
            "web",
            ""
        ]));
        assert!(!call(&[
            "runc",
            "run",
            "--bundle",
            "/run/vzpkg/61eb21907686/ct/web2",
            "web2",
            ""
        ]));
        assert!(!call(&["vi", "/run/vzpkg/61eb21907686/ct/web", ""]));
        assert!(!call(&[""]));
    }

    #[test]
    fn one_that_is_at_work_is_ended() {
        let directory = tempfile::tempdir().unwrap();
        // A shell that waits in a builtin: one whose last command is a program becomes that program.
        let mut child = Command::new("sh")
            .args(["-c", "read line", "sh", "--bundle"])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // For a moment after it was started a program has no arguments.
        let arguments = format!("/proc/{}/cmdline", child.id());
        while fs::read(&arguments).unwrap().is_empty() {
            thread::yield_now();
        }
        // Later it has none any more, though its parent has not asked for it.
        end(directory.path()).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    }
}
