//! Scenarios on real CentOS 7 packages: the 7.6 set, the update to 7.9, and back. `glibc-common` is a stand-in
//! (SOURCES.md of the fixtures).

use crate::support::{Site, fixtures};
use std::fs;
use std::path::Path;
use std::process::Command;
use vzpkg_tests::http_server::HttpServer;
use vzpkg_tests::keys::TestKey;

pub(crate) const TEMPLATE: &str = "el-7-x86_64";
pub(crate) const OS: &str = "el/7/x86_64/config/os/default";

/// Copies packages into a folder and indexes it, as `createrepo_c` of a mirror does.
pub(crate) fn repository(site: &Site, name: &str, packages: &Path, stand_in: &str) -> String {
    let directory = site.path(name);
    fs::create_dir(&directory).unwrap();
    for folder in [packages, &fixtures().join("rpms/stand-ins")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            let other = file.starts_with("glibc-common-")
                && folder.ends_with("stand-ins")
                && !file.contains(stand_in);
            if path.extension().is_some_and(|extension| extension == "rpm") && !other {
                fs::copy(&path, directory.join(file)).unwrap();
            }
        }
    }
    let made = Command::new("createrepo_c")
        .arg("--quiet")
        .arg(&directory)
        .status()
        .unwrap();
    assert!(made.success());
    format!("[trusted=yes] file://{}\n", directory.display())
}

/// The packages of 7.6 and of 7.9, as repository lines.
pub(crate) fn repositories(site: &Site) -> (String, String) {
    let packages = |name: &str| fixtures().join("rpms").join(name);
    let old = repository(site, "76", &packages("centos-7.6.1810-min"), "2.17-260");
    let new = repository(site, "79", &packages("centos-7.9.2009"), "2.17-317");
    (old, new)
}

pub(crate) fn site_with(repositories: &str) -> Site {
    let site = Site::new();
    site.template(
        OS,
        &[
            ("package_manager", "rpm49db5x64\n"),
            ("distribution", "centos\n"),
            ("packages", "bash rpm coreutils centos-release\n"),
            ("repositories", repositories),
        ],
    );
    site
}

fn inside(site: &Site, line: &str) -> String {
    site.vzpkg(&["ct", "exec", "c", "--", "sh", "-c", line])
        .ok()
}

/// `rpm -Va`, without what a running container mounts over and without what rpm expects to differ (ghosts).
fn verify(site: &Site) -> Vec<String> {
    let text = inside(site, "rpm -Va || true");
    let expected = |line: &&str| {
        !["/proc", "/sys", "/tmp", "/dev", "/run"]
            .iter()
            .any(|path| line.ends_with(&format!(" {path}")))
    };
    text.lines()
        .filter(expected)
        .filter(|line| !line.contains("  g "))
        .map(str::to_owned)
        .collect()
}

#[test]
#[ignore = "needs root and the real packages: make check runs it"]
fn privileged_centos_goes_from_7_6_to_7_9_and_back() {
    let scratch = Site::new();
    let (old, new) = repositories(&scratch);
    let site = site_with(&old);
    site.vzpkg(&["create-cache", TEMPLATE]).ok();
    site.vzpkg(&["ct", "create", "c", "--template", TEMPLATE, "--start"])
        .ok();
    assert_eq!(verify(&site), Vec::<String>::new(), "rpm -Va");
    assert!(inside(&site, "cat /etc/redhat-release").contains("7.6"));
    assert_eq!(
        inside(&site, "rpm -qa --qf '%{NAME}\\n' | sort -u | wc -l"),
        "65\n"
    );
    inside(&site, "echo mine >/etc/motd");

    site.template(OS, &[("repositories", &new)]);
    site.vzpkg(&["update", TEMPLATE]).ok();
    site.vzpkg(&["ct", "stop", "c"]).ok();
    site.vzpkg(&["ct", "relink", "c"]).ok();
    site.vzpkg(&["ct", "start", "c"]).ok();
    assert!(inside(&site, "rpm -q glibc").contains("2.17-317"));
    assert_eq!(inside(&site, "cat /etc/motd"), "mine\n");
    let unexpected: Vec<String> = verify(&site)
        .into_iter()
        .filter(|line| !line.ends_with("/etc/motd"))
        .collect();
    assert_eq!(unexpected, Vec::<String>::new(), "rpm -Va after the update");

    site.vzpkg(&["ct", "stop", "c"]).ok();
    site.vzpkg(&["rollback", "c"]).ok();
    site.vzpkg(&["ct", "start", "c"]).ok();
    assert!(inside(&site, "rpm -q glibc").contains("2.17-260"));
    assert_eq!(inside(&site, "cat /etc/motd"), "mine\n");
}

