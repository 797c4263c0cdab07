//! One row for each rule about files, directories, types and state: what the old version has, what the container did,
//! what the new version has, and what must come out.

use super::model::{Thing, Version};
use super::{Model, dir, file, link, path, tree};
use crate::merge::{Decision, Merge, Why};
use vzpkg_metadata::RelPath;

/// What a container did to one path.
enum Did {
    Nothing,
    Wrote(Thing),
    Changed(u16),
    Removed,
}

struct Row {
    rule: &'static str,
    at: &'static str,
    old: Option<Thing>,
    did: Did,
    new: Option<Thing>,
    /// What shows at the path afterwards.
    shows: Option<Thing>,
    /// Whether something private is left at the path.
    private: bool,
    decision: Option<Decision>,
}

fn version(at: &str, thing: Option<Thing>) -> Version {
    // The directory above is always there, with something that never changes.
    let mut version = tree(&[("etc/fixed", file("fixed")), ("var/lib/x/fixed", file("f"))]);
    if let Some(thing) = thing {
        version.put(&path(at), thing);
    }
    version
}

fn run(row: &Row) -> (Model, Version, Merge) {
    let (old, new) = (
        version(row.at, row.old.clone()),
        version(row.at, row.new.clone()),
    );
    let mut model = Model::new(&[&old, &new]);
    let at = path(row.at);
    match &row.did {
        Did::Nothing => {}
        Did::Wrote(thing) => {
            model.remove(&old, &at);
            model.write(&old, &at, thing.clone());
        }
        Did::Changed(mode) => model.chmod(&old, &at, *mode),
        Did::Removed => model.remove(&old, &at),
    }
    let merge = model.merge(&old, &new, None);
    model.relink(&merge, 1);
    (model, new, merge)
}

fn check(rows: Vec<Row>) {
    for row in rows {
        let (model, new, merge) = run(&row);
        let at = path(row.at);
        assert_eq!(
            model.view(&new).get(&at),
            row.shows.as_ref(),
            "{}",
            row.rule
        );
        assert_eq!(model.upper.contains_key(&at), row.private, "{}", row.rule);
        let said = merge
            .report
            .lines
            .iter()
            .find(|line| line.subject == row.at);
        assert_eq!(
            said.map(|line| &line.decision),
            row.decision.as_ref(),
            "{}",
            row.rule
        );
    }
}

fn beside(name: &str) -> Decision {
    Decision::KeptBeside {
        new: name.to_owned(),
    }
}

const fn kept(why: Why) -> Decision {
    Decision::Kept { why }
}

#[test]
fn content_and_metadata_are_judged_apart() {
    check(vec![
        Row {
            rule: "untouched: the new version shows",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Nothing,
            new: Some(file("2")),
            shows: Some(file("2")),
            private: false,
            decision: None,
        },
        Row {
            rule: "written with the same content: the new version shows",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Wrote(file("1")),
            new: Some(file("2")),
            shows: Some(file("2")),
            private: false,
            decision: Some(Decision::Taken),
        },
        Row {
            rule: "a chmod does not keep a vulnerable binary",
            at: "etc/f",
            old: Some(file("1").mode(0o4755)),
            did: Did::Changed(0o755),
            new: Some(file("2").mode(0o4755)),
            shows: Some(file("2").mode(0o755)),
            private: true,
            decision: Some(Decision::TakenWithOwnMetadata),
        },
        Row {
            rule: "the same chmod on both sides: nothing is private any more",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Changed(0o600),
            new: Some(file("2").mode(0o600)),
            shows: Some(file("2").mode(0o600)),
            private: false,
            decision: Some(Decision::Taken),
        },
        Row {
            rule: "only the container changed the content: kept, without a word",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Wrote(file("mine")),
            new: Some(file("1")),
            shows: Some(file("mine")),
            private: true,
            decision: None,
        },
        Row {
            rule: "private content gets the new version's mode",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Wrote(file("mine")),
            new: Some(file("1").mode(0o600)),
            shows: Some(file("mine").mode(0o600)),
            private: true,
            decision: Some(Decision::KeptWithNewMetadata),
        },
        Row {
            rule: "an owner that the container chose stays",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Wrote(file("mine").owner(33)),
            new: Some(file("1").owner(44)),
            shows: Some(file("mine").owner(33)),
            private: true,
            decision: None,
        },
    ]);
}

