//! The containers of a template, taken along when it is updated and rolled back.

use crate::support::Run;
use crate::tiny::{TEMPLATE, Tiny, program};

/// A site whose template has a newer package than its one version, with these containers on it; those with a name that
/// ends in `r` run.
fn tiny(names: &[&str]) -> Tiny {
    let mut tiny = Tiny::of(&["hello"], &[program("hello", "1")]);
    tiny.create();
    for name in names {
        let mut create = vec!["create", name, "--template", TEMPLATE, "--net", "none"];
        create.extend(name.ends_with('r').then_some("--start"));
        ct(&tiny, &create).ok();
    }
    tiny.publish_all(&[program("hello", "2")]);
    tiny
}

fn ct(tiny: &Tiny, words: &[&str]) -> Run {
    tiny.vzpkg(&[&["ct"], words].concat())
}

/// The number of the version that each container is on, by name.
fn versions(tiny: &Tiny) -> Vec<String> {
    let document = tiny.json(&["ct", "list"]);
    let list = document["containers"].as_array().unwrap().iter();
    list.map(|one| {
        let version = one["version"].as_str().unwrap();
        let (_, number) = version.rsplit_once('@').unwrap();
        format!("{}@{number}", one["name"].as_str().unwrap())
    })
    .collect()
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_followers_go_along_forward_and_back_and_the_pinned_stay() {
    let tiny = tiny(&["a-r", "b-s", "c-r"]);
    let pinned = format!("{TEMPLATE}@1");
    ct(&tiny, &["create", "d-s", "--template", &pinned]).ok();
    ct(
        &tiny,
        &[
            "exec",
            "a-r",
            "--",
            "sh",
            "-c",
            "mkdir /srv; echo mine > /srv/data",
        ],
    )
    .ok();
    let planned = tiny.vzpkg(&["update", TEMPLATE, "--refresh", "--containers", "--dry-run"]);
    assert_eq!(planned.code, 0, "{planned:?}");
    assert!(
        planned.stderr.contains("3 containers: a-r b-s c-r"),
        "{planned:?}"
    );
    assert_eq!(tiny.head(), 1);

    let update = tiny.vzpkg(&[
        "update",
        TEMPLATE,
        "--refresh",
        "--containers",
        "--batch",
        "2",
    ]);
    assert_eq!(update.code, 0, "{update:?}");
    for said in [
        "Batch 1 of 2: a-r to b-s",
        "Batch 2 of 2: c-r to c-r",
        "Moved 3 of 3 containers to tiny-1-x86_64@2",
        "1 pinned",
        "undo: vzpkg rollback tiny-1-x86_64 --containers",
    ] {
        assert!(update.stderr.contains(said), "{said}: {}", update.stderr);
    }
    assert_eq!(versions(&tiny), ["a-r@2", "b-s@2", "c-r@2", "d-s@1"]);
    assert_eq!(ct(&tiny, &["exec", "a-r", "hello"]).ok(), "2\n");
    let again = tiny.vzpkg(&["update", TEMPLATE, "--containers"]);
    assert!(again.stderr.contains("Moved 0 of 0"), "{again:?}");

    let back = tiny.vzpkg(&["rollback", TEMPLATE, "--containers"]);
    assert_eq!(back.code, 0, "{back:?}");
    assert!(
        back.stderr
            .contains("undo: vzpkg rollback tiny-1-x86_64 --to 2 --containers"),
        "{back:?}"
    );
    assert_eq!(versions(&tiny), ["a-r@1", "b-s@1", "c-r@1", "d-s@1"]);
    assert_eq!(
        ct(
            &tiny,
            &["exec", "a-r", "--", "sh", "-c", "hello; cat /srv/data"]
        )
        .ok(),
        "1\nmine\n"
    );
    tiny.vzpkg(&["rollback", TEMPLATE, "--to", "2", "--containers"])
        .ok();
    assert_eq!(versions(&tiny), ["a-r@2", "b-s@2", "c-r@2", "d-s@1"]);
    ct(&tiny, &["destroy", "--force", "a-r", "b-s", "c-r", "d-s"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_too_many_failures_stop_the_rest_and_the_next_command_goes_on() {
    let tiny = tiny(&["a-s", "b-r", "c-r", "d-s", "e-s"]);
    let tie = "cd /var; sleep 8643 >/dev/null 2>&1 & echo $! > /run/sleeper";
    for name in ["b-r", "c-r"] {
        ct(&tiny, &["exec", name, "--", "sh", "-c", tie]).ok();
    }
    let update = |more: &[&str]| {
        tiny.vzpkg(
            &[
                &[
                    "update",
                    TEMPLATE,
                    "--refresh",
                    "--containers",
                    "--batch",
                    "1",
                ],
                more,
            ]
            .concat(),
        )
    };
    let first = update(&["--max-failures", "1"]);
    assert_eq!(first.code, 1, "{first:?}");
    assert!(
        first.stderr.contains("Moved 1 of 5 containers"),
        "{first:?}"
    );
    assert!(
        first.stderr.contains("2 failed: b-r c-r; 2 were not tried"),
        "{first:?}"
    );
    assert!(first.stderr.contains("works in /var"), "{first:?}");
    assert_eq!(
        versions(&tiny),
        ["a-s@2", "b-r@1", "c-r@1", "d-s@1", "e-s@1"]
    );
    let budget = update(&["--max-failures", "2"]);
    assert_eq!(budget.code, 1, "{budget:?}");
    assert_eq!(
        versions(&tiny),
        ["a-s@2", "b-r@1", "c-r@1", "d-s@2", "e-s@2"]
    );
    for name in ["b-r", "c-r"] {
        ct(
            &tiny,
            &["exec", name, "--", "sh", "-c", "kill $(cat /run/sleeper)"],
        )
        .ok();
    }
    update(&[]).ok();
    assert_eq!(
        versions(&tiny),
        ["a-s@2", "b-r@2", "c-r@2", "d-s@2", "e-s@2"]
    );
    tiny.vzpkg(&["update", TEMPLATE, "--batch", "2"])
        .fails_with(2);
    tiny.vzpkg(&["update", TEMPLATE, "--containers", "--batch", "0"])
        .fails_with(2);
    ct(
        &tiny,
        &["destroy", "--force", "a-s", "b-r", "c-r", "d-s", "e-s"],
    )
    .ok();
}
