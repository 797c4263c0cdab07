//! What a mount namespace needs to stand on another overlay: which submounts move over, which are bound again.
//!
//! Pure: a table of mounts in, steps out. A submount of another file system moves as it is, with everything in it, so
//! that whoever works in it notices nothing; a submount of the overlay itself (`ProtectSystem=`, `PrivateTmp=` of a
//! service) is bound again from the new overlay with the same flags. Mounts that others cover are left behind: nobody
//! sees them.

use super::mountinfo::{Mount, MountTable};
use crate::sys::MountAttributes;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// One submount to put into the new root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// Where, relative to the root of the namespace.
    pub(super) at: PathBuf,
    /// The same place as a path of the overlay: it must be there.
    pub(super) needs: PathBuf,
    /// What.
    pub(super) what: What,
}

/// What a step puts there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// This mount, taken from the old root.
    Move(u64),
    /// A new mount of this path of the overlay.
    Bind {
        /// The path, relative to the root of the overlay.
        path: PathBuf,
        /// Its flags.
        attributes: MountAttributes,
    },
}

/// Everything one namespace needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    /// The flags of its root.
    pub(super) attributes: MountAttributes,
    /// Its submounts, outer ones first.
    pub(super) steps: Vec<Step>,
    /// Where mounts of the overlay are, relative to the root, that are shared: systemd makes those of its services so.
    /// With nobody, or the namespace is bound; but nothing moves into or out of a shared mount.
    pub(super) shared: Vec<PathBuf>,
}

impl Placement {
    /// For a namespace of which nothing has to be moved any more.
    pub(super) const fn nothing() -> Self {
        Self {
            attributes: MountAttributes::empty(),
            steps: Vec::new(),
            shared: Vec::new(),
        }
    }
}

/// Works out what the namespace whose root is mount `root` needs.
///
/// # Errors
/// Why it cannot be moved to another overlay, as half a sentence.
pub(super) fn place(table: &MountTable, root: u64) -> Result<Placement, String> {
    let root = table
        .get(root)
        .ok_or("its root is no mount point of its own")?;
    let mut placement = Placement {
        attributes: flags(root)?,
        ..Placement::nothing()
    };
    if root.group.is_some() {
        placement.shared.push(PathBuf::new());
    }
    inside(table, root, root, Path::new(""), &mut placement)?;
    Ok(placement)
}

fn flags(mount: &Mount) -> Result<MountAttributes, String> {
    mount.attributes().ok_or_else(|| {
        let options = mount.options.clone();
        format!(
            "`{}` is mounted with options that cannot be given again: {options}",
            show(mount)
        )
    })
}

fn show(mount: &Mount) -> String {
    String::from_utf8_lossy(&mount.point).into_owned()
}

/// The steps for everything in `mount`, which shows the path `base` of the overlay.
fn inside(
    table: &MountTable,
    root: &Mount,
    mount: &Mount,
    base: &Path,
    placement: &mut Placement,
) -> Result<(), String> {
    for child in table.children(mount.id) {
        // On the root of `mount`: `top_of` has chosen the one that shows.
        if child.point == mount.point || is_covered(table, mount, child) {
            continue;
        }
        let top = table.top_of(child);
        let at = below(&top.point, &root.point)
            .ok_or_else(|| format!("`{}` lies outside its root", show(top)))?;
        let rest = below(&top.point, &mount.point)
            .ok_or_else(|| format!("`{}` lies outside its parent", show(top)))?;
        let needs = base.join(&rest);
        if top.device == root.device {
            if top.group.is_some() {
                placement.shared.push(at.clone());
            }
            let path = below(&top.root, b"/").unwrap_or_default();
            let what = What::Bind {
                path: path.clone(),
                attributes: flags(top)?,
            };
            placement.steps.push(Step { at, needs, what });
            inside(table, root, top, &path, placement)?;
        } else {
            if let Some(own) = own_inside(table, root, top) {
                return Err(format!(
                    "`{}` shows the container's files inside another file system",
                    show(own)
                ));
            }
            let what = What::Move(top.id);
            placement.steps.push(Step { at, needs, what });
        }
    }
    Ok(())
}

/// Where the submounts are, relative to the root, that moved into `new`, the overlay that lies on `root`: outer ones first,
/// without what lies in them. What was bound from the new overlay or copied is left out: it goes with that.
pub(super) fn brought(table: &MountTable, root: &Mount, new: &Mount) -> Vec<PathBuf> {
    let mut places = Vec::new();
    let mut within = vec![new];
    // No longer than the table: a loop in it would be the kernel's mistake.
    for _ in 0..table.mounts.len() {
        let Some(mount) = within.pop() else { break };
        for child in table.children(mount.id) {
            if child.device == new.device {
                within.push(child);
            } else if !is_copy(table, new, child) {
                places.extend(below(&child.point, &root.point));
            }
        }
    }
    places
}

/// Whether the mount that this one is a copy of is in its old place still.
fn is_copy(table: &MountTable, new: &Mount, child: &Mount) -> bool {
    table.mounts.iter().any(|other| {
        let same = (&other.point, &other.device, &other.root)
            == (&child.point, &child.device, &child.root);
        same && !table.is_within(other, new.id)
    })
}

