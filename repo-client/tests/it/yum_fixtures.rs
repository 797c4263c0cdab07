//! Real metadata and real, signed packages of CentOS: what `VZPKG_FIXTURES` (else `../shared/fixtures`) holds.

use crate::support::{Bench, chain};
use crate::yum::source;
use sequoia_openpgp::Cert;
use sequoia_openpgp::parse::Parse as _;
use std::fs;
use std::path::{Path, PathBuf};
use vzpkg_metadata::Family;
use vzpkg_metadata::template::{KeyPin, KeyPlace, RepositoryLine};
use vzpkg_repo_client::verify::{Keyring, Policy, RpmSignatureProblem, rpm_package};
use vzpkg_repo_client::{PackageKeys, Wanted};
use vzpkg_tests::yum_repo::YumRepo;

/// `RPM-GPG-KEY-CentOS-7`.
const CENTOS_7: &str = "6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5";

#[expect(
    clippy::disallowed_methods,
    reason = "the variable names the place of the fixtures, for tests only"
)]
fn fixtures(below: &str) -> PathBuf {
    let root = std::env::var_os("VZPKG_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures"),
        PathBuf::from,
    );
    let path = root.join(below);
    assert!(
        path.exists(),
        "real data is expected at {}; name another place with VZPKG_FIXTURES",
        path.display()
    );
    path
}

fn centos_7() -> KeyPin {
    KeyPin {
        fingerprint: CENTOS_7.parse().unwrap(),
        places: vec![KeyPlace::Path(fixtures("rpms/RPM-GPG-KEY-CentOS-7"))],
        origin: "base".into(),
    }
}

/// All packages of a set as a repository without signed metadata, and what is wanted from it: everything.
fn centos_set(bench: &Bench, set: &str) -> (RepositoryLine, Vec<PathBuf>) {
    let mut repo = YumRepo::new(bench.env.path("repo"));
    let entries = fs::read_dir(fixtures(set)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rpm"));
    files.sort();
    for file in &files {
        repo.add(file);
    }
    repo.publish_unsigned();
    let mut source = source(&[format!("file://{}", repo.root().display())]);
    source.options.unsigned_metadata = true;
    source.options.legacy_signatures = true;
    (RepositoryLine::Yum(source), files)
}

fn all(repository: &vzpkg_repo_client::Repository) -> Vec<Wanted> {
    let index = repository.index.as_index();
    let packages = index.packages().map(|package| Wanted {
        package: package.to_package_ref(&repository.id).unwrap(),
        family: Family::Rpm,
        base_urls: repository.base_urls.clone(),
        package_keys: repository.package_keys.clone(),
    });
    packages.collect()
}

#[test]
#[ignore = "needs the real CentOS data: make check runs it"]
fn fixtures_real_metadata_of_centos_is_read_whole() {
    for (name, packages) in [
        ("centos-stream-9-appstream", 17649),
        ("centos-stream-9-baseos", 1125),
        ("centos-7.9-httpd-closure", 117),
    ] {
        let bench = Bench::new();
        let url = format!("file://{}", fixtures("repodata").join(name).display());
        let mut source = source(&[url]);
        source.trusted = true;
        let repository = bench.load(&RepositoryLine::Yum(source), &[]).unwrap();
        assert_eq!(repository.index.package_count(), packages, "{name}");
    }
}

#[test]
#[ignore = "needs the real CentOS data: make check runs it"]
fn fixtures_real_metadata_with_sha1_only_is_refused() {
    let bench = Bench::new();
    let url = format!(
        "file://{}",
        fixtures("repodata/opensuse-11.0-update").display()
    );
    let mut source = source(&[url]);
    source.trusted = true;
    let error = chain(&bench.load(&RepositoryLine::Yum(source), &[]).unwrap_err());
    assert!(error.contains("identifies `primary` by `sha`"), "{error}");
}

#[test]
#[ignore = "needs the real CentOS data: make check runs it"]
fn fixtures_real_packages_of_centos_7_prove_themselves_under_unsigned_metadata() {
    for set in ["rpms/centos-7.6.1810-min", "rpms/centos-7.9.2009"] {
        let bench = Bench::new();
        let (line, files) = centos_set(&bench, set);
        let repository = bench.load(&line, &[centos_7()]).unwrap();
        let wanted = all(&repository);
        assert_eq!(wanted.len(), files.len());
        let paths = bench.client().fetch(&wanted).unwrap();
        assert_eq!(paths.len(), files.len());
    }
}

#[test]
#[ignore = "needs the real CentOS data: make check runs it"]
fn fixtures_signatures_of_centos_7_need_the_legacy_policy() {
    let bench = Bench::new();
    let (mut line, _) = centos_set(&bench, "rpms/centos-7.6.1810-min");
    if let RepositoryLine::Yum(source) = &mut line {
        source.options.legacy_signatures = false;
    }
    // Also where the files are here already, accepted under the other policy.
    let mut accepted = line.clone();
    if let RepositoryLine::Yum(source) = &mut accepted {
        source.options.legacy_signatures = true;
    }
    let repository = bench.load(&accepted, &[centos_7()]).unwrap();
    bench.client().fetch(&all(&repository)).unwrap();
    let repository = bench.load(&line, &[centos_7()]).unwrap();
    let error = chain(&bench.client().fetch(&all(&repository)).unwrap_err());
    assert!(
        error.contains("Signature Packet v3 is not considered secure"),
        "{error}"
    );
}

#[test]
#[ignore = "needs the real CentOS data: make check runs it"]
fn fixtures_swap_package_under_an_unsigned_index_is_refused() {
    let bench = Bench::new();
    let (line, files) = centos_set(&bench, "rpms/centos-7.6.1810-min");
    let repository = bench.load(&line, &[centos_7()]).unwrap();
    let bash = all(&repository)
        .into_iter()
        .find(|wanted| wanted.package.name.as_str() == "bash")
        .unwrap();
    let keys = bash.package_keys.clone().unwrap();
    let now = bench.options.now;
    let check =
        |path: &Path| rpm_package(path, &bash.package, &keys, now).map_err(|error| error.problem);
    let is = |name: &str| {
        let file = files.iter().find(|path| {
            let file = path.file_name().unwrap().to_str().unwrap();
            file.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with("-4") || rest.starts_with("-8"))
        });
        file.unwrap().clone()
    };
    let path = is("bash");
    assert_eq!(check(&path).unwrap().signers[0].as_str(), CENTOS_7);
    // A package that is signed, but is another one than the index says.
    assert!(matches!(
        check(&is("coreutils")),
        Err(RpmSignatureProblem::Another { .. })
    ));
    let bytes = fs::read(&path).unwrap();
    let evil = bench.env.path("evil.rpm");
    let try_bytes = |bytes: &[u8]| {
        fs::write(&evil, bytes).unwrap();
        check(&evil)
    };
    // One bit of what is signed, header and payload; and cuts, and bytes at the end.
    assert!(try_bytes(&bytes).is_ok());
    let magic = [0x8e, 0xad, 0xe8, 0x01];
    let mut magics = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(&magic));
    let header_at = magics.nth(1).unwrap();
    let inside = [0, 8, 15, 16, 500, 20_000].map(|offset| header_at + offset);
    for at in inside
        .into_iter()
        .chain([0, 96, bytes.len() / 2, bytes.len() - 1])
    {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        assert!(try_bytes(&changed).is_err(), "byte {at}");
    }
    for length in [0, 50, 96, 100, 1000, 6000, bytes.len() - 1] {
        assert!(try_bytes(&bytes[..length]).is_err(), "{length} bytes");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(try_bytes(&longer).is_err());
}

