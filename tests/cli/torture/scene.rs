//! One verb on one site: disturbed again and again from the same state, and what must hold each time.

use super::fault::{self, Action, Fault, KINDS, Kind};
use super::state::{self, Snapshot};
use crate::crash::Instants;
use crate::support::{Run, say};
use crate::tiny::{self, Tiny};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// A verb that is disturbed.
pub(super) struct Scene<'a> {
    pub(super) tiny: &'a Tiny,
    /// What is disturbed.
    pub(super) words: &'a [&'a str],
    /// Whether all that is visible is sound before, as it must be between, too.
    pub(super) sound: bool,
    /// What the verb says where it was done already.
    pub(super) done: &'a str,
}

impl Scene<'_> {
    /// The root is as the verb shall find it; afterwards it is as the undisturbed verb leaves it.
    pub(super) fn torture(&self) {
        let name = self.words.join(" ");
        let site = &self.tiny.site;
        let before = Snapshot::take(site, &format!("before-{}", self.words[0]));
        let counts = fault::counts(site, self.words, &|| before.put_back(site));
        self.tiny.vzpkg(&["gc"]).ok();
        let expected = state::names(site);
        let mut faults = 0;
        for (kind, count) in KINDS.into_iter().zip(&counts) {
            for (action, nth) in chosen(kind, *count) {
                let fault = Fault { kind, action, nth };
                self.one(&format!("{name}: {fault}"), fault, &before, &expected);
                faults += 1;
            }
        }
        say(&format!(
            "{name}: {faults} faults; calls of a thread, by kind: {counts:?}"
        ));
    }

    /// The verb is killed at random instants while others work on the same store; the root as [`Self::torture`].
    pub(super) fn kill(&self, times: u64) {
        const OTHERS: [&[&str]; 2] = [&["gc"], &["verify"]];
        let name = self.words.join(" ");
        let site = &self.tiny.site;
        let before = Snapshot::take(site, &format!("before-{}", self.words[0]));
        let begin = Instant::now();
        assert_eq!(self.tiny.vzpkg(self.words).code, 0);
        let lasts = u64::try_from(begin.elapsed().as_millis()).unwrap();
        self.tiny.vzpkg(&["gc"]).ok();
        let expected = state::names(site);
        let mut instants = Instants(times);
        for time in 0..times {
            before.put_back(site);
            let after = instants.below(lasts * 5 / 4 + 2);
            let others = OTHERS.iter().take(usize::try_from(time % 3).unwrap());
            let begun: Vec<_> = others.map(|words| self.tiny.begin(words)).collect();
            let mut child = self.tiny.begin(self.words);
            thread::sleep(Duration::from_millis(after));
            drop(child.kill());
            let run = tiny::end(child);
            let label = format!(
                "{name}: killed after {after} ms beside {} others",
                begun.len()
            );
            for other in begun {
                let other = tiny::end(other);
                assert!(is_content(&other), "{label}: {other:?}");
            }
            self.check(&label, &run, &expected);
            if time % 250 == 249 {
                say(&format!("{name}: {} of {times} kills", time + 1));
            }
        }
        say(&format!("{name}: {times} kills"));
    }

    fn one(&self, label: &str, fault: Fault, before: &Snapshot, expected: &BTreeSet<PathBuf>) {
        let site = &self.tiny.site;
        let run = fault::run(site, self.words, fault, &|| before.put_back(site));
        if fault.action == Action::Fail && run.code != 0 {
            // The write that failed may be that of the message.
            let said = run.stderr.contains("error") || fault.kind.is_write();
            assert!(said, "{label}: silent {run:?}");
        }
        self.check(label, &run, expected);
    }

    /// What is visible is sound, the verb works when it is called again, and gc leaves what it leaves else.
    fn check(&self, label: &str, run: &Run, expected: &BTreeSet<PathBuf>) {
        let site = &self.tiny.site;
        state::assert_quiet(site, label);
        if self.sound {
            let verified = self.tiny.vzpkg(&["verify"]);
            assert!(
                is_content(&verified),
                "{label}: {verified:?}\nafter {run:?}"
            );
        }
        self.assert_heads_exist(label);
        let again = self.tiny.vzpkg(self.words);
        let done = again.code == 0 || (run.code != 1 && again.stderr.contains(self.done));
        assert!(
            done,
            "{label}, again: {again:?}
after {run:?}"
        );
        let collected = self.tiny.vzpkg(&["gc"]);
        assert_eq!(collected.code, 0, "{label}, gc: {collected:?}");
        let verified = self.tiny.vzpkg(&["verify"]);
        assert_eq!(verified.code, 0, "{label}, at last: {verified:?}");
        let found = state::names(site);
        let more: Vec<_> = found.difference(expected).collect();
        let less: Vec<_> = expected.difference(&found).collect();
        assert!(
            more.is_empty() && less.is_empty(),
            "{label}: left over {more:?}, missing {less:?}\nafter {run:?}"
        );
    }

    fn assert_heads_exist(&self, label: &str) {
        let listed = self.tiny.json(&["list", "--cached"]);
        for template in listed["templates"].as_array().unwrap() {
            let name = template["name"].as_str().unwrap();
            let history = self.tiny.json(&["history", name]);
            let versions = history["versions"].as_array().unwrap();
            let heads = versions.iter().filter(|one| one["head"] == true).count();
            assert_eq!(heads, 1, "{label}: {history}");
        }
    }
}

/// Whether a command did what it is for, or found that the first command has made nothing yet.
fn is_content(run: &Run) -> bool {
    run.code == 0 || run.stderr.contains("there is no store")
}

/// Which calls of so many of a kind are disturbed, and how.
fn chosen(kind: Kind, count: usize) -> Vec<(Action, usize)> {
    let both = |nth| [(Action::Fail, nth), (Action::Kill, nth)];
    let share = match Wanted::of_this_run() {
        Wanted::All => usize::MAX,
        Wanted::Share(share) => share,
        Wanted::Kind(name, nth) if name == kind.to_string() => match nth {
            Some(nth) => return both(nth).into(),
            None => usize::MAX,
        },
        Wanted::Kind(..) => return Vec::new(),
    };
    if share >= count {
        return (1..=count).flat_map(both).collect();
    }
    let mut instants = Instants(count as u64);
    let mut pick = || 1 + usize::try_from(instants.below(count as u64)).unwrap();
    (0..share)
        .flat_map(|_| [(Action::Fail, pick()), (Action::Kill, pick())])
        .collect()
}

/// Which faults a run makes.
enum Wanted {
    All,
    /// So many of each kind, for each action.
    Share(usize),
    /// Those of one kind, or one of them.
    Kind(String, Option<usize>),
}

impl Wanted {
    fn of_this_run() -> Self {
        let mut variables = std::env::vars();
        let Some((_, value)) = variables.find(|(name, _)| name == "VZPKG_TORTURE") else {
            return Self::Share(1);
        };
        if value == "all" {
            return Self::All;
        }
        if let Ok(share) = value.parse() {
            return Self::Share(share);
        }
        let (kind, nth) = match value.split_once(' ') {
            Some((kind, nth)) => (kind, Some(nth.parse().unwrap())),
            None => (value.as_str(), None),
        };
        // Else no fault would be made, and every test would pass.
        assert!(
            KINDS.iter().any(|known| known.to_string() == kind),
            "VZPKG_TORTURE={value}"
        );
        Self::Kind(kind.to_owned(), nth)
    }
}
