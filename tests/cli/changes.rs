//! What a container has changed, told apart by kind, and taken away again.

use crate::crash::{Instants, run_and_kill};
use crate::tiny::{TEMPLATE, Tiny, program, wait_until};
use std::collections::BTreeMap;
use std::fs;
use vzpkg_tests::tiny_debian;

/// At how many instants a reset is killed.
const KILLS: u64 = 16;

/// A site with a container `web` that has changes of many kinds.
fn changed() -> Tiny {
    let served = tiny_debian::package("served", "1")
        .conffile("etc/served.conf", b"port 80\n")
        .file("usr/bin/served", 0o755, b"#!/bin/sh\n")
        .file("usr/share/served/a", 0o644, b"a\n")
        .file("usr/share/served/b", 0o644, b"b\n");
    let lines = "echo 'port 8080' > /etc/served.conf; chmod 700 /usr/bin/served; rm /usr/share/served/a
        dpkg -i /srv/debs/*.deb >/dev/null 2>&1; useradd alice; mkdir -p /srv/www /opt/own
        echo page > /srv/www/index; echo own > /opt/own/file; touch -d 2001-01-01 /usr/share/served/b";
    Tiny::serving(served, lines)
}

/// The changes by path: how, and what it is.
fn changes(tiny: &Tiny, more: &[&str]) -> BTreeMap<String, (String, String)> {
    let document = tiny.json(&[&["ct", "diff", "web"], more].concat());
    assert_eq!(document["schema"], "vzpkg.changes.1");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let list = document["changes"].as_array().unwrap().iter();
    list.map(|one| {
        (
            text(&one["path"]),
            (text(&one["change"]), text(&one["class"])),
        )
    })
    .collect()
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_private_changes_are_told_apart() {
    let tiny = changed();
    let found = changes(&tiny, &[]);
    for (path, change, class) in [
        ("/etc/served.conf", "changed", "conffile"),
        ("/usr/bin/served", "changed", "template"),
        ("/usr/share/served/a", "removed", "template"),
        ("/usr/bin/mine", "added", "own-package"),
        ("/var/lib/dpkg/status", "changed", "record"),
        ("/etc/passwd", "changed", "record"),
        ("/etc/hostname", "added", "node-file"),
        ("/srv/www/index", "added", "state"),
        ("/opt/own/file", "added", "own"),
    ] {
        let expected = (change.to_owned(), class.to_owned());
        assert_eq!(found.get(path), Some(&expected), "{path}: {found:?}");
    }
    assert!(!found.contains_key("/usr/share/served/b"), "{found:?}");
    let all = changes(&tiny, &["--all", "/usr/share"]);
    assert_eq!(all["/usr/share/served/b"].0, "same");
    assert_eq!(all.len(), 2, "{all:?}");
    let text = tiny
        .ct(&["diff", "web", "/usr/bin", "/etc/served.conf"])
        .ok();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "C  conffile     /etc/served.conf  content, of served",
            "A  own-package  /usr/bin/mine     of mine",
            "C  template     /usr/bin/served   mode, of served",
        ]
    );
    for (words, code) in [
        (&["diff", "nobody"][..], 1),
        (&["diff", "web", "../etc"], 2),
        (&["reset", "nobody"], 1),
        (&["reset", "web", "/etc/../../x"], 2),
        (&["reset", "web", "/usr/share/served/nothing"], 1),
    ] {
        tiny.ct(words).fails_with(code);
    }
    tiny.ct(&["destroy", "--force", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_private_changes_go_and_come_back_while_the_container_runs_and_stopped() {
    let tiny = changed();
    let before = changes(&tiny, &["--all"]);
    let planned = tiny.ct(&["reset", "web", "/usr", "--dry-run"]);
    assert!(
        planned.stderr.contains("/usr/share/served/a"),
        "{planned:?}"
    );
    assert_eq!(changes(&tiny, &["--all"]), before, "a plan changes nothing");

    // While it runs: only what was named, at once, and back.
    let reset = tiny.ct(&["reset", "web", "/usr/share/served", "/etc/served.conf"]);
    assert!(reset.stderr.contains("stood still"), "{reset:?}");
    assert!(
        reset.stderr.contains("undo: vzpkg ct rollback web"),
        "{reset:?}"
    );
    assert_eq!(
        tiny.inside("web", "cat /usr/share/served/a /etc/served.conf"),
        "a\nport 80\n"
    );
    assert_eq!(
        tiny.inside("web", "mine"),
        "1\n",
        "what was not named stays"
    );
    tiny.ct(&["rollback", "web"]).ok();
    assert_eq!(changes(&tiny, &["--all"]), before);
    assert_eq!(
        tiny.inside("web", "test -e /usr/share/served/a || cat /etc/served.conf"),
        "port 8080\n"
    );

    // Somebody works in what would go.
    tiny.inside(
        "web",
        "cd /srv/www; sleep 8642 >/dev/null 2>&1 & echo $! > /run/sleeper",
    );
    let refused = tiny.ct(&["reset", "web", "/srv/www"]).fails_with(1);
    assert!(refused.contains("no reset while it runs"), "{refused}");
    assert!(refused.contains("works in /srv/www"), "{refused}");
    assert_eq!(changes(&tiny, &["--all"]), before);
    tiny.inside("web", "kill $(cat /run/sleeper)");

    // Stopped: all but what each container is given.
    tiny.ct(&["stop", "web", "--timeout", "0"]).ok();
    let before = changes(&tiny, &["--all"]);
    tiny.ct(&["reset", "web", "--yes"]).ok();
    let left = changes(&tiny, &["--all"]);
    assert!(
        left.values().all(|(_, class)| class == "node-file"),
        "{left:?}"
    );
    assert!(left.contains_key("/etc/hostname"), "{left:?}");
    tiny.ct(&["start", "web"]).ok();
    assert_eq!(
        tiny.inside("web", "cat /etc/served.conf; test -e /opt/own || test -e /usr/bin/mine || echo new; cat /etc/hostname"
        ),
        "port 80\nnew\nweb\n"
    );
    tiny.ct(&["stop", "web", "--timeout", "0"]).ok();
    tiny.ct(&["rollback", "web"]).ok();
    let after = changes(&tiny, &["--all"]);
    for path in before.keys().filter(|path| !path.starts_with("/var")) {
        assert_eq!(after.get(path), before.get(path), "{path}");
    }
    tiny.ct(&["start", "web"]).ok();
    assert_eq!(
        tiny.inside(
            "web",
            "mine; cat /opt/own/file /srv/www/index; dpkg --audit"
        ),
        "1\nown\npage\n"
    );
    tiny.ct(&["destroy", "--force", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_what_a_reset_took_away_comes_back_beside_what_was_written_since() {
    let tiny = Tiny::hello();
    tiny.make("web", &["--start"]).ok();
    // Two groups of one id would be a clash.
    let write = |word: &str, id: u32| {
        tiny.inside(
            "web",
            &format!(
                "echo '# {word}' >> /usr/bin/hello; mkdir -p /root; echo {word} >> /var/log/own
                test {word} = before && echo precious > /root/note; echo {word}:x:{id}: >> /etc/group"
            ),
        );
    };
    let written = |path: &str| {
        let file = tiny.site.root().join("private/web/upper").join(path);
        fs::read_to_string(file).ok()
    };
    for runs in [false, true] {
        let between = |words: &[&str]| {
            if !runs {
                tiny.ct(&["stop", "web", "--timeout", "0"]).ok();
            }
            let said = tiny.ct(words);
            if !runs {
                tiny.ct(&["start", "web"]).ok();
            }
            assert_eq!(said.code, 0, "{said:?}");
            said.stderr
        };
        let paths = ["/usr/bin/hello", "/var/log/own", "/root/note", "/etc/group"];
        let reset = [&["reset", "web"], &paths[..]].concat();
        write("before", 1000);
        between(&reset);
        assert_eq!(written("usr/bin/hello"), None);
        write("since", 1001);
        let since = paths.map(|path| written(&path[1..]));
        let said = between(&["rollback", "web"]);
        assert!(said.contains("undo: vzpkg ct rollback web\n"), "{said}");
        assert!(!said.contains("ct relink"), "{said}");
        let hello = "#!/bin/sh\necho 1\n";
        let own = |word: &str| Some(format!("{hello}# {word}\n"));
        assert_eq!(written("usr/bin/hello"), own("since"));
        assert_eq!(written("usr/bin/hello.vzpkg-new"), own("before"));
        assert_eq!(written("var/log/own").as_deref(), Some("since\n"));
        assert_eq!(
            written("var/log/own.vzpkg-new").as_deref(),
            Some("before\n")
        );
        assert_eq!(written("root/note").as_deref(), Some("precious\n"));
        let group = written("etc/group").unwrap();
        assert!(
            group.contains("before:x") && group.contains("since:x"),
            "{group}"
        );
        // What it printed undoes it.
        between(&["rollback", "web"]);
        assert_eq!(paths.map(|path| written(&path[1..])), since);
        assert_eq!(written("usr/bin/hello.vzpkg-new"), None);
        between(&[
            "reset",
            "web",
            "/usr/bin/hello",
            "/var/log/own",
            "/etc/group",
        ]);
    }
    tiny.ct(&["destroy", "--force", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_user_file_goes_back_from_a_reset_as_often_as_one_likes() {
    let tiny = Tiny::hello();
    tiny.make("web", &["--start"]).ok();
    tiny.inside("web", "echo mine:x:1000: >> /etc/group");
    tiny.ct(&["stop", "web", "--timeout", "0"]).ok();
    tiny.ct(&["reset", "web", "/etc/group"]).ok();
    let file = tiny.site.root().join("private/web/upper/etc/group");
    for there in [true, false, true, false] {
        tiny.ct(&["rollback", "web"]).ok();
        assert_eq!(file.exists(), there);
    }
    tiny.ct(&["rollback", "web"]).ok();
    // One that was written since is merged with what was before.
    tiny.ct(&["start", "web"]).ok();
    tiny.inside("web", "echo since:x:1001: >> /etc/group");
    tiny.ct(&["stop", "web", "--timeout", "0"]).ok();
    tiny.ct(&["rollback", "web"]).ok();
    let group = fs::read_to_string(&file).unwrap();
    assert!(
        group.contains("since:x") && !group.contains("mine:x"),
        "{group}"
    );
    tiny.ct(&["destroy", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_reset_of_nothing_leaves_the_way_back_where_it_was() {
    let mut tiny = Tiny::hello();
    tiny.make("web", &["--start"]).ok();
    tiny.inside("web", "echo own > /opt-file");
    tiny.ct(&["stop", "web", "--timeout", "0"]).ok();
    let typo = tiny.ct(&["diff", "web", "/typo"]);
    assert_eq!(typo.code, 0, "{typo:?}");
    let nothing = "nothing at or below `/typo` is private";
    assert!(typo.stderr.contains(nothing), "{typo:?}");
    let both = tiny.ct(&["diff", "web", "/typo", "/opt-file"]);
    assert!(both.stderr.contains(nothing), "{both:?}");
    assert!(both.ok().contains("/opt-file"));

    tiny.ct(&["reset", "web", "--yes"]).ok();
    tiny.publish_all(&[program("hello", "2")]);
    tiny.update();
    tiny.ct(&["relink", "web"]).ok();
    for words in [
        &["reset", "web", "--dry-run"][..],
        &["reset", "web", "--yes"],
    ] {
        let reset = tiny.ct(words);
        assert_eq!(reset.code, 0, "{reset:?}");
        assert!(reset.stderr.contains("Unchanged web"), "{reset:?}");
        assert!(!reset.stderr.contains("undo"), "{reset:?}");
    }
    let back = tiny.ct(&["rollback", "web"]);
    assert_eq!(back.code, 0, "{back:?}");
    assert!(back.stderr.contains(&format!("{TEMPLATE}@1")), "{back:?}");
    tiny.ct(&["destroy", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_reset_killed_at_random_instants_is_done_or_not() {
    let tiny = changed();
    // The tiny distribution has no `ls`: a shell lists as well.
    let seen = || tiny.inside("web", "cat /etc/served.conf; cd /usr/share/served; echo *");
    let (own, version) = ("port 8080\nb\n", "port 80\na b\n");
    let mut instants = Instants(11);
    for turn in 0..KILLS {
        if turn % 2 == 1 {
            tiny.ct(&["stop", "web", "--timeout", "0"]).ok();
        }
        let words = [
            "ct",
            "reset",
            "web",
            "/etc/served.conf",
            "/usr/share/served",
        ];
        run_and_kill(&tiny.site, &words, instants.below(120));
        let start = tiny.ct(&["start", "web"]);
        assert_eq!(start.code, 0, "turn {turn}: {start:?}");
        match seen().as_str() {
            now if now == own => {}
            now if now == version => {
                tiny.ct(&["rollback", "web"]).ok();
                assert_eq!(seen(), own, "turn {turn}");
            }
            other => panic!("turn {turn}: {other}"),
        }
    }
    wait_until("it moves", || tiny.inside("web", "echo moves") == "moves\n");
    tiny.ct(&["destroy", "--force", "web"]).ok();
    assert!(!fs::exists(tiny.site.root().join("private/web")).unwrap());
}
