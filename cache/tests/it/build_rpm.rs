//! Real CentOS packages through the whole builder, held against what Debian's dnf makes of the same packages.
//!
//! `glibc-common` is a stand-in of ours (SOURCES.md of the fixtures); the other packages are CentOS 7's own.

use crate::fixtures::store_at;
use crate::rpm_node::{Node, chain, installs, packages};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vzpkg_cache::build::BuildError;
use vzpkg_cache::import::unpack::{ContentSink, UnpackLimits};
use vzpkg_cache::import::{Fetched, import, rpm};
use vzpkg_cache::store::VersionRecord;
use vzpkg_metadata::digest::Hasher;
use vzpkg_metadata::lock::Ids;
use vzpkg_metadata::transaction::{Action, PackageRef};
use vzpkg_metadata::tree::NodeKind;
use vzpkg_metadata::{Digest, Family};
use vzpkg_runtime::sandbox::RunStatus;
use vzpkg_tests::fixtures::fixture;
use vzpkg_tests::rpm_writer::Rpm;

/// What `rpm -Va` says of any CentOS 7, however installed: `update-ca-trust` makes its files read-only; and of ours,
/// which gets `/etc/hosts` when a container is made.
const VERIFIED: &str = "\
missing   c /etc/hosts
.M.......  g /etc/pki/ca-trust/extracted/java/cacerts
.M.......  g /etc/pki/ca-trust/extracted/openssl/ca-bundle.trust.crt
.M.......  g /etc/pki/ca-trust/extracted/pem/email-ca-bundle.pem
.M.......  g /etc/pki/ca-trust/extracted/pem/objsign-ca-bundle.pem
.M.......  g /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
";

impl Node {
    /// What `rpm -Va` says and should not.
    fn findings(&self, version: &VersionRecord) -> Vec<String> {
        let said = self.inside(version, &["rpm", "-Va"]);
        // What lies in /run is made when a container starts.
        let lines = said.lines().filter(|line| !line.contains("/run/"));
        let unexpected = lines.filter(|line| !VERIFIED.contains(line));
        unexpected.map(str::to_owned).collect()
    }
}

fn rpms(directory: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(fixture(directory))
        .expect("fixtures")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "rpm"))
        .collect();
    files.sort();
    files
}

fn centos_7_6() -> Vec<Fetched> {
    let mut files = rpms("rpms/centos-7.6.1810-min");
    files.push(fixture(
        "rpms/stand-ins/glibc-common-2.17-260.el7.x86_64.rpm",
    ));
    packages(&files)
}

/// The packages of the 7.9 set that are newer than one of the 7.6 set, as upgrades.
fn upgrades() -> Vec<(Action, Fetched)> {
    let before: BTreeMap<String, String> = centos_7_6()
        .into_iter()
        .map(|fetched| (fetched.package.name.to_string(), fetched.package.version))
        .collect();
    let mut files = rpms("rpms/centos-7.9.2009");
    files.push(fixture(
        "rpms/stand-ins/glibc-common-2.17-317.el7.x86_64.rpm",
    ));
    packages(&files)
        .into_iter()
        .filter_map(|fetched| {
            let from = before.get(fetched.package.name.as_str())?.clone();
            (from != fetched.package.version).then_some((Action::Upgrade { from }, fetched))
        })
        .collect()
}