/// Whether a later mount on a directory above hides it.
fn is_covered(table: &MountTable, parent: &Mount, child: &Mount) -> bool {
    table.children(parent.id).any(|other| {
        other.id != child.id
            && other.point != parent.point
            && other.point != child.point
            && below(&child.point, &other.point).is_some()
    })
}

/// A mount of the overlay itself somewhere in a mount of another file system.
fn own_inside<'a>(table: &'a MountTable, root: &Mount, mount: &Mount) -> Option<&'a Mount> {
    table.mounts.iter().find(|other| {
        other.device == root.device && other.id != mount.id && table.is_within(other, mount.id)
    })
}

/// `path` relative to `above`; both absolute.
fn below(path: &[u8], above: &[u8]) -> Option<PathBuf> {
    let (path, above) = (
        Path::new(OsStr::from_bytes(path)),
        Path::new(OsStr::from_bytes(above)),
    );
    path.strip_prefix(above).ok().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn steps(text: &str) -> Result<String, String> {
        let table = MountTable::parse(text.as_bytes()).unwrap();
        let placement = place(&table, table.mounts[0].id)?;
        let mut out = String::new();
        for step in placement.steps {
            let at = step.at.display();
            let needs = step.needs.display();
            match step.what {
                What::Move(id) => writeln!(out, "{id} to {at} (in {needs})"),
                What::Bind { path, attributes } => writeln!(
                    out,
                    "{} at {at} (in {needs}) {:#x}",
                    path.display(),
                    attributes.bits()
                ),
            }
            .unwrap();
        }
        for at in placement.shared {
            writeln!(out, "/{} is shared", at.display()).unwrap();
        }
        Ok(out)
    }

    #[test]
    fn a_plain_container_moves_its_submounts_with_what_is_in_them() {
        let text = "\
10 1 0:39 / / rw,relatime - overlay vzpkg:work.1 rw
11 10 0:40 / /proc rw - proc proc rw
12 11 0:41 / /proc/kcore ro - tmpfs t rw
13 10 0:42 / /dev rw - tmpfs t rw
14 13 0:43 / /dev/pts rw - devpts d rw
15 10 8:1 /srv /srv/data rw - ext4 /dev/sda1 rw
";
        insta::assert_snapshot!(steps(text).unwrap(), @r"
        11 to proc (in proc)
        13 to dev (in dev)
        15 to srv/data (in srv/data)
        ");
    }

    #[test]
    fn mounts_of_the_overlay_itself_are_bound_again_and_covered_ones_left() {
        let text = "\
10 1 0:39 / / ro,relatime shared:3 - overlay vzpkg:work.1 rw
11 10 0:39 /usr /usr ro,nosuid,relatime shared:4 - overlay vzpkg:work.1 rw
12 11 0:50 / /usr/lib/modules ro - tmpfs t rw
13 10 0:44 / /tmp rw - tmpfs t rw
14 13 0:44 /systemd-private/tmp /tmp rw - tmpfs t rw
15 10 0:39 /var/tmp/systemd-private/tmp /var/tmp rw,relatime - overlay vzpkg:work.1 rw
16 10 0:60 / /mnt/deep rw - tmpfs t rw
17 10 0:61 / /mnt rw - tmpfs t rw
";
        insta::assert_snapshot!(steps(text).unwrap(), @r"
        usr at usr (in usr) 0x3
        12 to usr/lib/modules (in usr/lib/modules)
        14 to tmp (in tmp)
        var/tmp/systemd-private/tmp at var/tmp (in var/tmp) 0x0
        17 to mnt (in mnt)
        / is shared
        /usr is shared
        ");
    }

    #[test]
    fn what_moved_into_a_new_root_is_found_again() {
        // /proc and the file system below /usr have moved, /usr is bound again, /sys is locked and was copied.
        let text = "\
10 1 0:39 / / rw,relatime - overlay vzpkg:work.1 rw
12 10 0:39 /usr /usr ro,relatime - overlay vzpkg:work.1 rw
13 10 0:44 / /sys rw - sysfs s rw
20 10 0:45 / / rw,relatime - overlay vzpkg:work.2 rw
11 20 0:40 / /proc rw - proc proc rw
14 11 0:41 / /proc/kcore ro - tmpfs t rw
21 20 0:45 /usr /usr ro,relatime - overlay vzpkg:work.2 rw
15 21 0:50 / /usr/lib/modules ro - tmpfs t rw
22 20 0:44 / /sys rw - sysfs s rw
";
        let table = MountTable::parse(text.as_bytes()).unwrap();
        let (root, new) = (table.get(10).unwrap(), table.get(20).unwrap());
        let found = brought(&table, root, new);
        assert_eq!(found, [Path::new("proc"), Path::new("usr/lib/modules")]);
    }

    #[test]
    fn what_cannot_be_moved_says_why() {
        let root = "10 1 0:39 / / rw,relatime - overlay vzpkg:work.1 rw\n";
        for (more, why) in [
            ("11 10 0:39 /a /b rw,idmapped - overlay o rw\n", "idmapped"),
            (
                "11 10 0:40 / /home rw - tmpfs t rw\n12 11 0:39 /home/a /home/a rw,relatime - overlay o rw\n",
                "inside another file system",
            ),
        ] {
            let error = steps(&format!("{root}{more}")).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
