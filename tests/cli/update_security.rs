//! `update T --security`: what a security archive has newer, and nothing else.

use crate::tiny::{TEMPLATE as TINY, Tiny, program};

/// `hello` and `other` have something newer; of `hello` there is a security update that is older than that.
fn with_a_security_update() -> Tiny {
    let mut tiny = Tiny::of(
        &["hello", "other"],
        &[program("hello", "1"), program("other", "1")],
    );
    tiny.create();
    tiny.publish_all(&[program("hello", "2"), program("other", "2")]);
    tiny.publish_security(&[program("hello", "1.1")]);
    tiny
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_only_what_a_security_archive_has_moves() {
    let mut tiny = with_a_security_update();
    let security = ["update", TINY, "--refresh", "--security"];
    tiny.vzpkg(&security).ok();
    assert_eq!(tiny.version_of("hello", TINY), "1.1", "no further");
    assert_eq!(tiny.version_of("other", TINY), "1");
    assert_eq!(tiny.versions()[0]["why"], "update --security");
    let again = tiny.vzpkg(&security);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stderr.contains("Unchanged"), "{again:?}");

    // One that cannot be had keeps none of the others back.
    let broken = program("hello", "1.2").field("Depends", "missing");
    tiny.publish_security(&[broken, program("other", "1.1")]);
    let update = tiny.vzpkg(&security);
    assert_eq!(update.code, 0, "{update:?}");
    assert!(update.stderr.contains("Left out hello 1.2"), "{update:?}");
    assert_eq!(tiny.version_of("hello", TINY), "1.1");
    assert_eq!(tiny.version_of("other", TINY), "1.1");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_held_security_update_is_told() {
    let tiny = with_a_security_update();
    tiny.vzpkg(&["hold", TINY, "hello", "--reason", "slow"])
        .ok();
    let update = tiny.vzpkg(&["update", TINY, "--refresh", "--security"]);
    assert_eq!(update.code, 0, "{update:?}");
    assert!(update.stderr.contains("Held back hello 1"), "{update:?}");
    assert_eq!(tiny.head(), 1);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_without_a_security_archive_nothing_is_guessed() {
    let mut tiny = Tiny::of(&["hello"], &[program("hello", "1")]);
    tiny.create();
    tiny.publish_all(&[program("hello", "2")]);
    let error = tiny
        .vzpkg(&["update", TINY, "--refresh", "--security"])
        .fails_with(1);
    assert!(error.contains("ends in `-security`"), "{error}");
    assert_eq!(tiny.head(), 1);
}
