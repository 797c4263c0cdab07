//! A store of its own that builds rpm packages, and what the tests of rpm builds share.

use crate::fixtures::store_at;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;
use vzpkg_cache::build::{BuildError, BuildRequest, build};
use vzpkg_cache::import::Fetched;
use vzpkg_cache::store::{Store, VersionRecord};
use vzpkg_metadata::lock::Ids;
use vzpkg_metadata::template::{Template, TemplateArea, UrlMap};
use vzpkg_metadata::transaction::{Action, PackageRef, Reason, Step, Transaction};
use vzpkg_metadata::{ByteSize, Digest, Family, RelPath, TemplateName};
use vzpkg_runtime::HelperCommand;
use vzpkg_runtime::rootfs::{Tier, probe};
use vzpkg_runtime::sandbox::{RunCommand, Sandbox, SandboxSpec};

/// Newer than every file of the set, the stand-in's included, and older than any run.
pub(crate) const EPOCH: i64 = 1_795_225_000;

/// What is needed for a build, in a directory of its own.
pub(crate) struct Node {
    pub(crate) directory: TempDir,
    pub(crate) store: Store,
    pub(crate) template: Template,
    pub(crate) tier: Tier,
    pub(crate) ids: BTreeMap<String, Ids>,
    pub(crate) timeout: Duration,
}

fn helper() -> HelperCommand {
    HelperCommand::new(env!("CARGO_BIN_EXE_vzpkg-cache-helper"), [""; 0])
}

impl Node {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let store = store_at(directory.path());
        let area = TemplateArea::new(directory.path().join("template"));
        area.install_shipped().expect("shipped templates");
        let name: TemplateName = "centos-7-x86_64-minimal".parse().expect("a name");
        let template = area.load(&name, &UrlMap::shipped()).expect("the template");
        let probed = probe(directory.path()).expect("a tier");
        Self {
            directory,
            store,
            template,
            tier: probed.best(),
            ids: BTreeMap::new(),
            timeout: Duration::from_mins(5),
        }
    }

    pub(crate) fn build(
        &self,
        base: Option<&VersionRecord>,
        steps: Vec<(Action, Fetched)>,
        threads: usize,
    ) -> VersionRecord {
        self.try_build(base, steps, threads)
            .map_err(|error| chain(&error))
            .expect("it builds")
    }

    pub(crate) fn try_build(
        &self,
        base: Option<&VersionRecord>,
        steps: Vec<(Action, Fetched)>,
        threads: usize,
    ) -> Result<VersionRecord, BuildError> {
        let (sender, arrivals) = mpsc::channel();
        let transaction = Transaction {
            family: Family::Rpm,
            steps: steps
                .iter()
                .map(|(action, fetched)| Step {
                    action: action.clone(),
                    package: fetched.package.clone(),
                    reason: Reason::Requested,
                })
                .collect(),
        };
        let arriving = transaction.incoming().count();
        for (action, fetched) in steps {
            if action != Action::Remove {
                sender.send(fetched).expect("the builder listens");
            }
        }
        drop(sender);
        let request = BuildRequest {
            store: &self.store,
            template: &self.template,
            applications: &[],
            name: &self.template.name,
            base: base.map(|base| base.as_base()),
            parent: base.map(|base| base.digest),
            transaction: &transaction,
            epoch: EPOCH,
            ids: &self.ids,
            helper: &helper(),
            tier: self.tier,
            arriving,
            threads,
            timeout: self.timeout,
            who: "a test",
            why: "to see whether it works",
            now: 1_800_000_000,
            reporter: &Loud,
            cancel: &AtomicBool::new(false),
        };
        Ok(build(&request, arrivals)?.record().clone())
    }

    /// What a command inside a version prints.
    pub(crate) fn inside(&self, version: &VersionRecord, argv: &[&str]) -> String {
        let scratch = tempfile::tempdir_in(self.directory.path()).expect("a directory");
        let lower = self
            .store
            .lower(&version.digest, self.tier)
            .expect("laid out");
        let [upper, work] = ["upper", "work"].map(|name| scratch.path().join(name));
        for directory in [&upper, &work] {
            fs::create_dir(directory).expect("a directory");
        }
        // The root of a mount is the upper's.
        let tree = self.store.images.read(&version.digest).expect("a tree");
        let root = tree.node(&RelPath::root()).expect("a root").meta.mode;
        let mode = fs::Permissions::from_mode(u32::from(root));
        fs::set_permissions(&upper, mode).expect("its mode");
        let mount = vzpkg_runtime::rootfs::MountSpec::new(self.tier, lower).with_upper(upper, work);
        let spec = SandboxSpec::new(vzpkg_runtime::sandbox::Root::Tree(mount));
        let mut sandbox = Sandbox::start(&spec, &helper()).expect("a sandbox");
        let mut command = RunCommand::new(argv.iter().copied());
        command.stdout_limit = 1 << 20;
        let outcome = sandbox.run(&command, &()).expect("it runs");
        sandbox.finish().expect("it ends");
        let shown = String::from_utf8_lossy(&outcome.tail).into_owned();
        assert!(outcome.success() || argv[1] == "-Va", "{argv:?}: {shown}");
        shown
    }

    /// A place of its own.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The files of a version, written out.
    pub(crate) fn written(&self, version: &VersionRecord) -> PathBuf {
        let tree = self.store.images.read(&version.digest).expect("a tree");
        let ours = self.place(&format!("ours-{}", version.digest.short()));
        vzpkg_cache::archive::write_directory(&tree, &self.store.objects, &[], &ours)
            .expect("it is written");
        ours
    }

    /// What this machine's dnf makes of the same packages.
    pub(crate) fn with_dnf(&self, set: &[Fetched]) -> PathBuf {
        let repository = self.place("repository");
        fs::create_dir(&repository).expect("a directory");
        let configuration = format!(
            "[main]\nreposdir=/nonexistent\nplugins=0\ninstall_weak_deps=0\ncachedir=/cache\n\
             [base]\nname=base\ngpgcheck=0\nbaseurl=file://{}\n",
            repository.display()
        );
        fs::write(self.place("dnf.conf"), configuration).expect("a file");
        self.offer(set);
        let names = set.iter().map(|fetched| fetched.package.name.as_str());
        self.dnf("install", names)
    }

    /// The tree of [`Self::with_dnf`], which dnf has brought to these packages.
    pub(crate) fn upgrade_with_dnf<'a>(
        &self,
        set: impl Iterator<Item = &'a Fetched> + Clone,
    ) -> PathBuf {
        self.offer(set.clone());
        self.dnf("upgrade", set.map(|fetched| fetched.package.name.as_str()))
    }

    /// Adds packages to the repository that dnf reads.
    fn offer<'a>(&self, set: impl IntoIterator<Item = &'a Fetched>) {
        let repository = self.place("repository");
        for fetched in set {
            let name = fetched.path.file_name().expect("a name");
            fs::copy(&fetched.path, repository.join(name)).expect("a copy");
        }
        host(&["createrepo_c", "-q"], Some(&repository));
    }

    /// The tree that dnf works in, after this.
    fn dnf<'a>(&self, verb: &str, names: impl Iterator<Item = &'a str>) -> PathBuf {
        let (configuration, root) = (self.place("dnf.conf"), self.place("dnf"));
        let text = |path: &'_ Path| path.to_str().expect("text").to_owned();
        let (configuration, tree) = (text(&configuration), text(&root));
        let mut words = vec!["dnf", "-q", "-y", "--refresh", "--releasever=7"];
        words.extend(["--forcearch=x86_64", "-c", &configuration]);
        words.extend(["--installroot", &tree, verb]);
        let names: Vec<&str> = names.collect();
        words.extend(names);
        host(&words, None);
        root
    }
}

