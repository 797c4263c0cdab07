//! What people type out of habit, or by mistake: it is done, or the answer is the way to what they want.

use crate::support::{Run, Site};
use crate::tiny::{TEMPLATE, Tiny, program};
use std::os::unix::process::CommandExt as _;

/// The ids that a shell has, in words of its own.
const IDS: &str = "while read -r name id rest; do case $name in Uid:|Gid:) echo $id;; esac; done < /proc/self/status";

/// A user who may do nothing.
const NOBODY: u32 = 65_534;

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_who_is_not_root_is_told_so_in_a_line_where_only_root_may_look() {
    let site = Site::new();
    for words in [
        &["verify"][..],
        &["ct", "top", "web"],
        &["ct", "logs", "web"],
        &["ct", "diff", "web"],
    ] {
        let mut command = site.command(words);
        // Its own settings it may not read.
        command
            .env("VZPKG_CONFIG", "/nonexistent")
            .uid(NOBODY)
            .gid(NOBODY);
        let error = Run::of(&command.output().unwrap()).fails_with(3);
        assert!(error.contains("needs root"), "{words:?}: {error}");
        let lines = error.lines().filter(|line| !line.is_empty());
        assert!(lines.count() <= 2, "{words:?}: {error}");
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_verbs_of_other_tools_work_on_containers() {
    let tiny = Tiny::hello();
    tiny.make("web", &["--start"]).ok();
    assert!(tiny.ct(&["ps"]).ok().contains("web"));
    let mut lines = "printf 'web:x:33:34::/:/bin/sh\\n' > /etc/passwd;".to_owned();
    lines.push_str("printf 'log:x:4:\\n' > /etc/group");
    tiny.inside("web", &lines);
    for (user, ids) in [("web", "33\n34\n"), ("web:log", "33\n4\n"), ("7", "7\n7\n")] {
        let words = ["exec", "-i", "-u", user, "web", "sh", "-c", IDS];
        assert_eq!(tiny.ct(&words).ok(), ids, "{user}");
    }
    let error = tiny
        .ct(&["exec", "-u", "mallory", "web", "true"])
        .fails_with(125);
    assert!(error.contains("has no user `mallory`"), "{error}");
    let error = tiny
        .ct(&["exec", "--detach", "web", "true"])
        .fails_with(125);
    assert!(error.contains("setsid"), "{error}");
    let error = tiny.ct(&["set", "web"]).fails_with(2);
    assert!(error.contains("--memory"), "{error}");
    let said = tiny.ct(&["restart", "web", "--dry-run"]);
    assert!(said.stderr.contains("Would restart web"), "{said:?}");
    for word in ["delete", "rm"] {
        let said = tiny.ct(&[word, "web", "--dry-run", "--force"]);
        assert_eq!(said.code, 0, "{word}: {said:?}");
    }
    tiny.ct(&["rm", "--force", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_word_that_is_a_version_is_understood_as_one() {
    let tiny = Tiny::hello();
    let first = format!("{TEMPLATE}@1");
    let error = tiny.vzpkg(&["tag", &first, "head"]).fails_with(2);
    assert!(error.contains("rollback"), "{error}");
    tiny.vzpkg(&["tag", &first, "stable"]).ok();
    let error = tiny
        .vzpkg(&["rollback", TEMPLATE, "--to", "stable"])
        .fails_with(2);
    assert!(error.contains("did you mean :stable?"), "{error}");
    let error = tiny.vzpkg(&["diff", &first, "1"]).fails_with(2);
    assert!(error.contains("did you mean @1?"), "{error}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_an_update_says_who_was_left_behind() {
    let mut tiny = Tiny::hello();
    tiny.make("web", &[]).ok();
    tiny.publish_all(&[program("hello", "2")]);
    let said = tiny.update();
    assert!(said.contains("vzpkg ct relink web"), "{said}");
    tiny.make("db", &[]).ok();
    tiny.publish_all(&[program("hello", "3")]);
    let said = tiny.update();
    let wanted = "2 containers follow it: vzpkg ct relink db web";
    assert!(said.contains(wanted), "{said}");
    tiny.vzpkg(&["update", TEMPLATE, "--containers"]).ok();
    assert!(!tiny.update().contains("follow it"), "nobody is behind");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_new_root_has_templates_and_nothing_cached() {
    let site = Site::new();
    for (option, text) in [
        ("--cached", "nothing is cached yet"),
        ("--app", "no application templates"),
    ] {
        let said = site.vzpkg(&["list", option]);
        assert!(said.stderr.contains(text), "{option}: {said:?}");
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_server_is_tried_without_listening() {
    let site = Site::new();
    let error = site
        .vzpkg(&["mirror", "serve", "--listen", "18190"])
        .fails_with(2);
    assert!(error.contains("127.0.0.1:8080"), "{error}");
    let said = site.vzpkg(&["mirror", "serve", "--dry-run"]);
    assert!(said.stderr.contains("Would serve"), "{said:?}");
}
