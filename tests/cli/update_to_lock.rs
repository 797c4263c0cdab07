//! `update T --to-lock FILE`: from the head to exactly what a lock says, forward or back.
//!
//! Without packages that go: the tiny distribution has no apt, and dpkg alone removes nothing that is still needed.

use crate::tiny::{TEMPLATE as TINY, Tiny, program};
use std::fs;

/// Versions: @1 has hello 1 and other 1; @2 has hello 2 and other 1.
fn two() -> Tiny {
    let mut tiny = Tiny::of(
        &["hello", "other"],
        &[program("hello", "1"), program("other", "1")],
    );
    tiny.create();
    tiny.publish_all(&[program("hello", "2")]);
    tiny.update();
    tiny
}

fn lock_file(tiny: &Tiny, name: &str, text: &str) -> String {
    let path = tiny.site.path(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The packages of a version, without the rest of its lock.
fn packages(tiny: &Tiny, version: &str) -> Vec<String> {
    let lock = tiny.vzpkg(&["lock", version]).ok();
    let lines = lock.lines().filter(|line| line.starts_with("package "));
    lines.map(str::to_owned).collect()
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_lock_is_reached_back_and_forth_whatever_is_held() {
    let mut tiny = two();
    let old = tiny.vzpkg(&["lock", "tiny-1-x86_64@1"]).ok();
    let old = lock_file(&tiny, "old", &old);
    let new = tiny.vzpkg(&["lock", "tiny-1-x86_64@2"]).ok();
    let new = lock_file(&tiny, "new", &new);
    tiny.publish_all(&[program("hello", "3"), program("other", "3")]);
    tiny.vzpkg(&["hold", TINY, "hello"]).ok();

    let back = ["update", TINY, "--refresh", "--to-lock", &old];
    let plan = tiny.vzpkg(&[&back[..], &["--dry-run"]].concat()).ok();
    assert!(plan.contains("2 -> 1") && !plan.contains("other"), "{plan}");
    assert_eq!(tiny.head(), 2, "a dry run changes nothing");
    let update = tiny.vzpkg(&back);
    assert_eq!(update.code, 0, "{update:?}");
    assert!(
        update
            .stderr
            .contains("undo: vzpkg rollback tiny-1-x86_64 --to 2"),
        "{update:?}"
    );
    assert_eq!(packages(&tiny, TINY), packages(&tiny, "tiny-1-x86_64@1"));
    let again = tiny.vzpkg(&back);
    assert!(
        again.stderr.contains("it has the packages of the lock"),
        "{again:?}"
    );

    tiny.vzpkg(&["update", TINY, "--to-lock", &new]).ok();
    assert_eq!(packages(&tiny, TINY), packages(&tiny, "tiny-1-x86_64@2"));
    tiny.vzpkg(&["verify", TINY]).ok();
    tiny.assert_nothing_left();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_lock_that_cannot_be_reached_says_why() {
    let tiny = two();
    let lock = tiny.vzpkg(&["lock", TINY]).ok();
    let line = lock
        .lines()
        .find(|line| line.starts_with("package hello "))
        .unwrap();
    let sha256 = line.split(' ').nth(4).unwrap();
    let nowhere = line
        .replace(sha256, &"0".repeat(64))
        .replace(" 2 ", " 1.5 ");
    for (name, text, code, said) in [
        (
            "nowhere",
            lock.replace(line, &nowhere),
            1,
            "hello 1.5 (the nearest is 2)",
        ),
        (
            "unknown",
            lock.replace(line, &nowhere.replace("hello", "hellp")),
            1,
            "nothing of that name",
        ),
        (
            "rpm",
            lock.replace("family deb", "family rpm"),
            1,
            "rpm packages",
        ),
        ("cut", lock[..lock.len() / 2].to_owned(), 2, "line"),
        ("no-lock", "hello\n".to_owned(), 2, "lock"),
    ] {
        let file = lock_file(&tiny, name, &text);
        let error = tiny
            .vzpkg(&["update", TINY, "--to-lock", &file])
            .fails_with(code);
        assert!(error.contains(said), "{name}: {error}");
    }
    tiny.vzpkg(&["update", TINY, "--to-lock", "/nonexistent"])
        .fails_with(2);
    let file = lock_file(&tiny, "good", &lock);
    tiny.write_template("other-1-x86_64");
    let two = ["update", TINY, "other-1-x86_64", "--to-lock", &file];
    let error = tiny.vzpkg(&two).fails_with(2);
    assert!(error.contains("exactly one"), "{error}");
    tiny.vzpkg(&["update", TINY, "--rebuild", "--to-lock", &file])
        .fails_with(2);
    assert_eq!(tiny.head(), 2);
}
