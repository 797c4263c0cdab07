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
    mount_point: PathBuf,
    /// `None` for cgroup2, else the controllers or the name.
    options: Option<Vec<String>>,
}

/// Makes the group `path` (as in `cgroupsPath`: `/vzpkg/web-61eb21907686`) in the hierarchies without controllers (`name=systemd`,
/// cgroup2) and gives it to `owner`: the runtime puts the container into groups that it finds. A host that has neither
/// is fine: then there is no systemd on it to ask for them.
///
/// # Errors
/// [`FileError`] where the mounts cannot be read, or a group cannot be made or does not take an owner.
pub fn delegate(path: &Path, owner: u32) -> Result<(), FileError> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    for hierarchy in hierarchies()?.iter().filter(|one| one.is_delegated()) {
        let group = hierarchy.mount_point.join(relative);
        durable::create_directories(&group, 0o755)?;
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
    let mount_point = before.split(' ').nth(4)?;
    let mut after = after.split(' ');
    let options = match after.next()? {
        "cgroup2" => None,
        "cgroup" => Some(after.nth(1)?.split(',').map(str::to_owned).collect()),
        _ => return None,
    };
    Some(Hierarchy {
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

    /// Whether containers are put into it and may make groups of their own there.
    fn is_delegated(&self) -> bool {
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
