//! Mirrors of apt repositories: what is published is complete and signed, or it is what was published before.

use crate::apt::Archive;
use crate::support::{Bench, chain, fingerprint, line, pin};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use vzpkg_metadata::{ByteSize, Digest, MirrorName};
use vzpkg_repo_client::mirror::{
    AptUpstream, MirrorConfig, MirrorError, Mirrors, Part, Pin, Repair, Synced, Trust, Upstream,
};
use vzpkg_repo_client::{Client, FetchReporter, verify};
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::http_server::{Fault, HttpServer, Times};
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::tools::EPOCH;

/// A node with one mirror, and the archive it is a mirror of.
pub(crate) struct Node {
    pub(crate) bench: Bench,
    pub(crate) archive: Archive,
}

impl Node {
    pub(crate) fn new() -> Self {
        let bench = Bench::new();
        let archive = Archive::new(&bench);
        let node = Self { bench, archive };
        let config = config(&[node.archive.server.url()], &node.archive.key);
        node.add(&config, &node.archive.key).unwrap();
        node
    }

    pub(crate) fn add(&self, config: &MirrorConfig, key: &TestKey) -> Result<(), MirrorError> {
        let keys = [("key.asc".to_owned(), key.armored())];
        self.mirrors().add(&name(), config, &keys)
    }

    pub(crate) fn mirrors(&self) -> Mirrors {
        self.bench.client().mirrors(self.bench.env.path("mirror"))
    }

    pub(crate) fn sync(&self) -> Result<Synced, MirrorError> {
        sync(&self.mirrors())
    }

    pub(crate) fn published(&self) -> PathBuf {
        self.bench.env.path("mirror/m/published")
    }

    /// Bytes of the package that has come in part furthest.
    pub(crate) fn partial(&self) -> u64 {
        let files = self.bench.packages().into_iter();
        let parts = files.filter(|path| path.extension().is_some_and(|end| end == "part"));
        let sizes = parts.map(|path| fs::metadata(path).unwrap().len());
        sizes.max().unwrap_or(0)
    }

    /// What a client that knows nothing of this node finds in the published directory.
    pub(crate) fn seen(&self) -> Vec<(String, String)> {
        let client = Bench::new();
        let url = format!("file://{}", self.published().display());
        let repository = client.load(&line(&url), &[pin(&self.archive.key)]).unwrap();
        let index = repository.index.as_index();
        let wanted: Vec<_> = ["hello", "tool"]
            .iter()
            .filter(|name| index.by_name(name).next().is_some())
            .map(|name| client.package(&repository, name))
            .collect();
        for (path, wanted) in client.client().fetch(&wanted).unwrap().iter().zip(&wanted) {
            verify::verify_file(path, &wanted.package.sha256, wanted.package.size.0).unwrap();
        }
        let seen = wanted.into_iter().map(|wanted| wanted.package);
        seen.map(|package| (package.name.to_string(), package.version))
            .collect()
    }

    /// Puts `hello` 2.0 in the place of everything and publishes it upstream.
    pub(crate) fn move_upstream(&mut self) {
        self.move_upstream_to("2.0", 1800);
    }

    /// As [`Node::move_upstream`], with another version, so many seconds after the first.
    pub(crate) fn move_upstream_to(&mut self, version: &str, seconds: i64) {
        let debs = self.bench.env.path("debs");
        move_upstream(&mut self.archive, &debs, version, seconds);
    }
}

fn move_upstream(archive: &mut Archive, directory: &Path, version: &str, seconds: i64) {
    let deb = Deb::new("hello", version)
        .file("usr/share/hello", 0o644, version.as_bytes())
        .build(directory);
    let mut suite = archive.repo.suite("stable");
    suite.clear();
    suite.add("main", &deb);
    suite.date = EPOCH + seconds;
    let pool = archive.repo.root().join("pool/main");
    for entry in fs::read_dir(pool).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name() != deb.file_name() {
            fs::remove_file(path).unwrap();
        }
    }
    archive.repo.publish(&archive.key);
}

fn sync(mirrors: &Mirrors) -> Result<Synced, MirrorError> {
    let mut results = Vec::new();
    mirrors.sync(&[name()], &mut |_, result| results.push(result));
    assert_eq!(results.len(), 1);
    results.pop().unwrap()
}

pub(crate) fn name() -> MirrorName {
    "m".parse().unwrap()
}

pub(crate) fn config(urls: &[String], key: &TestKey) -> MirrorConfig {
    MirrorConfig::new(vec![part(urls, key, &["en"])]).unwrap()
}

