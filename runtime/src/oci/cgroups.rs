//! The cgroups of a container: handed to its own root, and removed when nothing of it is left.
//!
//! Limits and membership are the OCI runtime's job. It does not give a user-namespaced init the right to make groups
//! for its services, without which systemd does not start ("Failed to allocate manager object"); and a runtime that
//! was killed leaves empty groups behind.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::FileError;

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
struct Hierarchy {
    mount_point: PathBuf,
    /// Which directory of the hierarchy is mounted there.
    root: String,
    /// `None` for cgroup2, else the controllers or the name.
    options: Option<Vec<String>>,
}

/// Gives the groups of process `pid` in the hierarchies without controllers (`name=systemd`, cgroup2) to `owner`. A
/// host that has neither is fine: then there is no systemd on it to ask for them.
///
/// # Errors
/// [`FileError`] where a file of /proc cannot be read or a directory does not take an owner.
pub fn delegate(pid: u32, owner: u32) -> Result<(), FileError> {
    let path = PathBuf::from(format!("/proc/{pid}/cgroup"));
    let membership = fs::read_to_string(&path).map_err(FileError::on("read", &path))?;
    for hierarchy in hierarchies()? {
        let Some(group) = group_in(&hierarchy, &membership) else {
            continue;
        };
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

/// Removes the group `path` (as in `cgroupsPath`: `/vzpkg/<ctid>`) and those below it from every hierarchy. Groups with
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

fn hierarchies() -> Result<Vec<Hierarchy>, FileError> {
    let path = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(path).map_err(FileError::on("read", path))?;
    Ok(text.lines().filter_map(parse_mount).collect())
}

/// `36 35 98:0 /root /mount/point options … - type source super,options`
fn parse_mount(line: &str) -> Option<Hierarchy> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, mount_point) = (before.next()?.to_owned(), before.next()?);
    let mut after = after.split(' ');
    let options = match after.next()? {
        "cgroup2" => None,
        "cgroup" => Some(after.nth(1)?.split(',').map(str::to_owned).collect()),
        _ => return None,
    };
    Some(Hierarchy {
        // Spaces in a mount point are written as \040; no cgroup is mounted at such a place.
        mount_point: PathBuf::from(mount_point),
        root,
        options,
    })
}

/// The directory of a process in a hierarchy that is delegated; `None` for one with controllers, and for its root.
fn group_in(hierarchy: &Hierarchy, membership: &str) -> Option<PathBuf> {
    let named = |list: &str| match &hierarchy.options {
        None => list.is_empty(),
        Some(options) => list == "name=systemd" && options.iter().any(|option| option == list),
    };
    let group = membership.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (list, group) = rest.split_once(':')?;
        named(list).then_some(group)
    })?;
    let below = group.strip_prefix(hierarchy.root.trim_end_matches('/'))?;
    let below = below.trim_start_matches('/');
    (!below.is_empty()).then(|| hierarchy.mount_point.join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "8:pids:/vzpkg/web\n1:name=systemd:/vzpkg/web\n0::/vzpkg/web\n";

    #[test]
    fn only_hierarchies_without_controllers_are_delegated() {
        for (line, expected) in [
            (
                "30 25 0:26 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
                Some("/sys/fs/cgroup/systemd/vzpkg/web"),
            ),
            (
                "31 25 0:27 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw",
                Some("/sys/fs/cgroup/unified/vzpkg/web"),
            ),
            (
                "32 25 0:28 /vzpkg /cg rw - cgroup2 cgroup2 rw",
                Some("/cg/web"),
            ),
            (
                "33 25 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
                None,
            ),
            ("34 25 0:30 /other /cg rw - cgroup2 cgroup2 rw", None),
        ] {
            let hierarchy = parse_mount(line).unwrap();
            assert_eq!(
                group_in(&hierarchy, HYBRID),
                expected.map(PathBuf::from),
                "{line}"
            );
        }
    }

    #[test]
    fn the_root_of_a_hierarchy_is_never_given_away() {
        let line = "31 25 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        assert_eq!(group_in(&parse_mount(line).unwrap(), "0::/\n"), None);
        assert_eq!(parse_mount("1 1 0:1 / / rw - ext4 /dev/vda rw"), None);
    }
}
