//! Updates on the real Debian repositories of this host, held against what apt makes of the same tree.

use crate::debian::Debian;
use crate::peers;
use crate::support::Site;
use std::path::{Path, PathBuf};
use vzpkg_tests::tree_assert::assert_same_trees;

const TEMPLATE: &str = "debian-12-x86_64-minimal";

/// Which packages security has newer than the release.
fn outdated(site: &Site) -> Vec<String> {
    let status = site.vzpkg(&["status", TEMPLATE, "--refresh", "--format", "json"]);
    assert_eq!(status.code, 10, "{status:?}");
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let packages = status["templates"][0]["security"].as_array().unwrap();
    let name = |package: &serde_json::Value| package["package"].as_str().unwrap().to_owned();
    packages.iter().map(name).collect()
}

fn exported(site: &Site, version: &str) -> PathBuf {
    let place = site.path(version);
    site.vzpkg(&["export", version, place.to_str().unwrap()])
        .ok();
    place
}

fn assert_equal_but_for(section: &str, ours: &Path, theirs: &Path) {
    let accepted = peers::accepted_differences(section);
    assert_same_trees(ours, theirs, &|path| {
        accepted.iter().any(|pattern| pattern.matches(path))
    });
}

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_three_updates_in_a_row_equal_one_of_apt_and_a_rebuild() {
    let debian = Debian::release("12", "bookworm");
    let site = &debian.site;
    site.vzpkg(&["create-cache", TEMPLATE]).ok();
    debian.with_updates();
    let outdated = outdated(site);
    assert!(outdated.len() >= 3, "not enough to do: {outdated:?}");
    for part in outdated.chunks(outdated.len().div_ceil(3)).take(2) {
        let packages: Vec<&str> = part.iter().map(String::as_str).collect();
        let update = ["update", TEMPLATE, "--only"];
        site.vzpkg(&[&update[..], &packages].concat()).ok();
    }
    site.vzpkg(&["update", TEMPLATE]).ok();
    let number = |back: usize| {
        let history = site.vzpkg(&["history", TEMPLATE, "--format", "json"]).ok();
        let history: serde_json::Value = serde_json::from_str(&history).unwrap();
        history["versions"][back]["number"].as_u64().unwrap()
    };
    let head = number(0);
    assert!(head >= 3, "more than one update: {head}");

    let updated = exported(site, &format!("{TEMPLATE}@{head}"));
    let upgraded = exported(site, &format!("{TEMPLATE}@1"));
    peers::dist_upgrade(site, &upgraded, "bookworm");
    assert_equal_but_for("Debian, updated by apt", &updated, &upgraded);

    site.vzpkg(&["update", TEMPLATE, "--rebuild"]).ok();
    let rebuilt = exported(site, &format!("{TEMPLATE}@{}", number(0)));
    assert_equal_but_for("Debian, updated or rebuilt", &updated, &rebuilt);
}
