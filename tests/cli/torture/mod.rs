//! Every call that changes a file system fails, or kills, once: afterwards every visible version verifies, heads point to
//! existing versions, the next command works without repair, and gc leaves exactly what an undisturbed run leaves.
//!
//! So they are after a kill at any instant, with others at work on the same store; `VZPKG_KILLS` says how many.
//! `VZPKG_TORTURE` says how many faults of each verb and kind: `all` for each one there is (`make torture`, hours), or which:
//! `remove`, or `remove 13` as a failure names it. An ordinary run makes one of each, a different one for each kind.

mod containers;
pub(crate) mod fault;
mod scene;
mod state;

use crate::crash::kills;
use crate::tiny::{TEMPLATE, Tiny, program};
use scene::Scene;
use state::Snapshot;
use std::fs;
use std::path::Path;

/// Of a verb that has something to say and to do, or nothing, whenever it is called.
const NEVER: &str = "\0";

/// A site with two versions of `app` in its repository, the second not built.
fn two_versions() -> Tiny {
    versions("1", "2")
}

fn versions(first: &str, second: &str) -> Tiny {
    let mut tiny = Tiny::with(&program("app", first));
    tiny.settings("keep-last = 9\n");
    tiny.create();
    tiny.publish(&program("app", second));
    tiny
}

#[test]
#[ignore = "needs root: make check runs a share of it, make torture all"]
fn privileged_torture_create_cache() {
    let tiny = Tiny::with(&program("app", "1"));
    let words = ["create-cache", TEMPLATE];
    Scene {
        tiny: &tiny,
        words: &words,
        sound: true,
        done: NEVER,
    }
    .torture();
}

#[test]
#[ignore = "needs root: make check runs a share of it, make torture all"]
fn privileged_torture_update() {
    let tiny = two_versions();
    let words = ["update", TEMPLATE, "--refresh"];
    Scene {
        tiny: &tiny,
        words: &words,
        sound: true,
        done: NEVER,
    }
    .torture();
}

#[test]
#[ignore = "needs root: make check runs a share of it, make torture all"]
fn privileged_torture_rollback_and_gc() {
    // Trees of its own: gc leaves what is mounted, also by a container of another test that runs beside this one.
    let tiny = versions("7", "8");
    tiny.update();
    let words = ["rollback", TEMPLATE, "--to", "1"];
    let before = Snapshot::take(&tiny.site, "two");
    Scene {
        tiny: &tiny,
        words: &words,
        sound: true,
        done: "at @1 already",
    }
    .torture();
    before.put_back(&tiny.site);
    let old = format!("{TEMPLATE}@1");
    tiny.vzpkg(&["remove-cache", "--yes", &old]).ok();
    Scene {
        tiny: &tiny,
        words: &["gc"],
        sound: true,
        done: NEVER,
    }
    .torture();
}

#[test]
#[ignore = "needs root: make check runs a share of it, make torture all"]
fn privileged_torture_repair() {
    let tiny = Tiny::with(&program("app", "1"));
    tiny.create();
    damage(&tiny.site.root().join("store/objects"));
    assert_ne!(tiny.vzpkg(&["verify"]).code, 0);
    let words = ["verify", "--repair"];
    Scene {
        tiny: &tiny,
        words: &words,
        sound: false,
        done: NEVER,
    }
    .torture();
}

#[test]
#[ignore = "needs root: make check runs a share of it, make torture all"]
fn privileged_torture_containers() {
    let tiny = two_versions();
    tiny.update();
    let first = format!("{TEMPLATE}@1");
    let words = ["ct", "create", "web", "--template", &first];
    tiny.vzpkg(&words).ok();
    let web = tiny.site.root().join("private/web/upper");
    fs::write(web.join("etc/mine"), "mine\n").unwrap();
    let words = ["ct", "relink", "web", "--to", "@2"];
    Scene {
        tiny: &tiny,
        words: &words,
        sound: true,
        done: NEVER,
    }
    .torture();
    assert_eq!(fs::read_to_string(web.join("etc/mine")).unwrap(), "mine\n");
    let words = ["ct", "destroy", "--force", "web"];
    Scene {
        tiny: &tiny,
        words: &words,
        sound: true,
        done: "there is no container",
    }
    .torture();
}

#[test]
#[ignore = "needs root: make check runs a share of it, make torture more"]
fn privileged_torture_kills() {
    let share = kills() / 5;
    let scene = |tiny: &Tiny, words: &[&str], done: &str| {
        Scene {
            tiny,
            words,
            sound: true,
            done,
        }
        .kill(share);
    };
    let tiny = Tiny::with(&program("app", "1"));
    scene(&tiny, &["create-cache", TEMPLATE], NEVER);
    let tiny = two_versions();
    scene(&tiny, &["update", TEMPLATE, "--refresh"], NEVER);
    let tiny = two_versions();
    tiny.update();
    let words = ["ct", "create", "web", "--template", TEMPLATE];
    scene(&tiny, &words, "exists already");
    scene(&tiny, &["ct", "relink", "web", "--to", "@1"], NEVER);
    let words = ["rollback", TEMPLATE, "--to", "1"];
    scene(&tiny, &words, "at @1 already");
}

#[test]
#[ignore = "needs root: make check runs a share of it, make torture more"]
fn privileged_torture_kills_of_containers() {
    containers::kill(kills());
}

/// Changes a byte of the program `app`, which only one package has.
fn damage(objects: &Path) {
    let mut waiting = vec![objects.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if fs::read(&path).unwrap() == b"#!/bin/sh\necho 1\n" {
            fs::write(&path, b"#!/bin/sh\necho 9\n").unwrap();
        }
    }
}
