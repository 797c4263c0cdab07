//! Containers under another name: copied, renamed, and killed on the way.

use crate::crash::{Instants, run_and_kill};
use crate::tiny::{TEMPLATE, Tiny, program};
use std::fs;

/// At how many instants a renaming and a copying are killed.
const KILLS: u64 = 24;

fn tiny() -> Tiny {
    let tiny = Tiny::hello();
    tiny.make("web", &["--env", "A=1"]).ok();
    tiny
}

fn names(tiny: &Tiny) -> Vec<String> {
    let document = tiny.json(&["ct", "list"]);
    let list = document["containers"].as_array().unwrap().iter();
    list.map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_copy_that_cannot_start_is_there_and_says_how_it_is_undone() {
    let tiny = tiny();
    let images = fs::read_dir(tiny.site.root().join("store/images")).unwrap();
    for image in images.map(|entry| entry.unwrap().path()) {
        fs::remove_file(image).unwrap();
    }
    let copied = tiny.ct(&["clone", "web", "copy", "--start"]);
    assert_ne!(copied.code, 0, "{copied:?}");
    assert!(
        copied.stderr.contains("undo: vzpkg ct destroy copy"),
        "{copied:?}"
    );
    assert_eq!(names(&tiny), ["copy", "web"]);
    tiny.ct(&["destroy", "copy", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_copy_has_the_private_changes_and_an_identity_of_its_own() {
    let tiny = tiny();
    tiny.ct(&["start", "web"]).ok();
    tiny.inside("web",
        "mkdir -p /srv; echo mine > /srv/file; chmod 4700 /usr/bin/hello; rm /usr/bin/diff; useradd alice; mkdir -p /etc/ssh
        echo key > /etc/ssh/ssh_host_rsa_key; chown 1000:1000 /srv/file; ln /srv/file /srv/other",
    );
    let refused = tiny.ct(&["clone", "web", "copy"]).fails_with(1);
    assert!(refused.contains("vzpkg ct stop web"), "{refused}");
    tiny.ct(&["stop", "web", "--timeout", "0"]).ok();
    let planned = tiny.ct(&["clone", "web", "copy", "--dry-run"]);
    assert!(planned.stderr.contains("Would copy"), "{planned:?}");
    assert_eq!(names(&tiny), ["web"]);
    let copied = tiny.ct(&["clone", "web", "copy", "--start"]);
    assert!(
        copied
            .stderr
            .contains("undo: vzpkg ct destroy --force copy\n"),
        "{copied:?}"
    );
    let seen = "cat /srv/other; id -u alice; echo $A; cat /etc/hostname; test -e /usr/bin/diff || echo removed
        test -e /etc/ssh/ssh_host_rsa_key || echo no key; test -u /usr/bin/hello && echo setuid";
    assert_eq!(
        tiny.inside("copy", seen),
        "mine\n1000\n1\ncopy\nremoved\nno key\nsetuid\n"
    );
    let id = |name: &str| {
        let upper = tiny
            .site
            .root()
            .join("private")
            .join(name)
            .join("upper/etc/machine-id");
        fs::read_to_string(upper).unwrap()
    };
    assert_ne!(id("web"), id("copy"));
    // Each of them goes on alone.
    tiny.inside("copy", "echo other > /srv/file");
    tiny.ct(&["start", "web"]).ok();
    assert_eq!(
        tiny.inside("web", "cat /srv/file /etc/hostname"),
        "mine\nweb\n"
    );
    let ids = |name: &str| tiny.json(&["ct", "info", name])["first_uid"].clone();
    assert_ne!(ids("web"), ids("copy"));
    for (words, code) in [
        (&["clone", "nobody", "x"][..], 1),
        (&["clone", "copy", "web"], 1),
        (&["clone", "web", "a/b"], 2),
        (&["clone", "web", TEMPLATE], 2),
        (&["rename", "nobody", "x"], 1),
        (&["rename", "copy", "web"], 1),
        (&["rename", "web", "x"], 1),
        (&["rename", "web", TEMPLATE], 2),
        (&["rename", "web", "web"], 1),
    ] {
        tiny.ct(words).fails_with(code);
    }
    assert_eq!(names(&tiny), ["copy", "web"]);
    tiny.ct(&["destroy", "--force", "web", "copy"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_container_has_its_data_and_its_way_back_under_another_name() {
    let mut tiny = tiny();
    tiny.ct(&["start", "web"]).ok();
    tiny.inside("web", "mkdir /srv; echo mine > /srv/file");
    tiny.ct(&["stop", "web", "--timeout", "0"]).ok();
    tiny.publish_all(&[program("hello", "2")]);
    tiny.update();
    tiny.ct(&["relink", "web"]).ok();
    tiny.ct(&["rename", "web", "shop", "--dry-run"]).ok();
    assert_eq!(names(&tiny), ["web"]);
    let renamed = tiny.ct(&["rename", "web", "shop"]);
    assert!(
        renamed.stderr.contains("undo: vzpkg ct rename shop web"),
        "{renamed:?}"
    );
    assert_eq!(names(&tiny), ["shop"]);
    assert!(!tiny.site.root().join("private/web").exists());
    tiny.ct(&["start", "shop"]).ok();
    assert_eq!(
        tiny.inside("shop", "cat /srv/file /etc/hostname; hello"),
        "mine\nweb\n2\n"
    );
    tiny.ct(&["rollback", "shop"]).ok();
    assert_eq!(tiny.inside("shop", "hello"), "1\n");
    // The name is free.
    tiny.ct(&["create", "web", "--template", TEMPLATE]).ok();
    tiny.ct(&["destroy", "--force", "shop", "web"]).ok();
    tiny.assert_nothing_left();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_renaming_killed_at_random_instants_is_done_or_not() {
    let tiny = tiny();
    let (mut now, mut next) = ("web", "shop");
    let mut instants = Instants(3);
    for turn in 0..KILLS {
        run_and_kill(&tiny.site, &["ct", "rename", now, next], instants.below(40));
        if names(&tiny) == [next] {
            (now, next) = (next, now);
        }
        assert_eq!(names(&tiny), [now], "turn {turn}");
        // The next command finds it whole, and the other name free.
        tiny.ct(&["set", now, "--pids", &(turn + 20).to_string()])
            .ok();
        tiny.ct(&["create", next, "--template", TEMPLATE]).ok();
        tiny.ct(&["destroy", next]).ok();
        assert_eq!(
            tiny.json(&["ct", "info", now])["limits"]["processes"],
            turn + 20
        );
        assert!(
            !tiny.site.root().join("private").join(next).exists(),
            "turn {turn}"
        );
    }
    tiny.ct(&["start", now]).ok();
    assert_eq!(tiny.inside(now, "echo $A"), "1\n");
    tiny.ct(&["destroy", "--force", now]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_copying_killed_at_random_instants_leaves_a_whole_copy_or_none() {
    let tiny = tiny();
    tiny.ct(&["start", "web"]).ok();
    tiny.inside(
        "web",
        "mkdir /srv; i=0; while test $i -lt 200; do echo $i > /srv/f$i; i=$((i+1)); done",
    );
    tiny.ct(&["stop", "web", "--timeout", "0"]).ok();
    let mut instants = Instants(5);
    for turn in 0..KILLS {
        run_and_kill(
            &tiny.site,
            &["ct", "clone", "web", "copy"],
            instants.below(80),
        );
        let upper = tiny.site.root().join("private/copy/upper/srv");
        if upper.exists() {
            assert_eq!(fs::read_dir(&upper).unwrap().count(), 200, "turn {turn}");
        }
        if turn % 2 == 0 || upper.exists() {
            if names(&tiny).contains(&"copy".to_owned()) {
                tiny.ct(&["destroy", "copy"]).ok();
            }
        } else {
            // A second attempt starts over.
            tiny.ct(&["clone", "web", "copy"]).ok();
            assert_eq!(fs::read_dir(&upper).unwrap().count(), 200, "turn {turn}");
            tiny.ct(&["destroy", "copy"]).ok();
        }
    }
    tiny.ct(&["destroy", "web"]).ok();
    tiny.vzpkg(&["gc"]).ok();
    let left = fs::read_dir(tiny.site.root().join("private")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// As after a database that was lost: the private area may be all that is left of a container.
#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_private_area_that_no_row_names_is_left_alone() {
    let tiny = tiny();
    let lost = tiny.site.root().join("private/lost");
    fs::create_dir_all(lost.join("upper/srv")).unwrap();
    fs::write(lost.join("upper/srv/data"), "mine").unwrap();
    for words in [
        &["create", "lost", "--template", TEMPLATE] as &[&str],
        &["clone", "web", "lost"],
        &["rename", "web", "lost"],
    ] {
        let error = tiny.ct(words).fails_with(1);
        assert!(error.contains("knows no container `lost`"), "{error}");
        assert!(error.contains("mv "), "{error}");
    }
    assert_eq!(
        fs::read_to_string(lost.join("upper/srv/data")).unwrap(),
        "mine"
    );
    assert_eq!(names(&tiny), ["web"]);
}
