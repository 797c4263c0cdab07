//! Several mirrors of one yum repository, from the line itself, from mirror lists and metalinks.

use crate::support::{Bench, chain, pin};
use crate::yum::{hand, names, served, source};
use std::fs;
use std::path::Path;
use vzpkg_metadata::Digest;
use vzpkg_metadata::template::RepositoryLine;
use vzpkg_repo_client::Refresh;
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::tools::EPOCH;

#[test]
fn mirrors_that_fail_lie_or_lag_are_passed_over() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let mirror = |name: &str, packages: &str, date: i64| {
        let root = bench.env.path(name);
        hand(root.join("7/os"), &key, &[packages], "", date);
        let server = served(&root);
        let url = format!("{}/7/os", server.url());
        (server, url)
    };
    let (_good, good) = mirror("good", "new", EPOCH);
    let (_old, old) = mirror("old", "old", EPOCH - 1000);
    let (_unsigned, unsigned) = mirror("unsigned", "evil", EPOCH);
    let (_missing, missing) = mirror("missing", "none", EPOCH);
    fs::remove_file(bench.env.path("unsigned/7/os/repodata/repomd.xml.asc")).unwrap();
    fs::remove_file(bench.env.path("missing/7/os/repodata/repomd.xml")).unwrap();
    let urls = [missing, unsigned, good.clone()];
    let source = RepositoryLine::Yum(source(&urls));
    let repository = bench.load(&source, &[pin(&key)]).unwrap();
    assert_eq!(names(&repository), ["new"]);
    assert!(repository.base_urls[0].starts_with(&good));
    assert_eq!(repository.base_urls.len(), 3);

    // The same content from a mirror that lags behind what was seen: known by the end of the path, not by the host.
    let lagging = RepositoryLine::Yum(self::source(std::slice::from_ref(&old)));
    let error = chain(&bench.load(&lagging, &[pin(&key)]).unwrap_err());
    assert!(error.contains("was seen before"), "{error}");
    let both = RepositoryLine::Yum(self::source(&[old, good]));
    assert_eq!(names(&bench.load(&both, &[pin(&key)]).unwrap()), ["new"]);
    let messages = bench.recorder.messages.lock().unwrap().join("\n");
    assert!(messages.contains("trying the next mirror"), "{messages}");
}

#[test]
fn a_mirror_list_and_a_metalink_name_the_mirrors() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let (right, wrong) = (bench.env.path("right"), bench.env.path("wrong"));
    hand(right.clone(), &key, &["right"], "", EPOCH);
    hand(wrong.clone(), &key, &["wrong"], "", EPOCH + 1);
    let digest = Digest::of(&fs::read(right.join("repodata/repomd.xml")).unwrap());
    let (right, wrong) = (served(&right), served(&wrong));
    let lists = bench.env.path("lists");
    fs::create_dir_all(&lists).unwrap();
    fs::write(
        lists.join("plain"),
        format!("# mirrors\n{}/\n", right.url()),
    )
    .unwrap();
    let metalink = format!(
        "<?xml version=\"1.0\"?><metalink><files><file name=\"repomd.xml\"><verification>\
         <hash type=\"sha256\">{digest}</hash></verification><resources>\
         <url preference=\"100\">{}/repodata/repomd.xml</url><url preference=\"1\">{}/repodata/repomd.xml</url>\
         </resources></file></files></metalink>",
        wrong.url(),
        right.url()
    );
    fs::write(lists.join("metalink"), metalink).unwrap();
    fs::write(lists.join("empty"), "<metalink/>").unwrap();
    let load = |names: &[&str]| {
        let mut source = source(&[]);
        let list = |name: &&str| format!("file://{}/{name}", lists.display());
        source.mirror_lists = names.iter().map(list).collect();
        bench.load(&RepositoryLine::Yum(source), &[pin(&key)])
    };
    assert_eq!(names(&load(&["plain"]).unwrap()), ["right"]);
    assert_eq!(names(&load(&["metalink"]).unwrap()), ["right"]);
    assert_eq!(
        names(&load(&["absent", "empty", "plain"]).unwrap()),
        ["right"]
    );
    let error = chain(&load(&["empty"]).unwrap_err());
    assert!(error.contains("names 0 files"), "{error}");
}

/// A metalink that says what `repomd.xml` is to be.
fn metalink(digest: &Digest, url: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><metalink><files><file name=\"repomd.xml\"><verification>\
         <hash type=\"sha256\">{digest}</hash></verification><resources>\
         <url preference=\"100\">{url}/repodata/repomd.xml</url>\
         </resources></file></files></metalink>"
    )
}

#[test]
fn freeze_by_a_mirror_that_says_nothing_changed_is_noticed_by_the_metalink() {
    let mut bench = Bench::new();
    bench.options.refresh = Refresh::Always;
    let key = TestKey::new("vendor");
    let (root, newer) = (bench.env.path("repo"), bench.env.path("newer"));
    hand(root.clone(), &key, &["old"], "", EPOCH);
    hand(newer.clone(), &key, &["new"], "", EPOCH + 1);
    let digest = |root: &Path| Digest::of(&fs::read(root.join("repodata/repomd.xml")).unwrap());
    let server = served(&root);
    let list = bench.env.path("metalink");
    fs::write(&list, metalink(&digest(&root), &server.url())).unwrap();
    let mut source = source(&[]);
    source.mirror_lists = vec![format!("file://{}", list.display())];
    let line = RepositoryLine::Yum(source);
    for _ in 0..2 {
        assert_eq!(names(&bench.load(&line, &[pin(&key)]).unwrap()), ["old"]);
    }
    // The mirror stands still, and answers "not modified".
    fs::write(&list, metalink(&digest(&newer), &server.url())).unwrap();
    let error = chain(&bench.load(&line, &[pin(&key)]).unwrap_err());
    assert!(error.contains("the content has sha256"), "{error}");
    assert_eq!(server.requests().last().unwrap().status, 200);
}

#[test]
fn attack_by_blocking_the_metalink_of_unsigned_metadata_is_an_error() {
    let mut bench = Bench::new();
    bench.options.refresh = Refresh::Always;
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    hand(root.clone(), &key, &["a"], "", EPOCH);
    let digest = Digest::of(&fs::read(root.join("repodata/repomd.xml")).unwrap());
    let server = served(&root);
    let list = bench.env.path("metalink");
    let load = |unsigned: bool| {
        let mut source = source(&[]);
        source.options.unsigned_metadata = unsigned;
        source.mirror_lists = vec![format!("file://{}", list.display())];
        bench.load(&RepositoryLine::Yum(source), &[pin(&key)])
    };
    for unsigned in [false, true] {
        fs::write(&list, metalink(&digest, &server.url())).unwrap();
        load(unsigned).unwrap();
        fs::remove_file(&list).unwrap();
        // Where a signature proves what a mirror shows, those that are known from the last time will do.
        assert_eq!(load(unsigned).is_err(), unsigned);
    }
}
