//! The census of a container: its processes, what ties each of them to the overlay, what they still use of earlier ones.
//!
//! Taken while the container moves, it is a plan for people; taken while it stands still, it is the truth. A process
//! that ends in between is simply not there.
//!
//! A lock that nobody holds at this moment is not seen, and two overlays grant each lock twice. So whoever has a private
//! file open to read *and* write is tied: databases keep their files so and lock them for each transaction only (SQLite
//! holds none between two), while logs are written and not read.
//!
//! What is not seen:
//!
//! - A thread that shares neither its directory nor its open files with its process is looked at for its directory only.
//! - A process that waits inside `open` for the other end of a FIFO has nothing open yet.
//! - A file that is open to read or to write only, and is locked now and then, ties while it is locked only.
//! - A descriptor on its way through a socket, or one that only `io_uring` knows, is in no table.
//! - inotify and fanotify watches stay with the old overlay and are silent from then on, without an error. They do not tie:
//!   dbus has some in every container with systemd. Who waits for changes so (a server that reads its settings again, a unit
//!   of type `path`) has to be reloaded or restarted.

use super::descriptor::{Access, Descriptor, has_one_writer};
use super::look::Look;
use super::namespaces::{Namespaces, Whose, is_gone};
use super::report::{Bond, Process, unit};
use super::sockets;
use rustix::fs::FileType;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// How closely one looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Only for what ties processes: for the moment in which they stand still.
    Bonds,
    /// Also for the programs and libraries that they use.
    Everything,
}

/// What a census found.
#[derive(Debug)]
pub(super) struct Census {
    /// Processes that are tied or use old files, by number.
    pub(super) processes: Vec<Process>,
    /// Their mount namespaces.
    pub(super) namespaces: Namespaces,
}

impl Census {
    /// The processes that are tied.
    pub(super) fn bound(&self) -> Vec<Process> {
        let bound = self.processes.iter().filter(|process| process.is_bound());
        bound.cloned().collect()
    }
}

/// Takes the census of the container whose process 1 is `init`. `replaced` are the paths (absolute, inside) of private
/// files that the relink replaces.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where process 1 has ended.
pub(super) fn take(
    look: &dyn Look,
    init: u32,
    replaced: &BTreeSet<Vec<u8>>,
    depth: Depth,
) -> io::Result<Census> {
    let pids = look.processes()?;
    let namespaces = Namespaces::find(look, init, &pids)?;
    let mut taker = Taker {
        look,
        namespaces: &namespaces,
        replaced,
        depth,
        unknown: BTreeMap::new(),
        sockets: BTreeMap::new(),
    };
    let mut processes = Vec::new();
    for &pid in &pids {
        match taker.process(pid) {
            Ok(process) => processes.extend(process),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Census {
        processes,
        namespaces,
    })
}

struct Taker<'a> {
    look: &'a dyn Look,
    namespaces: &'a Namespaces,
    replaced: &'a BTreeSet<Vec<u8>>,
    depth: Depth,
    /// Mounts that no namespace has, and whether they are overlays.
    unknown: BTreeMap<u64, bool>,
    /// The named sockets of each network namespace.
    sockets: BTreeMap<Vec<u8>, BTreeMap<u64, Vec<u8>>>,
}