/// Shows what rpm says where a test fails.
struct Loud;

impl vzpkg_cache::import::ImportReporter for Loud {}

impl vzpkg_cache::build::BuildReporter for Loud {
    #[expect(clippy::print_stdout, reason = "the harness shows it with a failure")]
    fn output(&self, line: &[u8]) {
        println!("{}", String::from_utf8_lossy(line));
    }
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join("; ")
}

/// The packages of these files, as a signed index would name them.
pub(crate) fn packages(files: &[PathBuf]) -> Vec<Fetched> {
    files
        .iter()
        .map(|path| {
            let bytes = fs::read(path).expect("a package");
            let format = "%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE} %{ARCH} %{SIZE}";
            let text = host(&["rpm", "-qp", "--nosignature", "--qf", format], Some(path));
            let mut words = text.split(' ');
            let mut word = || words.next().expect("four words");
            let (name, version, arch, installed) = (word(), word(), word(), word());
            let package = PackageRef {
                name: name.parse().expect("a name"),
                arch: arch.parse().expect("an architecture"),
                version: version.to_owned(),
                sha256: Digest::of(&bytes),
                size: ByteSize(bytes.len() as u64),
                installed_size: ByteSize(installed.parse().expect("a number")),
                repository: None,
                location: String::new(),
            };
            let path = path.clone();
            Fetched { package, path }
        })
        .collect()
}

pub(crate) fn host(argv: &[&str], path: Option<&Path>) -> String {
    let output = Command::new(argv[0])
        .args(&argv[1..])
        .args(path)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{argv:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

pub(crate) fn installs(packages: Vec<Fetched>) -> Vec<(Action, Fetched)> {
    packages
        .into_iter()
        .map(|fetched| (Action::Install, fetched))
        .collect()
}
