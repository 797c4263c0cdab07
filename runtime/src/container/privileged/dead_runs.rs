//! What a test run that was killed left on the machine: processes, cgroups and directories under a name of ours.
//!
//! A test that fails cleans up as it unwinds ([`super::Node`]); one that is killed cannot, so the next run does.

use std::fs;
use std::path::{Path, PathBuf};

/// How the names of everything that outlives a killed test run begin; the process id of the run follows.
pub(super) const PREFIX: &str = "vzpkg-test-";

/// Where test nodes lie: a disk of every machine, open to the users of a user namespace. `/tmp` may be a tmpfs, which
/// holds no images.
pub(super) const AREA: &str = "/var/tmp";

/// Kills and removes what belongs to runs whose process is gone. What cannot be removed is left for the next run.
pub(super) fn clear() {
    for hierarchy in hierarchies() {
        for group in of_the_dead(&hierarchy.join("vzpkg")) {
            empty(&group);
        }
    }
    for directory in of_the_dead(Path::new(AREA)) {
        drop(fs::remove_dir_all(directory));
    }
}

/// Where cgroups are mounted.
pub(super) fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts
        .lines()
        .filter(|line| line.contains(" - cgroup"))
        .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from))
        .collect()
}

/// Entries of `directory` that carry the name of a process that no longer is.
fn of_the_dead(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_dead = |name: &str| {
        let pid = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
    };
    entries
        .filter(|entry| is_dead(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect()
}

/// Ends every process of a group and of those below it, then removes them, innermost first.
fn empty(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            empty(&entry.path());
        }
    }
    let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for pid in members.lines().filter_map(|line| line.parse().ok()) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            // Gone since it was listed: fine.
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
        }
    }
    drop(fs::remove_dir(group));
}
