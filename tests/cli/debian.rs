//! Scenarios on the real Debian repositories of this host: the release alone, then with updates and security.

use crate::support::{Site, mounts_below};
use std::fs;
use std::path::PathBuf;

pub(crate) const TEMPLATE: &str = "debian-13-x86_64-minimal";

/// A site whose Debian 13 knows the release only, until [`Debian::with_updates`].
pub(crate) struct Debian {
    pub(crate) site: Site,
    repositories: PathBuf,
    all: String,
}

impl Debian {
    pub(crate) fn new() -> Self {
        let site = Site::new();
        site.vzpkg(&["list"]).ok();
        let repositories = site
            .root()
            .join("template/debian/13/x86_64/config/os/default/repositories");
        let all = fs::read_to_string(&repositories).unwrap();
        let lines = all
            .split_inclusive('\n')
            .filter(|line| line.contains(" trixie main"));
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

    /// Runs a shell line in the container `web` and returns what it printed.
    fn inside(&self, line: &str) -> String {
        self.site
            .vzpkg(&["ct", "exec", "web", "--", "sh", "-c", line])
            .ok()
    }

    /// The version that dpkg inside `web` has of a package; empty if none.
    fn version_of(&self, package: &str) -> String {
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
    // A program of a package that the update changes.
    let upgraded = "/usr/bin/apt-mark";
    debian.inside(&format!("chmod 700 {upgraded}"));
    debian.inside("apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends jq");
    let first = debian.version_of("apt");
    assert_private_changes(&debian, upgraded);

    debian.with_updates();
    site.vzpkg(&["status", TEMPLATE]).fails_with(10);
    site.vzpkg(&["update", TEMPLATE]).ok();
    site.vzpkg(&["status", TEMPLATE]).ok();
    let running = site.vzpkg(&["ct", "relink", "web"]).fails_with(1);
    assert!(running.contains("ct stop web"), "{running}");
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
    let refused = site.vzpkg(&["update", TEMPLATE]).fails_with(1);
    assert!(refused.contains("marked bad"), "{refused}");
    site.vzpkg(&["verify"]).ok();
    site.vzpkg(&["ct", "destroy", "--force", "web"]).ok();
    assert_eq!(mounts_below(&site.root()), Vec::<String>::new());
    assert_eq!(mounts_below(&site.path("run")), Vec::<String>::new());
}

/// Waits for the end of the boot: ten seconds for the manager's socket, then for its jobs.
const BOOTED: &str = "for i in $(seq 100); do test -S /run/systemd/private && break; sleep 0.1; done; \
                      systemctl is-system-running --wait || systemctl --failed --no-legend";

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_the_server_set_boots_its_init_in_a_user_namespace() {
    let debian = Debian::new();
    debian.with_updates();
    let site = &debian.site;
    site.vzpkg(&["create-cache", "debian-13-x86_64"]).ok();
    // Its own network: in the host's, a user namespace may not bind the ssh port.
    site.vzpkg(&[
        "ct",
        "create",
        "web",
        "--template",
        "debian-13-x86_64",
        "--net",
        "none",
        "--start",
    ])
    .ok();
    assert_eq!(debian.inside(BOOTED), "running\n");
    assert_eq!(debian.inside("cat /proc/1/comm"), "systemd\n");
    assert_ne!(
        debian.inside("cut -c12-22 /proc/self/uid_map | tr -d ' \\n'"),
        "0",
        "root inside is not root outside"
    );
    assert_eq!(debian.inside("dpkg --audit; dpkg --verify"), "");
    let keys = debian.inside("cat /etc/ssh/ssh_host_*_key.pub | wc -l");
    assert!(
        keys.trim().parse::<u32>().unwrap() >= 1,
        "host keys are made at the first start: {keys}"
    );
    site.vzpkg(&["ct", "destroy", "--force", "web"]).ok();
}

#[test]
#[ignore = "needs root and the Debian mirror: make check runs it"]
fn network_one_lock_gives_one_digest_on_two_file_systems_with_one_and_two_threads() {
    let debian = Debian::new();
    let site = &debian.site;
    site.vzpkg(&["create-cache", TEMPLATE, "--threads", "2"])
        .ok();
    let lock = site.vzpkg(&["lock", TEMPLATE]).ok();
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
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "none"])
        .arg(&other)
        .status()
        .unwrap();
    assert!(mounted.success());
    let root = other.join("vz");
    fs::create_dir(&root).unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(site.root().join("template"))
        .arg(&root)
        .status()
        .unwrap();
    assert!(copied.success());
    let run = |words: &[&str]| site.vzpkg(&[&["--root", root.to_str().unwrap()], words].concat());
    let built = run(&[
        "create-cache",
        TEMPLATE,
        "--threads",
        "1",
        "--lock",
        file.to_str().unwrap(),
    ]);
    let second = run(&["lock", TEMPLATE, "--format", "json"]);
    let unmounted = std::process::Command::new("umount")
        .arg(&other)
        .status()
        .unwrap();
    built.ok();
    assert_eq!(digest(second.ok()), first);
    assert!(unmounted.success());
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
    let tar = std::process::Command::new("tar")
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
    let audit = std::process::Command::new("chroot")
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
