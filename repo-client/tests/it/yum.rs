//! Loading a yum repository: trust, mirrors, freshness, bounds.

use crate::support::{Bench, chain, pin};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use vzpkg_metadata::Digest;
use vzpkg_metadata::template::{RepositoryLine, RepositoryOptions, YumSource};
use vzpkg_repo_client::report::Loaded;
use vzpkg_repo_client::verify::Policy;
use vzpkg_repo_client::{PackageKeys, Repository, Wanted};
use vzpkg_tests::apt_repo::compress;
use vzpkg_tests::http_server::HttpServer;
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::rpm_writer::Rpm;
use vzpkg_tests::tools::EPOCH;
use vzpkg_tests::yum_repo::YumRepo;

pub(crate) fn source(urls: &[String]) -> YumSource {
    YumSource {
        id: "base0".parse().unwrap(),
        base_urls: urls.to_vec(),
        mirror_lists: Vec::new(),
        trusted: false,
        options: RepositoryOptions::default(),
    }
}

pub(crate) fn line(url: &str) -> RepositoryLine {
    RepositoryLine::Yum(source(&[url.to_owned()]))
}

/// A `primary.xml` of packages by name, without any package file.
pub(crate) fn primary(names: &[&str], extra: &str) -> String {
    let mut text = format!("<metadata packages=\"{}\">", names.len());
    for name in names {
        let digest = Digest::of(name.as_bytes());
        write!(
            text,
            "<package type=\"rpm\"><name>{name}</name><arch>x86_64</arch><version epoch=\"0\" ver=\"1\" rel=\"1\"/>\
             <checksum type=\"sha256\">{digest}</checksum><summary>s</summary>\
             <size package=\"1\" installed=\"1\"/><location href=\"Packages/{name}.rpm\"/>\
             <format>{extra}</format></package>"
        )
        .unwrap();
    }
    text + "</metadata>"
}

/// Metadata written by hand, to say what `createrepo_c` would not.
pub(crate) struct Hand {
    pub(crate) root: PathBuf,
    pub(crate) data: String,
    date: i64,
}

impl Hand {
    pub(crate) fn new(root: PathBuf) -> Self {
        fs::create_dir_all(root.join("repodata")).unwrap();
        let (data, date) = (String::new(), EPOCH);
        Self { root, data, date }
    }

    /// Adds a file and its entry; `open_size` is what the entry claims.
    pub(crate) fn file(mut self, kind: &str, name: &str, bytes: &[u8], open_size: usize) -> Self {
        fs::write(self.root.join("repodata").join(name), bytes).unwrap();
        let (digest, size) = (Digest::of(bytes), bytes.len());
        self.entry(kind, &format!("repodata/{name}"), &digest, size, open_size);
        self
    }

    pub(crate) fn entry(
        &mut self,
        kind: &str,
        at: &str,
        digest: &Digest,
        size: usize,
        open_size: usize,
    ) {
        let date = self.date;
        write!(
            self.data,
            "<data type=\"{kind}\"><checksum type=\"sha256\">{digest}</checksum><location href=\"{at}\"/>\
             <timestamp>{date}</timestamp><size>{size}</size><open-size>{open_size}</open-size></data>"
        )
        .unwrap();
    }

    /// Writes `repomd.xml` and signs it.
    pub(crate) fn publish(&self, key: &TestKey) {
        let repomd = format!("<repomd><revision>1</revision>{}</repomd>", self.data);
        let path = self.root.join("repodata/repomd.xml");
        let signature = key.sign_detached(repomd.as_bytes());
        fs::write(&path, repomd).unwrap();
        fs::write(path.with_extension("xml.asc"), signature).unwrap();
    }
}

/// A repository with one list of packages, compressed as the name says.
pub(crate) fn hand(root: PathBuf, key: &TestKey, names: &[&str], extra: &str, date: i64) -> Hand {
    let text = primary(names, extra);
    let packed = compress(text.as_bytes(), "gz");
    let mut hand = Hand::new(root);
    hand.date = date;
    let hand = hand.file("primary", "primary.xml.gz", &packed, text.len());
    hand.publish(key);
    hand
}

pub(crate) fn names(repository: &Repository) -> Vec<String> {
    let index = repository.index.as_index();
    index
        .packages()
        .map(|package| package.name().to_owned())
        .collect()
}

pub(crate) fn wanted(repository: &Repository, name: &str) -> Wanted {
    let index = repository.index.as_index();
    let package = index.by_name(name).next().unwrap();
    Wanted {
        package: package.to_package_ref(&repository.id).unwrap(),
        family: vzpkg_metadata::Family::Rpm,
        base_urls: repository.base_urls.clone(),
        package_keys: repository.package_keys.clone(),
    }
}

pub(crate) fn served(path: &Path) -> HttpServer {
    HttpServer::serve(path)
}

