//! The mount namespaces of a container: which there are, who speaks for each, and whether it can be moved.

use super::look::Look;
use super::mountinfo::MountTable;
use super::placement::{Placement, place};
use super::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;

/// One mount namespace.
#[derive(Debug, Clone)]
pub(super) struct Namespace {
    /// A process in it.
    pub(super) member: u32,
    /// A process that sees it from its root; `None` where there is none.
    pub(super) speaker: Option<u32>,
    /// The user namespace of that process, taken with the rest: it may have ended since.
    pub(super) users: Vec<u8>,
    /// The mount at its root; 0 where nobody speaks for it.
    pub(super) root: u64,
    /// Its mounts.
    pub(super) table: MountTable,
    /// What it needs, or why it cannot be moved, or nothing at all where it does not show the container's files.
    pub(super) needs: Option<Result<Placement, String>>,
}

impl Namespace {
    /// Whether files of a container show in it.
    pub(super) fn shows_ours(&self) -> bool {
        self.table.mounts.iter().any(|one| one.label().is_some())
    }

    /// It cannot be moved to another overlay, and why.
    pub(super) fn refuse(&self, why: &str) -> Refusal {
        Refusal::of(self.member, "move its mounts")(io::Error::other(why))
    }
}

/// All namespaces of a container, by their identity (`mnt:[4026532]`).
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    pub(super) all: BTreeMap<Vec<u8>, Namespace>,
    /// Which processes are in which.
    pub(super) members: BTreeMap<u32, Vec<u8>>,
    /// The namespace of process 1.
    pub(super) first: Vec<u8>,
    /// The superblock of the overlay that the container stands on.
    pub(super) device: String,
    /// The superblock of every mount in every namespace.
    devices: BTreeMap<u64, String>,
    /// Superblocks of earlier overlays of this container that are still mounted somewhere.
    earlier: Vec<String>,
    /// The namespace of the one who looks.
    outside: Vec<u8>,
}

/// Which file system a mount is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The overlay that the container stands on.
    Present,
    /// An overlay that it stood on before, still mounted in some namespace.
    Earlier,
    /// Another file system.
    Other,
    /// A mount that no namespace has: an internal one of the kernel, or one that was detached.
    Unknown,
}

