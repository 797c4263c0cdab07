//! What a container has changed as a version of a template of its own.

use crate::centos;
use crate::crash::{Instants, run_and_kill};
use crate::support::{Site, fixtures};
use crate::tiny::{TEMPLATE, Tiny};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::tiny_debian;

/// The template that is committed to.
const COMMITTED: &str = "tiny-1-x86_64-web";

/// At how many instants a commit is killed.
const KILLS: u64 = 20;

fn served(version: &str) -> Deb {
    tiny_debian::package("served", version)
        .conffile("etc/served.conf", b"port 80\n")
        .file(
            "usr/bin/served",
            0o755,
            format!("#!/bin/sh\necho {version}\n").as_bytes(),
        )
        .file("usr/share/served/a", 0o644, b"a\n")
}

/// A site with a running container `web` in which these lines were run.
fn changed(lines: &str) -> Tiny {
    Tiny::serving(served("1"), lines)
}

fn stop(tiny: &Tiny, name: &str) {
    tiny.ct(&["stop", name, "--timeout", "0"]).ok();
}

/// A running container `shop` of what was committed.
fn make_shop(tiny: &Tiny) {
    let words = [
        "create",
        "shop",
        "--template",
        COMMITTED,
        "--net",
        "none",
        "--start",
    ];
    tiny.ct(&words).ok();
}

const CHANGES: &str = "echo 'port 8080' > /etc/served.conf; chmod 4700 /usr/bin/served; rm /usr/share/served/a
    useradd alice; mkdir -p /srv/www /opt/own /etc/ssh /var/log/own; echo page > /srv/www/index; ln /srv/www/index /opt/own/link
    echo own > /opt/own/file; chown 1000:1000 /opt/own/file; echo key > /etc/ssh/ssh_host_rsa_key; echo log > /var/log/own/log";

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_committed_container_is_a_version_that_others_are_made_from() {
    let tiny = changed(CHANGES);
    let running = tiny.ct(&["commit", "web", "--as", "web"]).fails_with(1);
    assert!(running.contains("vzpkg ct stop web"), "{running}");
    stop(&tiny, "web");
    let planned = tiny.ct(&["commit", "web", "--as", "web", "--dry-run"]);
    assert!(
        planned
            .stderr
            .contains("Would commit web to tiny-1-x86_64-web"),
        "{planned:?}"
    );
    for (way, path) in [
        ("in", "/opt/own/file"),
        ("out", "/srv/www/index"),
        ("out", "/etc/ssh/ssh_host_rsa_key"),
    ] {
        let line = planned.stdout.lines().find(|line| line.ends_with(path));
        assert!(
            line.is_some_and(|line| line.starts_with(way)),
            "{path}: {}",
            planned.stdout
        );
    }
    assert!(!tiny.vzpkg(&["list"]).ok().contains(COMMITTED));

    let document = tiny.json(&["ct", "commit", "web", "--as", "web"]);
    assert_eq!(document["schema"], "vzpkg.commit.1");
    assert_eq!(document["version"], "tiny-1-x86_64-web@1");
    let again = tiny.ct(&["commit", "web", "--as", COMMITTED]);
    assert!(again.stderr.contains("no new version"), "{again:?}");
    assert!(tiny.vzpkg(&["list"]).ok().contains(COMMITTED));
    let lock = tiny.vzpkg(&["lock", COMMITTED]).ok();
    assert!(
        lock.starts_with("vzpkg-lock 2\n") && lock.contains("\ncommitted sha256:"),
        "{lock}"
    );
    assert!(lock.contains("\npackage served 1 all "), "{lock}");
    let history = tiny.json(&["history", COMMITTED]);
    assert_eq!(history["versions"][0]["why"], "ct commit web");
    tiny.vzpkg(&["info", COMMITTED]).ok();
    tiny.vzpkg(&["diff", &format!("{TEMPLATE}@1"), &format!("{COMMITTED}@1")])
        .ok();
    tiny.vzpkg(&["gc"]).ok();
    tiny.vzpkg(&["verify"]).ok();
    outside(&tiny);
    tiny.ct(&["destroy", "web"]).ok();
}