/// All of the archive at these addresses, with translations into these languages.
pub(crate) fn part(urls: &[String], key: &TestKey, languages: &[&str]) -> Part {
    let upstream = Upstream::Apt(AptUpstream {
        urls: urls.to_vec(),
        suites: vec!["stable".into()],
        components: vec!["main".into()],
        architectures: vec!["amd64".parse().unwrap()],
        languages: languages.iter().map(ToString::to_string).collect(),
        contents: false,
        catalogs: false,
        sources: false,
    });
    let keys = vec![Pin {
        fingerprint: fingerprint(key),
        places: vec!["key.asc".into()],
    }];
    Part {
        directory: String::new(),
        upstream,
        keys,
        trust: Trust::default(),
    }
}

pub(crate) fn version(name: &str, version: &str) -> (String, String) {
    (name.to_owned(), version.to_owned())
}

#[test]
fn a_sync_publishes_what_upstream_signed_and_the_next_asks_one_question() {
    let node = Node::new();
    let synced = node.sync().unwrap();
    assert!(synced.changed && synced.published);
    assert_eq!((synced.state.packages, synced.fetched.files), (2, 2));
    assert_eq!(
        node.seen(),
        [version("hello", "1.0"), version("tool", "2.0-1")]
    );
    let upstream = fs::read(node.archive.repo.root().join("dists/stable/InRelease")).unwrap();
    let ours = fs::read(node.published().join("dists/stable/InRelease")).unwrap();
    assert_eq!(upstream, ours);
    node.archive.server.forget_requests();
    let again = node.sync().unwrap();
    assert!(!again.changed && again.published);
    assert_eq!(again.state, synced.state);
    let requests = node.archive.server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].status, 304);
}

#[test]
fn a_file_is_stored_once_for_the_mirror_and_the_node() {
    let node = Node::new();
    let line = line(&node.archive.server.url());
    let loaded = node.bench.load(&line, &[pin(&node.archive.key)]).unwrap();
    let path = node
        .bench
        .client()
        .fetch(&[node.bench.package(&loaded, "tool")])
        .unwrap();
    let synced = node.sync().unwrap();
    assert_eq!(synced.fetched.files, 1, "`tool` was here");
    let published = fs::metadata(node.published().join("pool/main/tool_2.0-1_all.deb")).unwrap();
    assert_eq!(published.ino(), fs::metadata(&path[0]).unwrap().ino());
    assert_eq!(published.mode() & 0o777, 0o444);
    let roots = node.mirrors().packages().unwrap();
    assert_eq!(roots.len(), 2);
}

#[test]
fn readers_of_the_old_state_find_its_files_after_the_next_one_is_published() {
    let mut node = Node::new();
    node.sync().unwrap();
    let old = node.published().join("pool/main/hello_1.0_all.deb");
    let indexes = node
        .published()
        .join("dists/stable/main/binary-amd64/by-hash/SHA256");
    let names = |directory: &Path| {
        let entries = fs::read_dir(directory).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name())
            .collect::<Vec<_>>()
    };
    let before = names(&indexes);
    node.move_upstream();
    let synced = node.sync().unwrap();
    assert!(synced.changed && synced.published);
    assert_eq!(node.seen(), [version("hello", "2.0")]);
    assert!(old.exists());
    assert!(before.iter().all(|name| indexes.join(name).exists()));
    let trees = node.bench.env.path("mirror/m/trees");
    assert_eq!(fs::read_dir(trees).unwrap().count(), 1);
}

#[test]
fn wrong_bytes_are_never_published() {
    let mut node = Node::new();
    node.sync().unwrap();
    node.move_upstream();
    let deb = node.archive.repo.root().join("pool/main/hello_2.0_all.deb");
    let mut wrong = fs::read(deb).unwrap();
    wrong[200] ^= 1;
    let path = "/pool/main/hello_2.0_all.deb";
    node.archive
        .server
        .fault(path, Times::Always, Fault::Body(wrong));
    for _ in 0..2 {
        let error = chain(&node.sync().unwrap_err());
        assert!(error.contains("the content has sha256"), "{error}");
        assert_eq!(
            node.seen(),
            [version("hello", "1.0"), version("tool", "2.0-1")]
        );
    }
    node.archive.server.heal();
    node.sync().unwrap();
    assert_eq!(node.seen(), [version("hello", "2.0")]);
}

#[test]
fn an_interrupted_sync_goes_on_where_it_was() {
    let mut node = Node::new();
    // One after the other: what comes beside it would end when it fails, wherever it is.
    node.bench.options.connections = 1;
    let path = "/pool/main/tool_2.0-1_all.deb";
    node.archive
        .server
        .fault(path, Times::Once, Fault::CutAfter(300_000));
    node.archive
        .server
        .fault(path, Times::Next(100), Fault::Status(404));
    node.sync().unwrap_err();
    assert!(!node.published().exists());
    let here = node.partial();
    node.archive.server.heal();
    node.archive.server.forget_requests();
    node.sync().unwrap();
    let package = node.archive.repo.root().join(&path[1..]);
    let whole = fs::metadata(package).unwrap().len();
    assert!(here > 0);
    let retries = node.bench.recorder.retries.lock().unwrap();
    assert_eq!(node.archive.server.sent(path), whole - here, "{retries:?}");
    drop(retries);
    assert_eq!(node.seen().len(), 2);
}

