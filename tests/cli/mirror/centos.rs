//! The real packages of CentOS 7 in two states and the real metadata of CentOS Stream 9, as real dnf sees them.

use super::serving::Nginx;
use super::{Server, dnf_trusting, run};
use crate::support::{Site, fixtures};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use vzpkg_tests::fixtures::real_metadata;
use vzpkg_tests::http_server::HttpServer;
use vzpkg_tests::tools::EPOCH;
use vzpkg_tests::yum_repo::YumRepo;

fn rpms(set: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixtures().join("rpms").join(set)).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let is_rpm = |path: &PathBuf| path.extension().is_some_and(|end| end == "rpm");
    files.filter(is_rpm).collect()
}

/// A repository of one set whose packages alone are signed, as CentOS 7 is.
fn publish(root: &Path, set: &str, revision: i64) {
    drop(fs::remove_dir_all(root));
    let mut repo = YumRepo::new(root);
    for file in rpms(set) {
        repo.add(&file);
    }
    repo.revision = revision;
    repo.publish_unsigned();
}

/// The release of the package of time zones, which needs nothing, that a new client has installed: signed by CentOS.
fn installed(client: &Path, url: &str) -> String {
    drop(fs::remove_dir_all(client));
    let key = fixtures().join("rpms/RPM-GPG-KEY-CentOS-7");
    let rules = ["repo_gpgcheck=0", "gpgcheck=1"];
    dnf_trusting(client, url, rules, &key, &["install", "tzdata"]);
    let root = format!("--root={}", client.join("root").display());
    assert!(
        client
            .join("root/usr/share/zoneinfo/Europe/Berlin")
            .exists()
    );
    let words = ["-q", "--qf", "%{VERSION}", "tzdata"];
    run(Command::new("rpm").arg(root).args(words))
}

#[test]
#[ignore = "needs root and the real packages: make check runs it"]
fn privileged_real_dnf_installs_from_both_states_of_centos_7() {
    let site = Site::new();
    let root = site.path("upstream");
    publish(&root, "centos-7.6.1810-min", EPOCH);
    let upstream = HttpServer::serve(&root);
    let key = fixtures().join("rpms/RPM-GPG-KEY-CentOS-7");
    let words = ["mirror", "add", "m", &upstream.url(), "--unsigned-metadata"];
    let keys = ["--legacy-signatures", "--keyring", key.to_str().unwrap()];
    site.vzpkg(&[&words[..], &keys].concat()).ok();
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    upstream.forget_requests();
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    assert_eq!(upstream.requests().len(), 1, "nothing is new");
    site.vzpkg(&["mirror", "snapshot", "m", "--as", "first"])
        .ok();
    let (own, nginx) = (Server::new(&site), Nginx::new(&site));
    let client = site.path("client");
    let see = |version: &str| {
        for server in [&own.url, &nginx.url] {
            let url = format!("{server}/m");
            assert_eq!(installed(&client, &url), version, "{url}");
        }
    };
    see("2018e");
    publish(&root, "centos-7.9.2009", EPOCH + 60);
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    see("2020d");
    for (words, version) in [
        (&["mirror", "publish", "m@first"][..], "2018e"),
        (&["mirror", "publish", "m"], "2020d"),
        (&["mirror", "rollback", "m"], "2018e"),
    ] {
        site.vzpkg(words).ok();
        see(version);
    }
}

#[test]
#[ignore = "needs root and the real packages: make check runs it"]
fn privileged_real_dnf_reads_the_metadata_of_stream_9_through_a_mirror() {
    let site = Site::new();
    let root = site.path("upstream");
    real_metadata("centos-stream-9-baseos", &root);
    let upstream = HttpServer::serve(&root);
    let words = ["mirror", "add", "m", &upstream.url(), "--trusted"];
    site.vzpkg(&[&words[..], &["--on-demand"]].concat()).ok();
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    let (own, nginx) = (Server::new(&site), Nginx::new(&site));
    let query = [
        "repoquery",
        "--quiet",
        "--queryformat",
        "%{location}",
        "bash",
    ];
    let ask = |url: &str| {
        let client = site.path("client");
        drop(fs::remove_dir_all(&client));
        let key = fixtures().join("rpms/RPM-GPG-KEY-CentOS-7");
        dnf_trusting(
            &client,
            url,
            ["repo_gpgcheck=0", "gpgcheck=0"],
            &key,
            &query,
        )
    };
    let of_upstream = ask(&upstream.url());
    assert!(of_upstream.contains("Packages/bash-5"), "{of_upstream}");
    for server in [&own.url, &nginx.url] {
        assert_eq!(ask(&format!("{server}/m")), of_upstream);
    }
}