/// What the version is as files.
fn outside(tiny: &Tiny) {
    let exported = tiny.site.path("exported");
    tiny.vzpkg(&["export", COMMITTED, exported.to_str().unwrap()])
        .ok();
    let there = |path: &str| fs::symlink_metadata(exported.join(path));
    assert_eq!(there("opt/own/file").unwrap().uid(), 1000);
    assert_eq!(
        there("usr/bin/served").unwrap().permissions().mode() & 0o7777,
        0o4700
    );
    assert_eq!(fs::read(exported.join("opt/own/link")).unwrap(), b"page\n");
    for gone in [
        "usr/share/served/a",
        "srv/www",
        "etc/ssh/ssh_host_rsa_key",
        "var/log/own/log",
    ] {
        assert!(there(gone).is_err(), "{gone}");
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_containers_of_a_committed_template_go_there_and_back() {
    let mut tiny = changed(CHANGES);
    stop(&tiny, "web");
    tiny.ct(&["commit", "web", "--as", "web"]).ok();
    make_shop(&tiny);
    let seen =
        "cat /etc/served.conf /opt/own/file /etc/hostname; id -u alice; served; dpkg --audit";
    assert_eq!(tiny.inside("shop", seen), "port 8080\nown\nshop\n1000\n1\n");

    // Another version from the other container; the first one's containers go there and back.
    tiny.ct(&["create", "third", "--template", COMMITTED, "--net", "none"])
        .ok();
    tiny.inside("shop", "echo second > /opt/own/file");
    stop(&tiny, "shop");
    let second = tiny.ct(&["commit", "shop", "--as", "web"]);
    assert!(
        second
            .stderr
            .contains("Committed shop to tiny-1-x86_64-web@2"),
        "{second:?}"
    );
    let own = |tiny: &Tiny| {
        tiny.ct(&["start", "third"]).ok();
        let seen = tiny.inside("third", "cat /opt/own/file; served");
        stop(tiny, "third");
        seen
    };
    tiny.ct(&["relink", "third"]).ok();
    assert_eq!(own(&tiny), "second\n1\n");
    tiny.ct(&["rollback", "third"]).ok();
    assert_eq!(own(&tiny), "own\n1\n");

    // Its packages are brought forward on what was committed.
    tiny.publish_all(&[served("2")]);
    tiny.vzpkg(&["update", COMMITTED, "--refresh"]).ok();
    tiny.ct(&["relink", "third"]).ok();
    assert_eq!(own(&tiny), "second\n2\n");
    let lock = tiny.vzpkg(&["lock", &format!("{COMMITTED}@1")]).ok();
    for words in [
        &["update", "--rebuild", COMMITTED][..],
        &["update", COMMITTED, "--to-lock", "LOCK"],
    ] {
        let file = tiny.site.path("lock");
        fs::write(&file, &lock).unwrap();
        let words: Vec<&str> = words
            .iter()
            .map(|word| {
                if *word == "LOCK" {
                    file.to_str().unwrap()
                } else {
                    word
                }
            })
            .collect();
        let refused = tiny.vzpkg(&words).fails_with(1);
        assert!(refused.contains("vzpkg ct commit CT --as"), "{refused}");
    }
    tiny.ct(&["destroy", "--force", "web", "shop", "third"])
        .ok();
    tiny.vzpkg(&["remove-cache", COMMITTED]).ok();
    assert!(!tiny.vzpkg(&["list"]).ok().contains(COMMITTED));
    tiny.vzpkg(&["create-cache", COMMITTED]).fails_with(1);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_packages_of_unknown_origin_are_told_and_never_updated() {
    let tiny = changed("dpkg -i /srv/debs/*.deb >/dev/null 2>&1");
    stop(&tiny, "web");
    let committed = tiny.ct(&["commit", "web", "--as", COMMITTED]);
    assert!(
        committed.stderr.contains("no file is known here (mine"),
        "{committed:?}"
    );
    let lock = tiny.vzpkg(&["lock", COMMITTED]).ok();
    assert!(lock.contains("\ninstalled mine 1 all\n"), "{lock}");
    assert!(
        tiny.vzpkg(&["list", "--packages", COMMITTED])
            .ok()
            .contains("mine")
    );
    let diff = tiny.json(&["diff", &format!("{TEMPLATE}@1"), &format!("{COMMITTED}@1")]);
    let packages = diff["packages"].as_array().unwrap();
    assert!(
        packages
            .iter()
            .any(|one| one["name"] == "mine" && one["change"] == "added"),
        "{diff}"
    );
    let refused = tiny.vzpkg(&["update", COMMITTED]).fails_with(1);
    assert!(
        refused.contains("mine") && refused.contains("commit again"),
        "{refused}"
    );
    let all = tiny.vzpkg(&["update", "--refresh"]);
    assert!(
        all.code == 0 && all.stderr.contains("stays as it is"),
        "{all:?}"
    );
    tiny.vzpkg(&["status"]).ok();
    let file = tiny.site.path("lock");
    fs::write(&file, lock).unwrap();
    let replay = tiny
        .vzpkg(&["create-cache", "--lock", file.to_str().unwrap(), TEMPLATE])
        .fails_with(1);
    assert!(replay.contains("committed from a container"), "{replay}");
    make_shop(&tiny);
    assert_eq!(tiny.inside("shop", "mine; dpkg --audit"), "1\n");
    tiny.ct(&["destroy", "--force", "web", "shop"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_commit_that_cannot_be_makes_nothing() {
    let tiny = changed("echo own > /etc/own");
    stop(&tiny, "web");
    tiny.make("plain", &[]).ok();
    tiny.make("broken", &[]).ok();
    let upper = tiny.site.root().join("private/broken/upper");
    fs::remove_dir_all(&upper).unwrap();
    fs::write(&upper, "no directory").unwrap();
    tiny.make(COMMITTED, &[]).ok();
    for (container, template, code, said) in [
        ("web", TEMPLATE, 2, "exists already"),
        ("web", "other-1-x86_64-x", 2, "tiny-1-x86_64-NAME"),
        ("web", "a b", 2, ""),
        ("web", "../x", 2, ""),
        ("web", COMMITTED, 2, "is the name of a container"),
        ("nobody", "new", 1, "nobody"),
        ("plain", "new", 1, "vzpkg ct diff plain"),
        ("broken", "new", 3, "upper"),
    ] {
        let refused = tiny
            .ct(&["commit", container, "--as", template])
            .fails_with(code);
        assert!(refused.contains(said), "{container} {template}: {refused}");
    }
    tiny.ct(&["commit", "web"]).fails_with(2);
    let sets = fs::read_dir(tiny.site.root().join("template/tiny/1/x86_64/config/os")).unwrap();
    assert_eq!(sets.count(), 1);
    let list = tiny.vzpkg(&["list", "--cached"]).ok();
    assert_eq!(list.lines().count(), 2, "{list}");
    tiny.ct(&["destroy", "--force", "web", "plain", "broken", COMMITTED])
        .ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_commit_killed_at_random_instants_is_there_whole_or_not_at_all() {
    let tiny = changed(CHANGES);
    stop(&tiny, "web");
    let mut instants = Instants(7);
    for turn in 0..KILLS {
        run_and_kill(
            &tiny.site,
            &["ct", "commit", "web", "--as", "web"],
            instants.below(80),
        );
        let list = tiny.vzpkg(&["list"]).ok();
        let line = list.lines().find(|line| line.contains(COMMITTED));
        tiny.vzpkg(&["verify"]).ok();
        if let Some(line) = line {
            assert!(line.contains(" @"), "turn {turn}: {list}");
            tiny.vzpkg(&["info", COMMITTED]).ok();
            tiny.vzpkg(&["remove-cache", COMMITTED]).ok();
        }
    }
    tiny.ct(&["commit", "web", "--as", "web"]).ok();
    make_shop(&tiny);
    assert_eq!(tiny.inside("shop", "cat /opt/own/file"), "own\n");
    tiny.ct(&["destroy", "--force", "web", "shop"]).ok();
    tiny.vzpkg(&["gc"]).ok();
    tiny.vzpkg(&["verify"]).ok();
    tiny.assert_nothing_left();
}

#[test]
#[ignore = "needs root and the real packages: make check runs it"]
fn privileged_a_committed_centos_keeps_what_rpm_knows() {
    let scratch = Site::new();
    let packages = fixtures().join("rpms/centos-7.6.1810-min");
    let site = centos::site_with(&centos::repository(&scratch, "76", &packages, "2.17-260"));
    let template = format!("{}-own", centos::TEMPLATE);
    site.vzpkg(&["create-cache", centos::TEMPLATE]).ok();
    site.vzpkg(&[
        "ct",
        "create",
        "c",
        "--template",
        centos::TEMPLATE,
        "--start",
    ])
    .ok();
    let inside = |name: &str, line: &str| {
        site.vzpkg(&["ct", "exec", name, "--", "sh", "-c", line])
            .ok()
    };
    let names = "rpm -qa --qf '%{NAME}\\n' | sort";
    inside(
        "c",
        "rpm -e --nodeps ncurses; echo mine > /etc/motd; groupadd -g 5000 own || echo own:x:5000: >> /etc/group",
    );
    let expected = inside("c", names);
    site.vzpkg(&["ct", "stop", "c"]).ok();
    site.vzpkg(&["ct", "commit", "c", "--as", "own"]).ok();
    let lock = site.vzpkg(&["lock", &template]).ok();
    assert!(
        lock.contains("\ncommitted sha256:") && !lock.contains("\ninstalled "),
        "{lock}"
    );
    assert!(!lock.contains("\npackage ncurses "), "{lock}");
    site.vzpkg(&["ct", "create", "d", "--template", &template, "--start"])
        .ok();
    assert_eq!(inside("d", names), expected);
    assert_eq!(
        inside("d", "cat /etc/motd; grep -c '^own:' /etc/group"),
        "mine\n1\n"
    );
    site.vzpkg(&["verify"]).ok();
    site.vzpkg(&["ct", "destroy", "--force", "c", "d"]).ok();
}
