//! `update --dry-run --save-plan FILE` and `update --plan FILE`: what was looked at is what is done, or nothing.

use crate::support::Run;
use crate::tiny::{TEMPLATE as TINY, Tiny, program};
use std::fs;

/// One version, and something newer of both packages.
fn with_updates() -> Tiny {
    let mut tiny = Tiny::of(
        &["hello", "other"],
        &[program("hello", "1"), program("other", "1")],
    );
    tiny.create();
    tiny.publish_all(&[program("hello", "2"), program("other", "2")]);
    tiny
}

/// Where plans of this site are kept.
fn file(tiny: &Tiny) -> String {
    tiny.site.path("plan").to_str().unwrap().to_owned()
}

fn save(tiny: &Tiny, options: &[&str]) -> Run {
    let file = file(tiny);
    let words = [
        "update",
        TINY,
        "--refresh",
        "--dry-run",
        "--save-plan",
        &file,
    ];
    tiny.vzpkg(&[&words[..], options].concat())
}

fn apply(tiny: &Tiny) -> Run {
    tiny.vzpkg(&["update", "--plan", &file(tiny)])
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_plan_is_carried_out_as_it_was_although_there_is_something_newer() {
    let mut tiny = with_updates();
    let saved = save(&tiny, &["--only", "hello"]);
    assert_eq!(saved.code, 0, "{saved:?}");
    assert!(saved.stderr.contains("vzpkg update --plan"), "{saved:?}");
    assert_eq!(tiny.head(), 1, "nothing was changed");
    tiny.publish_all(&[program("hello", "3")]);
    tiny.vzpkg(&["update-metadata", TINY]).ok();

    let plan = tiny
        .vzpkg(&["update", "--plan", &file(&tiny), "--dry-run"])
        .ok();
    assert!(plan.contains("1 -> 2"), "{plan}");
    let applied = apply(&tiny);
    assert_eq!(applied.code, 0, "{applied:?}");
    assert!(
        applied.stderr.contains("undo: vzpkg rollback"),
        "{applied:?}"
    );
    assert_eq!(tiny.version_of("hello", TINY), "2");
    assert_eq!(tiny.version_of("other", TINY), "1");
    assert_eq!(tiny.versions()[0]["why"], "update --only hello");

    let error = apply(&tiny).fails_with(1);
    assert!(error.contains("made for `tiny-1-x86_64@1`"), "{error}");
    assert!(
        error.contains("the head is `tiny-1-x86_64@2` now"),
        "{error}"
    );
    assert_eq!(tiny.head(), 2);
    tiny.assert_nothing_left();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_planned_rebuild_gives_the_tree_of_that_day() {
    let mut tiny = with_updates();
    save(&tiny, &["--rebuild"]).ok();
    tiny.publish_all(&[program("hello", "3")]);
    apply(&tiny).ok();
    assert_eq!(tiny.version_of("hello", TINY), "2");
    let history = tiny.versions();
    assert_eq!(history[0]["why"], "update --rebuild");
    let lock = tiny.vzpkg(&["lock", TINY]).ok();
    assert!(lock.contains("\nbase none\n"), "{lock}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_plans_that_do_not_fit_any_more_change_nothing() {
    let tiny = with_updates();
    save(&tiny, &[]).ok();
    let good = fs::read_to_string(file(&tiny)).unwrap();
    let hash = good.lines().find(|line| line.contains("sha256")).unwrap();
    let nowhere = format!("      \"sha256\": \"{}\",", "0".repeat(64));
    for (name, text, code, said) in [
        ("cut", good[..good.len() / 2].to_owned(), 2, "no plan"),
        (
            "edited",
            good.replace("\"epoch\"", "\"epochs\""),
            2,
            "unknown field",
        ),
        (
            "newer",
            good.replace("plan.1", "plan.9"),
            2,
            "does not know",
        ),
        (
            "of another",
            good.replace(TINY, "tiny-2-x86_64"),
            2,
            "tiny-2-x86_64",
        ),
        (
            "nowhere",
            good.replace(hash, &nowhere),
            1,
            "there is one with another hash",
        ),
        (
            "misfit",
            good.replace("\"from\": \"1\"", "\"from\": \"7\""),
            1,
            "does not fit",
        ),
    ] {
        assert_ne!(text, good, "{name}");
        fs::write(file(&tiny), text).unwrap();
        let error = apply(&tiny).fails_with(code);
        assert!(error.contains(said), "{name}: {error}");
    }
    fs::write(file(&tiny), &good).unwrap();
    let packages = tiny
        .site
        .root()
        .join("template")
        .join(crate::tiny::TEMPLATE_FILES);
    fs::write(packages.join("packages"), "hello\n").unwrap();
    let error = apply(&tiny).fails_with(1);
    assert!(error.contains("is not as it was"), "{error}");
    assert_eq!(tiny.head(), 1);

    for words in [
        &["update", TINY, "--save-plan", "plan"][..],
        &["update", TINY, "--plan", "plan"],
        &["update", "--plan", "/nonexistent"],
        &["update", "--dry-run", "--plan", "a", "--save-plan", "b"],
    ] {
        tiny.vzpkg(words).fails_with(2);
    }
    tiny.assert_nothing_left();
}
