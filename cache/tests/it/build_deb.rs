//! Builds of Debian packages, from nothing and on a base, with everything that can go wrong in their scripts.

use crate::build_fixture::{Package, World, deb, step};
use crate::fixtures::path;
use std::time::Duration;
use vzpkg_cache::build::BuildError;
use vzpkg_metadata::template::ScriptKind;
use vzpkg_metadata::transaction::Action;
use vzpkg_runtime::sandbox::RunStatus;

fn script(text: &str) -> String {
    format!("#!/bin/sh\nset -e\n{text}\n")
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_scripts_run_in_order_and_conffiles_arrive() {
    let world = World::new();
    let log = |what: &str| {
        script(&format!(
            "echo \"{what} $1 $DPKG_MAINTSCRIPT_PACKAGE\" >> /var/log/order"
        ))
    };
    let hello = deb("hello", "1.0-1")
        .conffile("etc/hello.conf", b"greeting=hello\n")
        .hard_link("usr/share/linked", "etc/hello.conf")
        .script(
            "preinst",
            &script("[ ! -e /etc/hello.conf ]; echo \"pre $1 ${0%/*}\" >> /var/log/order"),
        )
        .script("postinst", &log("post"));
    let hello = world.package(&hello, "hello", "1.0-1");
    let version = world.create(&[&hello]).unwrap();
    let tree = world.tree(&version);
    assert_eq!(
        world.text(&tree, "var/log/order"),
        "pre install /var/lib/dpkg/tmp.ci\npost configure hello\n"
    );
    assert_eq!(world.text(&tree, "etc/hello.conf"), "greeting=hello\n");
    let status = world.text(&tree, "var/lib/dpkg/status");
    assert!(
        status.contains("Package: hello\nStatus: install ok installed\n"),
        "{status}"
    );
    assert!(!status.contains("newconffile"), "{status}");
    for gone in [
        "usr/sbin/policy-rc.d",
        "var/lib/dpkg/tmp.ci",
        "var/lib/dpkg/tmp.ci.d",
        "etc/hello.conf.dpkg-new",
    ] {
        assert!(tree.get(&path(gone)).is_none(), "{gone}");
    }
    let stub = world.text(&tree, "var/lib/dpkg/info/hello.list");
    assert_eq!(
        stub,
        "/.\n/etc\n/etc/hello.conf\n/usr\n/usr/share\n/usr/share/linked\n"
    );
    world.assert_clean();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_equal_locks_give_equal_trees() {
    let one = World::new();
    let two = World::new();
    let make = |world: &World| -> Vec<Package> {
        let make = |name: &str| {
            let package = deb(name, "1")
                .file(&format!("usr/share/{name}/data"), 0o644, name.as_bytes())
                .script(
                    "postinst",
                    &script("date > /dev/null 2>&1 || :; touch /var/log/$DPKG_MAINTSCRIPT_PACKAGE"),
                );
            world.package(&package, name, "1")
        };
        ["a", "b", "c", "d"].map(make).to_vec()
    };
    let (first, second) = (make(&one), make(&two));
    let steps = |world: &World, packages: &[Package]| {
        std::iter::once(&world.base)
            .chain(packages)
            .map(|package| step(package, Action::Install))
            .collect()
    };
    let forward: Vec<&Package> = std::iter::once(&one.base).chain(&first).collect();
    let backward: Vec<&Package> = second.iter().rev().chain([&two.base]).collect();
    let a = one.build(None, steps(&one, &first), &forward, 1).unwrap();
    let b = two.build(None, steps(&two, &second), &backward, 4).unwrap();
    assert_eq!(a.digest, b.digest);
    assert_eq!(a.lock, b.lock);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_failing_script_is_named_and_nothing_is_left() {
    let world = World::new();
    let broken = deb("broken", "1").script("postinst", &script("echo about to fail; exit 7"));
    let broken = world.package(&broken, "broken", "1");
    let error = world.create(&[&broken]).unwrap_err();
    let BuildError::Script(failure) = error else {
        panic!("{error:?}");
    };
    assert_eq!(failure.package.as_deref(), Some("broken"));
    assert_eq!(failure.script, "post-installation script");
    assert_eq!(failure.status, RunStatus::Exited(7));
    assert!(
        failure.output.iter().any(|line| line == "about to fail"),
        "{:?}",
        failure.output
    );
    assert_eq!(
        failure.to_string(),
        "the post-installation script of broken exited with 7"
    );
    assert!(world.store.versions.list().unwrap().is_empty());
    world.assert_clean();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_failing_preinst_is_named() {
    let world = World::new();
    let broken = deb("broken", "1").script("preinst", &script("exit 3"));
    let broken = world.package(&broken, "broken", "1");
    let error = world.create(&[&broken]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the pre-installation script of broken exited with 3"
    );
    world.assert_clean();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_hanging_script_is_ended_and_named() {
    let mut world = World::new();
    // Long enough for dpkg to come to the script on a busy machine.
    world.timeout = Duration::from_secs(20);
    let hangs = deb("hangs", "1").script("postinst", &script("sleep 1000"));
    let hangs = world.package(&hangs, "hangs", "1");
    let error = world.create(&[&hangs]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the post-installation script of hangs did not end in time and was killed"
    );
    world.assert_clean();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_packages_that_share_a_path_are_left_to_dpkg() {
    let world = World::new();
    let old = deb("old", "1")
        .file("usr/share/shared", 0o644, b"old\n")
        .file("usr/share/own", 0o644, b"old\n");
    let new = deb("new", "1")
        .field("Replaces", "old")
        .file("usr/share/shared", 0o644, b"new\n");
    let old = world.package(&old, "old", "1");
    let new = world.package(&new, "new", "1");
    let version = world.create(&[&old, &new]).unwrap();
    let tree = world.tree(&version);
    assert_eq!(world.text(&tree, "usr/share/shared"), "new\n");
    let list = world.text(&tree, "var/lib/dpkg/info/old.list");
    assert!(!list.contains("shared"), "{list}");
    assert!(tree.get(&path("usr/share/own")).is_some());
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_packages_that_share_a_path_without_leave_are_refused() {
    let world = World::new();
    let old = deb("old", "1").file("usr/share/shared", 0o644, b"old\n");
    let new = deb("new", "1").file("usr/share/shared", 0o644, b"new\n");
    let old = world.package(&old, "old", "1");
    let new = world.package(&new, "new", "1");
    let error = world.create(&[&old, &new]).unwrap_err();
    let BuildError::Script(failure) = error else {
        panic!("{error:?}");
    };
    assert!(
        failure
            .output
            .iter()
            .any(|line| line.contains("trying to overwrite")),
        "{:?}",
        failure.output
    );
    world.assert_clean();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_base_is_updated_by_exactly_the_transaction() {
    let world = World::new();
    let file = |version: &str| {
        deb("tool", version)
            .file("usr/bin/tool", 0o755, version.as_bytes())
            .conffile("etc/tool.conf", version.as_bytes())
    };
    let goes = deb("goes", "1").file("usr/share/goes", 0o644, b"x");
    let goes = world.package(&goes, "goes", "1");
    let old = world.package(&file("1"), "tool", "1");
    let new = world.package(&file("2"), "tool", "2");
    let first = world.create(&[&old, &goes]).unwrap();
    let steps = vec![
        step(&goes, Action::Remove),
        step(
            &new,
            Action::Upgrade {
                from: "1".to_owned(),
            },
        ),
    ];
    let second = world.build(Some(&first), steps, &[&new], 2).unwrap();
    let tree = world.tree(&second);
    assert_eq!(world.text(&tree, "usr/bin/tool"), "2");
    assert_eq!(world.text(&tree, "etc/tool.conf"), "2");
    assert!(tree.get(&path("usr/share/goes")).is_none());
    assert_eq!(second.lock.base, Some(first.digest));
    assert_eq!(second.lock.packages.len(), 2);
    let before = world.tree(&first);
    assert_eq!(world.text(&before, "usr/bin/tool"), "1");
    assert_eq!(
        before.get(&path("usr/bin/dpkg")),
        tree.get(&path("usr/bin/dpkg"))
    );
    world.assert_clean();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_package_that_a_script_removes_is_noticed() {
    let mut world = World::new();
    world.script(ScriptKind::PostInstall, "dpkg --purge --force-all extra");
    let extra = deb("extra", "1");
    let extra = world.package(&extra, "extra", "1");
    let error = world.create(&[&extra]).unwrap_err();
    assert!(matches!(error, BuildError::Outcome { .. }), "{error:?}");
    world.assert_clean();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_template_scripts_run_where_and_when_the_original_runs_them() {
    let mut world = World::new();
    let value = "a b'c\"d $(touch /evil) `touch /evil`; exit 9";
    world
        .template
        .environment
        .push(("GREETING".to_owned(), value.to_owned()));
    world.script(
        ScriptKind::PreCache,
        "[ -z \"$(dpkg-query --admindir=$1/var/lib/dpkg -W -f='${Status}' late | grep 'ok installed')\" ]\n\
         [ ! -e $1/var/log/order ]; mkdir -p $1/var/log; echo pre-cache >> $1/var/log/order\n\
         printf '%s' \"$GREETING\" > $1/greeting",
    );
    world.script(
        ScriptKind::MidPreInstall,
        "[ \"$BASH\" ]; echo mid-pre >> /var/log/order",
    );
    world.script(
        ScriptKind::MidPostInstall,
        "echo mid-post >> /var/log/order",
    );
    world.script(
        ScriptKind::PostCache,
        "echo post-cache >> $1/var/log/order; ! touch /usr/x 2>/dev/null",
    );
    world.script(
        ScriptKind::PostInstall,
        "echo post-install $# >> /var/log/order; echo pid $$ > /dev/null",
    );
    let late = deb("late", "1").script("postinst", &script("echo package >> /var/log/order"));
    let late = world.package(&late, "late", "1");
    let version = world.create(&[&late]).unwrap();
    let tree = world.tree(&version);
    assert_eq!(
        world.text(&tree, "var/log/order"),
        "pre-cache\nmid-pre\nmid-post\npackage\npost-cache\npost-install 0\n"
    );
    assert_eq!(world.text(&tree, "greeting"), value);
    assert!(tree.get(&path("evil")).is_none());
    let run: Vec<String> = tree
        .below(&path("run"))
        .map(|(path, _)| path.to_string())
        .collect();
    assert_eq!(run, ["run"]);
    world.assert_clean();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_failing_template_script_is_named() {
    for kind in [ScriptKind::PreCache, ScriptKind::PostInstall] {
        let mut world = World::new();
        world.script(kind, "echo no; exit 4");
        let error = world.create(&[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{kind} of tiny-1-x86_64` exited with 4")
        );
        world.assert_clean();
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_user_has_one_id_whatever_comes_with_it() {
    let makes =
        |name: &str| deb(name, "1").script("postinst", &script(&format!("useradd -r {name}")));
    let ids_of = |names: &[&str], name: &str| {
        let world = World::new();
        let packages: Vec<Package> = names
            .iter()
            .map(|name| world.package(&makes(name), name, "1"))
            .collect();
        let version = world.create(&packages.iter().collect::<Vec<_>>()).unwrap();
        let registered = world.store.db.ids_for(&world.template.name).unwrap();
        assert_eq!(registered, version.lock.ids);
        version.lock.ids[name]
    };
    let alone = ids_of(&["postgres"], "postgres");
    let together = ids_of(&["redis", "postgres"], "postgres");
    assert_eq!(alone, together);
    assert!(alone.uid.is_some());
    assert_ne!(ids_of(&["redis", "postgres"], "redis"), together);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_name_that_nobody_foresaw_gets_its_own_id_all_the_same() {
    let world = World::new();
    let hidden = deb("hidden", "1").script(
        "postinst",
        &script("tool=user; ${tool}add -r $(echo sur)prise"),
    );
    let hidden = world.package(&hidden, "hidden", "1");
    let version = world.create(&[&hidden]).unwrap();
    let ids = version.lock.ids["surprise"];
    assert!((300..=899).contains(&ids.uid.unwrap()), "{ids:?}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_swapped_package_is_refused() {
    let world = World::new();
    let good = world.package(&deb("x", "1"), "x", "1");
    std::fs::write(&good.fetched.path, b"something else").unwrap();
    let error = world.create(&[&good]).unwrap_err();
    assert!(matches!(error, BuildError::Import(_)), "{error:?}");
    assert!(error.to_string().contains("is not x 1 all"), "{error}");
    world.assert_clean();
}
