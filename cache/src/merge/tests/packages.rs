//! Packages as wholes, on the files that dpkg keeps.

use super::model::{Thing, Version};
use super::{Model, file, path, tree};
use crate::merge::{Decision, Merge, Obstacle, UnionPackage};

/// Name, version, and files with their contents.
type Package<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// A version with these packages: name, version, and a file with its content.
fn packages(list: &[Package<'_>]) -> Version {
    let mut version = tree(&[]);
    install(&mut |at, thing| version.put(&path(at), thing), list);
    version
}

fn status(list: &[Package<'_>]) -> String {
    let stanza = |(name, number, files): &Package<'_>| {
        let conffiles: String = files
            .iter()
            .filter(|(at, _)| at.starts_with("etc/"))
            .map(|(at, _)| format!(" /{at} 00000000000000000000000000000000\n"))
            .collect::<Vec<_>>()
            .concat();
        let conffiles = if conffiles.is_empty() {
            String::new()
        } else {
            format!("Conffiles:\n{conffiles}")
        };
        format!(
            "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {number}\n{conffiles}\n"
        )
    };
    list.iter().map(stanza).collect()
}

/// Puts what dpkg leaves of these packages.
fn install(put: &mut dyn FnMut(&str, Thing), list: &[Package<'_>]) {
    put("var/lib/dpkg/status", file(&status(list)));
    for (name, _, files) in list {
        let paths: Vec<String> = files.iter().map(|(at, _)| format!("/{at}\n")).collect();
        let paths = paths.concat();
        put(
            &format!("var/lib/dpkg/info/{name}.list"),
            file(&format!("/.\n{paths}")),
        );
        for (at, content) in *files {
            put(at, file(content));
        }
    }
}

/// What the container's own dpkg makes of these packages, as changes to `old`.
fn upgrade(model: &mut Model, old: &Version, list: &[Package<'_>]) {
    install(&mut |at, thing| model.write(old, &path(at), thing), list);
}

fn said<'a>(merge: &'a Merge, package: &str) -> Option<&'a Decision> {
    let subject = format!("package {package}:amd64");
    let line = merge
        .report
        .lines
        .iter()
        .find(|line| line.subject == subject);
    line.map(|line| &line.decision)
}

const BASE: Package<'_> = ("base", "1", &[("usr/bin/base", "base 1")]);

#[test]
fn a_package_installed_by_hand_stays_and_an_updated_one_is_the_new_version_s() {
    let old = packages(&[BASE]);
    let new = packages(&[("base", "2", &[("usr/bin/base", "base 2")])]);
    let mut model = Model::new(&[&old, &new]);
    upgrade(
        &mut model,
        &old,
        &[BASE, ("mine", "7", &[("usr/bin/mine", "mine 7")])],
    );
    // dpkg rewrote nothing of `base`; only the status is private.
    model.upper.remove(&path("usr/bin/base"));
    model.upper.remove(&path("var/lib/dpkg/info/base.list"));
    let mut asked = Vec::new();
    let merge = model.merge_checked(&old, &new, None, &mut |union: &[UnionPackage]| {
        asked = union
            .iter()
            .map(|of| format!("{} {} {}", of.name, of.version, of.private))
            .collect();
        Ok(())
    });
    model.relink(&merge, 1);
    assert_eq!(asked, ["base 2 false", "mine 7 true"]);
    let view = model.view(&new);
    let merged = status(&[("base", "2", &[]), ("mine", "7", &[])]);
    assert_eq!(view[&path("var/lib/dpkg/status")], file(&merged));
    assert_eq!(view[&path("usr/bin/base")], file("base 2"));
    assert_eq!(view[&path("usr/bin/mine")], file("mine 7"));
    assert_eq!(
        said(&merge, "mine"),
        Some(&Decision::PackageKept {
            private: Some("7".into()),
            template: None
        })
    );
}

#[test]
fn of_two_upgrades_the_higher_one_is_taken_whole() {
    const OLD: Package<'_> = ("p", "1", &[("usr/bin/p", "p 1"), ("usr/lib/p1", "only 1")]);
    const LOW: Package<'_> = ("p", "2", &[("usr/bin/p", "p 2"), ("usr/lib/p2", "only 2")]);
    const HIGH: Package<'_> = (
        "p",
        "10",
        &[("usr/bin/p", "p 10"), ("usr/lib/p10", "only 10")],
    );
    for (mine, theirs) in [(LOW, HIGH), (HIGH, LOW), (HIGH, HIGH)] {
        let (old, new) = (packages(&[OLD]), packages(&[theirs]));
        let mut model = Model::new(&[&old, &new]);
        model.remove(&old, &path("usr/lib/p1"));
        upgrade(&mut model, &old, &[mine]);
        let merge = model.merge(&old, &new, None);
        model.relink(&merge, 1);
        let view = model.view(&new);
        assert_eq!(view[&path("usr/bin/p")], file("p 10"));
        assert_eq!(view[&path("var/lib/dpkg/status")], file(&status(&[HIGH])));
        assert!(view.contains_key(&path("usr/lib/p10")));
        assert!(!view.contains_key(&path("usr/lib/p2")), "{mine:?}");
        assert!(!view.contains_key(&path("usr/lib/p1")), "{mine:?}");
        if theirs == HIGH {
            assert!(
                !model.upper.contains_key(&path("usr/bin/p")),
                "shared again"
            );
        }
    }
}

