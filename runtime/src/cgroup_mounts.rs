//! Where control groups are mounted, of both kinds: what `/proc/self/mountinfo` says. Makes and changes no group.

use std::fs;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::FileError;

/// A mounted hierarchy of cgroups.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// The group that the mount shows as its root.
    root: PathBuf,
    mount_point: PathBuf,
    /// `None` for cgroup2, else the controllers or the name.
    options: Option<Vec<String>>,
}

/// Every mounted hierarchy.
pub(crate) fn hierarchies() -> Result<Vec<Hierarchy>, FileError> {
    let path = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(path).map_err(FileError::on("read", path))?;
    Ok(hierarchies_in(&text).collect())
}

/// Those in a table of mounts.
pub(crate) fn hierarchies_in(mounts: &str) -> impl Iterator<Item = Hierarchy> {
    mounts.lines().filter_map(parse_mount)
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
    pub(crate) const fn is_unified(&self) -> bool {
        self.options.is_none()
    }

    /// The group `relative` to its root, if the group is there and its members can be limited by `controller`.
    pub(crate) fn group_with(&self, relative: &Path, controller: &str) -> Option<PathBuf> {
        let group = self.mount_point.join(relative);
        let controls = match &self.options {
            Some(_) => self.has(controller),
            None => fs::read_to_string(group.join("cgroup.controllers"))
                .is_ok_and(|list| list.split_whitespace().any(|name| name == controller)),
        };
        (controls && group.is_dir()).then_some(group)
    }

    /// The path of a process with this `/proc/PID/cgroup`, lines `number:controllers:path` (cgroups(7)).
    pub(crate) fn path_of<'a>(&self, membership: &'a str) -> Option<&'a Path> {
        membership.lines().find_map(|line| {
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            let mut names = names.split(',').filter(|name| !name.is_empty());
            let ours = match names.next() {
                None => self.is_unified(),
                Some(name) => self.has(name),
            };
            ours.then_some(Path::new(path))
        })
    }

    /// Such a path below the group that this mount shows as its root; `None` for one that it does not show.
    pub(crate) fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        path.strip_prefix(&self.root).ok()
    }

    /// Whether the hierarchy was mounted with this controller or name; never of cgroup2.
    pub(crate) fn has(&self, name: &str) -> bool {
        let options = self.options.as_deref().unwrap_or_default();
        options.iter().any(|option| option == name)
    }

    /// Where a group lies, given by its path below the mount's root.
    pub(crate) fn place(&self, below: &Path) -> PathBuf {
        self.mount_point.join(below)
    }

    /// Whether containers are put into it and may make groups of their own there.
    pub(crate) fn is_delegated(&self) -> bool {
        match &self.options {
            None => UNIFIED
                .iter()
                .any(|place| self.mount_point == Path::new(place)),
            Some(_) => self.has("name=systemd"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_process_is_found_below_the_mount() {
        let membership = "7:pids:/a\n2:cpu,cpuacct:/b\n1:name=systemd:/c\n0::/d/e\n";
        let group = |line| {
            let hierarchy = parse_mount(line).unwrap();
            let below = hierarchy.below(hierarchy.path_of(membership)?)?;
            Some(hierarchy.place(below))
        };
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