#[test]
fn an_older_or_unsigned_upstream_changes_nothing() {
    let mut node = Node::new();
    let first = fs::read(node.archive.repo.root().join("dists/stable/InRelease")).unwrap();
    node.move_upstream();
    node.sync().unwrap();
    let path = "/dists/stable/InRelease";
    node.archive
        .server
        .fault(path, Times::Once, Fault::Body(first));
    let error = chain(&node.sync().unwrap_err());
    assert!(error.contains("was seen before"), "{error}");
    node.archive.server.heal();
    node.archive.repo.suite("stable").date = EPOCH + 2000;
    node.archive.repo.publish(&TestKey::new("somebody"));
    let error = chain(&node.sync().unwrap_err());
    assert!(error.contains("is not trusted"), "{error}");
    assert_eq!(node.seen(), [version("hello", "2.0")]);
}

#[test]
fn of_two_upstreams_the_one_that_works_is_used() {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    let stale = HttpServer::serve(&bench.env.path("nothing"));
    let node = Node { bench, archive };
    let urls = [stale.url(), node.archive.server.url()];
    node.add(&config(&urls, &node.archive.key), &node.archive.key)
        .unwrap();
    node.sync().unwrap();
    assert_eq!(node.seen().len(), 2);
}

/// Moves the upstream at the moment when the packages of the old state begin to be fetched.
struct Mover {
    archive: Mutex<Option<Archive>>,
    directory: PathBuf,
    back: Mutex<Option<Archive>>,
}

impl FetchReporter for Mover {
    fn started(&self, _: usize, _: ByteSize) {
        if let Some(mut archive) = self.archive.lock().unwrap().take() {
            move_upstream(&mut archive, &self.directory, "2.0", 1800);
            *self.back.lock().unwrap() = Some(archive);
        }
    }
}

#[test]
fn an_upstream_that_moves_during_the_sync_is_read_again() {
    let Node { bench, archive } = Node::new();
    let mover = Arc::new(Mover {
        archive: Mutex::new(Some(archive)),
        directory: bench.env.path("debs"),
        back: Mutex::default(),
    });
    let reporter: Arc<dyn FetchReporter> = Arc::<Mover>::clone(&mover);
    let client = Client::new(bench.options.clone(), reporter);
    let synced = sync(&client.mirrors(bench.env.path("mirror"))).unwrap();
    assert!(synced.published);
    let archive = mover.back.lock().unwrap().take().unwrap();
    let node = Node { bench, archive };
    assert_eq!(node.seen(), [version("hello", "2.0")]);
}

#[test]
fn a_mirror_is_removed_with_everything_but_the_packages() {
    let node = Node::new();
    node.sync().unwrap();
    node.mirrors().remove(&name()).unwrap();
    assert!(!node.bench.env.path("mirror/m").exists());
    assert_eq!(node.mirrors().names().unwrap(), []);
    assert!(matches!(
        node.mirrors().info(&name()),
        Err(MirrorError::Unknown(_))
    ));
    assert_eq!(node.bench.packages().len(), 2);
    assert!(node.mirrors().packages().unwrap().is_empty());
}

#[test]
fn a_mirror_takes_nothing_over_from_one_whose_removal_was_killed() {
    let node = Node::new();
    node.sync().unwrap();
    fs::remove_file(node.bench.env.path("mirror/m/mirror.json")).unwrap();
    assert_eq!(node.mirrors().names().unwrap(), []);
    let config = config(&[node.archive.server.url()], &node.archive.key);
    node.add(&config, &node.archive.key).unwrap();
    assert!(!node.published().exists());
    assert!(node.mirrors().info(&name()).unwrap().history.is_empty());
    node.sync().unwrap();
    assert_eq!(node.seen().len(), 2);
}

/// An upstream whose only package is described by these lines.
fn lying(location: &str, size: usize, content: &[u8]) -> Node {
    let mut node = Node::new();
    let paragraph = format!(
        "Package: evil\nVersion: 1\nArchitecture: all\nFilename: {location}\nSize: {size}\nSHA256: {}\n",
        Digest::of(content)
    );
    let root = node.archive.repo.root().to_owned();
    let place = Path::new(location);
    if place
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)))
        && !root.join(place).exists()
    {
        node.archive.server.fault(
            &format!("/{location}"),
            Times::Always,
            Fault::Body(content.to_vec()),
        );
    }
    node.archive.repo.suite("stable").clear();
    node.archive
        .repo
        .suite("stable")
        .add_paragraph("main", "all", &paragraph);
    node.archive.repo.publish(&node.archive.key);
    node
}

