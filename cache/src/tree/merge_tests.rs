use super::*;

const WHEN: Timestamp = Timestamp::from_seconds(1_000);

fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

fn tree(items: &[(&str, Entry)]) -> Tree {
    items
        .iter()
        .map(|(name, entry)| (path(name), entry.clone()))
        .collect()
}

fn directory(mode: u16) -> Entry {
    Node::directory(mode, WHEN).into()
}

fn file(content: &str) -> Entry {
    Node::file(0o644, WHEN, content.as_bytes()).into()
}

fn link(target: &str) -> Entry {
    Node::symlink(target, WHEN).into()
}

fn merged_usr() -> (Tree, BTreeSet<RelPath>) {
    let base = tree(&[
        ("", directory(0o755)),
        ("bin", link("usr/bin")),
        ("usr", directory(0o755)),
        ("usr/bin", directory(0o755)),
    ]);
    (base, BTreeSet::from([path("bin")]))
}

fn run(trees: &[(Tree, &[&str])]) -> Merged {
    let conffiles: Vec<BTreeSet<RelPath>> = trees
        .iter()
        .map(|(_, names)| names.iter().map(|name| path(name)).collect())
        .collect();
    let layers: Vec<Layer<'_>> = trees
        .iter()
        .zip(&conffiles)
        .map(|((tree, _), conffiles)| Layer { tree, conffiles })
        .collect();
    let (base, replaceable) = merged_usr();
    let merged = merge(base, &replaceable, &layers).unwrap();
    merged.tree.check().unwrap();
    merged
}

#[test]
fn paths_below_a_merged_directory_land_in_usr() {
    let package = tree(&[
        ("", directory(0o700)),
        ("bin", directory(0o700)),
        ("bin/sh", file("shell")),
        ("bin/bash", Entry::HardLink(path("bin/sh"))),
    ]);
    let merged = run(&[(package, &[])]);
    assert!(merged.aside.is_empty());
    assert_eq!(
        merged.tree.get(&path("usr/bin/sh")),
        Some(&Entry::HardLink(path("usr/bin/bash")))
    );
    assert_eq!(merged.tree.node(&path("usr/bin")).unwrap().meta.mode, 0o755);
    assert_eq!(merged.tree.get(&path("bin")), Some(&link("usr/bin")));
}

#[test]
fn the_first_package_decides_about_a_directory() {
    let first = tree(&[("srv", directory(0o711))]);
    let second = tree(&[("srv", directory(0o777)), ("srv/x", file("x"))]);
    let merged = run(&[(first, &[]), (second, &[])]);
    assert_eq!(merged.tree.node(&path("srv")).unwrap().meta.mode, 0o711);
    assert!(merged.tree.get(&path("srv/x")).is_some());
}

#[test]
fn a_package_may_own_a_link_of_the_merged_usr() {
    let mut own = Node::symlink("usr/bin", WHEN);
    own.meta.mtime = Timestamp::from_seconds(5);
    let package = tree(&[("bin", own.clone().into())]);
    let merged = run(&[(package, &[])]);
    assert!(merged.aside.is_empty());
    assert_eq!(merged.tree.node(&path("bin")), Some(&own));
}

#[test]
fn a_conffile_waits_beside_its_place() {
    let package = tree(&[("etc", directory(0o755)), ("etc/a.conf", file("a"))]);
    let merged = run(&[(package, &["etc/a.conf"])]);
    assert!(merged.tree.get(&path("etc/a.conf")).is_none());
    assert!(merged.tree.get(&path("etc/a.conf.dpkg-new")).is_some());
}

#[test]
fn a_path_that_two_packages_ship_puts_the_second_aside_whole() {
    let first = tree(&[
        ("usr", directory(0o755)),
        ("usr/bin", directory(0o755)),
        ("usr/bin/x", file("1")),
    ]);
    let second = tree(&[
        ("a", directory(0o755)),
        ("bin", directory(0o755)),
        ("bin/x", file("2")),
    ]);
    let merged = run(&[(first, &[]), (second, &[])]);
    assert_eq!(
        merged.aside,
        [Collision {
            layer: 1,
            path: path("bin/x")
        }]
    );
    assert!(merged.tree.get(&path("a")).is_none());
}

#[test]
fn links_and_directories_that_contradict_put_a_package_aside() {
    let directory_first = tree(&[("opt", directory(0o755)), ("opt/x", directory(0o755))]);
    for second in [
        tree(&[("opt", link("usr"))]),
        tree(&[("opt", file("no directory"))]),
        tree(&[
            ("l", link("loop")),
            ("loop", link("l")),
            ("loop/x", file("x")),
        ]),
        tree(&[("gone", link("nowhere")), ("gone/x", file("x"))]),
    ] {
        let merged = run(&[(directory_first.clone(), &[]), (second, &[])]);
        assert_eq!(merged.aside.len(), 1, "{:?}", merged.tree);
    }
}

#[test]
fn a_link_that_climbs_out_stays_inside_the_root() {
    let first = tree(&[("up", link("../../usr"))]);
    let second = tree(&[
        ("up", directory(0o755)),
        ("up/share", directory(0o755)),
        ("up/share/x", file("x")),
    ]);
    let merged = run(&[(first, &[]), (second, &[])]);
    assert!(merged.aside.is_empty());
    assert!(merged.tree.get(&path("usr/share/x")).is_some());
}
