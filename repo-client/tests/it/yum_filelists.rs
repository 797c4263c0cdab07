//! The list of all files of a yum repository, fetched only where somebody asks for it.

use crate::support::{Bench, pin};
use crate::yum::{hand, line, names, served};
use std::fs;
use vzpkg_metadata::Digest;
use vzpkg_repo_client::Repository;
use vzpkg_tests::apt_repo::compress;
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::tools::EPOCH;

#[test]
fn filelists_are_fetched_only_for_paths_that_primary_does_not_list() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let requires =
        |path: &str| format!("<rpm:requires><rpm:entry name=\"{path}\"/></rpm:requires>");
    let owner = Digest::of(b"a");
    let lists = format!(
        "<filelists packages=\"1\"><package pkgid=\"{owner}\" name=\"a\" arch=\"x86_64\"><version ver=\"1\"/>\
         <file>/usr/share/a</file><file>/usr/share/b</file></package></filelists>"
    );
    let make = |name: &str, extra: &str| {
        let root = bench.env.path(name);
        let hand = hand(root.clone(), &key, &["a"], extra, EPOCH);
        let packed = compress(lists.as_bytes(), "gz");
        hand.file("filelists", "filelists.xml.gz", &packed, lists.len())
            .publish(&key);
        served(&root)
    };
    // `/usr/bin` is listed by every primary: what is not there is not in filelists either.
    let without = make("without", &requires("/usr/bin/none"));
    bench.load(&line(&without.url()), &[pin(&key)]).unwrap();
    assert_eq!(without.requests_of("/repodata/filelists.xml.gz"), []);

    let with = make("with", &requires("/usr/share/a"));
    let line = line(&with.url());
    let owners =
        |repository: &Repository, path: &str| repository.index.as_index().providers(path).count();
    let repository = bench.load(&line, &[pin(&key)]).unwrap();
    assert_eq!(owners(&repository, "/usr/share/a"), 1);
    assert_eq!(owners(&repository, "/usr/share/b"), 0);
    assert_eq!(with.requests_of("/repodata/filelists.xml.gz").len(), 1);

    // A user may name a path too; the copy that is here answers.
    let lines = [(line.clone(), vec![pin(&key)])];
    let arch = crate::support::arch();
    let mut repositories = [repository];
    let paths = ["/usr/share/b".to_owned()].into();
    with.forget_requests();
    bench
        .client()
        .load_paths(&lines, &arch, &mut repositories, &paths)
        .unwrap();
    assert_eq!(owners(&repositories[0], "/usr/share/b"), 1);
    let again = bench.load(&line, &[pin(&key)]).unwrap();
    assert_eq!(
        (
            owners(&again, "/usr/share/a"),
            owners(&again, "/usr/share/b")
        ),
        (1, 1)
    );
    let asked: Vec<String> = with
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(asked, ["/repodata/repomd.xml"]);
}

#[test]
fn filelists_that_cannot_be_had_stop_nobody() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    let extra = "<rpm:requires><rpm:entry name=\"/usr/share/a\"/></rpm:requires>";
    let hand = hand(root.clone(), &key, &["a"], extra, EPOCH);
    hand.file("filelists", "filelists.xml.gz", b"x", 10)
        .publish(&key);
    fs::remove_file(root.join("repodata/filelists.xml.gz")).unwrap();
    let url = format!("file://{}", root.display());
    let repository = bench.load(&line(&url), &[pin(&key)]).unwrap();
    assert_eq!(names(&repository), ["a"]);
    let messages = bench.recorder.messages.lock().unwrap().join("\n");
    assert!(messages.contains("stay unknown"), "{messages}");
    // What is there but is not what was signed is another matter.
    fs::write(root.join("repodata/filelists.xml.gz"), b"x").unwrap();
    assert!(bench.load(&line(&url), &[pin(&key)]).is_err());
}
