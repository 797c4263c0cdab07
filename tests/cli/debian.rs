//! Scenarios on the real Debian repositories of this host: the release alone, then with updates and security.

use crate::later;
use crate::peers;
use crate::support::{Site, mounts_below};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use vzpkg_tests::tools::run;

pub(crate) const TEMPLATE: &str = "debian-13-x86_64-minimal";

/// A site whose Debian 13 knows the release only, until [`Debian::with_updates`].
pub(crate) struct Debian {
    pub(crate) site: Site,
    repositories: PathBuf,
    all: String,
}

impl Debian {
    pub(crate) fn new() -> Self {
        Self::release("13", "trixie")
    }

    pub(crate) fn release(number: &str, suite: &str) -> Self {
        let site = Site::new();
        site.vzpkg(&["list"]).ok();
        let files = format!("template/debian/{number}/x86_64/config/os/default/repositories");
        let repositories = site.root().join(files);
        let all = fs::read_to_string(&repositories).unwrap();
        let lines = all
            .split_inclusive('\n')
            .filter(|line| line.contains(&format!(" {suite} main")));
        let base: String = lines.collect();
        assert!(!base.is_empty() && base.len() < all.len(), "{all}");
        fs::write(&repositories, base).unwrap();
        Self {
            site,
            repositories,
            all,
        }
    }

    pub(crate) fn with_updates(&self) {
        fs::write(&self.repositories, &self.all).unwrap();
    }

    /// Everything that these source packages have here, a version later: whatever the mirror has today, there is an
    /// update.
    pub(crate) fn with_later(&self, sources: &str) {
        let later = later::repository(&self.site, sources);
        let line = format!("[trusted=yes] file://{} ./\n", later.display());
        fs::write(&self.repositories, self.all.clone() + &line).unwrap();
    }

    /// Runs a shell line in the container `web` and returns what it printed.
    pub(crate) fn inside(&self, line: &str) -> String {
        self.site
            .vzpkg(&["ct", "exec", "web", "--", "sh", "-c", line])
            .ok()
    }

    /// The version that dpkg inside `web` has of a package; empty if none.
    pub(crate) fn version_of(&self, package: &str) -> String {
        self.inside(&format!(
            "dpkg-query -W -f '${{Version}}' {package} 2>/dev/null || true"
        ))
    }
}

/// The rules of private changes, one line each: what `web` must show on every version.
fn assert_private_changes(debian: &Debian, upgraded: &str) {
    assert_eq!(
        debian.inside("tail -n1 /etc/debconf.conf"),
        "# mine\n",
        "a changed conffile is the container's"
    );
    assert_eq!(debian.inside("hello-by-hand"), "kept\n", "a new file stays");
    assert!(
        debian.inside("id alice").contains("alice"),
        "a new user stays"
    );
    assert_eq!(
        debian.inside("ls -A /usr/share/doc/apt"),
        "mine\n",
        "a replaced directory shows nothing of any version"
    );
    assert_eq!(
        debian.inside(&format!("stat -c %a {upgraded}")),
        "700\n",
        "a chmod survives new content"
    );
    assert_eq!(
        debian.inside("dpkg-query -W -f '${Status}' jq"),
        "install ok installed",
        "a package installed by hand stays"
    );
    assert_eq!(
        debian.inside("echo '{\"a\":1}' | jq .a"),
        "1\n",
        "and works"
    );
    assert_eq!(debian.inside("dpkg --audit"), "", "dpkg is content");
    debian.inside("apt-get check");
}

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_a_container_with_private_changes_goes_forward_and_back() {
    let debian = Debian::new();
    let site = &debian.site;
    site.vzpkg(&["create-cache", TEMPLATE]).ok();
    site.vzpkg(&["ct", "create", "web", "--template", TEMPLATE, "--start"])
        .ok();
    assert_eq!(
        debian.inside("dpkg --audit; dpkg --verify; id -u"),
        "0\n",
        "a fresh container is clean"
    );

    debian.inside("echo '# mine' >> /etc/debconf.conf");
    debian.inside("printf '#!/bin/sh\\necho kept\\n' > /usr/local/bin/hello-by-hand; chmod 755 /usr/local/bin/hello-by-hand");
    debian.inside("useradd --create-home alice");
    debian.inside("cd /usr/share/doc; rm -r apt; mkdir apt; touch apt/mine");
    // A program of a package that the update changes.
    let upgraded = "/usr/bin/apt-mark";
    debian.inside(&format!("chmod 700 {upgraded}"));
    debian.inside("apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends jq");
    let first = debian.version_of("apt");
    assert_private_changes(&debian, upgraded);

    debian.with_later("apt");
    site.vzpkg(&["status", TEMPLATE]).fails_with(10);
    site.vzpkg(&["update", TEMPLATE]).ok();
    site.vzpkg(&["status", TEMPLATE]).ok();
    site.vzpkg(&["ct", "stop", "web"]).ok();
    let planned = site.vzpkg(&["ct", "relink", "web", "--dry-run"]).ok();
    assert!(
        planned.is_empty(),
        "a plan of a changing verb is for people: {planned}"
    );
    site.vzpkg(&["ct", "relink", "web"]).ok();
    site.vzpkg(&["ct", "start", "web"]).ok();
    let second = debian.version_of("apt");
    assert_ne!(first, second, "the update brings another apt");
    assert_private_changes(&debian, upgraded);
    assert_eq!(
        debian.inside(&format!(
            "dpkg --verify apt | grep -c '^..5.*{upgraded}' || true"
        )),
        "0\n",
        "its content is the new one"
    );

    site.vzpkg(&["ct", "stop", "web"]).ok();
    site.vzpkg(&["rollback", "web"]).ok();
    site.vzpkg(&["ct", "start", "web"]).ok();
    assert_eq!(debian.version_of("apt"), first, "back is back");
    assert_private_changes(&debian, upgraded);

    site.vzpkg(&["rollback", TEMPLATE, "--reason", "test"]).ok();
    let history = site.vzpkg(&["history", TEMPLATE]).ok();
    assert!(history.contains("bad: test"), "{history}");
    let left = site.vzpkg(&["update", TEMPLATE]);
    assert!(
        left.code == 0 && left.stderr.contains("rolled back: test"),
        "{left:?}"
    );
    site.vzpkg(&["verify"]).ok();
    site.vzpkg(&["ct", "destroy", "--force", "web"]).ok();
    assert_eq!(mounts_below(&site.root()), Vec::<String>::new());
    assert_eq!(mounts_below(&site.path("run")), Vec::<String>::new());
}

