//! Versions by every name, what is noted of them, and the way back.

use crate::tiny::{TEMPLATE as TINY, Tiny, program};

/// Three versions: hello 1, 2, 3; `other` stays.
fn three() -> Tiny {
    three_with("1")
}

/// The same with this version of `other`.
fn three_with(other: &str) -> Tiny {
    let mut tiny = Tiny::of(
        &["hello", "other"],
        &[program("hello", "1"), program("other", other)],
    );
    tiny.create();
    for version in ["2", "3"] {
        tiny.publish_all(&[program("hello", version)]);
        tiny.update();
    }
    tiny
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_every_name_of_a_version_works_everywhere() {
    let tiny = three();
    tiny.vzpkg(&["tag", "tiny-1-x86_64@2", "stable"]).ok();
    let digest = tiny.json(&["lock", "tiny-1-x86_64@2"])["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let names = [
        "tiny-1-x86_64@2".to_owned(),
        "tiny-1-x86_64:stable".to_owned(),
        format!("@sha256:{}", &digest[..8]),
        format!("sha256:{digest}"),
        format!("tiny-1-x86_64@sha256:{}", &digest[..12]),
    ];
    for name in &names {
        assert_eq!(tiny.version_of("hello", name), "2", "{name}");
        assert_eq!(
            tiny.json(&["lock", name])["digest"],
            digest.as_str(),
            "{name}"
        );
        let info = tiny.vzpkg(&["info", name, "version"]).ok();
        assert!(info.contains("tiny-1-x86_64@2"), "{name}: {info}");
        let diff = tiny.vzpkg(&["diff", name, TINY]).ok();
        assert!(diff.contains("hello"), "{name}: {diff}");
        tiny.vzpkg(&["verify", name]).ok();
        let target = tiny.site.path("out");
        tiny.vzpkg(&["export", name, target.to_str().unwrap()]).ok();
        std::fs::remove_dir_all(target).unwrap();
        let planned = tiny.vzpkg(&["ct", "create", "web", "--template", name, "--dry-run"]);
        assert!(planned.stderr.contains("tiny-1-x86_64@2"), "{planned:?}");
        let planned = tiny.vzpkg(&["rollback", TINY, "--to", name, "--dry-run"]);
        assert!(planned.stderr.contains("@3 to @2"), "{planned:?}");
    }
    for name in ["2", "@2", ":stable"] {
        let planned = tiny.vzpkg(&["rollback", TINY, "--to", name, "--dry-run"]);
        assert!(planned.stderr.contains("@3 to @2"), "{planned:?}");
    }
    let diff = tiny.vzpkg(&["diff", "tiny-1-x86_64@1", ":stable"]).ok();
    assert!(diff.contains("hello"), "{diff}");
    assert_eq!(
        tiny.version_of("hello", TINY),
        "3",
        "a plain name is the head"
    );
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_versions_that_are_not_there_are_explained() {
    let tiny = three();
    tiny.vzpkg(&["tag", "tiny-1-x86_64@2", "stable"]).ok();
    for (name, code, said) in [
        ("tiny-1-x86_64@9", 1, "it has @1, @2, @3 (head)"),
        (
            "tiny-1-x86_64:stabel",
            1,
            "did you mean tiny-1-x86_64:stable?",
        ),
        ("tiny-1-x86_64:nightly", 1, "it has :stable"),
        ("@sha256:00000000", 1, "history TEMPLATE -v"),
        ("@sha256:0000", 2, "at least 8 digits"),
        ("@2", 2, "write TEMPLATE@2"),
        ("tiny-1-x86_64@0", 2, "is no version"),
        ("tiny-1-x86_64:", 2, "tag"),
    ] {
        let error = tiny.vzpkg(&["lock", name]).fails_with(code);
        assert!(error.contains(said), "{name}: {error}");
    }
    for name in ["tiny-1-x86_64@2", "tiny-1-x86_64@9", "tiny-1-x86_64:stable"] {
        let error = tiny.vzpkg(&["history", name]).fails_with(2);
        for said in ["names a version", "the template is tiny-1-x86_64;"] {
            assert!(error.contains(said), "{name}: {error}");
        }
    }
    let error = tiny.vzpkg(&["tag", "tiny-1-x86_64@1", "4"]).fails_with(2);
    assert!(error.contains("no tag"), "{error}");
    let error = tiny
        .vzpkg(&["tag", "--remove", "tiny-1-x86_64:nightly"])
        .fails_with(1);
    assert!(error.contains("nightly"), "{error}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_one_version_that_cannot_go_does_not_keep_the_space_of_the_others() {
    let tiny = three();
    tiny.vzpkg(&["keep", "tiny-1-x86_64@1"]).ok();
    let words = ["remove-cache", "tiny-1-x86_64@1", "tiny-1-x86_64@2"];
    let said = tiny.vzpkg(&words).fails_with(1);
    for text in ["is kept", "Removed tiny-1-x86_64@2", "Freed"] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let said = tiny.vzpkg(&words).fails_with(1);
    assert!(!said.contains("Freed"), "nothing went: {said}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_what_is_kept_or_tagged_outlives_gc_and_every_mark_can_be_undone() {
    // Of its own: gc leaves what any mount of the machine refers to, and tests mount versions of the same content.
    let tiny = three_with("1+kept");
    tiny.settings("keep-last = 0\n");
    let kept = tiny.vzpkg(&["keep", "tiny-1-x86_64@1"]);
    assert!(
        kept.stderr.contains("undo: vzpkg unkeep tiny-1-x86_64@1"),
        "{kept:?}"
    );
    let tagged = tiny.vzpkg(&["tag", "tiny-1-x86_64@2", "stable"]);
    assert!(
        tagged
            .stderr
            .contains("undo: vzpkg tag --remove tiny-1-x86_64:stable"),
        "{tagged:?}"
    );
    let history = tiny.vzpkg(&["history", TINY]).ok();
    assert!(
        history.contains("kept") && history.contains(":stable"),
        "{history}"
    );
    let info = tiny.vzpkg(&["info", TINY, "tags", "kept"]).ok();
    assert!(
        info.contains("stable @2") && info.contains("tiny-1-x86_64@1"),
        "{info}"
    );
    let list = tiny.vzpkg(&["list", TINY]).ok();
    assert!(
        list.contains("@1 kept") && list.contains(":stable is @2"),
        "{list}"
    );
    tiny.vzpkg(&["gc"]).ok();
    assert_eq!(
        tiny.json(&["history", TINY])["versions"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let error = tiny
        .vzpkg(&["remove-cache", "tiny-1-x86_64@1"])
        .fails_with(1);
    assert!(error.contains("vzpkg unkeep tiny-1-x86_64@1"), "{error}");
    let error = tiny.vzpkg(&["remove-cache", TINY]).fails_with(1);
    assert!(error.contains("kept") || error.contains("tag"), "{error}");

    // A tag moves, and the way back names where it was.
    let moved = tiny.vzpkg(&["tag", "tiny-1-x86_64@3", "stable"]);
    assert!(
        moved
            .stderr
            .contains("undo: vzpkg tag tiny-1-x86_64@2 stable"),
        "{moved:?}"
    );
    tiny.vzpkg(&["unkeep", "tiny-1-x86_64@1"]).ok();
    let gc = tiny.vzpkg(&["gc"]);
    for version in ["tiny-1-x86_64@1", "tiny-1-x86_64@2"] {
        let removed = format!("Removed {version}\n");
        assert!(gc.stderr.contains(&removed), "{removed}: {gc:?}");
    }
    let versions = tiny.json(&["history", TINY])["versions"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(versions, 1, "nothing keeps the others any more");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_held_packages_stay_and_the_plan_says_why() {
    let mut tiny = Tiny::of(
        &["hello", "other"],
        &[program("hello", "1"), program("other", "1")],
    );
    tiny.create();
    let held = tiny.vzpkg(&[
        "hold",
        TINY,
        "hell*",
        "--until",
        "2099-12-31",
        "--reason",
        "it's slow",
    ]);
    assert!(
        held.stderr
            .contains("undo: vzpkg unhold tiny-1-x86_64 'hell*'"),
        "{held:?}"
    );
    tiny.publish_all(&[program("hello", "2"), program("other", "2")]);
    let why = "hello 1, there is 2, held as hell* until 2099-12-31: it's slow";
    let plan = tiny.vzpkg(&["update", TINY, "--refresh", "--dry-run"]);
    assert!(plan.stderr.contains(why), "{plan:?}");
    assert!(
        !plan.stdout.contains("hello") && plan.stdout.contains("other"),
        "{plan:?}"
    );
    let status = tiny.json(&["info", TINY, "holds"]);
    assert_eq!(status["holds"][0], "hell* until 2099-12-31: it's slow");
    let update = tiny.update();
    assert!(update.contains(why), "{update}");
    assert_eq!(tiny.version_of("hello", TINY), "1");
    assert_eq!(tiny.version_of("other", TINY), "2");
    tiny.vzpkg(&["status", TINY]).ok();

    let table = tiny.vzpkg(&["hold", TINY]).ok();
    assert!(
        table.contains("hell*") && table.contains("2099-12-31"),
        "{table}"
    );
    let wrong = tiny.vzpkg(&["unhold", TINY, "hellp*"]).fails_with(1);
    assert!(wrong.contains("did you mean 'hell*'?"), "{wrong}");
    let released = tiny.vzpkg(&["unhold", TINY, "hell*"]);
    let undo = "undo: vzpkg hold tiny-1-x86_64 'hell*' --until 2099-12-31 --reason 'it'\\''s slow'";
    assert!(released.stderr.contains(undo), "{released:?}");
    tiny.vzpkg(&["status", TINY]).fails_with(10);
    tiny.update();
    assert_eq!(tiny.version_of("hello", TINY), "2");
    for (until, said) in [("yesterday", "is no date"), ("2001-01-01", "is over")] {
        let error = tiny
            .vzpkg(&["hold", TINY, "hello", "--until", until])
            .fails_with(2);
        assert!(error.contains(said), "{error}");
    }
    let warned = tiny.vzpkg(&["hold", TINY, "helo"]);
    assert!(warned.stderr.contains("did you mean hello?"), "{warned:?}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_version_that_was_rolled_back_is_not_made_again_until_something_changes() {
    let mut tiny = Tiny::of(&["hello"], &[program("hello", "1")]);
    tiny.create();
    tiny.publish_all(&[program("hello", "2")]);
    let updated = tiny.update();
    assert!(
        updated.contains("undo: vzpkg rollback tiny-1-x86_64 --to 1"),
        "{updated}"
    );
    let back = tiny.vzpkg(&["rollback", TINY, "--reason", "it greets nobody"]);
    assert!(
        back.stderr
            .contains("undo: vzpkg rollback tiny-1-x86_64 --to 2"),
        "{back:?}"
    );
    assert_eq!(tiny.head(), 1);
    let again = tiny.update();
    assert!(
        again.contains("nothing to do")
            && again.contains("@2, which was rolled back: it greets nobody"),
        "{again}"
    );
    assert!(again.contains("--again"), "{again}");
    assert_eq!(tiny.head(), 1);
    let status = tiny.vzpkg(&["status", TINY]).ok();
    assert!(status.contains("it greets nobody"), "{status}");

    // By hand, both ways, as often as one likes.
    tiny.vzpkg(&["update", TINY, "--again"]).ok();
    assert_eq!(tiny.head(), 2);
    tiny.vzpkg(&["rollback", TINY]).ok();
    tiny.vzpkg(&["rollback", TINY, "--to", "2"]).ok();
    let history = tiny.vzpkg(&["history", TINY]).ok();
    assert!(
        !history.contains("bad"),
        "going forward undoes the mark: {history}"
    );
    tiny.vzpkg(&["rollback", TINY, "--reason", "still"]).ok();

    // Something changes: the next update is another version.
    tiny.publish_all(&[program("hello", "3")]);
    tiny.update();
    assert_eq!(tiny.head(), 3);
    assert_eq!(tiny.version_of("hello", TINY), "3");
    let before = tiny.vzpkg(&["rollback", TINY]);
    assert!(
        before.stderr.contains("@3 to @1"),
        "the bad one is skipped: {before:?}"
    );
    let nothing = tiny.vzpkg(&["rollback", TINY]).fails_with(1);
    assert!(nothing.contains("--to N"), "{nothing}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_on_a_terminal_all_versions_are_removed_only_when_asked_twice() {
    let tiny = three();
    let asked = |words: &[&str], answer: &str| {
        let command = tiny
            .site
            .command(&[&["remove-cache", TINY], words].concat());
        let line: Vec<&str> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_str().unwrap())
            .collect();
        // A terminal of its own; `script` passes the answer on to it.
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &line.join(" "), "/dev/null"]);
        for (name, value) in command.get_envs() {
            script.env(name, value.unwrap_or_default());
        }
        let piped = std::process::Stdio::piped;
        let mut child = script
            .stdin(piped())
            .stdout(piped())
            .stderr(piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, answer.as_bytes()).unwrap();
        drop(stdin);
        crate::tiny::end(child)
    };
    let refused = asked(&[], "n\n");
    let question = "Remove all 3 versions of `tiny-1-x86_64`?";
    assert!(refused.stdout.contains(question), "{refused:?}");
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(tiny.head(), 3);
    let removed = asked(&["-y"], "");
    assert!(!removed.stdout.contains(question), "{removed:?}");
    assert_eq!(removed.code, 0, "{removed:?}");
    tiny.vzpkg(&["history", TINY]).fails_with(1);
}
