//! Locks as a user keeps them: printed on one node, built again on another.

use crate::support::Run;
use crate::tiny::{TEMPLATE, Tiny};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::tiny_debian;
use vzpkg_tests::tools::run;

/// An `app` whose script makes a user and leaves a trace of every version that was configured.
fn app(version: &str) -> Deb {
    let script = "#!/bin/sh\nset -e\nid app >/dev/null 2>&1 || useradd -r app\n\
                  echo \"$2\" >>/var/lib/trace\n";
    tiny_debian::package("app", version)
        .directory("var/lib", 0o755)
        .file("usr/share/app", 0o644, version.as_bytes())
        .script("postinst", script)
}

/// Three versions, each built on the one before.
fn three_versions() -> Tiny {
    let mut tiny = Tiny::with(&app("1"));
    tiny.site.vzpkg(&["create-cache", TEMPLATE]).ok();
    for version in ["2", "3"] {
        tiny.publish(&app(version));
        tiny.site.vzpkg(&["update", TEMPLATE, "--refresh"]).ok();
    }
    tiny
}

fn digest(run: Run) -> String {
    let document: serde_json::Value = serde_json::from_str(&run.ok()).unwrap();
    document["digest"].as_str().unwrap().to_owned()
}

/// Another root with the same templates.
fn other_root(tiny: &Tiny) -> PathBuf {
    let root = tiny.site.path("other");
    fs::create_dir(&root).unwrap();
    let templates = tiny.site.root().join("template");
    run(Command::new("cp").arg("-a").args([&templates, &root]));
    root
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_lock_with_a_chain_gives_the_same_digest_on_another_node() {
    let tiny = three_versions();
    let here = |words: &[&str]| tiny.site.vzpkg(words);
    let lock = here(&["lock", TEMPLATE]).ok();
    assert_eq!(lock.matches("\nlink sha256:").count(), 2, "{lock}");
    let file = tiny.site.path("lock");
    fs::write(&file, &lock).unwrap();
    let file = file.to_str().unwrap();
    let root = other_root(&tiny);
    let there = |words: &[&str]| here(&[&["--root", root.to_str().unwrap()], words].concat());

    there(&["create-cache", TEMPLATE, "--lock", file]).ok();
    let json = ["lock", TEMPLATE, "--format", "json"];
    assert_eq!(digest(there(&json)), digest(here(&json)));
    assert_eq!(there(&["lock", TEMPLATE]).ok(), lock, "it says the same");
    let history = there(&["history", TEMPLATE, "--format", "json"]).ok();
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let versions = history["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 1, "what it was built on is not visible");

    // Where its base is, only the last step is taken, and it changes nothing.
    let again = here(&["create-cache", TEMPLATE, "--lock", file]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("Unchanged"), "{}", again.stderr);
    assert!(!again.stderr.contains("Replaying"), "{}", again.stderr);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_lock_that_cannot_be_repeated_says_why() {
    let tiny = three_versions();
    let here = |words: &[&str]| tiny.site.vzpkg(words);
    let lock = here(&["lock", TEMPLATE]).ok();
    let file = tiny.site.path("lock");
    let root = other_root(&tiny);
    let replay = |text: &str| {
        fs::write(&file, text).unwrap();
        let (root, file) = (root.to_str().unwrap(), file.to_str().unwrap());
        here(&["--root", root, "create-cache", TEMPLATE, "--lock", file])
    };
    let current = lock.lines().find(|line| line.starts_with("package app 3 "));
    let sha256 = current.unwrap().split(' ').nth(4).unwrap();
    let other = "0".repeat(64);

    let refused = replay(&lock.replace(sha256, &other)).fails_with(1);
    let problem = "app 3 (there is one with another hash)";
    assert!(refused.contains(problem), "{refused}");
    let newer = lock.replace(
        &format!("app 3 all {sha256}"),
        &format!("app 4 all {other}"),
    );
    let refused = replay(&newer).fails_with(1);
    assert!(refused.contains("app 4 (the nearest is 3)"), "{refused}");
    let unknown = lock.replace("package app ", "package tool ");
    let refused = replay(&unknown).fails_with(1);
    assert!(refused.contains("(nothing of that name)"), "{refused}");

    let alone = lock.split("\nlink ").next().unwrap();
    let refused = replay(&format!("{alone}\n")).fails_with(1);
    assert!(
        refused.contains("does not say how that was made"),
        "{refused}"
    );

    // A base that the template of this node does not make.
    let link = lock.split("\nlink sha256:").nth(1).unwrap();
    let base = link.split(' ').next().unwrap();
    let refused = replay(&lock.replace(base, &other)).fails_with(4);
    assert!(refused.contains(&format!("not {other}")), "{refused}");
    let listed = here(&["--root", root.to_str().unwrap(), "list", "--cached"]).ok();
    assert!(
        !listed.contains(TEMPLATE),
        "nothing became visible: {listed}"
    );
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_lock_of_an_older_version_leaves_the_head_where_it_is() {
    let tiny = three_versions();
    let file = tiny.site.path("lock");
    let lock = tiny.vzpkg(&["lock", "tiny-1-x86_64@1"]).ok();
    fs::write(&file, lock).unwrap();
    let words = ["create-cache", TEMPLATE, "--lock", file.to_str().unwrap()];
    let again = tiny.vzpkg(&words);
    assert_eq!(again.code, 0, "{again:?}");
    for text in [
        "Unchanged the build equals tiny-1-x86_64@1",
        "the head stays tiny-1-x86_64@3",
        "`vzpkg rollback tiny-1-x86_64 --to 1`",
    ] {
        assert!(again.stderr.contains(text), "{text}: {}", again.stderr);
    }
    assert_eq!(tiny.head(), 3);
    // A version that is new is the head, and the way back is that of an update.
    tiny.vzpkg(&["remove-cache", "tiny-1-x86_64@1"]).ok();
    let made = tiny.vzpkg(&words);
    let undo = "undo: vzpkg rollback tiny-1-x86_64 --to 3";
    assert!(made.stderr.contains(undo), "{made:?}");
    assert_eq!(tiny.head(), 4);
}