#[test]
fn content_that_both_changed_stays_the_container_s() {
    check(vec![
        Row {
            rule: "both changed the content: the container's stays, the other lies beside it",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Wrote(file("mine")),
            new: Some(file("2")),
            shows: Some(file("mine")),
            private: true,
            decision: Some(beside("etc/f.vzpkg-new")),
        },
        Row {
            rule: "both made the same change: one copy is enough",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Wrote(file("2")),
            new: Some(file("2")),
            shows: Some(file("2")),
            private: false,
            decision: Some(Decision::Taken),
        },
        Row {
            rule: "both made a new file: the container's stays",
            at: "etc/f",
            old: None,
            did: Did::Wrote(file("mine")),
            new: Some(file("2")),
            shows: Some(file("mine")),
            private: true,
            decision: Some(beside("etc/f.vzpkg-new")),
        },
        Row {
            rule: "where every name is read, nothing is laid beside",
            at: "etc/alternatives/editor",
            old: Some(link("/usr/bin/nano")),
            did: Did::Wrote(link("/usr/bin/vim")),
            new: Some(link("/usr/bin/ed")),
            shows: Some(link("/usr/bin/vim")),
            private: true,
            decision: Some(kept(Why::NoRoomBeside)),
        },
    ]);
}

#[test]
fn what_one_side_removed_is_decided_by_who_changed_it() {
    check(vec![
        Row {
            rule: "removed by the container, changed by the new version: stays removed",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Removed,
            new: Some(file("2")),
            shows: None,
            private: true,
            decision: Some(kept(Why::Removed)),
        },
        Row {
            rule: "removed by both",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Removed,
            new: None,
            shows: None,
            private: true,
            decision: None,
        },
        Row {
            rule: "changed by the container, removed by the new version: kept",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Wrote(file("mine")),
            new: None,
            shows: Some(file("mine")),
            private: true,
            decision: Some(kept(Why::Gone)),
        },
        Row {
            rule: "only chmod-ed by the container, removed by the new version: goes",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Changed(0o600),
            new: None,
            shows: None,
            private: false,
            decision: Some(Decision::Taken),
        },
    ]);
}

#[test]
fn a_new_type_is_never_hidden_by_an_old_one() {
    check(vec![
        Row {
            rule: "a changed file that becomes a link is moved aside",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Wrote(file("mine")),
            new: Some(link("elsewhere")),
            shows: Some(link("elsewhere")),
            private: false,
            decision: Some(Decision::MovedAside {
                to: "etc/f.vzpkg-old".into(),
            }),
        },
        Row {
            rule: "an unchanged file that becomes a directory gives way",
            at: "etc/f",
            old: Some(file("1")),
            did: Did::Changed(0o600),
            new: Some(dir()),
            shows: Some(dir()),
            private: false,
            decision: Some(Decision::Taken),
        },
        Row {
            rule: "a type that the container chose stays while the version keeps its own",
            at: "etc/f",
            old: Some(link("1")),
            did: Did::Wrote(file("mine")),
            new: Some(link("2")),
            shows: Some(file("mine")),
            private: true,
            decision: Some(kept(Why::OtherType)),
        },
    ]);
}

