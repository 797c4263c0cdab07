//! `ct create` that was cut short: by a kill, after which the container is there or not, and by a power loss, after which
//! what was not durable was never made.

use crate::crash::{Instants, run_and_kill};
use crate::tiny::{Tiny, making};
use std::fs;
use std::path::PathBuf;
use vzpkg_metadata::durable;

/// At how many instants a creation is killed.
const KILLS: u64 = 40;

/// As the kernel's, of a boot that is over.
const EARLIER_BOOT: &str = "ct.toml.00000000-0000-4000-8000-000000000000";

fn private(tiny: &Tiny, name: &str) -> PathBuf {
    tiny.site.root().join("private").join(name)
}

/// As a power loss leaves it: names are there, bytes are not.
fn lose_power(tiny: &Tiny, name: &str) {
    let private = private(tiny, name);
    durable::put_in_place_unsynced(&private.join("ct.toml"), &private.join(EARLIER_BOOT)).unwrap();
    fs::write(private.join(EARLIER_BOOT), "").unwrap();
    fs::write(private.join("upper/etc/hostname"), "").unwrap();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_container_that_a_power_loss_left_half_made_is_told_and_removed_by_name() {
    let tiny = Tiny::hello();
    tiny.make("web", &[]).ok();
    lose_power(&tiny, "web");
    for words in [
        vec!["start", "web"],
        making("web", &[]),
        vec!["clone", "web", "copy"],
    ] {
        let told = tiny.ct(&words).fails_with(1);
        assert!(told.contains("`web` was never finished"), "{told}");
        assert!(told.contains("vzpkg ct destroy web"), "{told}");
    }
    assert_eq!(tiny.ct(&["list"]).ok().matches("web").count(), 1);
    tiny.ct(&["destroy", "--force", "web"]).ok();
    assert!(!private(&tiny, "web").exists());
    tiny.make("web", &["--start"]).ok();
    let hostname = tiny.ct(&["exec", "web", "--", "cat", "/etc/hostname"]);
    assert_eq!(hostname.ok(), "web\n");
    tiny.ct(&["destroy", "--force", "web"]).ok();
}

/// Or what is done in it would be gone with the next boot.
#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_whoever_uses_a_container_whose_creation_was_killed_makes_it_last() {
    let tiny = Tiny::hello();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let uses: [&[&str]; 4] = [
        &["ct", "start", "web"],
        &["ct", "exec", "web", "--", "sh", "-c", ":"],
        &["ct", "set", "web", "--pids", "50"],
        &["gc"],
    ];
    tiny.make("web", &["--start"]).ok();
    let (settled, unsettled) = (
        private(&tiny, "web").join("ct.toml"),
        private(&tiny, "web").join(format!("ct.toml.{}", boot.trim())),
    );
    for words in uses {
        durable::put_in_place_unsynced(&settled, &unsettled).unwrap();
        tiny.vzpkg(words).ok();
        assert!(settled.exists() && !unsettled.exists(), "{words:?}");
    }
    tiny.ct(&["destroy", "--force", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_gc_removes_what_a_power_loss_left_without_a_row() {
    let tiny = Tiny::hello();
    tiny.make("web", &[]).ok();
    tiny.make("shop", &[]).ok();
    lose_power(&tiny, "shop");
    fs::create_dir_all(private(&tiny, "lost").join("upper")).unwrap();
    durable::put_in_place_unsynced(&private(&tiny, "shop"), &private(&tiny, "gone")).unwrap();
    tiny.vzpkg(&["gc"]).ok();
    assert!(!private(&tiny, "gone").exists());
    // Not what may be all that is left of a container.
    assert!(private(&tiny, "lost").exists() && private(&tiny, "web").exists());
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_creation_that_is_killed_leaves_a_whole_container_or_none() {
    let tiny = Tiny::hello();
    tiny.make("warm", &["--start"]).ok();
    tiny.ct(&["destroy", "--force", "warm"]).ok();
    let mut instants = Instants(11);
    for turn in 0..KILLS {
        let words = [&["ct"], making("web", &["--start"]).as_slice()].concat();
        run_and_kill(&tiny.site, &words, instants.below(120));
        let again = tiny.make("web", &["--start"]);
        if again.code != 0 {
            assert!(
                again.stderr.contains("exists already"),
                "turn {turn}: {again:?}"
            );
            tiny.ct(&["start", "web"]).ok();
        }
        assert!(
            private(&tiny, "web").join("ct.toml").exists(),
            "turn {turn}"
        );
        let inside = tiny.ct(&["exec", "web", "--", "cat", "/etc/hostname"]);
        assert_eq!(inside.ok(), "web\n", "turn {turn}");
        tiny.ct(&["destroy", "--force", "web"]).ok();
    }
    tiny.vzpkg(&["gc"]).ok();
    let left = fs::read_dir(tiny.site.root().join("private")).unwrap();
    assert_eq!(left.count(), 0);
    tiny.assert_nothing_left();
}
