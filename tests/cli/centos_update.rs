//! On real CentOS 7 packages: an update of one package, and the way to what a lock says.

use crate::centos::{OS, TEMPLATE, repositories, site_with};
use crate::support::Site;
use std::fs;
use std::process::Command;

#[test]
#[ignore = "needs root and the real packages: make check runs it"]
fn privileged_centos_moves_only_what_is_named() {
    let scratch = Site::new();
    let (old, new) = repositories(&scratch);
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
    site.vzpkg(&["update", TEMPLATE, "--only", "tzdata"]).ok();
    let moved = packages(&site, TEMPLATE);
    assert_moved(&before, &moved, "tzdata 2020d-2");

    // There is no bash of exactly that version: the first after it is taken.
    publish_advisories(&scratch);
    let status = site.vzpkg(&["status", TEMPLATE, "--refresh", "--format", "json"]);
    assert_eq!(status.code, 10, "{status:?}");
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let security = &status["templates"][0]["security"];
    assert_eq!(security.as_array().unwrap().len(), 1, "{security}");
    assert_eq!(security[0]["package"], "bash");
    site.vzpkg(&["update", TEMPLATE, "--security"]).ok();
    assert_moved(&moved, &packages(&site, TEMPLATE), "bash 4.2.46-34");

    // And back, to what the lock of the first version says.
    let file = scratch.path("lock");
    fs::write(&file, old_lock).unwrap();
    site.template(OS, &[("repositories", &old)]);
    let file = file.to_str().unwrap();
    site.vzpkg(&["update", TEMPLATE, "--refresh", "--to-lock", file])
        .ok();
    assert_eq!(packages(&site, TEMPLATE), before);
}

/// One package has another version, this one.
fn assert_moved(before: &[String], after: &[String], wanted: &str) {
    let moved: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert!(moved[0].starts_with(wanted), "{moved:?}");
}

/// Adds advisories to the newer repository: one about security, and one that is not.
fn publish_advisories(scratch: &Site) {
    let advisory = |kind: &str, package: &str| {
        format!(
            "<update type=\"{kind}\"><id>{kind}</id><pkglist><collection><package {package} arch=\"x86_64\"/>\
             </collection></pkglist></update>"
        )
    };
    let text = format!(
        "<updates>{}{}</updates>\n",
        advisory(
            "security",
            "name=\"bash\" epoch=\"0\" version=\"4.2.46\" release=\"33.el7\""
        ),
        advisory(
            "bugfix",
            "name=\"coreutils\" version=\"8.22\" release=\"24.el7_9.2\""
        ),
    );
    let file = scratch.path("updateinfo.xml");
    fs::write(&file, text).unwrap();
    let modified = Command::new("modifyrepo_c")
        .args(["--mdtype", "updateinfo"])
        .arg(file)
        .arg(scratch.path("79/repodata"))
        .output()
        .unwrap();
    assert!(modified.status.success(), "{modified:?}");
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