#[test]
fn attack_filename_that_leaves_the_mirror() {
    for location in [
        "../evil.deb",
        "/etc/evil",
        "a/../../evil",
        "%2e%2e/evil",
        "a//evil",
        "a\\evil",
    ] {
        let node = lying(location, 4, b"evil");
        let error = node.sync().unwrap_err();
        assert!(
            matches!(error, MirrorError::Location(_)),
            "{location}: {}",
            chain(&error)
        );
        assert!(!node.published().exists());
    }
}

#[test]
fn attack_filename_in_the_place_of_signed_metadata() {
    for location in [
        "dists/stable/InRelease",
        "dists/stable/main/binary-amd64/Packages.xz",
    ] {
        let node = lying(location, 4, b"evil");
        let error = node.sync().unwrap_err();
        assert!(
            matches!(error, MirrorError::Contradiction { .. }),
            "{}",
            chain(&error)
        );
        assert!(!node.published().exists());
    }
    for location in ["dists/stable/InRelease/x", "dists/stable"] {
        let node = lying(location, 4, b"evil");
        node.archive.server.fault(
            &format!("/{location}"),
            Times::Always,
            Fault::Body(b"evil".to_vec()),
        );
        let error = node.sync().unwrap_err();
        assert!(
            matches!(error, MirrorError::Path { .. }),
            "{}",
            chain(&error)
        );
        assert!(!node.published().exists());
    }
}

#[test]
fn attack_size_that_lies() {
    for size in [3, 5, 0, usize::MAX >> 1] {
        let node = lying("evil.deb", size, b"evil");
        node.sync().unwrap_err();
        assert!(!node.published().exists(), "{size}");
    }
    lying("evil.deb", 4, b"evil").sync().unwrap();
}

#[test]
fn attack_link_in_the_place_of_a_package() {
    let node = Node::new();
    node.sync().unwrap();
    let package = node.bench.packages().remove(0);
    let elsewhere = node.bench.env.path("elsewhere");
    fs::copy(&package, &elsewhere).unwrap();
    fs::remove_file(&package).unwrap();
    symlink(&elsewhere, &package).unwrap();
    // Another mirror of the same content: its tree must not lead out of the node's files.
    let other: MirrorName = "other".parse().unwrap();
    let config = config(&[node.archive.server.url()], &node.archive.key);
    let keys = [("key.asc".to_owned(), node.archive.key.armored())];
    node.mirrors().add(&other, &config, &keys).unwrap();
    let mut results = Vec::new();
    node.mirrors()
        .sync(&[other], &mut |_, result| results.push(result));
    let error = results.pop().unwrap().unwrap_err();
    assert!(
        matches!(error, MirrorError::Foreign { .. }),
        "{}",
        chain(&error)
    );
    assert!(!node.bench.env.path("mirror/other/published").exists());
}

#[test]
fn attack_link_in_the_place_of_a_mirror() {
    let node = Node::new();
    node.sync().unwrap();
    let (mirror, moved) = (
        node.bench.env.path("mirror/m"),
        node.bench.env.path("moved"),
    );
    vzpkg_metadata::durable::publish(&mirror, &moved).unwrap();
    symlink(&moved, &mirror).unwrap();
    assert!(matches!(node.sync(), Err(MirrorError::Foreign { .. })));
    assert!(matches!(
        node.mirrors().remove(&name()),
        Err(MirrorError::Foreign { .. })
    ));
    assert!(moved.join("published").exists());
    fs::remove_file(&mirror).unwrap();
    vzpkg_metadata::durable::publish(&moved, &mirror).unwrap();
    let published = node.published();
    fs::remove_file(&published).unwrap();
    symlink("/etc", &published).unwrap();
    assert!(matches!(node.sync(), Err(MirrorError::Foreign { .. })));
}

#[test]
fn two_mirrors_of_one_archive_share_its_files_and_both_are_sound() {
    let node = Node::new();
    node.sync().unwrap();
    let second: MirrorName = "second".parse().unwrap();
    let config = config(&[node.archive.server.url()], &node.archive.key);
    let keys = [("key.asc".to_owned(), node.archive.key.armored())];
    node.mirrors().add(&second, &config, &keys).unwrap();
    node.mirrors()
        .sync(std::slice::from_ref(&second), &mut |_, synced| {
            drop(synced.unwrap());
        });
    for name in [name(), second] {
        let verified = node.mirrors().verify(&name, Repair::No).unwrap();
        assert_eq!(verified.damaged, [""; 0], "{name}");
    }
}