#[test]
fn state_is_made_private_before_the_version_would_change_it() {
    check(vec![
        Row {
            rule: "changed by the new version: the old copy becomes private",
            at: "var/lib/x/data",
            old: Some(file("1").owner(7)),
            did: Did::Nothing,
            new: Some(file("2")),
            shows: Some(file("1").owner(7)),
            private: true,
            decision: Some(Decision::StateCopied),
        },
        Row {
            rule: "removed by the new version: likewise",
            at: "var/lib/x/data",
            old: Some(file("1")),
            did: Did::Nothing,
            new: None,
            shows: Some(file("1")),
            private: true,
            decision: Some(Decision::StateCopied),
        },
        Row {
            rule: "new in the new version: given once",
            at: "var/lib/x/data",
            old: None,
            did: Did::Nothing,
            new: Some(file("2")),
            shows: Some(file("2")),
            private: false,
            decision: None,
        },
        Row {
            rule: "private state is never judged",
            at: "var/lib/x/data",
            old: Some(file("1")),
            did: Did::Wrote(file("1")),
            new: Some(file("2")),
            shows: Some(file("1")),
            private: true,
            decision: Some(kept(Why::State)),
        },
        Row {
            rule: "what a package manager keeps there is the version's",
            at: "var/lib/apt/x",
            old: Some(file("1")),
            did: Did::Nothing,
            new: Some(file("2")),
            shows: Some(file("2")),
            private: false,
            decision: None,
        },
    ]);
}

#[test]
fn what_a_package_owns_is_not_state() {
    let list = (
        "var/lib/dpkg/info/p.list",
        file("/.\n/var\n/var/lib\n/var/lib/p\n/var/lib/p/shipped\n"),
    );
    let old = tree(&[list.clone(), ("var/lib/p/shipped", file("1"))]);
    let new = tree(&[list, ("var/lib/p/shipped", file("2"))]);
    let model = Model::new(&[&old, &new]);
    assert_eq!(model.merge(&old, &new, None).plan.edits, []);
}

#[test]
fn a_directory_that_only_held_copies_goes_and_one_with_own_files_stays() {
    let old = tree(&[("d/f", file("1")), ("e/f", file("1")), ("e/g", file("1"))]);
    let new = tree(&[("e/f", file("2"))]);
    let mut model = Model::new(&[&old, &new]);
    for at in ["d/f", "e/f", "e/g"] {
        model.chmod(&old, &path(at), 0o600);
    }
    model.write(&old, &path("e/mine"), file("m"));
    let merge = model.merge(&old, &new, None);
    model.relink(&merge, 1);
    let left: Vec<String> = model.upper.keys().map(ToString::to_string).collect();
    assert_eq!(left, ["e", "e/f", "e/mine"]);
}

#[test]
fn a_directory_takes_the_new_mode_though_it_was_copied_up() {
    let old = tree(&[("d", dir()), ("d/f", file("1"))]);
    let new = tree(&[("d", dir().mode(0o700)), ("d/f", file("1"))]);
    let mut model = Model::new(&[&old, &new]).with(&old, "d/mine", file("m"));
    let merge = model.merge(&old, &new, None);
    model.relink(&merge, 1);
    assert_eq!(model.view(&new)[&path("d")].node.meta.mode, 0o700);
    assert_eq!(merge.report.lines, [], "nobody chose the old mode");
}

#[test]
fn a_directory_of_private_files_that_becomes_a_link_is_moved_aside_whole() {
    let old = tree(&[("lib/f", file("1")), ("lib/g", file("1"))]);
    let new = tree(&[("lib", link("usr/lib")), ("usr/lib/f", file("1"))]);
    let mut model = Model::new(&[&old, &new]);
    model.write(&old, &path("lib/mine"), file("m"));
    model.chmod(&old, &path("lib/g"), 0o600);
    let merge = model.merge(&old, &new, None);
    model.relink(&merge, 1);
    let left: Vec<String> = model.upper.keys().map(ToString::to_string).collect();
    assert_eq!(left, ["lib.vzpkg-old", "lib.vzpkg-old/mine"]);
    assert_eq!(model.view(&new)[&path("lib")], link("usr/lib"));
    // A second time the name is taken.
    let at = |text: &str| -> RelPath { path(text) };
    let mut again = Model::new(&[&old, &new]).with(&old, "lib.vzpkg-old", file("older"));
    again.write(&old, &at("lib/mine"), file("m"));
    let merge = again.merge(&old, &new, None);
    again.relink(&merge, 1);
    assert!(again.upper.contains_key(&at("lib.vzpkg-old.1/mine")));
    assert!(again.upper.contains_key(&at("lib.vzpkg-old")));
}

