//! The cgroups of a container: handed to its own root, and removed when nothing of it is left.
//!
//! Limits and membership are the OCI runtime's job. It does not give a user-namespaced init the right to make groups
//! for its services, without which systemd does not start ("Failed to allocate manager object"); and a runtime that
//! was killed leaves empty groups behind.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::{self, FileError};

/// The files of a group that its owner writes, in both kinds of hierarchy.
const OWNED: [&str; 5] = [
    "cgroup.procs",
    "tasks",
    "cgroup.threads",
    "cgroup.subtree_control",
    "cgroup.clone_children",
];

/// A mounted hierarchy of cgroups.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// The group that the mount shows as its root.
    root: PathBuf,
    mount_point: PathBuf,
    /// `None` for cgroup2, else the controllers or the name.
    options: Option<Vec<String>>,
}

/// Makes the group `path` (as in `cgroupsPath`: `/vzpkg/web-61eb21907686`) in the hierarchies without controllers
/// (`name=systemd`, cgroup2): the runtime puts the container into groups that it finds. A host that has neither is fine:
/// then there is no systemd on it to ask for them.
///
/// # Errors
/// [`FileError`] where the mounts cannot be read, or a group cannot be made.
pub fn make(path: &Path) -> Result<(), FileError> {
    for group in delegated(path)? {
        durable::create_directories(&group, 0o755)?;
    }
    Ok(())
}

/// The group `path` in the hierarchies without controllers.
fn delegated(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let hierarchies = hierarchies()?;
    let delegated = hierarchies.iter().filter(|one| one.is_delegated());
    Ok(delegated
        .map(|one| one.mount_point.join(relative))
        .collect())
}

/// Gives the groups that [`make`] makes to `owner`.
///
/// # Errors
/// [`FileError`] where the mounts cannot be read, or a group is not there or does not take an owner.
pub fn delegate(path: &Path, owner: u32) -> Result<(), FileError> {
    for group in delegated(path)? {
        chown(&group, Some(owner), Some(owner))
            .map_err(FileError::on("change the owner of", &group))?;
        for name in OWNED {
            let file = group.join(name);
            match chown(&file, Some(owner), Some(owner)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(FileError::on("change the owner of", file)(error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Removes the group `path` (as in `cgroupsPath`: `/vzpkg/web-61eb21907686`) and those below it from every hierarchy. Groups with
/// processes stay.
///
/// # Errors
/// [`FileError`] where the mounts cannot be read.
pub fn remove(path: &Path) -> Result<(), FileError> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    for hierarchy in hierarchies()? {
        remove_below(&hierarchy.mount_point.join(relative));
    }
    Ok(())
}

/// Depth first; only `rmdir`, which the kernel refuses for a group in use.
fn remove_below(group: &Path) {
    let Ok(entries) = fs::read_dir(group) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_below(&entry.path());
        }
    }
    drop(fs::remove_dir(group));
}

/// Every mounted hierarchy.
pub(super) fn hierarchies() -> Result<Vec<Hierarchy>, FileError> {
    let path = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(path).map_err(FileError::on("read", path))?;
    Ok(text.lines().filter_map(parse_mount).collect())
}

/// `36 35 98:0 /root /mount/point options … - type source super,options`
fn parse_mount(line: &str) -> Option<Hierarchy> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, mount_point) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let options = match after.next()? {
        "cgroup2" => None,
        "cgroup" => Some(after.nth(1)?.split(',').map(str::to_owned).collect()),
        _ => return None,
    };
    Some(Hierarchy {
        root: root.into(),
        // Spaces in a mount point are written as \040; no cgroup is mounted at such a place.
        mount_point: PathBuf::from(mount_point),
        options,
    })
}

/// Where OCI runtimes look for cgroup2: alone, and beside hierarchies with controllers.
const UNIFIED: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

impl Hierarchy {
    /// Whether it is cgroup2.
    pub(super) const fn is_unified(&self) -> bool {
        self.options.is_none()
    }

    /// The group `relative` to its root, if the group is there and its members can be limited by `controller`.
    pub(super) fn group_with(&self, relative: &Path, controller: &str) -> Option<PathBuf> {
        let group = self.mount_point.join(relative);
        let controls = match &self.options {
            Some(options) => options.iter().any(|option| option == controller),
            None => fs::read_to_string(group.join("cgroup.controllers"))
                .is_ok_and(|list| list.split_whitespace().any(|name| name == controller)),
        };
        (controls && group.is_dir()).then_some(group)
    }

    /// The group of a process with this `/proc/PID/cgroup`, lines `number:controllers:path` (cgroups(7)), where this mount
    /// shows it.
    pub(super) fn group_of(&self, membership: &str) -> Option<PathBuf> {
        let options = self.options.as_deref().unwrap_or_default();
        let path = membership.lines().find_map(|line| {
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            let mut names = names.split(',').filter(|name| !name.is_empty());
            let ours = match names.next() {
                None => self.is_unified(),
                Some(name) => options.iter().any(|option| option == name),
            };
            ours.then_some(path)
        });
        let below = Path::new(path?).strip_prefix(&self.root).ok()?;
        Some(self.mount_point.join(below))
    }

    /// Whether containers are put into it and may make groups of their own there.
    pub(super) fn is_delegated(&self) -> bool {
        match &self.options {
            None => UNIFIED
                .iter()
                .any(|place| self.mount_point == Path::new(place)),
            Some(options) => options.iter().any(|option| option == "name=systemd"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_process_is_found_below_the_mount() {
        let membership = "7:pids:/a\n2:cpu,cpuacct:/b\n1:name=systemd:/c\n0::/d/e\n";
        let group = |line| parse_mount(line).unwrap().group_of(membership);
        for (line, expected) in [
            (
                "1 1 0:1 / /cg/pids rw - cgroup cgroup rw,pids",
                Some("/cg/pids/a"),
            ),
            (
                "1 1 0:1 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct",
                Some("/cg/cpu/b"),
            ),
            (
                "1 1 0:1 / /cg/s rw - cgroup cgroup rw,name=systemd",
                Some("/cg/s/c"),
            ),
            ("1 1 0:1 / /cg/u rw - cgroup2 cgroup2 rw", Some("/cg/u/d/e")),
            ("1 1 0:1 /d /cg/u rw - cgroup2 cgroup2 rw", Some("/cg/u/e")),
            ("1 1 0:1 /x /cg/u rw - cgroup2 cgroup2 rw", None),
            ("1 1 0:1 / /cg/net rw - cgroup cgroup rw,net_cls", None),
        ] {
            assert_eq!(group(line), expected.map(PathBuf::from), "{line}");
        }
    }

    #[test]
    fn only_hierarchies_without_controllers_are_delegated() {
        for (line, expected) in [
            (
                "30 25 0:26 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
                true,
            ),
            (
                "31 25 0:27 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw",
                true,
            ),
            ("32 25 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", true),
            ("33 25 0:28 /vzpkg /cg rw - cgroup2 cgroup2 rw", false),
            (
                "34 25 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
                false,
            ),
        ] {
            assert_eq!(
                parse_mount(line).unwrap().is_delegated(),
                expected,
                "{line}"
            );
        }
        assert_eq!(parse_mount("1 1 0:1 / / rw - ext4 /dev/vda rw"), None);
    }
}
