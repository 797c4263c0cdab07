//! Killed at random instants: every visible version verifies, the next command works, nothing is left behind.
//!
//! `VZPKG_KILLS` says at how many instants; the instants themselves are the same in every run.

use crate::debian::{Debian, TEMPLATE};
use crate::support::{Site, mounts_below};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

/// Instants in an ordinary run; a build takes seconds.
const KILLS: u64 = 30;

/// At how many instants this run kills.
pub(crate) fn kills() -> u64 {
    std::env::vars()
        .find(|(name, _)| name == "VZPKG_KILLS")
        .map_or(KILLS, |(_, count)| count.parse().unwrap())
}

/// Pseudo-random numbers, the same in every run (Knuth's MMIX constants).
pub(crate) struct Instants(pub(crate) u64);

impl Instants {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Starts the command and kills it after so many milliseconds, unless it ends before.
pub(crate) fn run_and_kill(site: &Site, words: &[&str], milliseconds: u64) {
    let mut command = site.command(words);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(milliseconds));
    drop(child.kill());
    child.wait().unwrap();
}

/// The number of the version that new containers get.
fn head(debian: &Debian) -> u64 {
    let history = debian
        .site
        .vzpkg(&["history", TEMPLATE, "--format", "json"])
        .ok();
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let mut versions = history["versions"].as_array().unwrap().iter();
    let head = versions.find(|version| version["head"] == true).unwrap();
    head["number"].as_u64().unwrap()
}

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_kills_at_random_instants_leave_old_or_new() {
    let kills = kills();
    let debian = Debian::new();
    let site = &debian.site;
    let mut instants = Instants(42);

    // create-cache: no version, or a whole one.
    site.vzpkg(&["fetch", TEMPLATE]).ok();
    for _ in 0..kills / 3 {
        run_and_kill(site, &["create-cache", TEMPLATE], instants.below(4_000));
        if site.vzpkg(&["list", "--cached"]).ok().contains(TEMPLATE) {
            site.vzpkg(&["verify"]).ok();
            site.vzpkg(&["remove-cache", TEMPLATE]).ok();
        }
    }
    site.vzpkg(&["create-cache", TEMPLATE]).ok();

    let old = head(&debian);

    // update: the old head, or the new one.
    debian.with_updates();
    site.vzpkg(&["update-metadata", TEMPLATE]).ok();
    for _ in 0..kills / 3 {
        run_and_kill(site, &["update", TEMPLATE], instants.below(2_500));
        site.vzpkg(&["verify"]).ok();
        if head(&debian) != old {
            break;
        }
    }
    site.vzpkg(&["update", TEMPLATE]).ok();
    let new = head(&debian);
    assert!(new > old, "a number is never used twice");

    // relink: on one side or the other, and the private changes with it.
    site.vzpkg(&["ct", "create", "web", "--template", TEMPLATE, "--start"])
        .ok();
    site.vzpkg(&[
        "ct",
        "exec",
        "web",
        "--",
        "sh",
        "-c",
        "echo mine > /etc/motd; useradd alice; chmod 700 /usr/bin/apt-mark",
    ])
    .ok();
    site.vzpkg(&["ct", "stop", "web"]).ok();
    for turn in 0..kills / 3 {
        let to = format!("@{}", if turn % 2 == 0 { old } else { new });
        run_and_kill(
            site,
            &["ct", "relink", "web", "--to", &to],
            instants.below(120),
        );
    }
    for to in [old, new].map(|number| format!("@{number}")) {
        site.vzpkg(&["ct", "relink", "web", "--to", &to]).ok();
        site.vzpkg(&["ct", "start", "web"]).ok();
        let seen = site
            .vzpkg(&[
                "ct",
                "exec",
                "web",
                "--",
                "sh",
                "-c",
                "cat /etc/motd; id -un alice; stat -c %a /usr/bin/apt-mark; dpkg --audit",
            ])
            .ok();
        assert_eq!(seen, "mine\nalice\n700\n", "on {to}");
        site.vzpkg(&["ct", "stop", "web"]).ok();
    }
    site.vzpkg(&["ct", "destroy", "web"]).ok();

    // Nothing of the killed ones is left but rubbish, and gc removes that.
    site.vzpkg(&["gc"]).ok();
    site.vzpkg(&["verify"]).ok();
    assert_eq!(
        fs::read_dir(site.root().join("store/tmp")).unwrap().count(),
        0,
        "dead builds"
    );
    assert_eq!(mounts_below(&site.root()), Vec::<String>::new());
    assert_eq!(mounts_below(&site.path("run")), Vec::<String>::new());
    let root = site.root().to_str().unwrap().to_owned();
    let processes = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    assert_eq!(
        processes.filter(|line| line.contains(&root)).count(),
        0,
        "processes"
    );
}