#[test]
fn a_package_that_the_container_kept_does_not_stand_in_the_way_back() {
    const OLD: Package<'_> = ("p", "1", &[("usr/bin/p", "p 1")]);
    const LOW: Package<'_> = ("p", "2", &[("usr/bin/p", "p 2"), ("usr/lib/p2", "only 2")]);
    const HIGH: Package<'_> = (
        "p",
        "10",
        &[("usr/bin/p", "p 10"), ("usr/lib/p10", "only 10")],
    );
    let (old, mut new) = (packages(&[OLD]), packages(&[LOW]));
    // State that goes with its version makes the merge read whose file is whose.
    new.put(&path("srv/data"), file("2"));
    let mut model = Model::new(&[&old, &new]);
    upgrade(&mut model, &old, &[HIGH]);
    let before = model.view(&old);
    let merge = model.merge(&old, &new, None);
    let record = model.relink(&merge, 1);
    let back = model.merge(&new, &old, Some(&record));
    model.relink(&back, 2);
    assert_eq!(model.view(&old), before);
}

#[test]
fn a_conffile_of_a_package_taken_whole_is_still_judged_by_itself() {
    const OLD: Package<'_> = ("p", "1", &[("etc/p", "c 1"), ("usr/p", "1")]);
    const NEW: Package<'_> = ("p", "3", &[("etc/p", "c 3"), ("usr/p", "3")]);
    let (old, new) = (packages(&[OLD]), packages(&[NEW]));
    let mut model = Model::new(&[&old, &new]);
    upgrade(
        &mut model,
        &old,
        &[("p", "2", &[("etc/p", "edited"), ("usr/p", "2")])],
    );
    let merge = model.merge(&old, &new, None);
    model.relink(&merge, 1);
    let view = model.view(&new);
    assert_eq!(view[&path("usr/p")], file("3"));
    assert_eq!(view[&path("etc/p")], file("edited"));
    assert_eq!(view[&path("etc/p.vzpkg-new")], file("c 3"));
}

#[test]
fn what_the_container_removed_stays_removed() {
    const P: Package<'_> = ("p", "1", &[("usr/p", "1")]);
    const P2: Package<'_> = ("p", "2", &[("usr/p", "2"), ("usr/p-new", "2")]);
    let (old, new) = (packages(&[BASE, P]), packages(&[BASE, P2]));
    let mut model = Model::new(&[&old, &new]);
    for at in ["usr/p", "var/lib/dpkg/info/p.list"] {
        model.remove(&old, &path(at));
    }
    model.write(&old, &path("var/lib/dpkg/status"), file(&status(&[BASE])));
    let merge = model.merge(&old, &new, None);
    model.relink(&merge, 1);
    let view = model.view(&new);
    for at in ["usr/p", "usr/p-new", "var/lib/dpkg/info/p.list"] {
        assert!(!view.contains_key(&path(at)), "{at}");
    }
    assert_eq!(view[&path("var/lib/dpkg/status")], file(&status(&[BASE])));
    assert!(matches!(
        said(&merge, "p"),
        Some(Decision::PackageKept { private: None, .. })
    ));
}

#[test]
fn a_package_removed_by_the_version_goes_unless_the_container_changed_it() {
    const P: Package<'_> = ("p", "1", &[("usr/p", "1")]);
    let (old, new) = (packages(&[BASE, P]), packages(&[BASE]));
    let mut model = Model::new(&[&old, &new]);
    upgrade(&mut model, &old, &[BASE, ("p", "2", &[("usr/p", "2")])]);
    let merge = model.merge(&old, &new, None);
    model.relink(&merge, 1);
    assert_eq!(model.view(&new)[&path("usr/p")], file("2"));
    assert!(said(&merge, "p").is_some());
    let mut untouched = Model::new(&[&old, &new]);
    let merge = untouched.merge(&old, &new, None);
    untouched.relink(&merge, 1);
    assert!(!untouched.view(&new).contains_key(&path("usr/p")));
}

#[test]
fn a_union_that_does_not_fit_needs_the_container_s_own_package_manager() {
    let old = packages(&[BASE]);
    let new = packages(&[("base", "2", &[])]);
    let mut model = Model::new(&[&old, &new]);
    upgrade(
        &mut model,
        &old,
        &[BASE, ("mine", "1", &[("usr/mine", "1")])],
    );
    let mut refuse = |_: &[UnionPackage]| Err("mine needs base (= 1)".to_owned());
    let obstacles = model
        .merge_checked(&old, &new, None, &mut refuse)
        .report
        .obstacles;
    assert!(
        matches!(obstacles.as_slice(), [Obstacle::Packages { .. }]),
        "{obstacles:?}"
    );
}

#[test]
fn a_status_that_says_the_same_asks_nobody() {
    let old = packages(&[BASE]);
    let new = packages(&[("base", "2", &[])]);
    let model = Model::new(&[&old, &new]);
    let mut never = |_: &[UnionPackage]| -> Result<(), String> { Err("asked".into()) };
    let merge = model.merge_checked(&old, &new, None, &mut never);
    assert_eq!(merge.report.obstacles, []);
}