fn names(packages: &[PackageRef]) -> BTreeSet<String> {
    packages
        .iter()
        .map(|package| {
            let version = package.version.rsplit(':').next().unwrap_or_default();
            format!("{}-{version}.{}", package.name, package.arch)
        })
        .collect()
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_centos_7_6_is_built_by_its_own_rpm_the_same_each_time() {
    let node = Node::new();
    let set = centos_7_6();
    let expected = names(&set.iter().map(|f| f.package.clone()).collect::<Vec<_>>());
    let one = node.build(None, installs(set.clone()), 2);
    let installed = node.inside(&one, &["rpm", "-qa"]);
    let installed: BTreeSet<String> = installed.lines().map(str::to_owned).collect();
    assert_eq!(installed, expected);
    assert_eq!(node.findings(&one), [""; 0]);

    let other = Node::new();
    let mut reversed = set;
    reversed.reverse();
    let two = other.build(None, installs(reversed), 1);
    assert_eq!(one.digest, two.digest);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_centos_7_6_is_updated_to_7_9_by_its_own_rpm() {
    let node = Node::new();
    let one = node.build(None, installs(centos_7_6()), 2);
    let steps = upgrades();
    assert!(steps.len() > 30, "{}", steps.len());
    let two = node.build(Some(&one), steps.clone(), 2);
    let installed = node.inside(&two, &["rpm", "-qa"]);
    assert!(installed.contains("glibc-2.17-317.el7"), "{installed}");
    assert!(!installed.contains("glibc-2.17-260.el7"), "{installed}");
    assert_eq!(node.findings(&two), [""; 0]);
    // The base is as it was, and the same update of it gives the same version.
    let before = node.inside(&one, &["rpm", "-q", "glibc"]);
    assert!(before.contains("260.el7"), "{before}");
    let again = node.build(Some(&one), steps, 1);
    assert_eq!(two.digest, again.digest);
}

/// Hashes contents and forgets them.
struct Forget;

impl ContentSink for Forget {
    fn put(&mut self, content: &mut dyn io::Read, _size: u64) -> io::Result<Digest> {
        let mut hasher = Hasher::new();
        io::copy(content, &mut hasher)?;
        Ok(hasher.finish())
    }
}

#[test]
fn real_packages_of_every_kind_are_read_and_damaged_ones_refused() {
    let mut todo = vec![fixture("rpms/edge-cases")];
    let (mut read, mut refused) = (0, Vec::new());
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).expect("fixtures") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|end| end == "rpm") {
                let bounds = UnpackLimits {
                    stream: 1 << 30,
                    entries: 1 << 20,
                };
                let file = fs::File::open(&path).expect("a package");
                match rpm::read(file, bounds, &mut Forget) {
                    Ok(_) => read += 1,
                    Err(error) => {
                        let name = path.file_name().expect("a name").to_string_lossy();
                        refused.push(format!("{name}: {}", chain(&error)));
                    }
                }
            }
        }
    }
    refused.sort();
    let expected = [
        "empty-0-0.src.rpm: it is a source package",
        "hello-2.0-1.x86_64-corrupted.rpm: the payload cannot be read; failed to fill whole buffer",
    ];
    assert_eq!(refused, expected);
    assert!(read > 50, "{read}");
}

/// Why trees differ from those of dnf. A path that begins with one of these is left out; the reasons are in
/// docs/differences.md.
const DIFFERENCES: [(&str, &str); 14] = [
    ("dev/", "made by whoever installs"),
    ("etc/dnf", "dnf's own"),
    ("etc/hosts", "a node file"),
    (
        "etc/openldap/certs/",
        "a private key, or not made without /dev/urandom",
    ),
    ("etc/pki/ca-trust/extracted/java/cacerts", "holds times"),
    (
        "etc/shadow",
        "the day of the last change is the epoch's; otherwise equal, see below",
    ),
    ("run/", "a file system of its own in a container"),
    ("root/.rpmdb", "Debian's rpm keeps a database here"),
    ("var/cache/dnf", "dnf's own"),
    ("var/cache/ldconfig/aux-cache", "holds inode numbers"),
    ("var/lib/dnf", "dnf's own"),
    ("var/lib/rpm/", "of another format in Debian's rpm"),
    ("var/log/", "dnf's own"),
    ("cache/", "what dnf downloaded; it keeps it below the root"),
];

