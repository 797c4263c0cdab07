//! On real CentOS 7 packages: an update of one package, and the way to what a lock says.

use crate::centos::{OS, TEMPLATE, repository, site_with};
use crate::support::{Site, fixtures};
use std::fs;

#[test]
#[ignore = "needs root and the real packages: make check runs it"]
fn privileged_centos_moves_only_what_is_named() {
    let scratch = Site::new();
    let old = fixtures().join("rpms/centos-7.6.1810-min");
    let old = repository(&scratch, "76", &old, "2.17-260");
    let new = fixtures().join("rpms/centos-7.9.2009");
    let new = repository(&scratch, "79", &new, "2.17-317");
    let site = site_with(&old);
    site.vzpkg(&["create-cache", TEMPLATE]).ok();
    let before = packages(&site, "el-7-x86_64@1");
    let old_lock = site.vzpkg(&["lock", TEMPLATE]).ok();
    site.template(OS, &[("repositories", &new)]);

    let refused = site
        .vzpkg(&["update", TEMPLATE, "--security"])
        .fails_with(1);
    assert!(refused.contains("`updateinfo`"), "{refused}");
    let wrong = site
        .vzpkg(&["update", TEMPLATE, "--only", "bahs"])
        .fails_with(1);
    assert!(wrong.contains("did you mean bash?"), "{wrong}");
    site.vzpkg(&["update", TEMPLATE, "--only", "bash"]).ok();
    let after = packages(&site, TEMPLATE);
    let moved: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(
        moved.len() == 1 && moved[0].starts_with("bash 4.2.46-34"),
        "{moved:?}"
    );

    // And back, to what the lock of the first version says.
    let file = scratch.path("lock");
    fs::write(&file, old_lock).unwrap();
    site.template(OS, &[("repositories", &old)]);
    let file = file.to_str().unwrap();
    site.vzpkg(&["update", TEMPLATE, "--refresh", "--to-lock", file])
        .ok();
    assert_eq!(packages(&site, TEMPLATE), before);
}

/// `name version` of every package of a version.
fn packages(site: &Site, version: &str) -> Vec<String> {
    let lock = site.vzpkg(&["lock", version]).ok();
    let lines = lock
        .lines()
        .filter_map(|line| line.strip_prefix("package "));
    lines
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect()
}
