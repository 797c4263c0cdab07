//! Verbs about one container, killed at random instants: the command alone, or with whatever it had started. Afterwards
//! the container is there whole or not at all, on one of two versions and with its private changes, nothing of it stands
//! still, and the next commands need no help. When it is destroyed, nothing of it is left on the machine.

use super::{state, two_versions};
use crate::crash::Instants;
use crate::support::{Run, say};
use crate::tiny::Tiny;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use vzpkg_metadata::Digest;

/// The version that a new container gets.
const FIRST: &str = "tiny-1-x86_64@1";

/// What is private of the container: a file, and the mode of one of the version, whose content is the version's.
const OWN: &str = "echo mine > /etc/mine; chmod 751 /usr/bin/app";

/// What the container is when a verb is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Stopped(u64),
    Running(u64),
}

/// Each verb with what it is called on.
const VERBS: [(&[&str], Before); 10] = [
    (&["create", "--start"], Before::Nothing),
    (&["create"], Before::Nothing),
    (&["start"], Before::Stopped(1)),
    (&["relink", "--to", "@2"], Before::Running(1)),
    (&["rollback"], Before::Running(2)),
    (&["relink", "--to", "@2"], Before::Stopped(1)),
    (&["rollback"], Before::Stopped(2)),
    (&["stop", "--timeout", "0"], Before::Running(1)),
    (&["destroy", "--force"], Before::Running(2)),
    (&["destroy"], Before::Stopped(1)),
];

struct Room {
    tiny: Tiny,
    name: String,
}

/// Kills so many times in all, each verb in turn.
pub(super) fn kill(times: u64) {
    let tiny = two_versions();
    tiny.update();
    let room = Room {
        tiny,
        name: "web".to_owned(),
    };
    let lasts = VERBS.map(|(words, before)| {
        room.bring(before);
        let begin = Instant::now();
        room.ct(words).ok();
        begin.elapsed()
    });
    let mut instants = Instants(times);
    let mut killed: BTreeMap<&str, u64> = BTreeMap::new();
    for time in 0..times {
        let which = usize::try_from(time).unwrap() % VERBS.len();
        let (words, before) = VERBS[which];
        room.bring(before);
        let longest = u64::try_from(lasts[which].as_micros()).unwrap() * 5 / 4;
        let after = Duration::from_micros(instants.below(longest.max(2000)));
        let whole = instants.below(2) == 0;
        let label =
            format!("{time}: {words:?} on {before:?}, killed after {after:?}, all: {whole}");
        if room.run_and_kill(words, after, whole) {
            *killed.entry(words[0]).or_default() += 1;
        }
        room.check(&label, words[0], before);
        if time % 500 == 499 {
            say(&format!("containers: {} of {times} kills", time + 1));
        }
    }
    room.bring(Before::Nothing);
    room.tiny.vzpkg(&["gc"]).ok();
    room.assert_nothing_left();
    say(&format!(
        "containers: {times} kills; before the end of the verb: {killed:?}"
    ));
}

