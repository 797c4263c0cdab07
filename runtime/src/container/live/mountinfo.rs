//! `/proc/PID/mountinfo`: the mounts that a process sees, in the order in which they were made: one that was moved stands
//! before the one it lies in.
//!
//! A container names mount points and sources as it likes, so a line is never trusted to be well formed: one that is not
//! makes the whole table unreadable, and a namespace that cannot be read is not relinked.

use crate::sys::MountAttributes;
use std::collections::BTreeMap;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Its number; may be used again after it is gone.
    pub(super) id: u64,
    /// The mount it lies in.
    pub(super) parent: u64,
    /// The superblock: `0:39`.
    pub(super) device: String,
    /// Which directory (or file) of the superblock it shows.
    pub(super) root: Vec<u8>,
    /// Where it shows, from the root of the process.
    pub(super) point: Vec<u8>,
    /// `rw,nosuid,relatime`
    pub(super) options: String,
    /// The group of mounts to which mounts travel from here, and from which they come.
    pub(super) group: Option<u64>,
    /// The group from which they only come.
    pub(super) master: Option<u64>,
    /// The type of file system.
    pub(super) kind: String,
    /// What was mounted; for overlays of ours it tells which ([`Mount::label`]).
    pub(super) source: Vec<u8>,
}

/// All mounts that a process sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MountTable {
    /// In the kernel's order.
    pub(super) mounts: Vec<Mount>,
}

impl Mount {
    /// The name of the work directory of an overlay of ours: `work.3`.
    pub(super) fn label(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.source).ok()?;
        text.strip_prefix("vzpkg:")
            .filter(|_| self.kind == "overlay")
    }

    /// What `mount_setattr` needs to make another mount like this one; `None` where it cannot be made so.
    pub(super) fn attributes(&self) -> Option<MountAttributes> {
        let mut set = MountAttributes::empty();
        let mut access = MountAttributes::MOUNT_ATTR_STRICTATIME;
        for option in self.options.split(',') {
            match option {
                "rw" => {}
                "ro" => set |= MountAttributes::MOUNT_ATTR_RDONLY,
                "nosuid" => set |= MountAttributes::MOUNT_ATTR_NOSUID,
                "nodev" => set |= MountAttributes::MOUNT_ATTR_NODEV,
                "noexec" => set |= MountAttributes::MOUNT_ATTR_NOEXEC,
                "nodiratime" => set |= MountAttributes::MOUNT_ATTR_NODIRATIME,
                "nosymfollow" => set |= MountAttributes::MOUNT_ATTR_NOSYMFOLLOW,
                "relatime" => access = MountAttributes::MOUNT_ATTR_RELATIME,
                "noatime" => access = MountAttributes::MOUNT_ATTR_NOATIME,
                _ => return None,
            }
        }
        Some(set | access)
    }
}

impl MountTable {
    /// Reads the text of the file; `None` where a line is not understood.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let lines = text
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty());
        let mounts: Option<Vec<Mount>> = lines.map(parse_line).collect();
        Some(Self { mounts: mounts? })
    }

    /// The mount with this number.
    pub(super) fn get(&self, id: u64) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.id == id)
    }

    /// The mounts that lie in this one, in order.
    pub(super) fn children(&self, of: u64) -> impl Iterator<Item = &Mount> {
        self.mounts
            .iter()
            .filter(move |mount| mount.parent == of && mount.id != of)
    }

    /// The topmost of the mounts that lie on each other at the root of this one; itself where none does.
    pub(super) fn top_of<'a>(&'a self, mount: &'a Mount) -> &'a Mount {
        let mut top = mount;
        // No longer than the table: a loop in it would be the kernel's mistake.
        for _ in 0..self.mounts.len() {
            let over = self
                .children(top.id)
                .find(|child| child.point == mount.point);
            let Some(over) = over else { break };
            top = over;
        }
        top
    }

    /// Whether a mount is `above` or lies in it, however deep.
    pub(super) fn is_within(&self, mount: &Mount, above: u64) -> bool {
        let mut here = mount;
        // No longer than the table: a loop in it would be the kernel's mistake.
        for _ in 0..self.mounts.len() {
            if here.id == above {
                return true;
            }
            let Some(parent) = self.get(here.parent) else {
                break;
            };
            here = parent;
        }
        false
    }

    /// The superblock of every mount, by its number.
    pub(super) fn devices(&self) -> BTreeMap<u64, String> {
        let mounts = self.mounts.iter();
        mounts
            .map(|mount| (mount.id, mount.device.clone()))
            .collect()
    }
}

