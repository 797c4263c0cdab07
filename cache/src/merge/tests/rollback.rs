//! Going back: what nobody touched is put back as it was, the rest is judged again and kept.

use super::model::Version;
use super::{Model, dir, file, path, tree};
use crate::changes;
use vzpkg_runtime::container::UndoRecord;

/// Takes everything private away, as `ct reset` does.
fn reset(model: &mut Model, version: &Version, generation: u64) -> UndoRecord {
    let merge = changes::reset(&version.tree(), &model.scan(), &[]).unwrap();
    model.relink(&merge, generation)
}

/// Goes back from the relink of `record`, within one version.
fn back(model: &mut Model, version: &Version, record: &UndoRecord) -> UndoRecord {
    let merge = model.merge(version, version, Some(record));
    model.relink(&merge, record.to.generation)
}

#[test]
fn an_empty_state_directory_comes_back_twice() {
    let (a, b) = (tree(&[("srv/data", dir())]), tree(&[]));
    let mut model = Model::new(&[&a, &b]);
    let there = model.merge(&a, &b, None);
    let there = model.relink(&there, 1);
    let upper = model.upper.clone();
    let back = model.merge(&b, &a, Some(&there));
    let back = model.relink(&back, 2);
    assert!(model.upper.is_empty());
    let again = model.merge(&a, &b, Some(&back));
    model.relink(&again, 3);
    assert_eq!(model.upper, upper);
}

#[test]
fn a_merged_user_file_goes_back_bit_by_bit_and_one_touched_since_is_merged_back() {
    let a = tree(&[("etc/passwd", file("root:0\n"))]);
    let b = tree(&[("etc/passwd", file("root:0\nmysql:400\n"))]);
    let mut model = Model::new(&[&a, &b]).with(&a, "etc/passwd", file("root:0\njoe:1000\n"));
    let before = model.upper.clone();
    let there = model.merge(&a, &b, None);
    let record = model.relink(&there, 1);
    let mut untouched = model.clone();
    let back = untouched.merge(&b, &a, Some(&record));
    untouched.relink(&back, 2);
    assert_eq!(untouched.upper, before);
    // A user made while on B stays; the one that only B has goes.
    model.write(
        &b,
        &path("etc/passwd"),
        file("root:0\nmysql:400\njoe:1000\nann:1001\n"),
    );
    let back = model.merge(&b, &a, Some(&record));
    model.relink(&back, 2);
    let passwd = &model.view(&a)[&path("etc/passwd")];
    assert_eq!(*passwd, file("root:0\njoe:1000\nann:1001\n"));
}

#[test]
fn private_files_that_the_relink_left_alone_are_not_judged_against_the_old_version() {
    let a = tree(&[("etc/f", file("1"))]);
    let b = tree(&[("etc/f", file("2"))]);
    let mut model = Model::new(&[&a, &b]).with(&a, "etc/f", file("mine"));
    let before = model.upper.clone();
    let there = model.merge(&a, &b, None);
    let record = model.relink(&there, 1);
    assert!(model.upper.contains_key(&path("etc/f.vzpkg-new")));
    let back = model.merge(&b, &a, Some(&record));
    model.relink(&back, 2);
    assert_eq!(model.upper, before);
}

#[test]
fn work_done_on_the_new_version_is_kept_when_going_back() {
    let a = tree(&[("etc/f", file("1")), ("etc/g", file("1"))]);
    let b = tree(&[("etc/f", file("2")), ("etc/g", file("2"))]);
    let mut model = Model::new(&[&a, &b]);
    model.chmod(&a, &path("etc/g"), 0o600);
    let there = model.merge(&a, &b, None);
    let record = model.relink(&there, 1);
    model.write(&b, &path("etc/f"), file("mine"));
    model.write(&b, &path("etc/g"), file("mine").mode(0o600));
    model.write(&b, &path("etc/own"), file("own"));
    let back = model.merge(&b, &a, Some(&record));
    model.relink(&back, 2);
    let view = model.view(&a);
    assert_eq!(view[&path("etc/f")], file("mine"));
    assert_eq!(view[&path("etc/f.vzpkg-new")], file("1"));
    assert_eq!(view[&path("etc/g")], file("mine").mode(0o600));
    assert_eq!(view[&path("etc/own")], file("own"));
}