impl Taker<'_> {
    /// What is to be said of a process; nothing if nothing ties it and everything it uses is new.
    fn process(&mut self, pid: u32) -> io::Result<Option<Process>> {
        let Some(namespace) = self.namespaces.of(pid) else {
            return Ok(None);
        };
        let mut bonds = BTreeSet::new();
        let mut old = BTreeSet::new();
        if let Some(Err(why)) = &namespace.needs {
            bonds.insert(Bond::Namespace(why.clone()));
        }
        if let Some(kept) = self.namespaces.kept_in(namespace) {
            let why = format!("{}, which nobody is in, is mounted", text(kept.to_vec()));
            bonds.insert(Bond::Namespace(why));
        }
        let root = namespace.root;
        self.place(pid, "root", root, &mut bonds, Bond::Root)?;
        self.place(pid, "cwd", root, &mut bonds, Bond::WorkingDirectory)?;
        self.threads(pid, root, &mut bonds)?;
        self.files(pid, &mut bonds, &mut old)?;
        if self.depth == Depth::Everything {
            self.program(pid, &mut old)?;
        }
        if bonds.is_empty() && old.is_empty() {
            return Ok(None);
        }
        Ok(Some(Process {
            pid,
            inner: inner_pid(&self.look.read(pid, "status")?).unwrap_or(pid),
            name: text(self.look.read(pid, "comm")?).trim_end().to_owned(),
            unit: unit(&text(self.look.read(pid, "cgroup")?)),
            bonds: bonds.into_iter().collect(),
            old: old.into_iter().collect(),
        }))
    }

    /// Whether a mount is an overlay of this container, and if so whether the present one.
    fn overlay(&mut self, pid: u32, name: &str, mount: u64) -> Option<Whose> {
        match self.namespaces.whose(mount) {
            Whose::Other => None,
            Whose::Unknown => {
                let look = self.look;
                let is_overlay = *self
                    .unknown
                    .entry(mount)
                    .or_insert_with(|| look.is_overlay(pid, name).unwrap_or(false));
                is_overlay.then_some(Whose::Earlier)
            }
            known => Some(known),
        }
    }

    /// A root or working directory: the root of the namespace moves along, every other place in the overlay ties.
    fn place(
        &mut self,
        pid: u32,
        name: &str,
        root: u64,
        bonds: &mut BTreeSet<Bond>,
        bond: fn(String) -> Bond,
    ) -> io::Result<()> {
        let place = match self.look.place(pid, name) {
            Err(error) if is_gone(&error) => return Ok(()),
            other => other?,
        };
        if self.overlay(pid, name, place.mount).is_none() {
            return Ok(());
        }
        let path = self.look.link(pid, name)?;
        if place.mount != root || path != b"/" {
            bonds.insert(bond(text(path)));
        }
        Ok(())
    }

    /// Threads that do not share their directory with their process.
    fn threads(&mut self, pid: u32, root: u64, bonds: &mut BTreeSet<Bond>) -> io::Result<()> {
        let threads = self.look.list(pid, "task")?;
        if threads.len() < 2 {
            return Ok(());
        }
        let own = self.look.link(pid, "ns/mnt")?;
        for thread in threads {
            let name = |what: &str| format!("task/{thread}/{what}");
            match self.look.link(pid, &name("ns/mnt")) {
                Ok(other) if other != own => {
                    let why = "one of its threads has a mount namespace of its own";
                    bonds.insert(Bond::Namespace(why.to_owned()));
                }
                _ => self.place(pid, &name("cwd"), root, bonds, Bond::WorkingDirectory)?,
            }
        }
        Ok(())
    }

    /// Open files.
    fn files(
        &mut self,
        pid: u32,
        bonds: &mut BTreeSet<Bond>,
        old: &mut BTreeSet<String>,
    ) -> io::Result<()> {
        for number in self.look.list(pid, "fd")? {
            match self.file(pid, &number, bonds, old) {
                // Closed meanwhile.
                Err(error) if is_gone(&error) => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        pid: u32,
        number: &str,
        bonds: &mut BTreeSet<Bond>,
        old: &mut BTreeSet<String>,
    ) -> io::Result<()> {
        let Some(info) = Descriptor::parse(&self.look.read(pid, &format!("fdinfo/{number}"))?)
        else {
            return Err(io::Error::other(
                "a description of an open file cannot be read",
            ));
        };
        let name = format!("fd/{number}");
        let Some(whose) = self.overlay(pid, &name, info.mount) else {
            if self.namespaces.whose(info.mount) == Whose::Unknown {
                self.unplaced(pid, &name, bonds)?;
            }
            return Ok(());
        };
        let path = self.look.link(pid, &name)?;
        let shown = text(path.clone());
        let place = self.look.place(pid, &name)?;
        if whose == Whose::Earlier {
            old.insert(shown.clone());
        }
        let bond = match place.kind {
            FileType::Directory => Bond::Directory(shown),
            FileType::Fifo => Bond::Fifo(shown),
            _ if info.locked => Bond::Lock(shown),
            _ if info.access != Access::Read && self.replaced.contains(&path) => {
                Bond::Written(shown)
            }
            // Whatever an overlay opens to write is private. Nobody else finds one that has no name any more.
            FileType::RegularFile
                if info.access == Access::Both && place.named && !has_one_writer(&path) =>
            {
                Bond::ReadWrite(shown)
            }
            _ => return Ok(()),
        };
        bonds.insert(bond);
        Ok(())
    }

    /// What lies in no file system: a socket that others find by its name in the overlay, or a mount namespace that would
    /// stay behind, for nobody is in it.
    fn unplaced(&mut self, pid: u32, name: &str, bonds: &mut BTreeSet<Bond>) -> io::Result<()> {
        let link = text(self.look.link(pid, name)?);
        if link.starts_with("mnt:[") && !self.namespaces.knows(link.as_bytes()) {
            bonds.insert(Bond::Namespace(format!(
                "it keeps {link}, which nobody is in"
            )));
        }
        let number = link
            .strip_prefix("socket:[")
            .and_then(|rest| rest.strip_suffix(']'))
            .and_then(|number| number.parse::<u64>().ok());
        let Some(number) = number else { return Ok(()) };
        let network = self.look.link(pid, "ns/net")?;
        if !self.sockets.contains_key(&network) {
            let table = sockets::named(&self.look.read(pid, "net/unix")?);
            self.sockets.insert(network.clone(), table);
        }
        let path = self
            .sockets
            .get(&network)
            .and_then(|table| table.get(&number));
        let Some(path) = path.cloned() else {
            return Ok(());
        };
        match self.look.place_inside(pid, &path) {
            Ok(place) if place.kind == FileType::Socket => {
                if matches!(
                    self.namespaces.whose(place.mount),
                    Whose::Present | Whose::Earlier
                ) {
                    bonds.insert(Bond::Socket(text(path)));
                }
            }
            // The name is gone or another's: nobody finds the socket by it.
            _ => {}
        }
        Ok(())
    }

    /// The program that runs and everything mapped into it.
    fn program(&mut self, pid: u32, old: &mut BTreeSet<String>) -> io::Result<()> {
        match self.look.place(pid, "exe") {
            Ok(place) if self.overlay(pid, "exe", place.mount) == Some(Whose::Earlier) => {
                old.insert(text(self.look.link(pid, "exe")?));
            }
            Err(error) if !is_gone(&error) => return Err(error),
            _ => {}
        }
        let maps = self.look.read(pid, "maps")?;
        let mut seen = BTreeSet::new();
        for line in maps.split(|&byte| byte == b'\n') {
            let Some(mapping) = Mapping::parse(line) else {
                continue;
            };
            if !seen.insert(mapping.path) || self.namespaces.is_mounted(mapping.device) {
                continue;
            }
            let Some(name) = mapping.file() else { continue };
            let Ok(place) = self.look.place(pid, &name) else {
                continue;
            };
            if self.overlay(pid, &name, place.mount) == Some(Whose::Earlier) {
                old.insert(text(mapping.path.to_vec()));
            }
        }
        Ok(())
    }
}

/// A line of `/proc/PID/maps` that shows a file.
#[derive(Debug, PartialEq, Eq)]
struct Mapping<'a> {
    range: &'a str,
    device: &'a str,
    path: &'a [u8],
}

