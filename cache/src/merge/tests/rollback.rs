//! Going back: what nobody touched is put back as it was, the rest is judged again and kept.

use super::{Model, dir, file, path, tree};

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
