//! `update T --only PACKAGE…`: what is named moves, with what it needs, and nothing else.

use crate::tiny::{TEMPLATE as TINY, Tiny, program};
use vzpkg_tests::deb_writer::Deb;

/// `hello`, which needs a library of its own version, and `other`; both have something newer.
fn two_with_updates() -> Tiny {
    let mut tiny = Tiny::of(
        &["hello", "other"],
        &[hello("1"), program("libhello", "1"), program("other", "1")],
    );
    tiny.create();
    tiny.publish_all(&[hello("2"), program("libhello", "2"), program("other", "2")]);
    tiny
}

fn hello(version: &str) -> Deb {
    program("hello", version).field("Depends", &format!("libhello (>= {version})"))
}

fn versions(tiny: &Tiny) -> [String; 3] {
    ["hello", "libhello", "other"].map(|name| tiny.version_of(name, TINY))
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_only_what_is_named_moves_with_what_it_needs() {
    let tiny = two_with_updates();
    let only = ["update", TINY, "--refresh", "--only", "hello"];
    let plan = tiny.vzpkg(&[&only[..], &["--dry-run"]].concat()).ok();
    assert!(plan.contains("libhello"), "{plan}");
    assert!(!plan.contains("other"), "{plan}");
    assert_eq!(
        versions(&tiny),
        ["1", "1", "1"],
        "a dry run changes nothing"
    );

    let update = tiny.vzpkg(&only);
    assert_eq!(update.code, 0, "{update:?}");
    assert!(update.stderr.contains("undo: vzpkg rollback"), "{update:?}");
    assert_eq!(versions(&tiny), ["2", "2", "1"]);
    assert_eq!(tiny.versions()[0]["why"], "update --only hello");
    let again = tiny.vzpkg(&only);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stderr.contains("nothing newer"), "{again:?}");

    // The rest is still there to be had.
    tiny.vzpkg(&["status", TINY]).fails_with(10);
    tiny.update();
    assert_eq!(versions(&tiny), ["2", "2", "2"]);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_patterns_and_lists_name_several_and_leave_out_what_is_held() {
    let tiny = two_with_updates();
    tiny.vzpkg(&["hold", TINY, "other"]).ok();
    let error = tiny
        .vzpkg(&["update", TINY, "--refresh", "--only", "other"])
        .fails_with(1);
    assert!(
        error.contains("other of `tiny-1-x86_64` is held"),
        "{error}"
    );
    assert!(
        error.contains("vzpkg unhold tiny-1-x86_64 'other'"),
        "{error}"
    );
    let update = tiny.vzpkg(&["update", TINY, "--only", "?ib*,o*"]);
    assert_eq!(update.code, 0, "{update:?}");
    assert!(update.stderr.contains("other 1, there is 2"), "{update:?}");
    assert_eq!(versions(&tiny), ["1", "2", "1"]);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_what_cannot_be_moved_alone_is_explained() {
    let mut tiny = two_with_updates();
    tiny.publish_all(&[program("extra", "1")]);
    tiny.publish_all(&[program("other", "3").field("Depends", "missing")]);
    for (package, said) in [
        ("helo", "did you mean hello?"),
        ("extra", "name it in the file `packages`"),
        (
            "nothing-of-this-name",
            "vzpkg list --packages tiny-1-x86_64@1",
        ),
        ("other", "missing"),
    ] {
        let error = tiny
            .vzpkg(&["update", TINY, "--refresh", "--only", package])
            .fails_with(1);
        assert!(error.contains(said), "{package}: {error}");
    }
    for words in [
        &["update", TINY, "--only", "../x"][..],
        &["update", "--only", "hello"],
        &["update", TINY, "--only"],
        &["update", TINY, "--rebuild", "--only", "hello"],
    ] {
        tiny.vzpkg(words).fails_with(2);
    }
    assert_eq!(versions(&tiny), ["1", "1", "1"]);
    tiny.assert_nothing_left();
}
