//! What a census found, as values: for the plan that a person reads, and from the helper to its caller.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Something by which a process is tied to the overlay that it works in. A relink would cut it: names that it makes or
/// removes there, or locks it holds, would not be seen through the new overlay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "bond", content = "what")]
pub enum Bond {
    /// Its working directory.
    WorkingDirectory(String),
    /// Its root directory, after `chroot`.
    Root(String),
    /// An open directory.
    Directory(String),
    /// A locked file.
    Lock(String),
    /// A private file that is open to read and to write, which may be locked for each job only.
    ReadWrite(String),
    /// An open FIFO.
    Fifo(String),
    /// A socket with a name in the file system.
    Socket(String),
    /// A file that it writes and that the relink replaces.
    Written(String),
    /// Its mount namespace cannot be moved to another overlay; why.
    Namespace(String),
}

/// One process of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number on the host.
    pub pid: u32,
    /// Its number in the container.
    pub inner: u32,
    /// What `ps` calls it.
    pub name: String,
    /// The systemd unit whose cgroup it is in.
    pub unit: Option<String>,
    /// What ties it to the overlay.
    pub bonds: Vec<Bond>,
    /// Files that it uses and that are not the present version's: programs, libraries, open files.
    pub old: Vec<String>,
}

impl Process {
    /// Whether a relink has to wait until it has ended.
    pub const fn is_bound(&self) -> bool {
        !self.bonds.is_empty()
    }

    /// The service that has to be stopped for it to end: a unit of systemd that can be started again.
    pub fn service(&self) -> Option<&str> {
        self.unit.as_deref().filter(|unit| is_kind(unit, "service"))
    }
}

impl fmt::Display for Bond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkingDirectory(path) => write!(f, "works in {path}"),
            Self::Root(path) => write!(f, "has its root at {path}"),
            Self::Directory(path) => write!(f, "has the directory {path} open"),
            Self::Lock(path) => write!(f, "holds a lock on {path}"),
            Self::ReadWrite(path) => write!(f, "has {path} open to read and write"),
            Self::Fifo(path) => write!(f, "has the FIFO {path} open"),
            Self::Socket(path) => write!(f, "has the socket {path}"),
            Self::Written(path) => write!(f, "writes {path}, which the relink replaces"),
            Self::Namespace(why) => write!(f, "has mounts of its own: {why}"),
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.inner, self.name)
    }
}

/// The unit of systemd that a process belongs to, as its cgroups say: the outermost one, for a user's own manager is a
/// service of the system's.
pub(super) fn unit(cgroups: &str) -> Option<String> {
    let path = cgroups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (list, path) = rest.split_once(':')?;
        let named = list.is_empty() || list == "name=systemd";
        (named && path.contains('.')).then_some(path)
    })?;
    let mut parts = path.split('/');
    parts
        .find(|part| is_kind(part, "service") || is_kind(part, "scope"))
        .map(unescape_group)
}

/// Whether a name is that of a unit of this kind.
fn is_kind(unit: &str, kind: &str) -> bool {
    unit.rsplit_once('.').is_some_and(|(_, end)| end == kind)
}

/// systemd puts `_` before names that cgroups would take for a file of theirs.
fn unescape_group(name: &str) -> String {
    name.strip_prefix('_').unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_outermost_one_in_either_hierarchy() {
        for (cgroups, expected) in [
            (
                "6:freezer:/vzpkg/web\n1:name=systemd:/vzpkg/web/system.slice/ssh.service\n0::/\n",
                Some("ssh.service"),
            ),
            (
                "0::/vzpkg/web/user.slice/user-0.slice/user@0.service/app.slice/x.service\n",
                Some("user@0.service"),
            ),
            ("1:name=systemd:/vzpkg/web/init.scope\n", Some("init.scope")),
            (
                "0::/vzpkg/web/system.slice/system-getty.slice/getty@tty1.service\n",
                Some("getty@tty1.service"),
            ),
            ("6:freezer:/vzpkg/web.service\n0::/vzpkg/web\n", None),
            ("", None),
        ] {
            assert_eq!(unit(cgroups).as_deref(), expected, "{cgroups}");
        }
    }

    #[test]
    fn only_services_can_be_started_again() {
        let process = |unit: &str| Process {
            pid: 1,
            inner: 1,
            name: "x".into(),
            unit: Some(unit.into()),
            bonds: Vec::new(),
            old: Vec::new(),
        };
        assert_eq!(process("a.service").service(), Some("a.service"));
        assert_eq!(process("session-1.scope").service(), None);
    }
}
