//! A census of recorded `/proc` trees. One line for each thing that is looked at: `PID NAME = TEXT` for files and links
//! (`\n` for line ends), `PID NAME @ MOUNT KIND` for where a link leads. What is not recorded is gone. A file of the kind
//! `removed` has no name any more.

use super::census::{Census, Depth, take};
use super::look::{Look, Place};
use super::report::Bond;
use rustix::fs::FileType;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

#[derive(Debug, Default)]
struct Recorded {
    texts: BTreeMap<(u32, String), String>,
    places: BTreeMap<(u32, String), (u64, String)>,
}

impl Recorded {
    fn new(text: &str) -> Self {
        let mut recorded = Self::default();
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (pid, rest) = line.split_once(' ').unwrap();
            let pid = pid.parse().unwrap();
            if let Some((name, text)) = rest.split_once(" = ") {
                let text = text.replace("\\n", "\n").replace("\\t", "\t");
                recorded.texts.insert((pid, name.to_owned()), text);
            } else {
                let (name, place) = rest.split_once(" @ ").unwrap();
                let (mount, kind) = place.split_once(' ').unwrap();
                let place = (mount.parse().unwrap(), kind.to_owned());
                recorded.places.insert((pid, name.to_owned()), place);
            }
        }
        recorded
    }

    fn census(&self, depth: Depth) -> io::Result<Census> {
        let replaced = BTreeSet::from([b"/var/log/replaced".to_vec()]);
        take(self, 100, &replaced, depth)
    }
}