/// All of 7.9, which is what httpd needs, but for systemd, binutils and the logos: a package of ours stands in for these.
fn centos_7_9(node: &Node) -> Vec<Fetched> {
    let mut files = rpms("rpms/centos-7.9.2009");
    files.push(fixture(
        "rpms/stand-ins/glibc-common-2.17-317.el7.x86_64.rpm",
    ));
    let stand_in = ours("stand-in")
        .tag("Provides", "/usr/bin/nm")
        .tag("Provides", "system-logos = 7.92.1-1")
        .tag("Provides", "systemd = 219-78.el7")
        .tag("Provides", "systemd-units = 219-78.el7");
    files.push(stand_in.build(&node.place("made")));
    packages(&files)
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_centos_7_6_and_its_update_to_7_9_equal_what_dnf_makes() {
    let node = Node::new();
    let version = assert_equals_dnf(&node, centos_7_6());
    let steps = upgrades();
    let root = node.upgrade_with_dnf(steps.iter().map(|(_, fetched)| fetched));
    let version = node.build(Some(&version), steps, 2);
    assert_like_dnf(&node.written(&version), &root);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_centos_7_9_with_httpd_equals_what_dnf_installs() {
    let node = Node::new();
    let set = centos_7_9(&node);
    let expected = names(&set.iter().map(|f| f.package.clone()).collect::<Vec<_>>());
    let version = assert_equals_dnf(&node, set);
    let installed = node.inside(&version, &["rpm", "-qa"]);
    let installed: BTreeSet<String> = installed.lines().map(str::to_owned).collect();
    assert_eq!(installed, expected);
    assert_eq!(node.findings(&version), [""; 0]);
}

/// Builds a version of a set and holds its tree against what dnf makes of the same set.
fn assert_equals_dnf(node: &Node, set: Vec<Fetched>) -> VersionRecord {
    let root = node.with_dnf(&set);
    let version = node.build(None, installs(set), 2);
    assert_like_dnf(&node.written(&version), &root);
    version
}

fn assert_like_dnf(ours: &Path, theirs: &Path) {
    vzpkg_tests::tree_assert::assert_same_trees(ours, theirs, &|path| {
        DIFFERENCES
            .iter()
            .any(|(known, _)| path.starts_with(known.trim_end_matches('/')))
    });
    let without_days = |root: &Path| {
        let text = fs::read_to_string(root.join("etc/shadow")).expect("the shadow file");
        let fields = |line: &str| -> Vec<String> {
            let fields = line.split(':').enumerate();
            let kept = fields.filter(|(place, _)| *place != 2);
            kept.map(|(_, field)| field.to_owned()).collect()
        };
        text.lines().map(fields).collect::<Vec<_>>()
    };
    assert_eq!(without_days(ours), without_days(theirs));
}

/// A package of ours that CentOS 7's rpm can read.
fn ours(name: &str) -> Rpm {
    Rpm::new(name, "1", "1").define("_binary_payload", "w9.gzdio")
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_rpm_scripts_get_the_ids_of_the_template_and_removals_their_scripts() {
    let mut node = Node::new();
    let svc = Ids {
        uid: Some(412),
        gid: Some(413),
    };
    node.ids.insert("svc".into(), svc);
    let made = node.directory.path().join("made");
    let calls = b"#!/bin/sh\necho \"$0 $*\" >>/var/lib/calls\n";
    let packages = packages(&[
        ours("fake-shadow")
            .file("/usr/sbin/useradd", 0o755, calls)
            .file("/usr/sbin/groupadd", 0o755, calls)
            .build(&made),
        ours("svc")
            .tag("Requires(pre)", "fake-shadow")
            .section(
                "%pre",
                "groupadd -r svc\nuseradd -r -g svc svc\nuseradd -u 7 svc\nuseradd -r other",
            )
            .section("%preun", "echo gone $1 >>/var/lib/calls")
            .build(&made),
    ]);
    let one = node.build(None, installs(centos_7_6()), 2);
    let two = node.build(Some(&one), installs(packages.clone()), 2);
    let called = node.inside(&two, &["cat", "/var/lib/calls"]);
    let known = "/usr/sbin/groupadd -g 413 -r svc\n/usr/sbin/useradd -u 412 -r -g svc svc\n\
                 /usr/sbin/useradd -u 7 svc\n";
    let rest = called.strip_prefix(known).expect("the template's ids");
    // A name that the template does not know got an id of its own.
    let foreseen = rest.strip_prefix("/usr/sbin/useradd -u ");
    assert!(
        foreseen.is_some_and(|rest| rest.ends_with(" -r other\n")),
        "{called}"
    );
    let svc = packages
        .into_iter()
        .find(|f| f.package.name.as_str() == "svc");
    let removal = (Action::Remove, svc.expect("it was made"));
    let three = node.build(Some(&two), vec![removal], 2);
    let called = node.inside(&three, &["tail", "-n1", "/var/lib/calls"]);
    assert_eq!(called, "gone 0\n");
    let installed = node.inside(&three, &["rpm", "-qa"]);
    assert!(installed.contains("fake-shadow") && !installed.contains("svc-"));
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_what_has_an_epoch_is_removed_and_a_twin_comes_with_what_needs_it() {
    let node = Node::new();
    let made = node.directory.path().join("made");
    let lib = |arch: &str| ours("lib").arch(arch).tag("Provides", "lib(api)");
    let base = packages(&[
        ours("old").tag("Epoch", "2").build(&made),
        ours("lib").arch("x86_64").build(&made),
    ]);
    let old = base.iter().find(|f| f.package.name.as_str() == "old");
    let removal = (Action::Remove, old.expect("it was made").clone());
    // rpm installs what has no files whatever it was made for.
    let twins = packages(&[
        lib("i686").build(&made),
        ours("app")
            .arch("i686")
            .tag("Requires", "lib(api)")
            .build(&made),
    ]);
    let one = node.build(None, installs([centos_7_6(), base].concat()), 2);
    let steps = [vec![removal], installs(twins)].concat();
    let two = node.build(Some(&one), steps, 2);
    let installed = node.inside(&two, &["rpm", "-qa", "lib", "old", "app"]);
    let mut installed: Vec<_> = installed.lines().collect();
    installed.sort_unstable();
    assert_eq!(
        installed,
        ["app-1-1.i686", "lib-1-1.i686", "lib-1-1.x86_64"]
    );
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_failing_pre_script_is_named_and_publishes_nothing() {
    let node = Node::new();
    let one = node.build(None, installs(centos_7_6()), 2);
    let made = node.directory.path().join("made");
    let bad = ours("bad").section("%pre", "echo why; exit 7").build(&made);
    let error = node
        .try_build(Some(&one), installs(packages(&[bad])), 2)
        .expect_err("its script fails");
    let BuildError::Script(failure) = error else {
        panic!("{}", chain(&error));
    };
    assert_eq!(failure.package.as_deref(), Some("bad-1-1.noarch"));
    assert!(
        failure.output.iter().any(|line| line == "why"),
        "{failure:?}"
    );
    let versions = fs::read_dir(node.store.layout.versions())
        .expect("versions")
        .count();
    assert_eq!(versions, 1);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_packages_handed_over_unpacked_and_as_they_came_give_one_version() {
    let unpacked = Node::new();
    let set = centos_7_6();
    let one = unpacked.build(None, installs(set.clone()), 2);

    let original = Node::new();
    for fetched in &set {
        let (manifest, _) = import(&original.store, Family::Rpm, fetched).expect("imported");
        let mut manifest = (*manifest).clone();
        assert!(
            manifest.control.remove("lead").is_some()
                && manifest.control.remove("payload").is_some(),
            "{} would not be handed over unpacked",
            manifest.name
        );
        original.store.packages.put(&manifest).expect("it is put");
    }
    let two = original.build(None, installs(set), 2);
    assert_eq!(one.digest, two.digest);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_damaged_object_of_a_package_is_found_before_rpm_runs() {
    let node = Node::new();
    let set = centos_7_6();
    for fetched in &set {
        import(&node.store, Family::Rpm, fetched).expect("imported");
    }
    node.store.sync().expect("synced");
    let bash = set.iter().find(|f| f.package.name.as_str() == "bash");
    let manifest = node.store.packages.get(&bash.expect("bash").package.sha256);
    let tree = manifest.expect("readable").expect("imported").tree;
    let node_of_bash = tree.node(&"usr/bin/bash".parse().expect("a path"));
    let NodeKind::File { digest, size } = node_of_bash.expect("bash").kind else {
        panic!("no file");
    };
    let object = node.store.objects.path(&digest);
    fs::write(&object, vec![0; usize::try_from(size).expect("small")]).expect("damaged");
    // Another process than the one that imported it knows nothing of it.
    let node = Node {
        store: store_at(node.directory.path()),
        ..node
    };
    let error = node
        .try_build(None, installs(set), 2)
        .expect_err("the object is damaged");
    assert!(chain(&error).contains("is damaged"), "{}", chain(&error));
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_script_that_does_not_end_is_named() {
    let mut node = Node::new();
    let one = node.build(None, installs(centos_7_6()), 2);
    let made = node.directory.path().join("made");
    let bad = ours("endless")
        .section("%post", "echo waits; sleep 100000")
        .build(&made);
    // Long enough for rpm to come to the script on a busy machine.
    node.timeout = Duration::from_secs(20);
    let error = node
        .try_build(Some(&one), installs(packages(&[bad])), 2)
        .expect_err("it does not end");
    let BuildError::Script(failure) = error else {
        panic!("{}", chain(&error));
    };
    assert_eq!(failure.package.as_deref(), Some("endless-1-1.noarch"));
    assert_eq!(failure.script, "%post script");
    assert_eq!(failure.status, RunStatus::TimedOut);
}
