//! `ct top`: the processes of a running container, as both sides number them.

use super::accounts::database;
use super::beneath::open_root;
use super::live::Members;
use super::state::{RunState, start_time, state, ticks, up_since};
use super::{ContainerError, ContainerPaths};
use crate::oci::OciRuntime;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;
use vzpkg_metadata::ByteSize;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ProcessInfo {
    /// Its number in the container.
    pub pid: u32,
    /// Its number on the host.
    pub host_pid: u32,
    /// Its parent's number in the container; 0 for process 1 and for what was started from outside.
    pub parent: u32,
    /// Its user id in the container.
    pub uid: u32,
    /// The name of that user there.
    pub user: Option<String>,
    /// `R`, `S`, `D`, `Z`, `T` and the like.
    pub state: char,
    /// The processor time that it has used.
    pub cpu: Duration,
    /// How long it has been there.
    pub elapsed: Duration,
    /// Its memory that is in use now.
    pub memory: ByteSize,
    /// Its command line, or its name in brackets.
    pub command: String,
}

/// All processes of a running container, by their number in it.
///
/// # Errors
/// [`ContainerError::NotRunning`], [`ContainerError::Processes`]
pub fn processes(
    paths: &ContainerPaths,
    runtime: &dyn OciRuntime,
) -> Result<Vec<ProcessInfo>, ContainerError> {
    let now = state(paths, runtime)?;
    let Some(init) = now.pid.filter(|_| now.state == RunState::Running) else {
        return Err(ContainerError::NotRunning(paths.id.clone()));
    };
    let found = list(paths, init).map_err(|source| ContainerError::Processes {
        container: paths.id.clone(),
        source,
    });
    let mut found = found?;
    found.sort_by_key(|process| process.pid);
    Ok(found)
}

fn list(paths: &ContainerPaths, init: u32) -> io::Result<Vec<ProcessInfo>> {
    let members = Members::of(paths, init)?;
    let ids = IdMap::of(&members, init)?;
    let users = users(init);
    let up = up_since()?;
    let mut inner = BTreeMap::new();
    let mut found = Vec::new();
    for pid in members.pids()? {
        match one(&members, pid, up) {
            Ok((process, host_parent)) => {
                inner.insert(pid, process.pid);
                found.push((process, host_parent));
            }
            // It has just ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let finish = |(mut process, parent): (ProcessInfo, u32)| {
        process.parent = inner.get(&parent).copied().unwrap_or(0);
        process.uid = ids.inside(process.uid);
        process.user = users.get(&process.uid).cloned();
        process
    };
    Ok(found.into_iter().map(finish).collect())
}

/// A process with the host's ids, and the host's number of its parent.
fn one(members: &Members, pid: u32, up: Duration) -> io::Result<(ProcessInfo, u32)> {
    let stat = text(&members.read(pid, "stat")?);
    let status = text(&members.read(pid, "status")?);
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat"));
    let (head, fields) = stat.rsplit_once(") ").ok_or_else(unreadable)?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    let used = number(11)
        .unwrap_or(0)
        .saturating_add(number(12).unwrap_or(0));
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_default().trim().to_owned()
    };
    let last = |text: &str| {
        text.split_whitespace()
            .next_back()
            .and_then(|last| last.parse().ok())
    };
    let first = |text: &str| {
        text.split_whitespace()
            .next()
            .and_then(|first| first.parse().ok())
    };
    let kilobytes: u64 = first(&line("VmRSS:")).unwrap_or(0);
    let name = head.split_once('(').map_or(head, |(_, name)| name);
    let process = ProcessInfo {
        pid: last(&line("NSpid:")).unwrap_or(pid),
        host_pid: pid,
        parent: 0,
        uid: line("Uid:")
            .split_whitespace()
            .nth(1)
            .and_then(|uid| uid.parse().ok())
            .unwrap_or(0),
        user: None,
        state: fields
            .first()
            .and_then(|state| state.chars().next())
            .unwrap_or('?'),
        cpu: ticks(used),
        elapsed: up.saturating_sub(start_time(&stat).unwrap_or(up)),
        memory: ByteSize(kilobytes.saturating_mul(1024)),
        command: command(&text(&members.read(pid, "cmdline")?), name),
    };
    let parent = number(1).and_then(|parent| u32::try_from(parent).ok());
    Ok((process, parent.unwrap_or(0)))
}

/// The command line with blanks between its words; the name in brackets where there is none.
fn command(line: &str, name: &str) -> String {
    let line = line.trim_end_matches('\0').replace('\0', " ");
    if line.is_empty() {
        format!("[{name}]")
    } else {
        line
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Which user ids of the host are which of the container's.
struct IdMap(Vec<(u32, u32, u32)>);

impl IdMap {
    fn of(members: &Members, init: u32) -> io::Result<Self> {
        Ok(Self::parse(&text(&members.read(init, "uid_map")?)))
    }

    /// Lines of three numbers: inside, outside, how many.
    fn parse(map: &str) -> Self {
        let lines = map.lines().filter_map(|line| {
            let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
            Some((numbers.next()??, numbers.next()??, numbers.next()??))
        });
        Self(lines.collect())
    }

    /// The id inside; the kernel's `nobody` for one that is not the container's.
    fn inside(&self, id: u32) -> u32 {
        const OVERFLOW: u32 = 65_534;
        let within = |&&(_, outside, count): &&(u32, u32, u32)| {
            id.checked_sub(outside).is_some_and(|offset| offset < count)
        };
        self.0
            .iter()
            .find(within)
            .map_or(OVERFLOW, |&(inside, outside, _)| {
                inside.saturating_add(id.saturating_sub(outside))
            })
    }
}

/// The users of the container by id, from its own database; none where that cannot be read.
fn users(init: u32) -> BTreeMap<u32, String> {
    let root = open_root(Path::new(&format!("/proc/{init}/root"))).ok();
    let passwd = root
        .and_then(|root| database(root, "/etc/passwd"))
        .unwrap_or_default();
    let mut users = BTreeMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next(), fields.nth(1));
        if let (Some(name), Some(Ok(uid))) = (name, uid.map(str::parse)) {
            users.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_outside_become_ids_inside() {
        let map = IdMap::parse("         0     300000      65536\n");
        assert_eq!(map.inside(300_000), 0);
        assert_eq!(map.inside(300_033), 33);
        for foreign in [0, 299_999, 365_536] {
            assert_eq!(map.inside(foreign), 65_534, "{foreign}");
        }
        assert_eq!(IdMap::parse("0 0 4294967295").inside(7), 7);
        assert_eq!(IdMap::parse("rubbish").inside(7), 65_534);
    }

    #[test]
    fn a_command_is_its_words_or_its_name() {
        assert_eq!(command("sleep\u{0}1\u{0}", "sleep"), "sleep 1");
        assert_eq!(command("", "kthread"), "[kthread]");
    }
}