fn gone<T>(found: Option<T>) -> io::Result<T> {
    found.ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl Look for Recorded {
    fn processes(&self) -> io::Result<Vec<u32>> {
        let mut pids: Vec<u32> = self.texts.keys().map(|(pid, _)| *pid).collect();
        pids.dedup();
        Ok(pids)
    }

    fn read(&self, pid: u32, name: &str) -> io::Result<Vec<u8>> {
        self.link(pid, name)
    }

    fn list(&self, pid: u32, name: &str) -> io::Result<Vec<String>> {
        let inside = format!("{name}/");
        let names = self.texts.keys().filter(|(of, _)| *of == pid);
        let names: BTreeSet<String> = names
            .filter_map(|(_, name)| name.strip_prefix(&inside))
            .filter_map(|rest| rest.split('/').next().map(str::to_owned))
            .collect();
        Ok(names.into_iter().collect())
    }

    fn link(&self, pid: u32, name: &str) -> io::Result<Vec<u8>> {
        let found = self.texts.get(&(pid, name.to_owned()));
        gone(found.map(|text| text.as_bytes().to_vec()))
    }

    fn place(&self, pid: u32, name: &str) -> io::Result<Place> {
        let (mount, recorded) = gone(self.places.get(&(pid, name.to_owned())))?;
        let kind = match recorded.trim_end_matches(" overlay") {
            "dir" => FileType::Directory,
            "fifo" => FileType::Fifo,
            "socket" => FileType::Socket,
            _ => FileType::RegularFile,
        };
        Ok(Place {
            mount: *mount,
            kind,
            named: recorded != "removed",
        })
    }

    fn is_overlay(&self, pid: u32, name: &str) -> io::Result<bool> {
        let found = gone(self.places.get(&(pid, name.to_owned())));
        Ok(found.is_ok_and(|(_, kind)| kind.ends_with(" overlay")))
    }

    fn place_inside(&self, pid: u32, path: &[u8]) -> io::Result<Place> {
        self.place(pid, &format!("root{}", String::from_utf8_lossy(path)))
    }

    fn own_namespace(&self) -> io::Result<Vec<u8>> {
        Ok(b"mnt:[1]".to_vec())
    }
}

const SERVICES: &str = include_str!("recorded/services.txt");

fn found(text: &str) -> BTreeMap<u32, (Vec<Bond>, Vec<String>)> {
    let census = Recorded::new(text).census(Depth::Everything).unwrap();
    let processes = census.processes.into_iter();
    processes
        .map(|process| (process.pid, (process.bonds, process.old)))
        .collect()
}

#[test]
fn each_bond_is_found_and_nothing_else() {
    let found = found(SERVICES);
    let bonds = |pid: u32| {
        found
            .get(&pid)
            .map(|(bonds, _)| bonds.clone())
            .unwrap_or_default()
    };
    assert_eq!(bonds(100), [], "process 1 works in the root");
    assert_eq!(
        bonds(110),
        [Bond::WorkingDirectory("/var/spool/cron".into())]
    );
    assert_eq!(
        bonds(120),
        [
            Bond::Directory("/var/lib/db".into()),
            Bond::Lock("/var/lib/db/lock".into()),
            Bond::Socket("/var/lib/db/socket".into()),
            Bond::Written("/var/log/replaced".into()),
        ]
    );
    assert_eq!(
        bonds(130),
        [],
        "a service with mounts of its own that can be moved"
    );
    let [Bond::Namespace(why)] = &bonds(140)[..] else {
        panic!("{:?}", bonds(140));
    };
    assert!(why.contains("another user namespace"), "{why}");
    assert!(!found.contains_key(&150), "a command on its way in");
    assert!(!found.contains_key(&160), "it ended while we looked");
}

/// SQLite holds no lock between two transactions, and two overlays grant each lock twice. Logs are only written.
#[test]
fn a_private_file_that_is_open_to_read_and_write_ties_and_a_log_does_not() {
    let bonds = |path: &str, flags: &str, place: &str| {
        let from = "100 fd/7 = anon_inode:[eventpoll]\n100 fd/7 @ 9 file\n100 fdinfo/7 = pos:\\t0\\nflags:\\t02\\nmnt_id:\\t9\\n";
        let mount = place.split(' ').next().unwrap();
        let to = format!(
            "100 fd/7 = {path}\n100 fd/7 @ {place}\n100 fdinfo/7 = pos:\\t0\\nflags:\\t{flags}\\nmnt_id:\\t{mount}\\n"
        );
        let text = SERVICES.replacen(from, &to, 1);
        assert_ne!(text, SERVICES);
        found(&text).remove(&100)
    };
    let database = "/var/lib/app/app.db";
    let tied = vec![Bond::ReadWrite(database.into())];
    assert_eq!(
        bonds(database, "02100002", "50 file"),
        Some((tied.clone(), Vec::new()))
    );
    // Still in the overlay before: tied and on an old file.
    assert_eq!(
        bonds(database, "02100002", "49 file overlay"),
        Some((tied, vec![database.to_owned()]))
    );
    let journal = "/var/log/journal/0123/system.journal";
    for (path, flags, place) in [
        ("/var/log/app.log", "02102001", "50 file"),
        (database, "02100000", "50 file"),
        ("/run/app.db", "02100002", "52 file"),
        ("/var/tmp/#1 (deleted)", "02100002", "50 removed"),
        (journal, "02100002", "50 file"),
    ] {
        assert_eq!(bonds(path, flags, place), None, "{path} {flags}");
    }
}

/// It would stay on the old overlay, and whoever enters it later works there.
#[test]
fn a_mount_namespace_that_nobody_is_in_ties_who_keeps_it() {
    let bonds = |from: &str, to: &str| {
        let text = SERVICES.replacen(from, to, 1);
        assert_ne!(text, SERVICES);
        found(&text).remove(&100).map(|(bonds, _)| bonds)
    };
    let open = "100 fd/7 = anon_inode:[eventpoll]";
    let by_file = bonds(open, "100 fd/7 = mnt:[77]");
    let why = "it keeps mnt:[77], which nobody is in";
    assert_eq!(by_file, Some(vec![Bond::Namespace(why.into())]));
    // Its own, and that of the one who looks.
    for known in ["100 fd/7 = mnt:[2]", "100 fd/7 = mnt:[1]"] {
        assert_eq!(bonds(open, known), None);
    }
    let tmp = "53 50 0:53 / /tmp rw - tmpfs tmpfs rw\\n";
    let by_mount = bonds(
        tmp,
        &format!("{tmp}54 52 0:4 mnt:[77] /run/kept rw - nsfs nsfs rw\\n"),
    );
    let why = "mnt:[77], which nobody is in, is mounted";
    assert_eq!(by_mount, Some(vec![Bond::Namespace(why.into())]));
}

#[test]
fn programs_libraries_and_files_of_an_earlier_overlay_are_old() {
    let found = found(SERVICES);
    let old = |pid: u32| {
        found
            .get(&pid)
            .map(|(_, old)| old.clone())
            .unwrap_or_default()
    };
    assert_eq!(old(110), ["/usr/lib/libc.so.6", "/usr/sbin/cron"]);
    assert_eq!(old(130), Vec::<String>::new());
    let bonds_only = Recorded::new(SERVICES).census(Depth::Bonds).unwrap();
    assert!(
        bonds_only
            .processes
            .iter()
            .all(|process| process.old.is_empty())
    );
    let cron = bonds_only
        .processes
        .iter()
        .find(|process| process.pid == 110);
    let cron = cron.unwrap();
    assert_eq!((cron.inner, cron.name.as_str()), (11, "cron"));
    assert_eq!(cron.service(), Some("cron.service"));
}

#[test]
fn two_namespaces_are_found_with_what_they_need() {
    let census = Recorded::new(SERVICES).census(Depth::Bonds).unwrap();
    let namespaces = census.namespaces;
    assert_eq!(namespaces.device, "0:50");
    let needs: Vec<Option<bool>> = namespaces
        .all
        .values()
        .map(|namespace| namespace.needs.as_ref().map(Result::is_ok))
        .collect();
    assert_eq!(needs, [Some(true), Some(true), Some(false)]);
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_nobody() {
    for (from, to) in [
        ("vzpkg:work.2", "somebody-else"),
        ("mnt_id:\\t50", "mnt_id:\\tfifty"),
        ("- overlay vzpkg", "overlay vzpkg"),
    ] {
        let text = SERVICES.replace(from, to);
        assert_ne!(text, SERVICES);
        assert!(Recorded::new(&text).census(Depth::Bonds).is_err(), "{from}");
    }
    let ended = SERVICES.replace("100 ns/mnt", "100 was/mnt");
    let error = Recorded::new(&ended).census(Depth::Bonds).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
