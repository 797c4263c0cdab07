//! A bound on how many processes a session may have, so that a fork bomb in a script stays in its session.
//!
//! Where the kernel counts process numbers per pid namespace (Linux 6.14), the namespace itself is bounded, at no cost.
//! Elsewhere the session gets a pids control group beside that of its caller, which costs the kernel some milliseconds;
//! they pass while PID 1 mounts. `RLIMIT_NPROC` would not do: root is exempt, and it counts the whole host.

use crate::cgroup_mounts::hierarchies_in;
use rustix::process::Pid;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const PID_MAX: &str = "/proc/sys/kernel/pid_max";

/// How the names of our groups begin; the number of PID 1 follows.
const PREFIX: &str = "vzpkg-sandbox-";

/// The largest process number of the calling process's pid namespace, as far as the kernel has one for each.
pub(super) fn largest_number() -> Option<u64> {
    fs::read_to_string(PID_MAX).ok()?.trim().parse().ok()
}

/// Bounds the pid namespace of the calling process, which is its PID 1. `outside` is [`largest_number`] of the
/// namespace around it: if both are the same they may be one, and nothing is touched. Says whether it did.
pub(super) fn bound_namespace(limit: u32, outside: Option<u64>) -> bool {
    let inside = largest_number();
    if inside.is_none() || outside.is_none() || inside == outside {
        return false;
    }
    // The kernel reserves the first 300.
    fs::write(PID_MAX, limit.max(301).to_string()).is_ok()
}

/// A control group that bounds the number of processes; removed at the end, when it must be empty.
#[derive(Debug)]
pub(super) struct Group {
    directory: PathBuf,
}

impl Group {
    /// Puts a process into a group of its own. Nothing where this host has no group for that.
    pub(super) fn around(process: Pid, limit: u32) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let parent = parents(&mounts, &own).into_iter().find(|(parent, modern)| {
            let enabled = fs::read_to_string(parent.join("cgroup.subtree_control"));
            !modern
                || enabled.is_ok_and(|names| names.split_whitespace().any(|name| name == "pids"))
        });
        let (parent, _) = parent?;
        sweep(&parent);
        let number = process.as_raw_nonzero();
        let group = Self {
            directory: parent.join(format!("{PREFIX}{number}")),
        };
        fs::create_dir(&group.directory).ok()?;
        fs::write(group.directory.join("pids.max"), limit.to_string()).ok()?;
        fs::write(group.directory.join("cgroup.procs"), number.to_string()).ok()?;
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What stays is swept by the next session.
        fs::remove_dir(&self.directory).ok();
    }
}

/// Removes the groups of sessions whose outer process was killed. Those of living ones are not empty and stay.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let process = number.map(|number| Path::new("/proc").join(number));
        if process.is_some_and(|process| !process.exists()) {
            fs::remove_dir(entry.path()).ok();
        }
    }
}

/// Directories in which a pids group can be made, best first, and whether each is of the unified hierarchy: beside our
/// own group, since a group that holds processes may not have groups with processes below it.
fn parents(mounts: &str, own: &str) -> Vec<(PathBuf, bool)> {
    let counting = hierarchies_in(mounts).filter(|one| one.is_unified() || one.has("pids"));
    let found = counting.filter_map(|one| {
        let below = one.below(one.path_of(own)?).unwrap_or(Path::new(""));
        let group = one.place(below);
        let beside = if below.as_os_str().is_empty() || !one.is_unified() {
            Some(group.as_path())
        } else {
            group.parent()
        };
        Some((beside?.to_owned(), one.is_unified()))
    });
    found.collect()
}

/// [`io::Result`] as one byte for the other side of a fork.
pub(super) fn answer(stream: &mut impl io::Write, yes: bool) -> io::Result<()> {
    stream.write_all(&[u8::from(yes)])
}

/// The byte of [`answer`].
pub(super) fn question(stream: &mut impl io::Read) -> io::Result<bool> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte == [1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_made_beside_our_own_in_the_unified_hierarchy() {
        let mounts =
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let own = "0::/user.slice/user-0.slice/session-3.scope\n";
        let beside = PathBuf::from("/sys/fs/cgroup/user.slice/user-0.slice");
        assert_eq!(parents(mounts, own), [(beside, true)]);
        let root = PathBuf::from("/sys/fs/cgroup");
        assert_eq!(parents(mounts, "0::/\n"), [(root, true)]);
    }

    #[test]
    #[ignore = "needs root: make check runs it"]
    fn privileged_a_group_bounds_a_process_and_is_removed_with_it() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let group = Group::around(Pid::from_child(&child), 77).unwrap();
        let directory = group.directory.clone();
        assert_eq!(
            fs::read_to_string(directory.join("pids.max")).unwrap(),
            "77\n"
        );
        let member = fs::read_to_string(directory.join("cgroup.procs")).unwrap();
        assert_eq!(member.trim(), child.id().to_string());
        child.kill().unwrap();
        child.wait().unwrap();
        drop(group);
        assert!(!directory.exists());
        // One whose session was killed together with its helper goes with the next.
        let stale = directory.with_file_name(format!("{PREFIX}999999999"));
        fs::create_dir(&stale).unwrap();
        sweep(stale.parent().unwrap());
        assert!(!stale.exists());
    }

    #[test]
    fn older_hosts_have_a_hierarchy_for_it() {
        let mounts = "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let own = "8:pids:/service\n0::/\n";
        let expected = [
            (PathBuf::from("/sys/fs/cgroup/pids/service"), false),
            (PathBuf::from("/sys/fs/cgroup/unified"), true),
        ];
        assert_eq!(parents(mounts, own), expected);
    }
}
