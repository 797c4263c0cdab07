//! Agreement with apt on the real archives of the host's mirror: what `apt-get -s` would do is what we decide.
//!
//! apt runs with directories of its own in a temporary folder; nothing of the host's is read but the mirror's address.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::index::{Index, IndexBuilder, IndexBytes, IndexedPackage};
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::transaction::{Action, Transaction};
use vzpkg_metadata::{Arch, Digest, Family, apt};
use vzpkg_resolver::{Installed, Repository, Request, Solve, Upgrade, resolve};

/// One suite, as apt fetched it and as we index it.
struct Suite {
    folder: PathBuf,
    packages: String,
    index: IndexBytes,
}

fn mirror() -> String {
    let folder = std::fs::read_dir("/etc/apt/sources.list.d").unwrap();
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == "sources"));
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        if let Some(uri) = text.lines().find_map(|line| line.strip_prefix("URIs:")) {
            return uri.split_whitespace().next().unwrap().to_owned();
        }
    }
    panic!("no mirror in /etc/apt/sources.list.d");
}

impl Suite {
    fn fetch(temporary: &Path, suite: &str) -> Self {
        let folder = temporary.join(suite);
        for inner in ["lists/partial", "archives/partial", "etc"] {
            std::fs::create_dir_all(folder.join(inner)).unwrap();
        }
        let line = format!("deb [trusted=yes arch=amd64] {} {suite} main\n", mirror());
        std::fs::write(folder.join("etc/sources.list"), line).unwrap();
        std::fs::write(folder.join("status"), "").unwrap();
        let at = folder.display();
        let settings = format!(
            "Dir::State \"{at}\"; Dir::State::lists \"{at}/lists\"; Dir::State::status \"{at}/status\";\n\
             Dir::Cache \"{at}\"; Dir::Etc \"{at}/etc\"; Dir::Etc::sourceparts \"-\";\n\
             APT::Architecture \"amd64\"; APT::Architectures {{ \"amd64\"; }};\n\
             APT::Install-Recommends \"false\"; Acquire::Languages \"none\"; APT::Sandbox::User \"root\";\n"
        );
        std::fs::write(folder.join("apt.conf"), settings).unwrap();
        let mut suite = Self {
            folder,
            packages: String::new(),
            index: IndexBuilder::new(Family::Deb).finish().unwrap(),
        };
        let said = suite.apt(&["update"]);
        let lists = std::fs::read_dir(suite.folder.join("lists")).unwrap();
        let files: Vec<PathBuf> = lists.map(|entry| entry.unwrap().path()).collect();
        let is_index = |path: &&PathBuf| path.to_string_lossy().ends_with("_Packages");
        let file = files.iter().find(is_index);
        let file = file.unwrap_or_else(|| panic!("no index in {files:?}: {said}"));
        suite.packages = std::fs::read_to_string(file).unwrap();
        let mut builder = IndexBuilder::new(Family::Deb);
        apt::packages::scan(&suite.packages, &mut |record| builder.add(record)).unwrap();
        suite.index = builder.finish().unwrap();
        suite
    }

    /// Runs apt-get and returns what it prints.
    fn apt(&self, arguments: &[&str]) -> String {
        let output = Command::new("apt-get")
            .args(arguments)
            .env("APT_CONFIG", self.folder.join("apt.conf"))
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "apt-get {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What apt would do, as `install NAME VERSION` and `remove NAME`.
    fn simulate(&self, arguments: &[&str]) -> BTreeSet<String> {
        let text = self.apt(&[&["-s"], arguments].concat());
        let steps = text.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["Inst", name, rest @ ..] => {
                    // `Inst name [old] (new suite [arch])`
                    let version = rest.iter().find_map(|word| word.strip_prefix('('))?;
                    Some(format!("install {name} {version}"))
                }
                ["Remv", name, ..] => Some(format!("remove {name}")),
                _ => None,
            }
        });
        steps.collect()
    }

    fn repository(&self) -> Repository<'_> {
        Repository {
            id: "main".parse().unwrap(),
            index: Index::access(&self.index).unwrap(),
            priority: 99,
            excludes: Vec::new(),
            hotfixes: false,
            automatic: Automatic::Always,
        }
    }

    fn essential(&self) -> Vec<&str> {
        let index = Index::access(&self.index).unwrap();
        index
            .packages()
            .filter(|package| package.essential())
            .map(IndexedPackage::name)
            .collect()
    }
}

fn decided(transaction: &Transaction) -> BTreeSet<String> {
    let steps = transaction.steps.iter().map(|step| {
        let package = &step.package;
        match step.action {
            Action::Remove => format!("remove {}", package.name),
            _ => format!("install {} {}", package.name, package.version),
        }
    });
    steps.collect()
}

