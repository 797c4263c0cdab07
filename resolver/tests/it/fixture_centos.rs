//! Real CentOS packages: what dnf makes of the same repositories, as it was when the fixtures were collected.
//!
//! The packages lie outside the repository (`../shared/fixtures`, or where `VZPKG_FIXTURES` says); `createrepo_c` makes
//! their metadata.

use std::path::{Path, PathBuf};
use std::process::Command;
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::index::{Index, IndexBuilder, IndexBytes};
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::transaction::{Action, Transaction};
use vzpkg_metadata::{Arch, Digest, Family, yum};
use vzpkg_resolver::{Installed, Repository, Request, Solve, Upgrade, resolve};

pub(crate) fn fixtures() -> PathBuf {
    let named = std::env::vars_os()
        .find(|(name, _)| name == "VZPKG_FIXTURES")
        .map(|(_, path)| PathBuf::from(path));
    let path = named
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures"));
    let shown = path.display();
    assert!(
        path.is_dir(),
        "real packages are expected in {shown}; name another place with VZPKG_FIXTURES"
    );
    path
}

/// `primary.xml` of a folder of packages and the stand-ins that every set needs.
fn primary(set: &str) -> Vec<u8> {
    let temporary = tempfile::tempdir().unwrap();
    for folder in [set, "stand-ins"] {
        for entry in std::fs::read_dir(fixtures().join("rpms").join(folder)).unwrap() {
            let from = entry.unwrap().path();
            if from.extension().is_some_and(|extension| extension == "rpm") {
                let to = temporary.path().join(from.file_name().unwrap());
                std::os::unix::fs::symlink(from.canonicalize().unwrap(), to).unwrap();
            }
        }
    }
    let status = Command::new("createrepo_c")
        .args(["--quiet", "--compress-type", "gz"])
        .arg(temporary.path())
        .status()
        .unwrap();
    assert!(status.success());
    let mut files = std::fs::read_dir(temporary.path().join("repodata")).unwrap();
    let file = files
        .find_map(|entry| {
            let path = entry.unwrap().path();
            let text = path.to_string_lossy().into_owned();
            text.ends_with("-primary.xml.gz").then_some(path)
        })
        .unwrap();
    let output = Command::new("gzip").arg("-dc").arg(file).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn indexed(primary: &[u8], wanted: impl Fn(&Digest) -> bool) -> IndexBytes {
    let mut builder = IndexBuilder::new(Family::Rpm);
    yum::primary::scan(primary, &mut |record| {
        if wanted(&record.sha256) {
            builder.add(record);
        }
    })
    .unwrap();
    builder.finish().unwrap()
}

fn solved(bytes: &[u8], installed: Option<&Installed<'_>>, request: &Request) -> Transaction {
    let arch: Arch = "x86_64".parse().unwrap();
    let repository = Repository {
        id: "base0".parse().unwrap(),
        index: Index::access(bytes).unwrap(),
        priority: 99,
        excludes: Vec::new(),
        hotfixes: false,
        automatic: Automatic::Always,
    };
    match resolve(Family::Rpm, &arch, &[repository], installed, request).unwrap() {
        Solve::Solved(transaction) => transaction,
        Solve::Impossible(conflict) => panic!("{conflict}"),
    }
}

#[test]
#[ignore = "needs the fixture packages and createrepo_c: make check runs it"]
fn fixtures_centos_7_is_installed_and_upgraded_as_by_dnf() {
    let old = primary("centos-7.6.1810-min");
    let request = Request {
        install: ["bash", "rpm", "coreutils", "centos-release"]
            .map(str::to_owned)
            .to_vec(),
        ..Request::default()
    };
    let base = solved(&indexed(&old, |_| true), None, &request);
    assert_eq!(base.steps.len(), 65);
    let arch: Arch = "x86_64".parse().unwrap();
    let lock = Lock::empty(Family::Rpm, arch).after(&base);
    let bytes = indexed(&old, |digest| {
        lock.packages
            .iter()
            .any(|package| package.sha256 == *digest)
    });
    let index = Index::access(&bytes).unwrap();
    assert_eq!(index.len(), 65);
    let installed = Installed { index, lock: &lock };
    let new = indexed(&primary("centos-7.9.2009"), |_| true);
    let upgrade = Request {
        upgrade: Upgrade::All,
        ..Request::default()
    };
    let transaction = solved(&new, Some(&installed), &upgrade);
    let upgraded = transaction
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::Upgrade { .. }))
        .count();
    assert_eq!((upgraded, transaction.steps.len()), (39, 39));
}
