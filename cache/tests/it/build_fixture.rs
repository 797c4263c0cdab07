//! Builds of small packages: on the tiny distribution of the fixtures.

use crate::fixtures;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;
use vzpkg_cache::build::{self, BuildError, BuildRequest};
use vzpkg_cache::import::Fetched;
use vzpkg_cache::store::{Access, Store, VersionRecord};
use vzpkg_metadata::template::{
    DEFAULT_SET, Script, ScriptKind, Scripts, Template, TemplateLocation,
};
use vzpkg_metadata::transaction::{Action, PackageRef, Reason, Step, Transaction};
use vzpkg_metadata::tree::{NodeKind, Tree};
use vzpkg_metadata::{ByteSize, Digest, Family};
use vzpkg_runtime::HelperCommand;
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::tiny_debian;
pub(crate) use vzpkg_tests::tiny_debian::package as deb;

pub(crate) const EPOCH: i64 = 1_700_000_000;

/// The name, version and file of a package, as a transaction needs them.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) fetched: Fetched,
}

/// A store, a template and the packages made so far.
pub(crate) struct World {
    directory: TempDir,
    pub(crate) store: Store,
    pub(crate) template: Template,
    pub(crate) base: Package,
    pub(crate) timeout: Duration,
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let store = Store::open(&directory.path().join("vz"), Access::ReadWrite);
        let base = make(
            &tiny_debian::base("1"),
            &directory.path().join("debs"),
            "tiny-base",
            "1",
        );
        Self {
            store: store.expect("the store opens"),
            directory,
            template: template(),
            base,
            timeout: Duration::from_mins(1),
        }
    }

    pub(crate) fn package(&self, deb: &Deb, name: &str, version: &str) -> Package {
        make(deb, &self.directory.path().join("debs"), name, version)
    }

    pub(crate) fn script(&mut self, kind: ScriptKind, content: &str) {
        let content = content.as_bytes().to_vec();
        self.template.scripts.insert(Script { kind, content });
    }

    /// Builds the base and these packages from nothing.
    pub(crate) fn create(&self, packages: &[&Package]) -> Result<VersionRecord, BuildError> {
        let mut all = vec![&self.base];
        all.extend(packages);
        let steps = all.iter().map(|package| step(package, Action::Install));
        self.build(None, steps.collect(), &all, 2)
    }

    pub(crate) fn build(
        &self,
        base: Option<&VersionRecord>,
        steps: Vec<Step>,
        packages: &[&Package],
        threads: usize,
    ) -> Result<VersionRecord, BuildError> {
        let transaction = Transaction {
            family: Family::Deb,
            steps,
        };
        let (sender, arrivals) = mpsc::channel();
        for package in packages {
            sender
                .send(package.fetched.clone())
                .expect("the receiver is here");
        }
        drop(sender);
        let helper = HelperCommand::new(env!("CARGO_BIN_EXE_vzpkg-cache-helper"), [""; 0]);
        let tier = vzpkg_runtime::rootfs::probe(&self.store.layout.store());
        let request = BuildRequest {
            store: &self.store,
            template: &self.template,
            applications: &[],
            name: &self.template.name,
            base: base.map(|base| base.as_base()),
            parent: base.map(|base| base.digest),
            transaction: &transaction,
            epoch: EPOCH,
            ids: &BTreeMap::new(),
            helper: &helper,
            tier: tier.expect("the file system can be probed").best(),
            arriving: packages.len(),
            threads,
            timeout: self.timeout,
            who: "root",
            why: "test",
            now: EPOCH,
            reporter: &(),
            cancel: &AtomicBool::new(false),
        };
        build::build(&request, arrivals).map(|published| published.record().clone())
    }

    pub(crate) fn tree(&self, version: &VersionRecord) -> Tree {
        self.store
            .images
            .read(&version.digest)
            .expect("it was published")
    }

    /// The text of a file of a tree.
    pub(crate) fn text(&self, tree: &Tree, path: &str) -> String {
        let kind = tree.node(&fixtures::path(path)).map(|node| &node.kind);
        let Some(NodeKind::File { digest, .. }) = kind else {
            return format!("no file {path}");
        };
        let bytes = self.store.objects.read(digest, 1 << 20);
        String::from_utf8(bytes.expect("the object is there")).expect("it is text")
    }

    /// Nothing of a build is left: no staging directory but the store's own, no mount, no process.
    pub(crate) fn assert_clean(&self) {
        let builds = self.store.layout.builds();
        let staging: Vec<PathBuf> = fs::read_dir(&builds)
            .expect("it can be listed")
            .map(|entry| entry.expect("it can be listed").path())
            .filter(|path| path.join("upper").exists())
            .collect();
        assert!(staging.is_empty(), "{staging:?}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("it can be read");
        let root = self.directory.path().to_str().expect("a plain path");
        assert!(!mounts.contains(root), "{mounts}");
    }
}

pub(crate) fn step(package: &Package, action: Action) -> Step {
    Step {
        action,
        package: package.fetched.package.clone(),
        reason: Reason::Requested,
    }
}

fn make(deb: &Deb, directory: &Path, name: &str, version: &str) -> Package {
    let path = deb.build(directory);
    let bytes = fs::read(&path).expect("it was made");
    let package = PackageRef {
        name: name.parse().expect("a package name"),
        arch: "all".parse().expect("an architecture"),
        version: version.to_owned(),
        sha256: Digest::of(&bytes),
        size: ByteSize(bytes.len() as u64),
        installed_size: ByteSize(bytes.len() as u64),
        repository: None,
        location: String::new(),
    };
    Package {
        fetched: Fetched { package, path },
    }
}

fn template() -> Template {
    Template {
        name: "tiny-1-x86_64".parse().expect("a template name"),
        location: TemplateLocation::os_template("tiny", "1", "x86_64", DEFAULT_SET)
            .expect("a location"),
        family: Family::Deb,
        arch: "x86_64".parse().expect("an architecture"),
        package_manager: "dpkgx64".to_owned(),
        packages: Vec::new(),
        packages_0: Vec::new(),
        packages_1: Vec::new(),
        modules: Vec::new(),
        repositories: Vec::new(),
        keys: Vec::new(),
        environment: Vec::new(),
        scripts: Scripts::default(),
        distribution: String::new(),
        osrelease: String::new(),
        technologies: Vec::new(),
        upgradable_versions: Vec::new(),
        summary: String::new(),
        description: Vec::new(),
        golden_image: true,
        multiarch: None,
        cache_type: None,
        no_pkg_actions: false,
        committed: false,
        repository_texts: Vec::new(),
    }
}
