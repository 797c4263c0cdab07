//! Mirrors of yum repositories.

use crate::mirror::name;
use crate::support::{Bench, chain, fingerprint, pin};
use std::fs;
use vzpkg_metadata::template::RepositoryLine;
use vzpkg_repo_client::mirror::{
    MirrorConfig, MirrorError, Mirrors, Part, Pin, Synced, Trust, Upstream, YumUpstream,
};
use vzpkg_tests::http_server::{Fault, HttpServer, Times};
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::rpm_writer::Rpm;
use vzpkg_tests::tools::EPOCH;
use vzpkg_tests::yum_repo::YumRepo;

pub(crate) struct Node {
    pub(crate) bench: Bench,
    pub(crate) key: TestKey,
    pub(crate) repo: YumRepo,
    pub(crate) server: HttpServer,
    trust: Trust,
}

impl Node {
    pub(crate) fn new(trust: Trust) -> Self {
        let bench = Bench::new();
        let key = TestKey::new("packager");
        let mut repo = YumRepo::new(bench.env.path("repo"));
        repo.add(&Rpm::new("hello", "1.0", "1").build(&bench.env.path("rpms")));
        repo.publish(&key);
        let server = HttpServer::serve(repo.root());
        let node = Self {
            bench,
            key,
            repo,
            server,
            trust,
        };
        let config = node.config();
        let keys = [("key.asc".to_owned(), node.key.armored())];
        node.mirrors().add(&name(), &config, &keys).unwrap();
        node
    }

    /// All of the repository.
    pub(crate) fn config(&self) -> MirrorConfig {
        let upstream = Upstream::Yum(YumUpstream {
            urls: vec![self.server.url()],
            mirror_lists: Vec::new(),
        });
        let part = Part {
            directory: String::new(),
            upstream,
            keys: vec![Pin {
                fingerprint: fingerprint(&self.key),
                places: vec!["key.asc".into()],
            }],
            trust: self.trust,
        };
        MirrorConfig::new(vec![part]).unwrap()
    }

    /// Publishes `hello` 2.0 beside 1.0 upstream.
    pub(crate) fn move_upstream(&mut self) {
        let rpm = Rpm::new("hello", "2.0", "1").build(&self.bench.env.path("rpms"));
        self.repo.add(&rpm);
        self.repo.revision = EPOCH + 60;
        self.repo.publish(&self.key);
    }

    pub(crate) fn mirrors(&self) -> Mirrors {
        self.bench.client().mirrors(self.bench.env.path("mirror"))
    }

    pub(crate) fn sync(&self) -> Result<Synced, MirrorError> {
        let mut results = Vec::new();
        self.mirrors()
            .sync(&[name()], &mut |_, result| results.push(result));
        results.pop().unwrap()
    }

    /// The versions of `hello` that a client finds in the published directory.
    pub(crate) fn seen(&self) -> Vec<String> {
        let client = Bench::new();
        let url = format!(
            "file://{}",
            self.bench.env.path("mirror/m/published").display()
        );
        let line = RepositoryLine::Yum(crate::yum::source(&[url]));
        let repository = client.load(&line, &[pin(&self.key)]).unwrap();
        let index = repository.index.as_index();
        let mut seen = Vec::new();
        for package in index.by_name("hello") {
            let package = package.to_package_ref(&repository.id).unwrap();
            let path = self
                .bench
                .env
                .path("mirror/m/published")
                .join(&package.location);
            let bytes = fs::read(path).unwrap();
            assert_eq!(vzpkg_metadata::Digest::of(&bytes), package.sha256);
            seen.push(package.version);
        }
        seen.sort();
        seen
    }
}

#[test]
fn a_signed_yum_repository_is_mirrored_with_everything_that_it_names() {
    let mut node = Node::new(Trust::default());
    let synced = node.sync().unwrap();
    assert_eq!((synced.state.packages, synced.fetched.files), (1, 1));
    assert_eq!(node.seen(), ["1.0-1"]);
    node.server.forget_requests();
    assert!(!node.sync().unwrap().changed);
    let requests = node.server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].status, 304);
    node.move_upstream();
    assert_eq!(node.sync().unwrap().fetched.files, 1);
    assert_eq!(node.seen(), ["1.0-1", "2.0-1"]);
    let repodata = node.bench.env.path("mirror/m/published/repodata");
    let count = fs::read_dir(repodata).unwrap().count();
    assert_eq!(
        count,
        2 + 3 + 3,
        "the files of the state before are still there"
    );
}

#[test]
fn an_unsigned_yum_repository_is_not_published() {
    let node = Node::new(Trust::default());
    fs::remove_file(node.repo.root().join("repodata/repomd.xml.asc")).unwrap();
    let error = chain(&node.sync().unwrap_err());
    assert!(error.contains("is not signed"), "{error}");
    assert!(!node.bench.env.path("mirror/m/published").exists());
}

#[test]
fn unsigned_packages_of_an_unsigned_index_are_not_published() {
    let node = Node::new(Trust {
        unsigned_metadata: true,
        ..Trust::default()
    });
    let error = chain(&node.sync().unwrap_err());
    assert!(error.contains("cannot be used"), "{error}");
    assert!(!node.bench.env.path("mirror/m/published").exists());
}

#[test]
fn a_metadata_file_that_is_gone_or_another_is_not_passed_over() {
    for fault in [Fault::Status(404), Fault::Body(b"x".to_vec())] {
        let node = Node::new(Trust::default());
        let repomd = fs::read_to_string(node.repo.repomd()).unwrap();
        let start = repomd.find("repodata/").unwrap();
        let end = start + repomd[start..].find('"').unwrap();
        let path = format!("/{}", &repomd[start..end]);
        node.server.fault(&path, Times::Always, fault);
        node.sync().unwrap_err();
        assert!(!node.bench.env.path("mirror/m/published").exists());
    }
}