impl Room {
    fn words<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["ct", words[0], &self.name];
        all.extend(&words[1..]);
        if words[0] == "create" {
            all.extend(["--template", FIRST, "--net", "none"]);
        }
        all
    }

    fn ct(&self, words: &[&str]) -> Run {
        self.tiny.vzpkg(&self.words(words))
    }

    /// The number of its version and whether it runs; nothing where it is not.
    fn found(&self) -> Option<(u64, bool)> {
        let listed = self.tiny.json(&["ct", "list"]);
        let listed = listed["containers"].as_array().unwrap();
        let one = listed
            .iter()
            .find(|one| one["name"] == self.name.as_str())?;
        let version = one["version"].as_str().unwrap();
        let number = version.rsplit_once('@').unwrap().1.parse().unwrap();
        Some((number, one["state"] == "running"))
    }

    /// Whatever it is now.
    fn bring(&self, wanted: Before) {
        let (number, runs) = match wanted {
            Before::Nothing => {
                if self.found().is_some() {
                    self.ct(&["destroy", "--force"]).ok();
                }
                return;
            }
            Before::Stopped(number) => (number, false),
            Before::Running(number) => (number, true),
        };
        if self.found().is_none() {
            self.ct(&["create", "--start"]).ok();
        } else if !self.found().is_some_and(|(_, runs)| runs) {
            self.ct(&["start"]).ok();
        }
        self.exec(OWN).ok();
        // The way back is from the version before.
        for to in ["@1", "@2"]
            .into_iter()
            .take(usize::try_from(number).unwrap())
        {
            self.ct(&["relink", "--to", to]).ok();
        }
        if !runs {
            self.ct(&["stop", "--timeout", "0"]).ok();
        }
    }

    fn exec(&self, line: &str) -> Run {
        let words = ["ct", "exec", &self.name, "--", "sh", "-c", line];
        self.tiny.vzpkg(&words)
    }

    /// Whether it was killed before it ended.
    fn run_and_kill(&self, words: &[&str], after: Duration, whole: bool) -> bool {
        let mut command = self.tiny.site.command(&self.words(words));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.process_group(0).spawn().unwrap();
        std::thread::sleep(after);
        let ended = child.try_wait().unwrap().is_some();
        if whole {
            let group = format!("-{}", child.id());
            let mut kill = Command::new("kill");
            kill.args(["-KILL", "--", &group]).stderr(Stdio::null());
            drop(kill.status());
        } else {
            drop(child.kill());
        }
        child.wait().unwrap();
        !ended
    }

    /// It is whole, and does what it is told.
    fn check(&self, label: &str, verb: &str, before: Before) {
        let may_be_gone = ["create", "destroy"].contains(&verb);
        // What was told to end may only do so now.
        let may_end = ["stop", "destroy"].contains(&verb);
        for attempt in 0.. {
            let Some((_, runs)) = self.found() else {
                assert!(may_be_gone, "{label}: it is gone");
                return;
            };
            if !runs {
                let started = self.ct(&["start"]);
                // Before anything of it is there, and when nothing is any more, it has a name, which can be taken again.
                let only_a_name = ["was never finished", "there is no container"]
                    .iter()
                    .any(|text| started.stderr.contains(text));
                if may_be_gone && only_a_name {
                    self.ct(&["destroy", "--force"]).ok();
                    return;
                }
                assert_eq!(started.code, 0, "{label}: {started:?}");
            }
            let seen = self.exec("app; test ! -e /etc/mine || cat /etc/mine");
            if seen.code == 0 {
                return self.is_whole(label, before, &seen.stdout);
            }
            assert!(may_end && attempt < 10, "{label}: {seen:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn is_whole(&self, label: &str, before: Before, seen: &str) {
        let (number, _) = self.found().unwrap();
        let mine = if before == Before::Nothing {
            ""
        } else {
            "mine\n"
        };
        assert_eq!(seen, format!("{number}\n{mine}"), "{label}");
        if before != Before::Nothing {
            let private = self.tiny.site.root().join("private").join(&self.name);
            let app = fs::metadata(private.join("upper/usr/bin/app")).unwrap();
            assert_eq!(app.permissions().mode() & 0o7777, 0o751, "{label}");
        }
    }

    fn assert_nothing_left(&self) {
        let site = &self.tiny.site;
        self.tiny.assert_nothing_left();
        state::assert_quiet(site, "at last");
        for place in ["private", "root"] {
            let left = fs::read_dir(site.root().join(place)).unwrap();
            let left: Vec<PathBuf> = left.map(|entry| entry.unwrap().path()).collect();
            assert!(left.is_empty(), "{left:?}");
        }
        let area = fs::canonicalize(site.root().join("private")).unwrap();
        let mark = Digest::of(area.as_os_str().as_encoded_bytes()).short();
        let bundles = fs::read_dir(site.path("run").join(&mark).join("ct")).unwrap();
        assert_eq!(bundles.count(), 0);
        let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
        let places = hierarchies.map(|one| one.path().join("vzpkg"));
        for place in places.chain([PathBuf::from("/sys/fs/cgroup/vzpkg")]) {
            let groups = fs::read_dir(place).into_iter().flatten().flatten();
            let ours: Vec<PathBuf> = groups
                .map(|group| group.path())
                .filter(|path| path.to_string_lossy().contains(&mark))
                .collect();
            assert!(ours.is_empty(), "{ours:?}");
        }
    }
}
