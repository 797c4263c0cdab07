//! `bisect`: which version, and which package in it, made something fail.

use crate::tiny::{TEMPLATE as TINY, Tiny, end, own_sleep, program, runs, signal, wait_until};

const PACKAGES: [&str; 5] = ["alpha", "beta", "delta", "gamma", "omega"];

/// Seven versions. In @5 three packages move, among them `delta`, which prints `broken` from then on; elsewhere only
/// `omega` moves.
fn seven() -> Tiny {
    let mut tiny = Tiny::of(&PACKAGES, &PACKAGES.map(|name| program(name, "1")));
    tiny.create();
    for number in 2..=7 {
        let number: u32 = number;
        let mut packages = vec![program("omega", &number.to_string())];
        if number == 5 {
            packages.extend(["alpha", "gamma"].map(|name| program(name, "2")));
            packages.push(program("delta", "2").file("usr/share/broken", 0o644, b""));
        }
        tiny.publish_all(&packages);
        tiny.update();
    }
    tiny
}

fn bisect(tiny: &Tiny, test: &str, more: &[&str]) -> crate::support::Run {
    let words = ["bisect", TINY, "--good", "1", "--bad", "7", "--test", test];
    tiny.vzpkg(&[&words[..], more].concat())
}

/// No version, container, mount or staging directory that was not there before.
fn assert_nothing_stays(tiny: &Tiny) {
    assert_eq!(tiny.versions().len(), 7);
    assert_eq!(tiny.head(), 7);
    let containers = tiny.json(&["ct", "list"]);
    assert_eq!(
        containers["containers"].as_array().unwrap().len(),
        0,
        "{containers}"
    );
    let private = std::fs::read_dir(tiny.site.root().join("private"));
    assert_eq!(private.map_or(0, Iterator::count), 0);
    tiny.assert_nothing_left();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_the_version_and_the_package_are_found() {
    let tiny = seven();
    let found = bisect(&tiny, "! test -e /usr/share/broken", &[]);
    assert_eq!(found.code, 0, "{found:?}");
    assert!(
        found
            .stdout
            .contains("tiny-1-x86_64@5 is the first bad version"),
        "{found:?}"
    );
    assert!(
        found.stdout.contains("what makes it bad: delta 1 -> 2"),
        "{found:?}"
    );
    assert!(
        found.stderr.contains("vzpkg hold tiny-1-x86_64 'delta'"),
        "{found:?}"
    );
    let tried = found.stderr.lines().filter(|line| {
        let line = line.trim_start();
        line.starts_with("Good ") || line.starts_with("Bad ")
    });
    assert!(tried.count() <= 2 + 3 + 2, "{}", found.stderr);
    assert_nothing_stays(&tiny);

    // What the test writes is no result.
    let found = bisect(
        &tiny,
        "echo noise; ! test -e /usr/share/broken",
        &["--format", "json"],
    );
    let found: serde_json::Value = serde_json::from_str(&found.ok()).unwrap();
    assert_eq!(found["schema"], "vzpkg.bisect.1");
    assert_eq!(found["versions"], serde_json::json!(["tiny-1-x86_64@5"]));
    assert_eq!(found["packages"][0]["package"]["name"], "delta");
    assert_nothing_stays(&tiny);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_what_cannot_be_judged_is_left_among_the_suspects() {
    let tiny = seven();
    // Omega is 4 in @4: nothing is said of that version.
    let test = "case $(omega) in 4) exit 125;; esac; ! test -e /usr/share/broken";
    let found = bisect(&tiny, test, &[]).ok();
    assert!(
        found.contains("one of tiny-1-x86_64@4, tiny-1-x86_64@5"),
        "{found}"
    );
    assert!(found.contains("delta 1 -> 2"), "{found}");
    assert_nothing_stays(&tiny);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_tests_that_tell_nothing_are_refused() {
    let tiny = seven();
    for (test, said) in [
        (
            "true",
            "`tiny-1-x86_64@7` should be bad, but the test says good",
        ),
        (
            "false",
            "`tiny-1-x86_64@1` should be good, but the test says bad",
        ),
        ("exit 125", "the test says skipped"),
        ("no-such-command", "ended with 127"),
        ("kill -9 $$", "ended with 137"),
    ] {
        let error = bisect(&tiny, test, &[]).fails_with(1);
        assert!(error.contains(said), "{test}: {error}");
    }
    for (good, bad, code) in [
        ("7", "1", 2),
        ("3", "3", 2),
        ("9", "1", 1),
        ("1", ":none", 1),
    ] {
        let words = [
            "bisect", TINY, "--good", good, "--bad", bad, "--test", "true",
        ];
        tiny.vzpkg(&words).fails_with(code);
    }
    tiny.vzpkg(&["bisect", TINY, "--good", "1", "--bad", "7"])
        .fails_with(2);
    let tried = bisect(&tiny, "true", &["--dry-run"]);
    assert_eq!(tried.code, 0, "{tried:?}");
    assert!(tried.stderr.contains("Would test 6 versions"), "{tried:?}");
    assert_nothing_stays(&tiny);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_container_of_the_name_that_a_search_uses_is_left_alone() {
    let tiny = seven();
    // The shell becomes the search, which so has the process id that the container is named after.
    let script = "\"$0\" ct create bisect-$$ --template \"$1\" --net none && \
                  exec \"$0\" bisect \"$1\" --good 1 --bad 7 --test true";
    let given = tiny.site.command(&[]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script, crate::support::VZPKG, TINY]);
    shell.env_clear().envs(
        given
            .get_envs()
            .filter_map(|(key, value)| Some((key, value?))),
    );
    let run = crate::support::Run::of(&shell.output().unwrap());
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("exists already"), "{run:?}");
    assert!(run.stderr.contains("vzpkg ct rename bisect-"), "{run:?}");
    let containers = tiny.json(&["ct", "list"]);
    let name = containers["containers"][0]["name"].as_str().unwrap();
    assert!(name.starts_with("bisect-"), "{containers}");
    tiny.ct(&["destroy", name]).ok();
    assert_nothing_stays(&tiny);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_ctrl_c_leaves_nothing_and_what_a_kill_left_is_cleared() {
    let tiny = seven();
    let words = |sleep: &str| {
        let test = format!("sleep {sleep}");
        ["bisect", TINY, "--good", "1", "--bad", "7", "--test", &test].map(str::to_owned)
    };
    let begin = |sleep: &str| {
        let words = words(sleep);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        tiny.begin(&words)
    };
    let sleep = own_sleep(31);
    let search = begin(&sleep);
    wait_until("the test runs", || runs(&sleep));
    signal(&search, "-INT");
    let said = end(search).fails_with(130);
    assert!(said.contains("interrupted"), "{said}");
    assert!(!runs(&sleep), "the test still runs");
    assert_nothing_stays(&tiny);

    let sleep = own_sleep(32);
    let mut search = begin(&sleep);
    wait_until("the test runs", || runs(&sleep));
    signal(&search, "-KILL");
    // What it ran still has its streams: nobody waits for their end.
    search.wait().unwrap();
    bisect(&tiny, "true", &[]).fails_with(1);
    wait_until("the test ends", || !runs(&sleep));
    assert_nothing_stays(&tiny);
}
