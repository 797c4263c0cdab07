//! The security advisories of a yum repository: kept beside the index, and never the reason why a repository is not loaded.

use crate::support::{Bench, pin};
use crate::yum::{Hand, hand, line, names};
use std::fs;
use std::path::PathBuf;
use vzpkg_repo_client::report::Loaded;
use vzpkg_repo_client::{Advisories, Repository, Security};
use vzpkg_tests::apt_repo::compress;
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::tools::EPOCH;

const UPDATEINFO: &str = "<updates><update type=\"security\"><pkglist><collection>\
    <package name=\"a\" version=\"2\" release=\"1\" epoch=\"1\" arch=\"x86_64\"/></collection></pkglist></update></updates>";

/// A repository of one package with these advisories, as a URL.
fn repository(bench: &Bench, key: &TestKey, name: &str, updateinfo: &[u8]) -> String {
    let root = bench.env.path(name);
    let made = hand(root.clone(), key, &["a"], "", EPOCH);
    with_advisories(made, updateinfo).publish(key);
    format!("file://{}", root.display())
}

fn with_advisories(hand: Hand, updateinfo: &[u8]) -> Hand {
    let packed = compress(updateinfo, "xz");
    hand.file("updateinfo", "updateinfo.xml.xz", &packed, updateinfo.len())
}

/// Where the advisories of a repository are.
fn advisories(repository: &Repository) -> Option<PathBuf> {
    match &repository.security {
        Security::Advisories(path) => Some(path.clone()),
        Security::Unknown | Security::All => None,
    }
}

#[test]
fn advisories_are_kept_and_made_again_where_they_are_lost() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let url = repository(&bench, &key, "repo", UPDATEINFO.as_bytes());
    for loaded in [Loaded::Updated, Loaded::Unchanged, Loaded::Updated] {
        let repository = bench.load(&line(&url), &[pin(&key)]).unwrap();
        let path = advisories(&repository).unwrap();
        let found = Advisories::read(&path).unwrap();
        assert_eq!(found.newest("a", "x86_64", "1-1"), Some("1:2-1"));
        assert_eq!(bench.recorder.loaded.lock().unwrap().pop(), Some(loaded));
        if loaded == Loaded::Unchanged {
            fs::remove_file(path).unwrap();
        }
    }
    assert!(bench.recorder.messages.lock().unwrap().is_empty());
}

#[test]
fn without_usable_advisories_the_packages_are_there_all_the_same() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let cut = &UPDATEINFO[..UPDATEINFO.len() / 2];
    for (name, updateinfo) in [
        ("cut", cut),
        ("other", "<metadata/>"),
        ("empty", ""),
        ("doctype", "<!DOCTYPE x><updates/>"),
    ] {
        let url = repository(&bench, &key, name, updateinfo.as_bytes());
        let repository = bench.load(&line(&url), &[pin(&key)]).unwrap();
        assert_eq!(names(&repository), ["a"], "{name}");
        assert_eq!(repository.security, Security::Unknown, "{name}");
        let said = bench.recorder.messages.lock().unwrap().pop().unwrap();
        assert!(
            said.contains("security advisories cannot be used"),
            "{said}"
        );
    }
    // What is not there at all, although it is named.
    let url = repository(&bench, &key, "gone", UPDATEINFO.as_bytes());
    fs::remove_file(bench.env.path("gone/repodata/updateinfo.xml.xz")).unwrap();
    let repository = bench.load(&line(&url), &[pin(&key)]).unwrap();
    assert_eq!(repository.security, Security::Unknown);
}