fn solved(suite: &Suite, installed: Option<&Installed<'_>>, request: &Request) -> Transaction {
    let arch: Arch = "amd64".parse().unwrap();
    let repositories = [suite.repository()];
    match resolve(Family::Deb, &arch, &repositories, installed, request).unwrap() {
        Solve::Solved(transaction) => transaction,
        Solve::Impossible(conflict) => panic!("{conflict}"),
    }
}

fn difference(apt: &BTreeSet<String>, ours: &BTreeSet<String>) -> String {
    let mut text = String::new();
    for line in apt.difference(ours) {
        writeln!(text, "only apt: {line}").unwrap();
    }
    for line in ours.difference(apt) {
        writeln!(text, "only we:  {line}").unwrap();
    }
    text
}

fn request(specs: &[&str]) -> Request {
    Request {
        install: specs.iter().map(|&spec| spec.to_owned()).collect(),
        essential: true,
        ..Request::default()
    }
}

#[test]
#[ignore = "needs the network and apt: make network runs it"]
fn network_new_systems_are_what_apt_would_install() {
    let temporary = tempfile::tempdir().unwrap();
    for name in ["bookworm", "trixie"] {
        let suite = Suite::fetch(temporary.path(), name);
        for specs in [
            &["apt"][..],
            &["apt", "systemd-sysv", "openssh-server"],
            &["apt", "postgresql", "nginx", "redis-server"],
        ] {
            let transaction = solved(&suite, None, &request(specs));
            let arguments = [&["install"], &suite.essential()[..], specs].concat();
            let apt = suite.simulate(&arguments);
            assert!(apt.len() > 60);
            let text = difference(&apt, &decided(&transaction));
            assert!(text.is_empty(), "{name} {specs:?}:\n{text}");
        }
    }
}

#[test]
#[ignore = "needs the network and apt: make network runs it"]
fn network_a_distribution_upgrade_is_what_apt_would_do() {
    let temporary = tempfile::tempdir().unwrap();
    let old = Suite::fetch(temporary.path(), "bookworm");
    let new = Suite::fetch(temporary.path(), "trixie");
    let base = solved(
        &old,
        None,
        &request(&["apt", "systemd-sysv", "openssh-server"]),
    );
    let arch: Arch = "amd64".parse().unwrap();
    let lock = Lock::empty(Family::Deb, arch).after(&base);
    // The same system for apt: dpkg's status and apt's marks.
    let digests: BTreeMap<Digest, bool> = lock
        .packages
        .iter()
        .map(|package| (package.sha256, package.reason.is_automatic()))
        .collect();
    let (mut status, mut marks) = (String::new(), String::new());
    let mut builder = IndexBuilder::new(Family::Deb);
    apt::packages::scan(&old.packages, &mut |record| {
        if let Some(automatic) = digests.get(&record.sha256) {
            builder.add(record);
            if *automatic {
                let (name, mark) = (record.name, "Architecture: amd64\nAuto-Installed: 1");
                writeln!(marks, "Package: {name}\n{mark}\n").unwrap();
            }
        }
    })
    .unwrap();
    for paragraph in old.packages.split("\n\n") {
        let digest = paragraph
            .lines()
            .find_map(|line| line.strip_prefix("SHA256: "));
        let digest = digest.and_then(|digest| digest.parse().ok());
        if digest.is_some_and(|digest: Digest| digests.contains_key(&digest)) {
            writeln!(status, "{paragraph}\nStatus: install ok installed\n").unwrap();
        }
    }
    std::fs::write(new.folder.join("status"), status).unwrap();
    std::fs::write(new.folder.join("extended_states"), marks).unwrap();
    let bytes = builder.finish().unwrap();
    let index = Index::access(&bytes).unwrap();
    assert_eq!(index.len(), lock.packages.len());
    let installed = Installed { index, lock: &lock };
    let upgrade = Request {
        upgrade: Upgrade::All,
        ..Request::default()
    };
    let transaction = solved(&new, Some(&installed), &upgrade);
    let text = difference(&new.simulate(&["dist-upgrade"]), &decided(&transaction));
    assert!(text.is_empty(), "{text}");
    // One package more moves only what it needs.
    let curl = Request {
        install: vec!["curl".to_owned()],
        ..Request::default()
    };
    let transaction = solved(&old, Some(&installed), &curl);
    let old_status = std::fs::read(new.folder.join("status")).unwrap();
    std::fs::write(old.folder.join("status"), old_status).unwrap();
    let text = difference(&old.simulate(&["install", "curl"]), &decided(&transaction));
    assert!(text.is_empty(), "{text}");
}
