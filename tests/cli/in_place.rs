//! `--in-place`: a container's own package manager brings it to the packages of a version that no relink can take it to.

use crate::centos::{OS, TEMPLATE as CENTOS, repositories, site_with};
use crate::support::Site;
use crate::tiny::{Tiny, program};

/// `name version arch` of every package of a version.
fn locked(site: &Site, version: &str) -> Vec<String> {
    let lock = site.vzpkg(&["lock", version]).ok();
    let lines = lock
        .lines()
        .filter_map(|line| line.strip_prefix("package "));
    let mut packages: Vec<String> = lines
        .map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .collect();
    packages.sort();
    packages
}

#[test]
#[ignore = "needs root and the real packages: make check runs it"]
fn privileged_rpm_in_a_container_brings_it_from_7_6_to_7_9_in_place() {
    let scratch = Site::new();
    let (old, new) = repositories(&scratch);
    let site = site_with(&old);
    site.vzpkg(&["create-cache", CENTOS]).ok();
    let inside = |container: &str, line: &str| {
        let exec = ["ct", "exec", container, "--", "sh", "-c", line];
        site.vzpkg(&exec).ok()
    };
    for container in ["c", "changed"] {
        let create = ["ct", "create", container, "--template", CENTOS, "--start"];
        site.vzpkg(&create).ok();
    }
    let import = "rpm --import /etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-7";
    inside("c", import);
    inside("c", "echo mine >/etc/motd");
    inside("changed", "rpm --erase --justdb --nodeps tzdata");
    site.template(OS, &[("repositories", &new)]);
    site.vzpkg(&["update", CENTOS]).ok();

    // A changed database cannot be merged, but there is a way; imported keys are no change of packages.
    let refused = site
        .vzpkg(&["ct", "relink", "changed", "--dry-run"])
        .fails_with(1);
    let hint = "vzpkg ct relink changed --in-place";
    assert!(refused.contains(hint), "{refused}");
    let planned = site.vzpkg(&["ct", "relink", "c", "--dry-run", "--restart"]);
    assert!(planned.stderr.contains("gpg-pubkey-"), "{planned:?}");

    let plan = ["ct", "relink", "c", "--in-place", "--dry-run"];
    let table = site.vzpkg(&plan).ok();
    assert!(table.contains("2.17-260.el7 -> 2.17-317.el7"), "{table}");
    let document = site
        .vzpkg(&[&plan[..], &["--format", "json"]].concat())
        .ok();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(
        (&document["on"], &document["to"]),
        (&1.into(), &2.into()),
        "{document}"
    );
    assert!(inside("c", "rpm -q glibc").contains("2.17-260"));

    let done = site.vzpkg(&["ct", "relink", "c", "--in-place"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let said = format!("c in place to the packages of {CENTOS}@2; it stays on {CENTOS}@1");
    assert!(done.stderr.contains(&said), "{}", done.stderr);
    let query = "rpm -qa --qf '%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE} %{ARCH}\\n'";
    let installed = inside("c", &format!("{query} | grep -v ^gpg-pubkey"));
    let mut installed: Vec<String> = installed
        .lines()
        .map(|line| line.replace(" 0:", " "))
        .collect();
    installed.sort();
    assert_eq!(installed, locked(&site, &format!("{CENTOS}@2")));
    assert_eq!(inside("c", "cat /etc/motd"), "mine\n");
    assert!(inside("c", "rpm -qa").contains("gpg-pubkey-"));
    let left = inside("c", "test -e /run/vzpkg-packages || echo gone");
    assert_eq!(left, "gone\n");
    let again = site.vzpkg(&["update", "c", "--in-place"]);
    assert!(again.stderr.contains("already"), "{again:?}");
    site.vzpkg(&["verify"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_dpkg_in_a_container_brings_it_to_the_packages_of_a_version_in_place() {
    let first = ["hello", "other", "third"].map(|name| program(name, "1"));
    let mut tiny = Tiny::of(&["hello", "other", "third"], &first);
    tiny.create();
    let debs = tiny.site.path("own");
    // What needs the old one, and what is higher than all.
    let needs = program("mine", "1").field("Depends", "hello (= 1)");
    for own in [needs, program("other", "9")] {
        own.build(&debs);
    }
    let mount = format!("{}:/srv/debs:ro", debs.display());
    tiny.make("web", &["--mount", &mount, "--start"]).ok();
    tiny.inside("web", "dpkg --install /srv/debs/*.deb");
    tiny.publish_all(&[
        program("hello", "2").field("Depends", "extra"),
        program("extra", "1"),
        program("other", "2"),
        program("third", "2").field("Depends", "extra"),
    ]);
    tiny.update();

    let refused = tiny.ct(&["relink", "web", "--dry-run"]).fails_with(1);
    let hint = "vzpkg ct relink web --in-place";
    assert!(refused.contains("do not fit together"), "{refused}");
    assert!(refused.contains(hint), "{refused}");
    let plan = tiny.json(&["ct", "relink", "web", "--in-place", "--dry-run"]);
    assert_eq!(plan["transaction"]["steps"].as_array().unwrap().len(), 3);
    assert_eq!(plan["kept"].as_array().unwrap().len(), 1, "{plan}");
    assert_eq!(tiny.inside("web", "hello"), "1\n");

    // A package file that is here but damaged is fetched again.
    let packages = tiny.site.root().join("packages");
    for entry in std::fs::read_dir(packages).unwrap().flatten() {
        if entry.path().extension().is_some_and(|of| of == "deb") {
            std::fs::write(entry.path(), "damaged").unwrap();
        }
    }
    let done = tiny.ct(&["relink", "web", "--in-place"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("it stays on"), "{}", done.stderr);
    assert_eq!(
        tiny.inside("web", "hello; extra; other; third; mine; dpkg --audit"),
        "2\n1\n9\n2\n1\n"
    );
    assert_eq!(
        tiny.inside("web", "test -e /run/vzpkg-packages || echo gone"),
        "gone\n"
    );
    let again = tiny.ct(&["relink", "web", "--in-place"]);
    assert!(again.stderr.contains("already"), "{again:?}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_package_manager_that_fails_is_quoted_and_one_that_does_not_run_is_not_asked() {
    let mut tiny = Tiny::hello();
    tiny.make("web", &["--start"]).ok();
    let broken = program("hello", "2").script("preinst", "#!/bin/sh\n[ ! -e /etc/no ]\n");
    tiny.publish(&broken);
    tiny.update();
    tiny.inside("web", "echo >/etc/no");
    let error = tiny.ct(&["relink", "web", "--in-place"]).fails_with(5);
    assert!(
        error.contains("hello") && error.contains("exit status 1"),
        "{error}"
    );
    let left = tiny.inside("web", "hello; test -e /run/vzpkg-packages || echo gone");
    assert_eq!(left, "1\ngone\n");
    tiny.ct(&["stop", "web"]).ok();
    let error = tiny.ct(&["relink", "web", "--in-place"]).fails_with(1);
    assert!(error.contains("vzpkg ct start web"), "{error}");
    // Templates have no package manager that runs.
    let update = ["update", crate::tiny::TEMPLATE, "--in-place"];
    tiny.vzpkg(&update).fails_with(2);
}

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_debian_in_a_container_is_brought_forward_in_place_and_apt_is_content() {
    let debian = crate::debian::Debian::new();
    let site = &debian.site;
    let template = crate::debian::TEMPLATE;
    site.vzpkg(&["create-cache", template]).ok();
    site.vzpkg(&["ct", "create", "web", "--template", template, "--start"])
        .ok();
    debian.with_later("apt");
    site.vzpkg(&["update", template, "--refresh"]).ok();
    site.vzpkg(&["ct", "relink", "web", "--in-place"]).ok();
    debian.inside("apt-get check");
    let installed = debian.inside("dpkg-query -W -f '${Package} ${Version} ${Architecture}\\n'");
    let mut installed: Vec<&str> = installed.lines().collect();
    installed.sort_unstable();
    assert_eq!(installed, locked(site, &format!("{template}@2")));
}