/// Waits for the end of the boot: a minute for the manager's socket, which a busy machine may need, then for its jobs.
pub(crate) const BOOTED: &str = "for i in $(seq 600); do test -S /run/systemd/private && break; sleep 0.1; done; \
                      systemctl is-system-running --wait || systemctl --failed --no-legend";

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_debian_12_is_what_its_own_tools_make() {
    is_what_its_own_tools_make("12", "bookworm");
}

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_debian_13_is_what_its_own_tools_make() {
    is_what_its_own_tools_make("13", "trixie");
}

/// Both sets of a release: apt would install the same packages, mmdebstrap makes the same tree, everything is content
/// inside and goes on to work, and where there is an init it boots.
fn is_what_its_own_tools_make(release: &str, suite: &str) {
    let debian = Debian::release(release, suite);
    debian.with_updates();
    let site = &debian.site;
    let server = format!("debian-{release}-x86_64");
    let minimal = format!("{server}-minimal");

    site.vzpkg(&["create-cache", &minimal]).ok();
    let exported = site.path("exported");
    site.vzpkg(&["export", &minimal, exported.to_str().unwrap()])
        .ok();
    let apt = peers::Apt::new(site, &exported);
    let set = peers::packages_of(site, &minimal);
    assert_eq!(
        set,
        apt.would_install(site, release, "minimal"),
        "{minimal}"
    );
    let theirs = peers::mmdebstrap(site, &minimal, suite);
    let accepted = peers::accepted_differences("Debian minbase");
    vzpkg_tests::tree_assert::assert_same_trees(&theirs, &exported, &|path| {
        accepted.iter().any(|pattern| pattern.matches(path))
    });
    // The network of the host, which a package that is installed inside needs.
    create(site, &minimal, "host");
    assert_content_and_useful(&debian);
    site.vzpkg(&["ct", "destroy", "--force", "web"]).ok();

    site.vzpkg(&["create-cache", &server]).ok();
    let set = peers::packages_of(site, &server);
    assert_eq!(set, apt.would_install(site, release, "default"), "{server}");
    create(site, &server, "host");
    assert_content_and_useful(&debian);
    site.vzpkg(&["ct", "destroy", "--force", "web"]).ok();
    // Its own network: in the host's, a user namespace may not bind the ssh port.
    create(site, &server, "none");
    assert_eq!(debian.inside(BOOTED), "running\n");
    assert_eq!(debian.inside("cat /proc/1/comm"), "systemd\n");
    assert_ne!(
        debian.inside("cut -c12-22 /proc/self/uid_map | tr -d ' \\n'"),
        "0",
        "root inside is not root outside"
    );
    let keys = debian.inside("cat /etc/ssh/ssh_host_*_key.pub | wc -l");
    assert!(
        keys.trim().parse::<u32>().unwrap() >= 1,
        "host keys are made at the first start: {keys}"
    );
    site.vzpkg(&["ct", "destroy", "--force", "web"]).ok();
}

