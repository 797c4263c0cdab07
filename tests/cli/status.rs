//! `status`: what an update would change, what is held and why, what is about security, and who is at it.

use crate::tiny::{TEMPLATE as TINY, Tiny, end, own_sleep, program, runs, signal, wait_until};
use vzpkg_tests::tiny_debian;

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_status_tells_what_would_change_what_is_held_and_what_is_about_security() {
    let names = ["hello", "other", "third"];
    let mut tiny = Tiny::of(&names, &names.map(|name| program(name, "1")));
    tiny.create();
    let status = tiny.vzpkg(&["status", TINY, "--refresh"]).ok();
    assert!(status.contains("up to date"), "{status}");
    let unknown = tiny.json(&["status", TINY]);
    assert!(unknown["templates"][0]["security"].is_null(), "{unknown}");

    tiny.publish_all(&[program("hello", "2"), program("third", "2")]);
    tiny.publish_security(&[program("other", "1.1"), program("third", "1.1")]);
    tiny.vzpkg(&["hold", TINY, "third", "--reason", "no time"])
        .ok();
    let run = tiny.vzpkg(&["status", TINY, "--refresh"]);
    assert_eq!(run.code, 10, "{run:?}");
    for said in [
        "tiny-1-x86_64 would change:",
        "1 -> 2",
        "1 -> 1.1",
        "requested, security",
        "1 held back",
        "third 1, there is 2: no time (security)",
    ] {
        assert!(run.stdout.contains(said), "{said}: {}", run.stdout);
    }
    let all = tiny.vzpkg(&["status"]);
    assert_eq!(all.code, 10, "{all:?}");
    assert!(!all.stdout.contains("->"), "a line each: {}", all.stdout);

    let run = tiny.vzpkg(&["status", TINY, "--format", "json"]);
    assert_eq!(run.code, 10, "{run:?}");
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["schema"], "vzpkg.status.1");
    let template = &document["templates"][0];
    assert_eq!(template["changes"], true);
    assert_eq!(
        template["transaction"]["steps"].as_array().unwrap().len(),
        2
    );
    assert_eq!(template["held_back"][0]["hold"]["reason"], "no time");
    assert_eq!(template["held_back"][0]["security"], true);
    let security = &template["security"];
    assert_eq!(security.as_array().unwrap().len(), 2, "{security}");
    assert_eq!(security[0]["package"], "other");
    assert_eq!(security[0]["version"], "1.1");
    assert!(template["busy"].is_null());
    assert_eq!(tiny.head(), 1);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_status_never_waits_and_says_who_is_at_it() {
    let mut tiny = Tiny::of(&["hello"], &[program("hello", "1")]);
    tiny.create();
    let sleep = own_sleep(11);
    let script = format!("#!/bin/sh\nsleep {sleep}\n");
    let slow = tiny_debian::package("hello", "2").script("postinst", &script);
    tiny.publish_all(&[slow]);
    let child = tiny.begin(&["update", TINY, "--refresh"]);
    wait_until("the script runs", || runs(&sleep));
    let run = tiny.vzpkg(&["status", TINY, "--wait", "0"]);
    assert_eq!(run.code, 10, "{run:?}");
    let busy = format!("in use by pid {}", child.id());
    assert!(run.stdout.contains(&busy), "{run:?}");
    for reader in [
        &["update", TINY, "--dry-run"][..],
        &["rollback", TINY, "--to", "1", "--dry-run"],
        &["remove-cache", TINY, "--dry-run"],
        &["history", TINY],
        &["gc", "--dry-run"],
    ] {
        let run = tiny.vzpkg(&[reader, &["--no-wait"]].concat());
        assert!(!run.stderr.contains("in use by"), "{reader:?}: {run:?}");
    }
    signal(&child, "-INT");
    assert_eq!(end(child).code, 130);
    tiny.assert_nothing_left();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_status_goes_on_after_a_template_that_fails() {
    let tiny = Tiny::of(&["hello"], &[program("hello", "1")]);
    tiny.create();
    tiny.write_template("other-1-x86_64");
    let run = tiny.vzpkg(&["status", "other-1-x86_64", TINY]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("has no version yet"), "{run:?}");
    assert!(run.stdout.contains(TINY), "{run:?}");
    let error = tiny.vzpkg(&["status", "tini-1-x86_64"]).fails_with(2);
    assert!(error.contains(TINY), "{error}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_template_whose_directory_is_gone_keeps_its_versions_and_nobody_else_waits_for_it() {
    let mut tiny = Tiny::hello();
    tiny.publish_all(&[program("hello", "2")]);
    tiny.update();
    let other = "other-1-x86_64";
    tiny.write_template(other);
    tiny.vzpkg(&["create-cache", other]).ok();
    std::fs::remove_dir_all(tiny.site.root().join("template/tiny")).unwrap();

    let list = tiny.vzpkg(&["list"]).ok();
    assert!(list.contains(TINY), "{list}");
    let history = tiny.vzpkg(&["history", TINY]).ok();
    assert!(history.contains("tiny-1-x86_64@2"), "{history}");
    tiny.vzpkg(&["diff", "tiny-1-x86_64@1", "@2"]).ok();
    tiny.vzpkg(&["rollback", TINY]).ok();
    assert_eq!(tiny.head(), 1);
    let named = tiny.vzpkg(&["history", "tiny-1-x86_64@1"]).fails_with(2);
    assert!(named.contains("the template is tiny-1-x86_64"), "{named}");

    let status = tiny.vzpkg(&["status"]);
    assert_eq!(status.code, 2, "{status:?}");
    assert!(status.stdout.contains(other), "{status:?}");
    assert!(status.stderr.contains(TINY), "{status:?}");
    let fresh = tiny.vzpkg(&["update-metadata"]).fails_with(2);
    assert!(fresh.contains("Fresh other-1-x86_64"), "{fresh}");

    tiny.vzpkg(&["remove-cache", TINY]).ok();
    tiny.vzpkg(&["history", TINY]).fails_with(1);
    tiny.vzpkg(&["status"]).ok();
}