#[test]
fn a_signed_repository_is_loaded_and_its_packages_are_fetched() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    for compression in ["gz", "xz"] {
        let mut repo = YumRepo::new(bench.env.path(&format!("repo-{compression}")));
        repo.compression = compression;
        let rpm = Rpm::new("hello", "1.0", "1").file("/usr/bin/hello", 0o755, b"#!/bin/sh\n");
        repo.add(&rpm.build(&bench.env.path("rpms")));
        repo.publish(&key);
        let server = served(repo.root());
        let repository = bench.load(&line(&server.url()), &[pin(&key)]).unwrap();
        assert_eq!(names(&repository), ["hello"]);
        assert_eq!(repository.date, EPOCH);
        let paths = bench
            .client()
            .fetch(&[wanted(&repository, "hello")])
            .unwrap();
        assert_eq!(paths[0].extension().unwrap(), "rpm");
        assert_eq!(server.requests_of("/repodata/repomd.xml.asc").len(), 1);
    }
}

#[test]
fn a_package_that_is_here_is_judged_by_the_keys_that_are_asked_for_now() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let mut repo = YumRepo::new(bench.env.path("repo"));
    let rpm = Rpm::new("hello", "1.0", "1").file("/usr/bin/hello", 0o755, b"#!/bin/sh\n");
    repo.add(&rpm.build(&bench.env.path("rpms")));
    repo.publish(&key);
    let server = served(repo.root());
    let repository = bench.load(&line(&server.url()), &[pin(&key)]).unwrap();
    let mut wanted = [wanted(&repository, "hello")];
    bench.client().fetch(&wanted).unwrap();
    server.forget_requests();
    // The signed index was enough; now the package must prove itself, and cannot.
    let keyring = bench.client().keyring(&[pin(&key)], Policy::Standard);
    wanted[0].package_keys = Some(PackageKeys::new(keyring, Policy::Standard));
    let (arrived, arrivals) = std::sync::mpsc::channel();
    let error = bench.client().fetch_each(&wanted, &arrived).unwrap_err();
    assert!(
        chain(&error).contains("the package is not signed"),
        "{}",
        chain(&error)
    );
    drop(arrived);
    assert_eq!(arrivals.iter().count(), 0);
    assert_eq!(server.requests(), []);
}

#[test]
fn metadata_that_was_accepted_under_the_legacy_policy_does_not_count_under_the_standard_one() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    hand(root.clone(), &key, &["a"], "", EPOCH);
    let server = served(&root);
    let mut legacy = source(&[server.url()]);
    legacy.options.legacy_signatures = true;
    bench
        .load(&RepositoryLine::Yum(legacy), &[pin(&key)])
        .unwrap();
    server.forget_requests();
    bench.load(&line(&server.url()), &[pin(&key)]).unwrap();
    assert_eq!(server.requests_of("/repodata/repomd.xml.asc").len(), 1);
}

#[test]
fn every_compression_of_primary_is_read() {
    let text = primary(&["a", "b"], "");
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(text.as_bytes()).unwrap();
    let bzip2 = bzip2.finish().unwrap();
    for (extension, bytes) in [
        ("", text.clone().into_bytes()),
        (".gz", compress(text.as_bytes(), "gz")),
        (".xz", compress(text.as_bytes(), "xz")),
        (".zst", compress(text.as_bytes(), "zst")),
        (".bz2", bzip2),
    ] {
        let bench = Bench::new();
        let key = TestKey::new("vendor");
        let root = bench.env.path("repo");
        let name = format!("primary.xml{extension}");
        let hand = Hand::new(root.clone()).file("primary", &name, &bytes, text.len());
        hand.publish(&key);
        let url = format!("file://{}", root.display());
        let repository = bench.load(&line(&url), &[pin(&key)]).unwrap();
        assert_eq!(names(&repository), ["a", "b"], "{extension}");
    }
}

#[test]
fn a_second_load_parses_nothing() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    hand(root.clone(), &key, &["a"], "", EPOCH);
    let server = served(&root);
    let line = line(&server.url());
    bench.load(&line, &[pin(&key)]).unwrap();
    server.forget_requests();
    bench.load(&line, &[pin(&key)]).unwrap();
    let asked: Vec<String> = server
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(asked, ["/repodata/repomd.xml"]);
    assert_eq!(
        *bench.recorder.loaded.lock().unwrap(),
        [Loaded::Updated, Loaded::Unchanged]
    );
    let mut offline = Bench::new();
    offline
        .options
        .index_dir
        .clone_from(&bench.options.index_dir);
    offline.options.offline = true;
    server.forget_requests();
    assert_eq!(names(&offline.load(&line, &[pin(&key)]).unwrap()), ["a"]);
    assert_eq!(server.requests(), []);
}

#[test]
fn a_package_with_a_base_of_its_own_is_fetched_from_there() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let other = bench.env.path("other");
    fs::create_dir_all(other.join("Packages")).unwrap();
    fs::write(other.join("Packages/a.rpm"), b"a").unwrap();
    let text = primary(&["a"], "").replace(
        "<location ",
        &format!("<location xml:base=\"file://{}\" ", other.display()),
    );
    let root = bench.env.path("repo");
    Hand::new(root.clone())
        .file("primary", "p.xml", text.as_bytes(), text.len())
        .publish(&key);
    let repository = bench
        .load(&line(&format!("file://{}", root.display())), &[pin(&key)])
        .unwrap();
    let paths = bench.client().fetch(&[wanted(&repository, "a")]).unwrap();
    assert_eq!(fs::read(&paths[0]).unwrap(), b"a");
}
