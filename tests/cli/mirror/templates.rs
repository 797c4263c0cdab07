//! Templates and mirrors: exactly what a template needs is mirrored, the template reads the mirror, and is built from the
//! mirror's past.

use crate::tiny::{TEMPLATE, Tiny, end, program};
use std::fs;
use std::time::Duration;
use vzpkg_tests::tiny_debian;

/// A site with a mirror of what its template needs, and packages that it does not need.
fn site() -> Tiny {
    let app = program("app", "1").field("Depends", "lib");
    let lib = tiny_debian::package("lib", "1");
    let other = tiny_debian::package("other", "1");
    let tiny = Tiny::of(&["app"], &[app, lib, other]);
    tiny.vzpkg(&["mirror", "add", "m", "--for", TEMPLATE]).ok();
    tiny.vzpkg(&["mirror", "sync"]).ok();
    tiny
}

/// The packages that the mirror publishes.
fn published(tiny: &Tiny) -> Vec<String> {
    let pool = tiny.site.root().join("mirror/m/published/pool/main");
    let entries = fs::read_dir(pool).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .map(|name| name.split('_').take(2).collect::<Vec<_>>().join("_"))
        .collect();
    names.sort();
    names
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_mirror_for_a_template_has_what_it_needs_and_is_read_in_place_of_its_upstream() {
    let tiny = site();
    assert_eq!(published(&tiny), ["app_1", "lib_1", "tiny-base_1"]);
    let map = tiny.site.root().join("template/conf/vztt/url.map");
    let before = fs::read_to_string(&map).unwrap();

    // The template of the site has its server written out; one with a token can use the mirror.
    let error = tiny.vzpkg(&["mirror", "use", "m"]).fails_with(1);
    assert!(error.contains("no template reads"), "{error}");
    fs::write(&map, format!("{before}$TINY {}\n", tiny.server.url())).unwrap();
    let before = fs::read_to_string(&map).unwrap();
    let lines = tiny
        .site
        .root()
        .join("template")
        .join(crate::tiny::TEMPLATE_FILES);
    fs::write(lines.join("repositories"), "$TINY stable main\n").unwrap();
    let would = tiny.vzpkg(&["mirror", "use", "m", "--dry-run"]);
    assert!(would.stderr.contains("$TINY[stable]"), "{}", would.stderr);
    assert_eq!(fs::read_to_string(&map).unwrap(), before);
    let used = tiny.vzpkg(&["mirror", "use", "m"]);
    assert!(
        used.stderr.contains("mirror use --undo m"),
        "{}",
        used.stderr
    );
    assert!(used.stderr.contains(TEMPLATE), "{}", used.stderr);
    tiny.server.forget_requests();
    tiny.create();
    assert_eq!(tiny.server.requests(), [], "nothing comes from upstream");
    assert_eq!(tiny.version_of("app", &format!("{TEMPLATE}@1")), "1");

    // The mirror itself goes on reading its upstream.
    tiny.vzpkg(&["mirror", "sync", "m"]).ok();
    assert_eq!(tiny.server.requests().len(), 1);
    let with = fs::read_to_string(&map).unwrap();
    let would = tiny.vzpkg(&["mirror", "use", "--undo", "m", "--dry-run"]);
    assert!(would.stderr.contains("Would undo"), "{}", would.stderr);
    assert_eq!(fs::read_to_string(&map).unwrap(), with);
    // While somebody else is at the map, what it says is not read either.
    let directory = fs::File::open(map.parent().unwrap()).unwrap();
    directory.lock().unwrap();
    let mut undo = tiny.begin(&["mirror", "use", "--undo", "m"]);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(undo.try_wait().unwrap(), None);
    directory.unlock().unwrap();
    end(undo).ok();
    assert_eq!(fs::read_to_string(&map).unwrap(), before);
    let again = tiny.vzpkg(&["mirror", "use", "--undo", "m"]);
    assert!(again.stderr.contains("Unchanged"), "{}", again.stderr);
    tiny.vzpkg(&["mirror", "use", "m"]).ok();
    tiny.vzpkg(&["mirror", "remove", "m"]).ok();
    assert_eq!(fs::read_to_string(&map).unwrap(), before);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_template_is_built_as_it_was_at_a_date_and_under_a_snapshots_name() {
    let mut tiny = site();
    tiny.vzpkg(&["mirror", "snapshot", "m", "--as", "first"])
        .ok();
    let info = tiny.json(&["mirror", "info", "m"]);
    let first = info["history"][0]["at"].as_i64().unwrap();
    // Publications are dated to the second.
    std::thread::sleep(Duration::from_millis(1100));
    tiny.publish_all(&[
        program("app", "2").field("Depends", "lib, more"),
        tiny_debian::package("more", "1"),
    ]);
    tiny.vzpkg(&["mirror", "sync"]).ok();
    assert!(
        published(&tiny).contains(&"more_1".to_owned()),
        "{:?}",
        published(&tiny)
    );

    // The template's own metadata is of today, so the past is older than what was seen.
    tiny.create();
    assert_eq!(tiny.version_of("app", &format!("{TEMPLATE}@1")), "2");
    tiny.server.forget_requests();
    let date = jiff_text(first);
    for (number, moment) in [(2, "first"), (3, date.as_str())] {
        tiny.vzpkg(&[
            "update",
            TEMPLATE,
            "--rebuild",
            "--again",
            "--as-of",
            moment,
        ])
        .ok();
        let head = tiny.head();
        // The second build makes the same tree, which is a version already.
        assert_eq!(head, 2, "turn {number}");
        assert_eq!(tiny.version_of("app", &format!("{TEMPLATE}@{head}")), "1");
        tiny.vzpkg(&["rollback", TEMPLATE, "--to", "1"]).ok();
    }
    assert_eq!(tiny.server.requests(), [], "nothing comes from upstream");

    // What clients see goes back too, and is judged by the time of its sync.
    tiny.vzpkg(&["mirror", "publish", "m@first"]).ok();
    let other = tiny.vzpkg(&["update", TEMPLATE, "--as-of", "1999-01-01"]);
    assert!(other.fails_with(1).contains("had published nothing then"));
    let other = tiny.vzpkg(&["update", TEMPLATE, "--as-of", "never/was"]);
    assert!(other.fails_with(2).contains("a date is"));
    let other = tiny.vzpkg(&["update", TEMPLATE, "--as-of", "second"]);
    assert!(other.fails_with(1).contains("no snapshot `second`"));
    tiny.vzpkg(&["mirror", "remove", "m"]).ok();
    let other = tiny.vzpkg(&["update", TEMPLATE, "--as-of", "first"]);
    assert!(other.fails_with(1).contains("no mirror has the past"));
}

/// The same moment as a user would write it.
fn jiff_text(seconds: i64) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