#[test]
#[ignore = "needs the real CentOS data: make check runs it"]
fn fixtures_packages_that_nobody_pinned_signed_are_refused() {
    let bench = Bench::new();
    let mut repo = YumRepo::new(bench.env.path("repo"));
    let rpm = vzpkg_tests::rpm_writer::Rpm::new("hello", "1.0", "1");
    repo.add(&rpm.build(&bench.env.path("rpms")));
    repo.publish_unsigned();
    let mut source = source(&[format!("file://{}", repo.root().display())]);
    source.options.unsigned_metadata = true;
    let line = RepositoryLine::Yum(source);
    let repository = bench.load(&line, &[centos_7()]).unwrap();
    let error = chain(&bench.client().fetch(&all(&repository)).unwrap_err());
    assert!(error.ends_with("the package is not signed"), "{error}");
    // It stays in `packages/`: under metadata that is signed, its hash would be enough.
    assert!(bench.client().fetch(&all(&repository)).is_err());
}

#[test]
#[ignore = "needs the real CentOS data: make check runs it"]
fn fixtures_signatures_of_every_age_and_algorithm_are_understood() {
    let directory = fixtures("rpms/edge-cases/rpm-rs");
    let now = 1_790_000_000;
    for (file, key) in [
        (
            "v4/signed/rpm-basic-with-rsa4096",
            "v4/rpm-testkey-v4-rsa4096",
        ),
        (
            "v4/signed/rpm-basic-with-ed25519",
            "v4/rpm-testkey-v4-ed25519",
        ),
        (
            "v4/signed/rpm-basic-with-ecdsa",
            "v4/rpm-testkey-v4-ecdsa-nistp256",
        ),
        (
            "v6/signed/rpm-basic-with-ed25519",
            "v6/rpm-testkey-v6-ed25519",
        ),
        ("v6/signed/rpm-basic-with-rsa4k", "v6/rpm-testkey-v6-rsa4k"),
        (
            "v6/signed/rpm-basic-multiple-signatures",
            "v6/rpm-testkey-v6-ed25519",
        ),
    ] {
        let file = format!("{file}-2.3.4-5.el9.noarch.rpm");
        let key = directory.join("signing_keys").join(format!("{key}.asc"));
        let certificate = fs::read(key).unwrap();
        let fingerprint = Cert::from_bytes(&certificate).unwrap().fingerprint();
        let mut keyring = Keyring::new([fingerprint.to_hex().parse().unwrap()]);
        keyring.add(&certificate);
        let keys = PackageKeys::new(keyring, Policy::Standard);
        let path = directory.join("RPMS").join(&file);
        let package = hello();
        rpm_package(&path, &package, &keys, now)
            .unwrap_or_else(|error| panic!("{file}: {}", chain(&error)));
        let other = PackageKeys::new(
            Keyring::new(["0".repeat(40).parse().unwrap()]),
            Policy::Standard,
        );
        assert!(rpm_package(&path, &package, &other, now).is_err());
    }
}

fn hello() -> vzpkg_metadata::transaction::PackageRef {
    vzpkg_metadata::transaction::PackageRef {
        name: "rpm-basic".parse().unwrap(),
        arch: "noarch".parse().unwrap(),
        version: "1:2.3.4-5.el9".to_owned(),
        sha256: vzpkg_metadata::Digest::of(b""),
        size: vzpkg_metadata::ByteSize(0),
        installed_size: vzpkg_metadata::ByteSize(0),
        repository: None,
        location: String::new(),
    }
}
