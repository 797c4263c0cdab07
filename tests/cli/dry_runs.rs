//! `--dry-run` changes nothing and fails where the real command would; what was done says how it is undone.

use crate::support::Site;
use crate::tiny::{TEMPLATE as TINY, Tiny, making, program};
use std::fs;
use std::path::Path;

/// The files below a directory with the times of their last change.
pub(crate) fn files(directory: &Path) -> Vec<String> {
    let found = std::process::Command::new("find")
        .arg(directory)
        .args(["-type", "f", "-printf", "%P %T@ %s\n"])
        .output()
        .unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_mirror_that_was_never_synced_has_nothing_to_keep_or_go_back_to() {
    let site = Site::new();
    let url = format!("file://{}", site.path("nowhere").display());
    site.vzpkg(&[
        "mirror",
        "add",
        "m",
        &url,
        "--suites",
        "stable",
        "--trusted",
    ])
    .ok();
    for words in [
        &["mirror", "snapshot", "m"][..],
        &["mirror", "rollback", "m"],
        &["mirror", "publish", "m"],
        &["mirror", "publish", "m@old"],
        &["mirror", "snapshot", "m", "--as", "old", "--remove"],
        &["mirror", "snapshot", "other"],
    ] {
        let error = site.vzpkg(words).fails_with(1);
        let tried = site.vzpkg(&[words, &["--dry-run"]].concat()).fails_with(1);
        assert_eq!(tried, error, "{words:?}");
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_mirror_verbs_that_would_fail_fail_when_they_are_tried() {
    let site = Site::new();
    let url = format!("file://{}", site.path("nowhere").display());
    let add = [
        "mirror",
        "add",
        "m",
        &url,
        "--suites",
        "stable",
        "--trusted",
    ];
    site.vzpkg(&add).ok();
    let missing = site.path("missing");
    for words in [
        &add[..],
        &["mirror", "import", "own", missing.to_str().unwrap()],
        &["mirror", "sync", "other"],
        &["mirror", "remove", "other"],
        &["mirror", "verify", "other"],
        &["mirror", "use", "other"],
    ] {
        let real = site.vzpkg(words);
        let tried = site.vzpkg(&[words, &["--dry-run"]].concat());
        assert_ne!(real.code, 0, "{words:?}");
        assert_eq!((tried.code, tried.stderr), (real.code, real.stderr));
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_asking_for_metadata_can_be_tried_without_asking() {
    let mut tiny = Tiny::of(&["hello"], &[program("hello", "1")]);
    tiny.create();
    tiny.publish_all(&[program("hello", "2")]);
    let index = tiny.site.root().join("index");
    let before = (files(&index), tiny.server.requests().len());
    let tried = tiny.vzpkg(&["update-metadata", TINY, "--dry-run"]);
    assert_eq!(tried.code, 0, "{tried:?}");
    assert!(
        tried.stderr.contains("Would ask tiny-1-x86_64"),
        "{tried:?}"
    );
    assert_eq!((files(&index), tiny.server.requests().len()), before);
    tiny.vzpkg(&["update-metadata", "nothing", "--dry-run"])
        .fails_with(2);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_commands_in_containers_are_only_tried_and_what_is_done_can_be_undone() {
    let mut tiny = Tiny::of(&["hello"], &[program("hello", "1")]);
    tiny.create();
    let ct = |words: &[&str]| tiny.vzpkg(&[&["ct"], words].concat());
    ct(&["create", "web", "--template", TINY]).ok();
    let error = ct(&["exec", "web", "--dry-run", "--", "touch", "/made"]).fails_with(125);
    assert!(error.contains("not running"), "{error}");
    ct(&["start", "web"]).ok();
    for words in [
        &["exec", "web", "--dry-run", "--", "touch", "/made"][..],
        &["enter", "web", "--dry-run"],
    ] {
        let tried = ct(words);
        assert_eq!(tried.code, 0, "{tried:?}");
        assert!(tried.stderr.contains("Would run"), "{tried:?}");
    }
    assert_eq!(
        ct(&["exec", "web", "--", "sh", "-c", "test -e /made"]).code,
        1
    );

    let tried = ct(&["stop", "web", "--timeout", "0", "--dry-run"]);
    assert!(!tried.stderr.contains("undo"), "{tried:?}");
    let stopped = ct(&["stop", "web", "--timeout", "0"]);
    assert!(
        stopped.stderr.contains("undo: vzpkg ct start web"),
        "{stopped:?}"
    );
    let again = ct(&["stop", "web"]);
    assert!(!again.stderr.contains("undo"), "{again:?}");

    tiny.publish_all(&[program("hello", "2")]);
    tiny.update();
    let ct = |words: &[&str]| tiny.vzpkg(&[&["ct"], words].concat());
    ct(&["relink", "web"]).ok();
    let back = ct(&["rollback", "web"]);
    assert_eq!(back.code, 0, "{back:?}");
    assert!(
        back.stderr.contains("undo: vzpkg ct relink web --to 2"),
        "{back:?}"
    );
    ct(&["destroy", "web"]).ok();
    assert!(!fs::exists(tiny.site.root().join("private/web")).unwrap());
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_rebuild_leaves_what_is_held_even_if_only_this_node_has_it() {
    let names = ["hello", "other"];
    let mut tiny = Tiny::of(&names, &names.map(|name| program(name, "1")));
    tiny.create();
    tiny.vzpkg(&["hold", TINY, "hello", "--reason", "slow"])
        .ok();
    tiny.replace_all(&names.map(|name| program(name, "2")));
    let rebuild = tiny.vzpkg(&["update", TINY, "--refresh", "--rebuild"]);
    assert_eq!(rebuild.code, 0, "{rebuild:?}");
    assert!(
        rebuild
            .stderr
            .contains("Held back hello 1, there is 2: slow"),
        "{rebuild:?}"
    );
    assert_eq!(tiny.version_of("hello", TINY), "1");
    assert_eq!(tiny.version_of("other", TINY), "2");

    // What a held package does not fit to is told, with the hold as the way out.
    let needs = program("other", "3").field("Depends", "hello (>= 2)");
    tiny.publish_all(&[needs]);
    let error = tiny
        .vzpkg(&["update", TINY, "--refresh", "--rebuild"])
        .fails_with(1);
    assert!(error.contains("version 1 is held"), "{error}");
    assert!(error.contains("without the hold on `hello`"), "{error}");
    tiny.vzpkg(&["unhold", TINY, "hello"]).ok();
    tiny.vzpkg(&["update", TINY, "--rebuild"]).ok();
    assert_eq!(tiny.version_of("hello", TINY), "2");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_commands_to_copy_act_on_the_root_that_was_told() {
    let tiny = Tiny::hello();
    let root = tiny.site.root();
    let root = root.to_str().unwrap();
    let told = |words: &[&str]| tiny.vzpkg(&[&["--root", root], words].concat());
    let made = told(&[&["ct"], &making("web", &["--start"])[..]].concat());
    let undo = format!("undo: vzpkg --root {root} ct destroy --force web\n");
    assert!(made.stderr.contains(&undo), "{made:?}");
    let refused = told(&["ct", "destroy", "web"]).fails_with(1);
    let hint = format!("vzpkg --root {root} ct destroy --force web");
    assert!(refused.contains(&hint), "{refused}");
    // The environment names it for the next command, too.
    let stopped = tiny.ct(&["stop", "web", "--timeout", "0"]);
    let undo = "undo: vzpkg ct start web\n";
    assert!(stopped.stderr.contains(undo), "{stopped:?}");
    tiny.ct(&["destroy", "web"]).ok();
}