#[test]
fn a_directory_made_by_the_container_does_not_hide_one_that_the_version_brings() {
    let old = tree(&[("opt/x", file("1"))]);
    let new = tree(&[
        ("opt/x", file("1")),
        ("opt/app/bin", file("b")),
        ("opt/app/conf", file("c")),
    ]);
    let mut model = Model::new(&[&old, &new]);
    // As overlayfs makes it: opaque.
    model.write(&old, &path("opt/app"), dir());
    model.write(&old, &path("opt/app/conf"), file("mine"));
    let merge = model.merge(&old, &new, None);
    model.relink(&merge, 1);
    let view = model.view(&new);
    assert_eq!(view[&path("opt/app/bin")], file("b"));
    assert_eq!(view[&path("opt/app/conf")], file("mine"));
    assert_eq!(view[&path("opt/app/conf.vzpkg-new")], file("c"));
}

#[test]
fn a_directory_that_the_container_replaced_hides_the_new_version_s() {
    let old = tree(&[("opt/app/bin", file("1"))]);
    let new = tree(&[("opt/app/bin", file("2")), ("opt/app/more", file("m"))]);
    let mut model = Model::new(&[&old, &new]);
    model.remove(&old, &path("opt/app"));
    model.write(&old, &path("opt/app"), dir());
    let merge = model.merge(&old, &new, None);
    model.relink(&merge, 1);
    assert!(!model.view(&new).contains_key(&path("opt/app/more")));
    let said = merge
        .report
        .lines
        .iter()
        .any(|line| line.subject == "opt/app");
    assert!(said, "{:?}", merge.report.lines);
}

#[test]
fn a_private_linker_cache_is_dropped_and_made_again() {
    let old = tree(&[("etc/ld.so.cache", file("1"))]);
    let new = tree(&[("etc/ld.so.cache", file("2"))]);
    let mut model = Model::new(&[&old, &new]).with(&old, "etc/ld.so.cache", file("mine"));
    let merge = model.merge(&old, &new, None);
    model.relink(&merge, 1);
    assert!(model.upper.is_empty());
    assert_eq!(merge.plan.regenerate.len(), 1);
}

#[test]
fn the_root_directory_follows_the_version_but_for_what_the_container_changed() {
    let root = |mode, owner| {
        let mut version = tree(&[("etc/f", file("1"))]);
        version.put(&RelPath::root(), dir().mode(mode).owner(owner));
        version
    };
    let (old, new) = (root(0o755, 0), root(0o711, 7));
    for (private, there) in [((0o755, 0), (0o711, 7)), ((0o700, 0), (0o700, 7))] {
        let mut model = Model::new(&[&old, &new]);
        model.root.mode = private.0;
        let before = model.root.clone();
        let merge = model.merge(&old, &new, None);
        let record = model.relink(&merge, 1);
        assert_eq!((model.root.mode, model.root.uid), there);
        let mut untouched = model.clone();
        let back = untouched.merge(&new, &old, Some(&record));
        untouched.relink(&back, 2);
        assert_eq!(untouched.root, before);
        // Changed since: the container's, going back as well.
        model.root.mode = 0o750;
        let back = model.merge(&new, &old, Some(&record));
        model.relink(&back, 2);
        assert_eq!((model.root.mode, model.root.uid), (0o750, 0));
    }
}