#[test]
#[ignore = "needs root and the real packages: make check runs it"]
fn privileged_centos_has_the_packages_that_dnf_installs() {
    let scratch = Site::new();
    let old = repository(
        &scratch,
        "76",
        &fixtures().join("rpms/centos-7.6.1810-min"),
        "2.17-260",
    );
    let site = site_with(&old);
    site.vzpkg(&["create-cache", TEMPLATE]).ok();
    let lock = site.vzpkg(&["lock", TEMPLATE]).ok();
    let mut ours: Vec<String> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("package "))
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join("-"))
        .collect();
    ours.sort();
    let root = scratch.path("dnf");
    let dnf = Command::new("dnf")
        .args([
            "-q",
            "-y",
            "--nogpgcheck",
            "--releasever=7",
            "--setopt=reposdir=/nonexistent",
        ])
        .arg(format!("--installroot={}", root.display()))
        .arg(format!(
            "--setopt=cachedir={}",
            scratch.path("cache").display()
        ))
        .arg(format!(
            "--repofrompath=old,{}",
            old.trim().trim_start_matches("[trusted=yes] ")
        ))
        .args(["install", "bash", "rpm", "coreutils", "centos-release"])
        .output()
        .unwrap();
    assert!(
        dnf.status.success(),
        "{}",
        String::from_utf8_lossy(&dnf.stderr)
    );
    // Debian's rpm keeps the database of a root in the caller's home directory below it.
    let database = [".rpmdb", "root/.rpmdb", "var/lib/rpm"]
        .iter()
        .map(|path| root.join(path))
        .find(|path| path.is_dir())
        .unwrap();
    let query = Command::new("rpm")
        .arg("--dbpath")
        .arg(&database)
        .args([
            "-qa",
            "--qf",
            "%{NAME}-%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n",
        ])
        .output()
        .unwrap();
    let mut theirs: Vec<String> = String::from_utf8_lossy(&query.stdout)
        .lines()
        .map(|line| line.replace("-0:", "-"))
        .collect();
    theirs.sort();
    assert_eq!(ours, theirs);
}

#[test]
#[ignore = "needs root and the real packages: make check runs it"]
fn privileged_centos_is_the_same_from_disk_and_signed_over_http() {
    let scratch = Site::new();
    let set = fixtures().join("rpms/centos-7.6.1810-min");
    let trusted = repository(&scratch, "76", &set, "2.17-260");
    let directory = scratch.path("76");
    let key = TestKey::new("centos");
    let repomd = fs::read(directory.join("repodata/repomd.xml")).unwrap();
    let signature = directory.join("repodata/repomd.xml.asc");
    fs::write(signature, key.sign_detached(&repomd)).unwrap();
    let digest = |site: &Site| {
        site.vzpkg(&["create-cache", TEMPLATE]).ok();
        let text = site.vzpkg(&["lock", TEMPLATE, "--format", "json"]).ok();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        document["digest"].clone()
    };
    let from_disk = digest(&site_with(&trusted));

    let upstream = HttpServer::serve(&directory);
    let site = site_with(&format!("{}\n", upstream.url()));
    let unknown = site.vzpkg(&["create-cache", TEMPLATE]).fails_with(4);
    assert!(unknown.contains("key"), "{unknown}");
    let keys = format!("{} key.asc\n", key.fingerprint());
    let armored = key.armored();
    let public = std::str::from_utf8(&armored).unwrap();
    site.template(OS, &[("keys", &keys), ("key.asc", public)]);
    assert_eq!(digest(&site), from_disk);
}

#[test]
#[ignore = "needs root and the real packages: make check runs it"]
fn privileged_a_lock_of_an_update_is_replayed_on_another_node() {
    let scratch = Site::new();
    let old = repository(
        &scratch,
        "76",
        &fixtures().join("rpms/centos-7.6.1810-min"),
        "2.17-260",
    );
    let new = repository(
        &scratch,
        "79",
        &fixtures().join("rpms/centos-7.9.2009"),
        "2.17-317",
    );
    let site = site_with(&old);
    site.vzpkg(&["create-cache", TEMPLATE]).ok();
    site.template(OS, &[("repositories", &new)]);
    site.vzpkg(&["update", TEMPLATE]).ok();
    let lock = site.vzpkg(&["lock", TEMPLATE]).ok();
    assert!(lock.contains("\nlink sha256:"), "{lock}");
    let file = scratch.path("lock");
    fs::write(&file, &lock).unwrap();
    let create = ["create-cache", TEMPLATE, "--lock", file.to_str().unwrap()];
    let digest = |site: &Site| {
        let text = site.vzpkg(&["lock", TEMPLATE, "--format", "json"]).ok();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        document["digest"].as_str().unwrap().to_owned()
    };

    // A node that knows the new packages only is told what it lacks, and what comes near.
    let other = site_with(&new);
    let refused = other.vzpkg(&create).fails_with(1);
    let near = "glibc 2.17-260.el7 (the nearest is 2.17-317.el7)";
    assert!(refused.contains(near), "{refused}");
    // The same packages from other mirrors, in another order.
    other.template(OS, &[("repositories", &format!("{new}{old}"))]);
    other.vzpkg(&create).ok();
    assert_eq!(digest(&other), digest(&site));
    assert_eq!(other.vzpkg(&["lock", TEMPLATE]).ok(), lock);
}

#[test]
#[ignore = "needs root and the real packages: make check runs it"]
fn privileged_packages_that_another_template_brought_are_no_way_around_a_signature() {
    let scratch = Site::new();
    let packages = fixtures().join("rpms/centos-7.6.1810-min");
    let line = repository(&scratch, "76", &packages, "2.17-260");
    let site = site_with(&line);
    site.vzpkg(&["create-cache", TEMPLATE]).ok();
    // The same packages, which this template takes from its own vendor only.
    let vendor = TestKey::new("vendor");
    site.template(
        "other/7/x86_64/config/os/default",
        &[
            ("package_manager", "rpm49db5x64\n"),
            ("distribution", "centos\n"),
            ("packages", "bash rpm coreutils centos-release\n"),
            (
                "repositories",
                &line.replace("trusted=yes", "metadata=unsigned"),
            ),
            ("keys", &format!("{} vendor.asc\n", vendor.fingerprint())),
            ("vendor.asc", &String::from_utf8(vendor.armored()).unwrap()),
        ],
    );
    let error = site
        .vzpkg(&["create-cache", "other-7-x86_64"])
        .fails_with(4);
    assert!(error.contains("cannot be used"), "{error}");
    let list = site.vzpkg(&["list", "--cached"]).ok();
    assert!(
        list.contains(TEMPLATE) && !list.contains("other-7"),
        "{list}"
    );
}