fn create(site: &Site, template: &str, net: &str) {
    let words = ["ct", "create", "web", "--template", template, "--net", net];
    site.vzpkg(&[&words[..], &["--start"]].concat()).ok();
}

/// `web` is as its distribution wants it, and stays so when a package is installed.
fn assert_content_and_useful(debian: &Debian) {
    let content = "dpkg --audit; dpkg --verify; apt-get -qq check";
    assert_eq!(debian.inside(content), "");
    debian.inside(
        "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq hello",
    );
    assert_eq!(debian.inside("hello"), "Hello, world!\n");
    assert_eq!(debian.inside(content), "");
}

/// A version built on another: apt made it from its base, and the other node repeats both builds.
#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_one_lock_gives_one_digest_on_two_file_systems_with_one_and_two_threads() {
    let debian = Debian::new();
    let site = &debian.site;
    site.vzpkg(&["create-cache", TEMPLATE, "--threads", "2"])
        .ok();
    debian.with_updates();
    site.vzpkg(&["update", TEMPLATE, "--threads", "2"]).ok();
    let lock = site.vzpkg(&["lock", TEMPLATE]).ok();
    assert!(lock.contains("\nlink sha256:"), "{lock}");
    let file = site.path("lock");
    fs::write(&file, &lock).unwrap();
    let digest = |json: String| {
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["digest"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = digest(site.vzpkg(&["lock", TEMPLATE, "--format", "json"]).ok());

    // A tmpfs: no image can be mounted from it, so other tiers build there.
    let other = site.path("tmpfs");
    fs::create_dir(&other).unwrap();
    run(Command::new("mount")
        .args(["-t", "tmpfs", "none"])
        .arg(&other));
    let root = other.join("vz");
    fs::create_dir(&root).unwrap();
    let templates = site.root().join("template");
    run(Command::new("cp").arg("-a").args([&templates, &root]));
    let there = |words: &[&str]| site.vzpkg(&[&["--root", root.to_str().unwrap()], words].concat());
    let create = ["create-cache", TEMPLATE, "--threads", "1", "--lock"];
    let built = there(&[&create[..], &[file.to_str().unwrap()]].concat());
    let second = there(&["lock", TEMPLATE, "--format", "json"]);
    let again = there(&["lock", TEMPLATE]);
    let history = there(&["history", TEMPLATE, "--format", "json"]);
    run(Command::new("umount").arg(&other));
    built.ok();
    assert_eq!(digest(second.ok()), first);
    assert_eq!(again.ok(), lock, "its lock says the same");
    let history: serde_json::Value = serde_json::from_str(&history.ok()).unwrap();
    let versions = history["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 1, "what it was built on is not visible");
}

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_an_export_is_a_whole_system() {
    let debian = Debian::new();
    let site = &debian.site;
    site.vzpkg(&["create-cache", TEMPLATE]).ok();
    let archive = site.path("out.tar.zst");
    site.vzpkg(&[
        "export",
        TEMPLATE,
        archive.to_str().unwrap(),
        "--hostname",
        "exported",
    ])
    .ok();
    let directory = site.path("out");
    site.vzpkg(&[
        "export",
        TEMPLATE,
        directory.to_str().unwrap(),
        "--hostname",
        "exported",
    ])
    .ok();
    let unpacked = site.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tar = Command::new("tar")
        .args(["--zstd", "--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(&archive)
        .arg("-C")
        .arg(&unpacked)
        .status()
        .unwrap();
    assert!(tar.success());
    vzpkg_tests::tree_assert::assert_same_trees(&directory, &unpacked, &|_| false);
    assert_eq!(
        fs::read_to_string(directory.join("etc/hostname")).unwrap(),
        "exported\n"
    );
    let audit = Command::new("chroot")
        .arg(&directory)
        .args(["dpkg", "--audit"])
        .output()
        .unwrap();
    assert!(audit.status.success() && audit.stdout.is_empty());
    let again = site
        .vzpkg(&["export", TEMPLATE, directory.to_str().unwrap()])
        .fails_with(1);
    assert!(again.contains("exists"), "{again}");
}
