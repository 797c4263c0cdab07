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

    let second = tiny.begin(&["update", TINY, "--wait", "1h"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal(&second, "-INT");
    let said = end(second).fails_with(130);
    assert!(said.contains("of at most 1 h 0 min"), "{said}");
    assert!(
        said.contains("interrupted while waiting for template"),
        "{said}"
    );

    signal(&first, "-INT");
    end(first).fails_with(130);
    assert_eq!(tiny.head(), 1);
    tiny.assert_nothing_left();
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
