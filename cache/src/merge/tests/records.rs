//! Record files: three contents in, one out.

use super::{Model, file, path, tree};
use crate::merge::records::{Format, merge};
use crate::merge::{Obstacle, RecordConflict};

const PASSWD: Format = Format::Accounts { lists: &[] };
const GROUP: Format = Format::Accounts { lists: &[3] };
const STANZAS: Format = Format::Paragraphs(&["Name"]);

#[test]
fn records_that_one_side_changed_are_that_side_s() {
    for (what, format, old, private, new, expected) in [
        (
            "a user on each side",
            PASSWD,
            "root:x:0:0\n",
            "root:x:0:0\njoe:x:1000:1000\n",
            "root:x:0:0\nmysql:x:400:400\n",
            "root:x:0:0\nmysql:x:400:400\njoe:x:1000:1000\n",
        ),
        (
            "a user removed by the version",
            PASSWD,
            "root:x:0:0\nold:x:9:9\n",
            "root:x:0:0\nold:x:9:9\njoe:x:1:1\n",
            "root:x:0:0\n",
            "root:x:0:0\njoe:x:1:1\n",
        ),
        (
            "a user removed by the container",
            PASSWD,
            "root:x:0:0\ngames:x:5:60\n",
            "root:x:0:0\n",
            "root:x:0:0\ngames:x:5:60\nnew:x:6:6\n",
            "root:x:0:0\nnew:x:6:6\n",
        ),
        (
            "different fields of one user",
            PASSWD,
            "a:x:1:1::/home/a:/bin/sh\n",
            "a:x:1:1::/home/a:/bin/bash\n",
            "a:x:1:1:Name:/home/a:/bin/sh\n",
            "a:x:1:1:Name:/home/a:/bin/bash\n",
        ),
        (
            "members from both sides",
            GROUP,
            "adm:x:4:syslog\n",
            "adm:x:4:syslog,joe\n",
            "adm:x:4:syslog,new\n",
            "adm:x:4:syslog,new,joe\n",
        ),
        (
            "a member removed by each side",
            GROUP,
            "g:x:1:a,b,c\n",
            "g:x:1:b,c\n",
            "g:x:1:a,b\n",
            "g:x:1:b\n",
        ),
        (
            "subordinate ids",
            Format::Lines,
            "",
            "joe:100000:65536\n",
            "sys:200000:65536\n",
            "sys:200000:65536\njoe:100000:65536\n",
        ),
        (
            "overrides by their path",
            Format::LastWord,
            "root root 755 /a\n",
            "root root 755 /a\nroot adm 2755 /mine\n",
            "root root 700 /a\n",
            "root root 700 /a\nroot adm 2755 /mine\n",
        ),
        (
            "diversions are three lines",
            Format::Triples,
            "/a\n/a.real\npkg\n",
            "/a\n/a.real\npkg\n/b\n/b.d\n:\n",
            "/a\n/a.real\npkg\n/c\n/c.d\np\n",
            "/a\n/a.real\npkg\n/c\n/c.d\np\n/b\n/b.d\n:\n",
        ),
        (
            "answers to debconf's questions",
            STANZAS,
            "Name: a\nValue: 1\n\n",
            "Name: a\nValue: mine\n\n",
            "Name: a\nValue: 1\n\nName: b\nValue: 2\n\n",
            "Name: a\nValue: mine\n\nName: b\nValue: 2\n\n",
        ),
        (
            "lines without an end",
            PASSWD,
            "a:1",
            "a:1\nb:2",
            "a:1\nc:3",
            "a:1\nc:3\nb:2\n",
        ),
    ] {
        let merged = merge(format, old.as_bytes(), private.as_bytes(), new.as_bytes());
        assert_eq!(String::from_utf8_lossy(&merged.bytes), expected, "{what}");
        assert_eq!(merged.conflicts, [], "{what}");
    }
}

#[test]
fn a_record_that_both_changed_stays_the_container_s_and_is_named() {
    for (old, private, new, expected) in [
        (
            "root:OLD:1\n",
            "root:MINE:1\n",
            "root:THEIRS:1\n",
            "root:MINE:1\n",
        ),
        // Removed on one side, changed on the other: as the container has it.
        ("root:OLD:1\n", "", "root:THEIRS:1\n", ""),
        ("root:OLD:1\n", "root:MINE:1\n", "", "root:MINE:1\n"),
        // Another number of fields cannot be merged field by field.
        (
            "root:OLD:1\n",
            "root:MINE:1:2\n",
            "root:OLD:2\n",
            "root:MINE:1:2\n",
        ),
    ] {
        let merged = merge(PASSWD, old.as_bytes(), private.as_bytes(), new.as_bytes());
        assert_eq!(String::from_utf8_lossy(&merged.bytes), expected);
        let named = RecordConflict {
            record: "root".into(),
        };
        assert_eq!(merged.conflicts, [named], "{old} {private} {new}");
    }
}

#[test]
fn a_new_user_on_each_side_gives_one_file_with_the_container_s_own_mode() {
    let old = tree(&[("etc/shadow", file("root:*:1\n").mode(0o640))]);
    let new = tree(&[("etc/shadow", file("root:*:1\nmysql:!:2\n").mode(0o640))]);
    let mine = file("root:HASH:1\njoe:HASH:3\n").mode(0o600);
    let mut model = Model::new(&[&old, &new]).with(&old, "etc/shadow", mine);
    let merge = model.merge(&old, &new, None);
    model.relink(&merge, 1);
    let merged = file("root:HASH:1\nmysql:!:2\njoe:HASH:3\n").mode(0o600);
    assert_eq!(model.view(&new)[&path("etc/shadow")], merged);
    assert!(!model.upper.contains_key(&path("etc/shadow.vzpkg-new")));
}

#[test]
fn an_id_that_both_sides_gave_out_refuses_the_relink() {
    let old = tree(&[("etc/passwd", file("root:x:0:0\n"))]);
    for (new, private, clash) in [
        (
            "root:x:0:0\nredis:x:412:412\n",
            "root:x:0:0\njoe:x:412:412\n",
            true,
        ),
        (
            "root:x:0:0\nredis:x:412:412\n",
            "root:x:0:0\nredis:x:999:999\n",
            true,
        ),
        (
            "root:x:0:0\nredis:x:412:412\n",
            "root:x:0:0\njoe:x:1000:1000\n",
            false,
        ),
        (
            "root:x:0:0\nredis:x:412:412\n",
            "root:x:0:0\nredis:x:412:412:own\n",
            false,
        ),
    ] {
        let new = tree(&[("etc/passwd", file(new))]);
        let model = Model::new(&[&old, &new]).with(&old, "etc/passwd", file(private));
        let obstacles = model.merge(&old, &new, None).report.obstacles;
        let found = matches!(
            obstacles.as_slice(),
            [Obstacle::IdClash { kind: "user", .. }]
        );
        assert_eq!(found, clash, "{private} {obstacles:?}");
    }
}

#[test]
fn copies_of_record_files_are_kept_without_a_word() {
    let old = tree(&[("etc/passwd-", file("1"))]);
    let new = tree(&[("etc/passwd-", file("2"))]);
    let mut model = Model::new(&[&old, &new]).with(&old, "etc/passwd-", file("mine"));
    let merge = model.merge(&old, &new, None);
    model.relink(&merge, 1);
    assert_eq!(merge.report.lines, []);
    assert_eq!(model.view(&new)[&path("etc/passwd-")], file("mine"));
    assert!(!model.upper.contains_key(&path("etc/passwd-.vzpkg-new")));
}