/// `36 35 98:0 /root /mount/point options optional… - type source super,options`
fn parse_line(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let dash = fields.iter().skip(6).position(|field| *field == b"-")? + 6;
    let text = |at: usize| std::str::from_utf8(fields.get(at)?).ok();
    let optional = fields.get(6..dash)?;
    Some(Mount {
        id: text(0)?.parse().ok()?,
        parent: text(1)?.parse().ok()?,
        device: text(2)?.to_owned(),
        root: unescape(fields.get(3)?)?,
        point: unescape(fields.get(4)?)?,
        options: text(5)?.to_owned(),
        group: group(optional, "shared:")?,
        master: group(optional, "master:")?,
        kind: text(dash + 1)?.to_owned(),
        source: unescape(fields.get(dash + 2)?)?,
    })
}

/// The number of the field that begins like this; the outer `None` where it is no number.
#[expect(
    clippy::option_option,
    reason = "a field may be missing, and it may be wrong"
)]
fn group(fields: &[&[u8]], name: &str) -> Option<Option<u64>> {
    let mut found = fields
        .iter()
        .filter_map(|field| field.strip_prefix(name.as_bytes()));
    found.next().map_or(Some(None), |number| {
        Some(Some(std::str::from_utf8(number).ok()?.parse().ok()?))
    })
}

/// The kernel writes space, tab, newline, backslash and `#` as a backslash and three octal digits.
fn unescape(field: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        if *first != b'\\' {
            out.push(*first);
            rest = tail;
            continue;
        }
        let digits = tail.get(..3)?;
        let mut value = 0_u16;
        for digit in digits {
            if !(b'0'..=b'7').contains(digit) {
                return None;
            }
            value = value * 8 + u16::from(digit - b'0');
        }
        out.push(u8::try_from(value).ok()?);
        rest = tail.get(3..)?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "59 40 0:39 / / rw,relatime master:1 - overlay vzpkg:work.3 rw,lowerdir+=x";

    fn table(text: &str) -> MountTable {
        MountTable::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_line_is_taken_apart_and_its_escapes_are_undone() {
        let text =
            format!("{LINE}\n60 59 0:40 /a\\040b /t\\134mp ro,nosuid shared:7 - tmpfs t\\011 rw\n");
        let table = table(&text);
        assert_eq!(table.mounts.len(), 2);
        assert_eq!(table.mounts[0].label(), Some("work.3"));
        let second = &table.mounts[1];
        assert_eq!(
            (&second.root[..], &second.point[..]),
            (&b"/a b"[..], &b"/t\\mp"[..])
        );
        assert_eq!((second.group, second.master), (Some(7), None));
        let first = &table.mounts[0];
        assert_eq!((first.group, first.master), (None, Some(1)));
        assert_eq!(second.label(), None);
        assert_eq!(second.source, b"t\t");
    }

    #[test]
    fn what_is_not_understood_spoils_the_table() {
        for text in [
            "59 40 0:39 / /",
            "59 40 0:39 / / rw overlay o rw",
            "x 40 0:39 / / rw - overlay o rw",
            "59 40 0:39 / /a\\04 rw - overlay o rw",
            "59 40 0:39 / /a\\777 rw - overlay o rw",
            "59 40 0:39 / /a rw -",
            "59 40 0:39 / / rw shared:x - overlay o rw",
        ] {
            assert_eq!(MountTable::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(table("").mounts.len(), 0);
    }

    #[test]
    fn options_become_attributes_or_nothing() {
        let mut mount = table(LINE).mounts.remove(0);
        assert_eq!(
            mount.attributes(),
            Some(MountAttributes::MOUNT_ATTR_RELATIME)
        );
        mount.options = "ro,nosuid,noatime".into();
        let expected = MountAttributes::MOUNT_ATTR_RDONLY
            | MountAttributes::MOUNT_ATTR_NOSUID
            | MountAttributes::MOUNT_ATTR_NOATIME;
        assert_eq!(mount.attributes(), Some(expected));
        mount.options = "rw".into();
        assert_eq!(
            mount.attributes(),
            Some(MountAttributes::MOUNT_ATTR_STRICTATIME)
        );
        mount.options = "rw,idmapped".into();
        assert_eq!(mount.attributes(), None);
    }

    #[test]
    fn mounts_on_each_other_have_a_top() {
        let table = table(
            "2 1 0:2 / /tmp rw - tmpfs t rw\n1 0 0:1 / / rw - overlay o rw\n3 2 0:2 /p /tmp rw - tmpfs t rw\n4 3 0:3 / /tmp/x rw - tmpfs t rw\n",
        );
        assert_eq!(table.top_of(&table.mounts[0]).id, 3);
        assert_eq!(table.top_of(&table.mounts[1]).id, 1);
        assert!(table.is_within(&table.mounts[3], 2) && !table.is_within(&table.mounts[1], 2));
        assert_eq!(table.devices()[&4], "0:3");
    }
}