impl<'a> Mapping<'a> {
    /// `7f00-7f10 r-xp 00000000 00:27 1234      /usr/lib/x.so`
    fn parse(line: &'a [u8]) -> Option<Self> {
        let at = line.iter().position(|&byte| byte == b'/')?;
        let (fields, path) = line.split_at_checked(at)?;
        let mut fields = std::str::from_utf8(fields).ok()?.split_ascii_whitespace();
        let (range, device) = (fields.next()?, fields.nth(2)?);
        Some(Self {
            range,
            device,
            path,
        })
    }

    /// Its name below `/proc/PID`, where addresses have no leading zeros.
    fn file(&self) -> Option<String> {
        let (from, to) = self.range.split_once('-')?;
        let short = |address: &str| u64::from_str_radix(address, 16).ok();
        Some(format!("map_files/{:x}-{:x}", short(from)?, short(to)?))
    }
}

/// The number of a process in the innermost of its pid namespaces.
fn inner_pid(status: &[u8]) -> Option<u32> {
    let status = String::from_utf8_lossy(status);
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_ascii_whitespace().next_back()?.parse().ok()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read() {
        let line = b"7f00-7f10 r-xp 00000000 00:27 12         /usr/lib/a b.so (deleted)";
        let mapping = Mapping::parse(line).unwrap();
        let padded = Mapping::parse(b"00400000-00401000 r-xp 0 00:27 12 /x").unwrap();
        assert_eq!(padded.file().as_deref(), Some("map_files/400000-401000"));
        assert_eq!((mapping.range, mapping.device), ("7f00-7f10", "00:27"));
        assert_eq!(mapping.path, b"/usr/lib/a b.so (deleted)");
        for other in [&b"7f00-7f10 rw-p 00000000 00:00 0 [stack]"[..], b"", b"/x"] {
            assert_eq!(Mapping::parse(other), None);
        }
        assert_eq!(inner_pid(b"Name:\tx\nNSpid:\t900\t7\n"), Some(7));
        assert_eq!(inner_pid(b"NSpid:\n"), None);
    }
}
