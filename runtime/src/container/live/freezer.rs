//! Making a container stand still: cgroup2's `cgroup.freeze`, or the freezer of the first version of cgroups.
//!
//! Which of the two holds the container is found by looking, for a host may have both. A frozen container is thawed when
//! its [`Frozen`] is dropped, but not one that is held: that one moves again when somebody says so, and not before.

use super::straggler;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long processes may take to stand still: one that waits for a disk does not stop before it has its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long is slept between two looks, once the first looks found it moving.
const PAUSE: Duration = Duration::from_micros(200);

/// The freezer of one container.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Freezer {
    /// A directory of cgroup2.
    Unified(PathBuf),
    /// A directory of the freezer hierarchy of cgroup version 1.
    Classic(PathBuf),
}

/// A container that stands still. Thaws through an open file: whoever holds it may be in another mount namespace by then.
#[derive(Debug)]
#[must_use = "the container moves again when this is dropped"]
pub(super) struct Frozen {
    switch: fs::File,
    thaw: &'static [u8],
    held: bool,
}

impl Frozen {
    /// From here on it does not move again when this is dropped.
    pub(super) const fn hold(&mut self) {
        self.held = true;
    }

    /// Lets it move again.
    pub(super) fn thaw(mut self) {
        self.held = false;
    }
}

impl Freezer {
    /// The freezer that holds process `pid`, with the container's cgroup at `group`; `None` where the
    /// host has none that does.
    pub(super) fn find(pid: u32, group: &Path) -> io::Result<Option<Self>> {
        let membership = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let relative = group.strip_prefix("/").unwrap_or(group);
        Ok(candidates(&mounts, &membership, group)
            .into_iter()
            .map(|freezer| freezer.below(relative))
            .find(Self::works))
    }

    fn below(self, relative: &Path) -> Self {
        match self {
            Self::Unified(root) => Self::Unified(root.join(relative)),
            Self::Classic(root) => Self::Classic(root.join(relative)),
        }
    }

    /// The directory, whose processes are the container's.
    pub(super) fn group(&self) -> &Path {
        match self {
            Self::Unified(group) | Self::Classic(group) => group,
        }
    }

    fn switch(&self) -> PathBuf {
        match self {
            Self::Unified(group) => group.join("cgroup.freeze"),
            Self::Classic(group) => group.join("freezer.state"),
        }
    }

    fn works(&self) -> bool {
        self.switch().exists()
    }

    /// Freezes, and returns when every process stands still. With `held`, it never moves again by itself.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] where one does not; the container moves again then if it is not held.
    pub(super) fn freeze(&self, held: bool) -> io::Result<Frozen> {
        let mut frozen = Frozen {
            switch: self.open()?,
            thaw: self.word(false),
            held,
        };
        frozen.switch.write_all(self.word(true))?;
        let until = Instant::now() + PATIENCE;
        let mut looks = 0_u32;
        while !self.stands_still()? {
            if Instant::now() > until {
                let why = straggler::complaint(self.group(), PATIENCE.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            looks += 1;
            if looks > 20 {
                std::thread::sleep(PAUSE);
            } else {
                std::thread::yield_now();
            }
        }
        Ok(frozen)
    }

    /// Lets the container move again; one that moves is fine.
    pub(super) fn thaw(&self) -> io::Result<()> {
        self.open()?.write_all(self.word(false))
    }

    const fn word(&self, frozen: bool) -> &'static [u8] {
        match (self, frozen) {
            (Self::Unified(_), true) => b"1",
            (Self::Unified(_), false) => b"0",
            (Self::Classic(_), true) => b"FROZEN",
            (Self::Classic(_), false) => b"THAWED",
        }
    }

    fn open(&self) -> io::Result<fs::File> {
        fs::OpenOptions::new().write(true).open(self.switch())
    }

    fn stands_still(&self) -> io::Result<bool> {
        Ok(match self {
            Self::Unified(group) => fs::read_to_string(group.join("cgroup.events"))?
                .lines()
                .any(|line| line == "frozen 1"),
            Self::Classic(group) => {
                fs::read_to_string(group.join("freezer.state"))?.trim() == "FROZEN"
            }
        })
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if !self.held {
            // What cannot be thawed here is thawed by the next command.
            drop(self.switch.write_all(self.thaw));
        }
    }
}

/// The mount points of hierarchies that can freeze and in which the process is where we put it, cgroup2 first: there a
/// frozen process can still be killed.
fn candidates(mounts: &str, membership: &str, group: &Path) -> Vec<Freezer> {
    let member = |controller: &str| {
        membership.lines().any(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(list), Some(path)) = (fields.next(), fields.next()) else {
                return false;
            };
            list.split(',').any(|one| one == controller) && Path::new(path).starts_with(group)
        })
    };
    let mut found = Vec::new();
    for line in mounts.lines() {
        let Some((before, after)) = line.split_once(" - ") else {
            continue;
        };
        let Some(point) = before.split(' ').nth(4).map(PathBuf::from) else {
            continue;
        };
        let mut after = after.split(' ');
        match (after.next(), after.nth(1)) {
            (Some("cgroup2"), _) if member("") => found.insert(0, Freezer::Unified(point)),
            (Some("cgroup"), Some(options))
                if options.split(',').any(|one| one == "freezer") && member("freezer") =>
            {
                found.push(Freezer::Classic(point));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 25 0:26 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
31 25 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
32 25 0:28 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
";

    #[test]
    fn the_hierarchy_that_holds_the_process_is_chosen() {
        let group = Path::new("/vzpkg/web");
        let unified = Freezer::Unified("/sys/fs/cgroup/unified".into());
        let classic = Freezer::Classic("/sys/fs/cgroup/freezer".into());
        for (membership, expected) in [
            (
                "6:freezer:/vzpkg/web\n0::/vzpkg/web/init.scope\n",
                vec![unified.clone(), classic.clone()],
            ),
            ("6:freezer:/vzpkg/web\n0::/\n", vec![classic]),
            ("6:freezer:/\n0::/vzpkg/web\n", vec![unified]),
            ("6:freezer:/vzpkg/website\n0::/\n", vec![]),
            ("rubbish\n", vec![]),
        ] {
            assert_eq!(
                candidates(HYBRID, membership, group),
                expected,
                "{membership}"
            );
        }
    }
}