#[test]
fn a_database_that_only_the_newer_version_brought_goes_unless_it_was_written_to() {
    let a = tree(&[("usr/x", file("1"))]);
    let b = tree(&[("srv/db/one", file("1")), ("srv/db/two", file("2"))]);
    let mut model = Model::new(&[&a, &b]);
    let there = model.merge(&a, &b, None);
    let record = model.relink(&there, 1);
    let mut untouched = model.clone();
    let back = untouched.merge(&b, &a, Some(&record));
    untouched.relink(&back, 2);
    assert!(untouched.upper.is_empty());
    model.write(&b, &path("srv/db/one"), file("written"));
    let back = model.merge(&b, &a, Some(&record));
    model.relink(&back, 2);
    // Never half of it.
    let view = model.view(&a);
    assert_eq!(view[&path("srv/db/one")], file("written"));
    assert_eq!(view[&path("srv/db/two")], file("2"));
}

#[test]
fn what_a_reset_took_away_is_laid_beside_what_was_written_since() {
    let a = tree(&[("etc/login.defs", file("022\n"))]);
    let mut model = Model::new(&[&a]);
    for (at, content) in [
        ("etc/login.defs", "before"),
        ("var/log/own", "before"),
        ("root/note", "precious"),
    ] {
        model.write(&a, &path(at), file(content));
    }
    let record = reset(&mut model, &a, 1);
    assert!(model.upper.is_empty());
    for at in ["etc/login.defs", "var/log/own"] {
        model.write(&a, &path(at), file("since"));
    }
    let since = model.upper.clone();
    let record = back(&mut model, &a, &record);
    let view = model.view(&a);
    for at in ["etc/login.defs", "var/log/own"] {
        assert_eq!(view[&path(at)], file("since"));
        assert_eq!(view[&path(&format!("{at}.vzpkg-new"))], file("before"));
    }
    assert_eq!(view[&path("root/note")], file("precious"));
    back(&mut model, &a, &record);
    assert_eq!(model.upper, since);
}

#[test]
fn what_a_reset_took_away_comes_back_with_the_mode_that_was_given_since() {
    let a = tree(&[("etc/login.defs", file("022\n"))]);
    let mut model = Model::new(&[&a]);
    model.write(&a, &path("etc/login.defs"), file("before"));
    let record = reset(&mut model, &a, 1);
    model.chmod(&a, &path("etc/login.defs"), 0o600);
    back(&mut model, &a, &record);
    let found = &model.view(&a)[&path("etc/login.defs")];
    assert_eq!(*found, file("before").mode(0o600));
}

#[test]
fn a_user_file_that_a_reset_took_away_goes_back_and_forth() {
    let group = path("etc/group");
    let a = tree(&[("etc/group", file("root:0\n"))]);
    let mut model = Model::new(&[&a]);
    model.write(&a, &group, file("root:0\nmine:1000\n"));
    let record = reset(&mut model, &a, 1);
    let record = back(&mut model, &a, &record);
    assert_eq!(model.view(&a)[&group], file("root:0\nmine:1000\n"));
    let mut untouched = model.clone();
    back(&mut untouched, &a, &record);
    assert!(untouched.upper.is_empty());
    // A group that was made since stays; the one that comes from before the reset goes.
    model.write(&a, &group, file("root:0\nmine:1000\nsince:1001\n"));
    back(&mut model, &a, &record);
    assert_eq!(model.view(&a)[&group], file("root:0\nsince:1001\n"));
}
