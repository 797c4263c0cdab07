//! One writer at a time: who waits says for whom and how long, as long as it is told, and can be interrupted.

use crate::tiny::{TEMPLATE as TINY, Tiny, end, own_sleep, program, runs, signal, wait_until};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use vzpkg_tests::tiny_debian;

/// A template whose update sleeps until it is ended.
fn with_a_slow_update(sleep: &str) -> Tiny {
    let mut tiny = Tiny::of(&["hello"], &[program("hello", "1")]);
    tiny.create();
    let script = format!("#!/bin/sh\nsleep {sleep}\n");
    tiny.publish_all(&[tiny_debian::package("hello", "2").script("postinst", &script)]);
    tiny
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_waiting_writer_can_be_told_not_to_and_can_be_interrupted() {
    let sleep = own_sleep(21);
    let tiny = with_a_slow_update(&sleep);
    let first = tiny.begin(&["update", TINY, "--refresh"]);
    wait_until("the script runs", || runs(&sleep));
    let holder = format!("pid {}: ", first.id());

    let error = tiny.vzpkg(&["update", TINY, "--no-wait"]).fails_with(3);
    assert!(
        error.contains(&holder) && error.contains("vzpkg update"),
        "{error}"
    );
    assert!(error.contains("--wait DURATION"), "{error}");
    assert!(!error.contains("Waiting"), "{error}");
    let error = tiny
        .vzpkg(&["rollback", TINY, "--wait", "1s"])
        .fails_with(3);
    assert!(
        error.contains("Waiting for template") && error.contains(&holder),
        "{error}"
    );
    assert!(error.contains("of at most 1.0 s"), "{error}");

    let mut second = tiny.begin(&["update", TINY, "--wait", "1h"]);
    let mut said = BufReader::new(second.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("of at most 1 h 0 min")));
    signal(&second, "-INT");
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    end(second).fails_with(130);
    assert!(
        rest.iter()
            .any(|line| line.contains("interrupted while waiting for template")),
        "{rest:?}"
    );

    signal(&first, "-INT");
    end(first).fails_with(130);
    assert_eq!(tiny.head(), 1);
    tiny.assert_nothing_left();
}

/// Holds a guard of a site's store, as another command would, until the file is dropped.
pub(crate) fn hold(tiny: &Tiny, name: &str) -> File {
    let guards = tiny.site.root().join("store/guards");
    let guard = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .open(guards.join(name))
        .unwrap();
    guard.lock().unwrap();
    write!(&guard, "{}\nvzpkg something\n", std::process::id()).unwrap();
    guard
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_dry_runs_about_containers_and_garbage_wait_for_nobody() {
    let mut tiny = Tiny::hello();
    tiny.make("web", &[]).ok();
    tiny.publish_all(&[program("hello", "2")]);
    tiny.update();
    tiny.ct(&["relink", "web"]).ok();
    let _container = hold(&tiny, "container:web");
    let _collection = hold(&tiny, "collect");
    for words in [
        &["ct", "relink", "web", "--to", "1"][..],
        &["ct", "rollback", "web"],
        &["ct", "reset", "web"],
        &["ct", "stop", "web"],
        &["rollback", "web"],
        &["update", "web"],
        &["gc"],
    ] {
        let tried = tiny.vzpkg(&[words, &["--dry-run", "--no-wait"]].concat());
        assert_eq!(tried.code, 0, "{words:?}: {tried:?}");
        let real = tiny.vzpkg(&[words, &["--no-wait"]].concat());
        assert!(real.stderr.contains("vzpkg something"), "{real:?}");
        assert_eq!(real.code, 3, "{words:?}: {real:?}");
    }
}

#[test]
fn durations_that_are_none_are_refused() {
    let site = crate::support::Site::new();
    for wait in ["soon", "-1s", "1 parsec", ""] {
        let wait = format!("--wait={wait}");
        let error = site.vzpkg(&["list", &wait]).fails_with(2);
        assert!(error.contains("1h30m"), "{wait}: {error}");
    }
    site.vzpkg(&["list", "--wait", "1", "--no-wait"])
        .fails_with(2);
    let config = site.vzpkg(&["config", "--no-wait"]).ok();
    assert!(config.contains("--no-wait"), "{config}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_who_waits_for_metadata_says_so_and_goes_on() {
    let tiny = Tiny::of(&["hello"], &[program("hello", "1")]);
    tiny.create();
    let index = std::fs::read_dir(tiny.site.root().join("index")).unwrap();
    let mut locks = index.map(|entry| entry.unwrap().path().join("lock"));
    let lock = locks.find(|path| path.exists()).unwrap();
    let guard = File::options()
        .write(true)
        .truncate(true)
        .open(lock)
        .unwrap();
    guard.lock().unwrap();
    write!(&guard, "{}\nvzpkg update all\n", std::process::id()).unwrap();

    let mut child = tiny.begin(&["update-metadata", TINY]);
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let wanted = format!("waiting for pid {}: vzpkg update all", std::process::id());
    assert!(said.any(|line| line.unwrap().contains(&wanted)));
    guard.unlock().unwrap();
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line.contains("Fresh")), "{rest:?}");
    assert!(child.wait().unwrap().success());
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_the_second_of_two_equal_builds_finds_what_the_first_made() {
    let slow = program("hello", "1").script("postinst", "#!/bin/sh\nsleep 3\n");
    let tiny = Tiny::of(&["hello"], &[slow]);
    let both = [(); 2].map(|()| tiny.begin(&["create-cache", TINY]));
    let said = both.map(end);
    for word in ["Built", "Present"] {
        let count = said.iter().filter(|run| run.stderr.contains(word)).count();
        assert_eq!(count, 1, "{word}: {said:?}");
    }
    assert!(said.iter().all(|run| run.code == 0), "{said:?}");
    assert_eq!(tiny.head(), 1);
}
