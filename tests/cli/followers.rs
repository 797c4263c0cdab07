//! The containers of a template, taken along when it is updated and rolled back.

use crate::crash::{Instants, run_and_kill};
use crate::guards::hold;
use crate::tiny::{TEMPLATE, Tiny, end, program, signal, wait_until};
use crate::torture::fault::{self, Action, Fault, KINDS};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// What is told to go while an earlier move is only half done.
const NEXT: [&[&str]; 3] = [
    &["rollback", TEMPLATE, "--to", "1", "--containers"],
    &["update", TEMPLATE, "--containers"],
    &["ct", "rollback", "web"],
];

/// At how many instants a batch is killed.
const KILLS: u64 = 18;

/// A site whose template has a newer package than its one version, with these containers on it; those with a name that
/// ends in `r` run.
fn tiny(names: &[&str]) -> Tiny {
    let mut tiny = Tiny::hello();
    for name in names {
        let start: &[&str] = if name.ends_with('r') {
            &["--start"]
        } else {
            &[]
        };
        tiny.make(name, start).ok();
    }
    tiny.publish_all(&[program("hello", "2")]);
    tiny
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
    tiny.ct(&["create", "d-s", "--template", &pinned]).ok();
    tiny.ct(&[
        "exec",
        "a-r",
        "--",
        "sh",
        "-c",
        "mkdir /srv; echo mine > /srv/data",
    ])
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
        "undo: vzpkg rollback tiny-1-x86_64 --to 1 --containers",
    ] {
        assert!(update.stderr.contains(said), "{said}: {}", update.stderr);
    }
    assert_eq!(versions(&tiny), ["a-r@2", "b-s@2", "c-r@2", "d-s@1"]);
    assert_eq!(tiny.ct(&["exec", "a-r", "hello"]).ok(), "2\n");
    let again = tiny.vzpkg(&["update", TEMPLATE, "--containers"]);
    assert!(again.stderr.contains("Moved 0 of 0"), "{again:?}");
    assert!(!again.stderr.contains("undo"), "{again:?}");

    let back = tiny.vzpkg(&["rollback", TEMPLATE, "--containers"]);
    assert_eq!(back.code, 0, "{back:?}");
    assert!(
        back.stderr
            .contains("undo: vzpkg rollback tiny-1-x86_64 --to 2 --containers"),
        "{back:?}"
    );
    assert_eq!(versions(&tiny), ["a-r@1", "b-s@1", "c-r@1", "d-s@1"]);
    assert_eq!(
        tiny.ct(&["exec", "a-r", "--", "sh", "-c", "hello; cat /srv/data"])
            .ok(),
        "1\nmine\n"
    );
    tiny.vzpkg(&["rollback", TEMPLATE, "--to", "2", "--containers"])
        .ok();
    assert_eq!(versions(&tiny), ["a-r@2", "b-s@2", "c-r@2", "d-s@1"]);
    tiny.ct(&["destroy", "--force", "a-r", "b-s", "c-r", "d-s"])
        .ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_pinned_container_moves_only_to_a_version_that_is_named() {
    let tiny = tiny(&[]);
    tiny.update();
    let first = format!("{TEMPLATE}@1");
    tiny.ct(&["create", "p", "--template", &first]).ok();
    let follows = || tiny.json(&["ct", "list"])["containers"][0]["follows"] == true;
    for words in [
        &["ct", "relink", "p"][..],
        &["ct", "relink", "p", "--dry-run"],
        &["ct", "relink", "p", "--pin"],
        &["update", "p"],
    ] {
        let stays = tiny.vzpkg(words);
        assert_eq!(stays.code, 0, "{stays:?}");
        let said = format!("Unchanged p stays on {first}, it is pinned");
        assert!(stays.stderr.contains(&said), "{stays:?}");
        assert!(
            stays.stderr.contains("vzpkg ct relink p --to N"),
            "{stays:?}"
        );
        assert_eq!(
            (versions(&tiny), follows()),
            (vec!["p@1".to_owned()], false)
        );
    }
    tiny.ct(&["relink", "p", "--to", "2"]).ok();
    assert_eq!(
        (versions(&tiny), follows()),
        (vec!["p@2".to_owned()], false)
    );
    tiny.ct(&["rollback", "p"]).ok();

    let tried = tiny.ct(&["relink", "p", "--follow", "--dry-run"]);
    assert!(tried.stderr.contains("Would change p"), "{tried:?}");
    assert_eq!(
        (versions(&tiny), follows()),
        (vec!["p@1".to_owned()], false)
    );
    let again = tiny.ct(&["relink", "p", "--follow"]);
    for said in [
        "Relinked p",
        "undo: vzpkg ct rollback p\n",
        "undo: vzpkg ct relink p --pin\n",
    ] {
        assert!(again.stderr.contains(said), "{again:?}");
    }
    assert_eq!((versions(&tiny), follows()), (vec!["p@2".to_owned()], true));
    let pinned = tiny.ct(&["relink", "p", "--pin"]);
    assert_eq!(
        (versions(&tiny), follows()),
        (vec!["p@2".to_owned()], false)
    );
    let undo = "undo: vzpkg ct relink p --to 2 --follow\n";
    assert!(pinned.stderr.contains(undo), "{pinned:?}");
    tiny.ct(&["relink", "p", "--to", "2", "--follow"]).ok();
    assert!(follows());
    tiny.ct(&["relink", "p", "--follow", "--pin"]).fails_with(2);
    tiny.ct(&["destroy", "p"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_too_many_failures_stop_the_rest_and_the_next_command_goes_on() {
    let tiny = tiny(&["a-s", "b-r", "c-r", "d-s", "e-s"]);
    let tie = "cd /var; sleep 8643 >/dev/null 2>&1 & echo $! > /run/sleeper";
    for name in ["b-r", "c-r"] {
        tiny.ct(&["exec", name, "--", "sh", "-c", tie]).ok();
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
    // Tried, it ends as it would.
    let tried = update(&["--dry-run"]).fails_with(1);
    let said = "Would take 3 of 5 containers: a-s d-s e-s; 2 would fail: b-r c-r";
    assert!(tried.contains(said), "{tried}");
    assert!(tried.contains("works in /var"), "{tried}");
    assert_eq!(tiny.head(), 1);
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
    let tried = update(&["--dry-run"]).fails_with(1);
    let said = "Would take 2 of 4 containers: d-s e-s; 2 would fail: b-r c-r";
    assert!(tried.contains(said), "{tried}");
    let alone = ["relink", "b-r"];
    let refused = tiny.ct(&alone).fails_with(1);
    let tried = tiny.ct(&[&alone[..], &["--dry-run"]].concat());
    assert_eq!(tried.fails_with(1), refused);
    let budget = update(&["--max-failures", "2"]);
    assert_eq!(budget.code, 1, "{budget:?}");
    // The template stays where it is, so that each container has its own way back.
    assert!(
        budget.stderr.contains("undo: vzpkg ct rollback d-s\n"),
        "{budget:?}"
    );
    assert!(
        !budget.stderr.contains("undo: vzpkg rollback"),
        "{budget:?}"
    );
    assert_eq!(
        versions(&tiny),
        ["a-s@2", "b-r@1", "c-r@1", "d-s@2", "e-s@2"]
    );
    for name in ["b-r", "c-r"] {
        tiny.ct(&["exec", name, "--", "sh", "-c", "kill $(cat /run/sleeper)"])
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
    tiny.ct(&["destroy", "--force", "a-s", "b-r", "c-r", "d-s", "e-s"])
        .ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_the_way_back_leads_to_where_the_template_came_from() {
    let mut tiny = tiny(&["web"]);
    tiny.update();
    tiny.publish_all(&[program("hello", "3")]);
    tiny.update();
    // Nobody is on a newer version, but the head has moved.
    let back = tiny.vzpkg(&["rollback", TEMPLATE, "--to", "1", "--containers"]);
    assert_eq!(back.code, 0, "{back:?}");
    for said in [
        "undo: vzpkg rollback tiny-1-x86_64 --to 3 --containers\n",
        "Moved 0 of 0",
    ] {
        assert!(back.stderr.contains(said), "{said}: {}", back.stderr);
    }
    assert_eq!(back.stderr.matches("undo: ").count(), 1, "{back:?}");
    // The newest good one before what comes now is another one.
    let again = tiny.vzpkg(&["update", TEMPLATE, "--again", "--containers"]);
    assert_eq!(again.code, 0, "{again:?}");
    let undo = "undo: vzpkg rollback tiny-1-x86_64 --to 1 --containers";
    assert!(again.stderr.contains(undo), "{again:?}");
    assert_ne!(versions(&tiny), ["web@1"]);
    tiny.vzpkg(&["rollback", TEMPLATE, "--to", "1", "--containers"])
        .ok();
    assert_eq!(
        (tiny.head(), versions(&tiny)),
        (1, vec!["web@1".to_owned()])
    );
    tiny.ct(&["destroy", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_ctrl_c_while_containers_go_along_tells_what_was_moved() {
    let tiny = tiny(&["a-s", "b-s", "c-s"]);
    // Who holds the second one keeps the command waiting.
    let guard = hold(&tiny, "container:b-s");
    let update = tiny.begin(&[
        "update",
        TEMPLATE,
        "--refresh",
        "--containers",
        "--batch",
        "1",
        "--wait",
        "1h",
    ]);
    wait_until("the first one is moved", || versions(&tiny)[0] == "a-s@2");
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(&update, "-INT");
    let said = end(update).fails_with(130);
    for text in [
        "Moved 1 of 3 containers to tiny-1-x86_64@2; 2 were not tried (interrupted)",
        "undo: vzpkg rollback tiny-1-x86_64 --to 1 --containers",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(!said.contains("nothing was changed"), "{said}");
    assert!(!said.contains("failed"), "{said}");
    drop(guard);
    tiny.vzpkg(&["update", TEMPLATE, "--containers"]).ok();
    assert_eq!(versions(&tiny), ["a-s@2", "b-s@2", "c-s@2"]);
    tiny.ct(&["destroy", "a-s", "b-s", "c-s"]).ok();
}

/// Where a container is, which is where it goes from, is not what its row says until the half done move is finished.
#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_move_that_was_cut_short_is_finished_before_the_next_one_is_worked_out() {
    let tiny = tiny(&["web"]);
    let private = tiny.site.root().join("private/web/upper/usr/bin/hello");
    fs::create_dir_all(private.parent().unwrap()).unwrap();
    fs::write(&private, "#!/bin/sh\necho 1\n").unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    tiny.update();
    let rename = KINDS.into_iter().find(|kind| kind.is_rename()).unwrap();
    let mut halves = 0;
    for next in NEXT {
        for (back, to) in [("2", "1"), ("1", "2")] {
            let prepare = || {
                drop(tiny.vzpkg(&["rollback", TEMPLATE, "--to", "2"]));
                tiny.ct(&["relink", "web", "--to", back]).ok();
            };
            let fault = Fault {
                kind: rename,
                action: Action::Kill,
                nth: 1,
            };
            drop(fault::run(
                &tiny.site,
                &["ct", "relink", "web", "--to", to],
                fault,
                &prepare,
            ));
            let content = fs::read_to_string(&private).unwrap();
            halves += usize::from(versions(&tiny) == [format!("web@{back}")]);
            assert!(content.contains(back), "{content}");
            let tried = tiny.ct(&["relink", "web", "--dry-run"]);
            assert_eq!(fs::read_to_string(&private).unwrap(), content);
            assert!(
                tried.stderr.contains("Would finish an interrupted move"),
                "{tried:?}"
            );
            drop(tiny.vzpkg(next));
            let content = fs::read_to_string(&private).unwrap();
            let now = versions(&tiny);
            let number = now[0].strip_prefix("web@").unwrap();
            assert!(
                content.contains(number),
                "{next:?} from {back}: {now:?} has {content}"
            );
        }
    }
    assert_eq!(halves, 6);
    tiny.ct(&["destroy", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_killed_at_random_instants_each_follower_is_on_one_side_whole() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let tiny = tiny(&names);
    let area = tiny.site.root().join("private");
    let private = |name: &str| area.join(name).join("upper/usr/bin/hello");
    for name in names {
        // A private copy that differs in its mode alone: the content follows the version, the mode stays.
        fs::create_dir_all(private(name).parent().unwrap()).unwrap();
        fs::write(private(name), "#!/bin/sh\necho 1\n").unwrap();
        fs::set_permissions(private(name), fs::Permissions::from_mode(0o700)).unwrap();
    }
    tiny.update();
    let mut instants = Instants(29);
    for turn in 0..KILLS {
        // Where the last one was killed after the head had moved.
        drop(tiny.vzpkg(&["rollback", TEMPLATE, "--to", "2"]));
        let forward = ["update", TEMPLATE, "--containers", "--batch", "6"];
        let back = [
            "rollback",
            TEMPLATE,
            "--to",
            "1",
            "--containers",
            "--batch",
            "6",
        ];
        let words = if turn % 2 == 0 { &forward[..] } else { &back };
        run_and_kill(&tiny.site, words, instants.below(120));
        let name = names[usize::try_from(turn).unwrap() % names.len()];
        tiny.ct(&["start", name]).ok();
        let seen = tiny.ct(&["exec", name, "hello"]);
        tiny.ct(&["stop", name, "--timeout", "0"]).ok();
        let version = versions(&tiny)
            .into_iter()
            .find(|one| one.starts_with(name));
        let (_, number) = version.as_deref().unwrap().split_once('@').unwrap();
        assert_eq!(seen.ok(), format!("{number}\n"), "turn {turn}");
        let mode = fs::metadata(private(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o700, "turn {turn}");
    }
    drop(tiny.vzpkg(&["rollback", TEMPLATE, "--to", "2"]));
    tiny.vzpkg(&["update", TEMPLATE, "--containers"]).ok();
    assert_eq!(versions(&tiny), names.map(|name| format!("{name}@2")));
    tiny.ct(&[&["destroy"], &names[..]].concat()).ok();
    // What a killed command had staged.
    tiny.vzpkg(&["gc"]).ok();
    tiny.assert_nothing_left();
}