impl Namespaces {
    /// Finds the namespaces of these processes; those of the one who looks are left out: a command on its way in.
    pub(super) fn find(look: &dyn Look, init: u32, processes: &[u32]) -> io::Result<Self> {
        let mut found = Self {
            first: look.link(init, "ns/mnt")?,
            outside: look.own_namespace()?,
            ..Self::default()
        };
        for &pid in processes {
            let id = match look.link(pid, "ns/mnt") {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            if id != found.outside {
                found.members.insert(pid, id);
            }
        }
        if found.members.get(&init) != Some(&found.first) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let first = found.read(look, &found.first.clone(), Some(init))?;
        found.device = first
            .table
            .get(first.root)
            .filter(|root| root.label().is_some())
            .map(|root| root.device.clone())
            .ok_or_else(|| io::Error::other("its root is not what vzpkg mounted"))?;
        let users = look.link(init, "ns/user")?;
        let mut others: Vec<Vec<u8>> = found.members.values().cloned().collect();
        others.sort();
        others.dedup();
        for id in others {
            let namespace = found.read(look, &id, (id == found.first).then_some(init))?;
            found.devices.extend(namespace.table.devices());
            let labelled = namespace
                .table
                .mounts
                .iter()
                .filter(|mount| mount.label().is_some() && mount.device != found.device);
            found
                .earlier
                .extend(labelled.map(|mount| mount.device.clone()));
            found.all.insert(id, namespace);
        }
        let crowded = found.crowded();
        let mut all = mem::take(&mut found.all);
        for namespace in all.values_mut() {
            namespace.needs = found.judge(namespace, &users, &crowded);
        }
        found.all = all;
        Ok(found)
    }

    /// Reads one namespace through a member whose root is the namespace's.
    fn read(&self, look: &dyn Look, id: &[u8], only: Option<u32>) -> io::Result<Namespace> {
        let mut last = Namespace {
            member: 0,
            speaker: None,
            users: Vec::new(),
            root: 0,
            table: MountTable::default(),
            needs: None,
        };
        let members = self.members.iter().filter(|(_, of)| of.as_slice() == id);
        for (&pid, _) in members.filter(|(pid, _)| only.is_none_or(|only| only == **pid)) {
            let table = match look.read(pid, "mountinfo") {
                Err(error) if is_gone(&error) => continue,
                other => other?,
            };
            let table = MountTable::parse(&table)
                .ok_or_else(|| io::Error::other("its mounts cannot be read"))?;
            let root = look.place(pid, "root").map(|place| place.mount);
            let link = look.link(pid, "root");
            let users = look.link(pid, "ns/user");
            let (Ok(root), Ok(link), Ok(users)) = (root, link, users) else {
                continue;
            };
            let whole = link == b"/" && table.get(root).is_some_and(|root| root.point == b"/");
            last.table = table;
            last.member = pid;
            if whole {
                last.speaker = Some(pid);
                last.users = users;
                last.root = root;
                break;
            }
        }
        Ok(last)
    }

    /// Groups of mounts in which there is more than one, or that others get mounts from.
    fn crowded(&self) -> BTreeSet<u64> {
        let mounts = || self.all.values().flat_map(|one| &one.table.mounts);
        let mut once = BTreeSet::new();
        let twice = mounts().filter_map(|mount| mount.group.filter(|group| !once.insert(*group)));
        let mut crowded: BTreeSet<u64> = twice.collect();
        crowded.extend(mounts().filter_map(|mount| mount.master));
        crowded
    }

    fn judge(
        &self,
        namespace: &Namespace,
        users: &[u8],
        crowded: &BTreeSet<u64>,
    ) -> Option<Result<Placement, String>> {
        let table = &namespace.table;
        let shows = |device: &str| table.mounts.iter().any(|mount| mount.device == device);
        let mut ours = table.mounts.iter().filter(|one| one.label().is_some());
        if ours.any(|mount| mount.device != self.device) {
            return Some(Err("it shows an earlier version".to_owned()));
        }
        let root = table.get(namespace.root);
        if !shows(&self.device) {
            return None;
        }
        if namespace.speaker.is_none() {
            return Some(Err("no process in it sees its root".to_owned()));
        }
        if root.is_none_or(|root| root.device != self.device) {
            return Some(Err("its root is another file system".to_owned()));
        }
        if namespace.users != users {
            return Some(Err("it belongs to another user namespace".to_owned()));
        }
        let mut ours = table.mounts.iter().filter(|one| one.label().is_some());
        if ours.any(|mount| mount.group.is_some_and(|group| crowded.contains(&group))) {
            return Some(Err("it shares mounts with others".to_owned()));
        }
        Some(place(table, namespace.root))
    }

    /// Which file system a mount is of.
    pub(super) fn whose(&self, mount: u64) -> Whose {
        match self.devices.get(&mount) {
            None => Whose::Unknown,
            Some(device) if *device == self.device => Whose::Present,
            Some(device) if self.earlier.contains(device) => Whose::Earlier,
            Some(_) => Whose::Other,
        }
    }

    /// Whether a superblock, as `/proc/PID/maps` writes it (`00:27`), is one of a file system that is mounted somewhere,
    /// but no earlier overlay.
    pub(super) fn is_mounted(&self, device: &str) -> bool {
        self.devices.values().any(|known| {
            hexadecimal(known).as_deref() == Some(device) && !self.earlier.contains(known)
        })
    }

    /// Whether a mount namespace is one of these, or the one of who looks.
    pub(super) fn knows(&self, id: &[u8]) -> bool {
        id == self.outside || self.all.contains_key(id)
    }

    /// A mount namespace that nobody is in and that is kept by a mount in this one.
    pub(super) fn kept_in<'a>(&self, namespace: &'a Namespace) -> Option<&'a [u8]> {
        let mounts = namespace.table.mounts.iter();
        let mut kept = mounts.filter(|one| one.kind == "nsfs" && one.root.starts_with(b"mnt:["));
        kept.find(|one| !self.knows(&one.root))
            .map(|one| one.root.as_slice())
    }

    /// The namespace of a process.
    pub(super) fn of(&self, pid: u32) -> Option<&Namespace> {
        self.all.get(self.members.get(&pid)?)
    }
}

/// `0:39` as `00:27`.
fn hexadecimal(device: &str) -> Option<String> {
    let (major, minor) = device.split_once(':')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    Some(format!("{major:02x}:{minor:02x}"))
}

/// Whether the process has ended.
pub(super) fn is_gone(error: &io::Error) -> bool {
    // The mounts of a process that is ending are refused with EINVAL.
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::EINVAL)
}
