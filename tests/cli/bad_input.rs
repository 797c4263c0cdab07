//! What a user, a mirror or the network may do wrong: nothing half-made, a clear error, the right exit code.

use crate::support::Site;
use std::fs;
use vzpkg_tests::apt_repo::{AptRepo, Signature};
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::http_server::{Fault, HttpServer, Times};
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::tools::{DAY, EPOCH};

/// A site with a template whose repository is served by a server that can lie.
struct Lab {
    site: Site,
    repo: AptRepo,
    key: TestKey,
    server: HttpServer,
    /// Where the one package lies below the server's root.
    package: String,
}

const TEMPLATE: &str = "test-1-x86_64";
const IN_RELEASE: &str = "/dists/stable/InRelease";

impl Lab {
    fn new() -> Self {
        let site = Site::new();
        let key = TestKey::new("archive");
        let mut repo = AptRepo::new(site.path("repo"));
        let hello = Deb::new("hello", "1.0")
            .field("Essential", "yes")
            .file("usr/bin/hello", 0o755, b"#!/bin/sh\n")
            .build(&site.path("debs"));
        let mut suite = repo.suite("stable");
        suite.valid_until = None;
        let package = suite.add("main", &hello);
        repo.publish(&key);
        let server = HttpServer::serve(repo.root());
        let lab = Self {
            site,
            repo,
            key,
            server,
            package,
        };
        lab.write_template(&lab.key.fingerprint());
        lab
    }

    fn write_template(&self, fingerprint: &str) {
        let repositories = format!("{} stable main\n", self.server.url());
        let keys = format!("{fingerprint} archive.asc\n");
        self.site.template(
            "test/1/x86_64/config/os/default",
            &[
                ("package_manager", "dpkgx64\n"),
                ("distribution", "debian\n"),
                ("packages", "hello\n"),
                ("repositories", &repositories),
                ("keys", &keys),
                (
                    "archive.asc",
                    &String::from_utf8(self.key.armored()).unwrap(),
                ),
            ],
        );
    }

    /// Asks what a build would do: everything up to the download, nothing more.
    fn plan(&self) -> crate::support::Run {
        self.site.vzpkg(&["create-cache", TEMPLATE, "--dry-run"])
    }

    /// The package index, in all forms and under all names, below the server's root.
    fn indexes(&self) -> Vec<String> {
        let below = "dists/stable/main/binary-amd64";
        let mut found = Vec::new();
        for directory in [below.to_owned(), format!("{below}/by-hash/SHA256")] {
            for entry in fs::read_dir(self.repo.root().join(&directory)).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                if entry.file_type().unwrap().is_file() && name != "Release" {
                    found.push(format!("{directory}/{name}"));
                }
            }
        }
        found
    }

    /// Has a file sent with as many bytes as it has, but others.
    fn send_other_bytes(&self, file: &str) {
        let mut bytes = fs::read(self.repo.root().join(file)).unwrap();
        for byte in &mut bytes {
            *byte = !*byte;
        }
        self.server
            .fault(&format!("/{file}"), Times::Always, Fault::Body(bytes));
    }

    fn assert_nothing_visible(&self) {
        let list = self.site.vzpkg(&["list", "--cached"]).ok();
        assert!(!list.contains(TEMPLATE), "{list}");
        let history = self.site.vzpkg(&["history", TEMPLATE]).fails_with(1);
        assert!(!history.is_empty());
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_signed_repository_is_planned() {
    let plan = Lab::new().plan().ok();
    assert!(plan.contains("hello") && plan.contains("1.0"), "{plan}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_an_unsigned_repository_is_refused() {
    let mut lab = Lab::new();
    lab.repo.suite("stable").signature = Signature::None;
    lab.repo.publish(&lab.key);
    let error = lab.plan().fails_with(4);
    assert!(
        error.contains("not signed") && error.contains("trusted=yes"),
        "{error}"
    );
    lab.assert_nothing_visible();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_wrongly_signed_repository_is_refused() {
    let lab = Lab::new();
    lab.repo.publish(&TestKey::new("thief"));
    let error = lab.plan().fails_with(4);
    assert!(
        error.contains(&lab.key.fingerprint()),
        "the pinned key is not named: {error}"
    );
    lab.assert_nothing_visible();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_an_expired_repository_is_refused() {
    let mut lab = Lab::new();
    lab.repo.suite("stable").valid_until = Some(EPOCH + DAY);
    lab.repo.publish(&lab.key);
    let error = lab.plan().fails_with(4);
    assert!(
        error.contains("stale") || error.contains("expired"),
        "{error}"
    );
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_replayed_repository_is_refused() {
    let mut lab = Lab::new();
    let old = fs::read(lab.repo.root().join("dists/stable/InRelease")).unwrap();
    lab.repo.suite("stable").date = EPOCH + DAY;
    lab.repo.publish(&lab.key);
    lab.plan().ok();
    lab.server
        .fault(IN_RELEASE, Times::Always, Fault::Body(old));
    let error = lab
        .site
        .vzpkg(&["create-cache", TEMPLATE, "--dry-run", "--refresh"])
        .fails_with(4);
    assert!(error.contains("stale"), "{error}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_package_with_other_bytes_is_refused() {
    let lab = Lab::new();
    lab.send_other_bytes(&lab.package);
    let error = lab.site.vzpkg(&["create-cache", TEMPLATE]).fails_with(4);
    assert!(error.contains("hello"), "{error}");
    lab.assert_nothing_visible();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_an_index_with_other_bytes_is_refused() {
    let lab = Lab::new();
    for index in lab.indexes() {
        lab.send_other_bytes(&index);
    }
    let error = lab.plan().fails_with(4);
    assert!(error.contains("signed is"), "{error}");
    lab.assert_nothing_visible();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_an_index_that_was_cut_is_refused() {
    let lab = Lab::new();
    for index in lab.indexes() {
        let whole = fs::read(lab.repo.root().join(&index)).unwrap();
        let half = whole[..whole.len() / 2].to_vec();
        lab.server
            .fault(&format!("/{index}"), Times::Always, Fault::Body(half));
    }
    lab.plan().fails_with(3);
    lab.assert_nothing_visible();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_server_that_is_not_there_is_an_environment_failure() {
    let lab = Lab::new();
    let repositories = "http://127.0.0.1:9/debian stable main\n";
    lab.site.template(
        "test/1/x86_64/config/os/default",
        &[("repositories", repositories)],
    );
    lab.plan().fails_with(3);
    let offline = lab
        .site
        .vzpkg(&["create-cache", TEMPLATE, "--offline"])
        .fails_with(3);
    assert!(offline.contains("offline"), "{offline}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_packages_that_do_not_exist_are_explained() {
    let lab = Lab::new();
    lab.site
        .template("test/1/x86_64/config/os/default", &[("packages", "helo\n")]);
    let error = lab.plan().fails_with(1);
    assert!(error.contains("helo") && error.contains("hello"), "{error}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_templates_with_mistakes_name_file_and_line() {
    let lab = Lab::new();
    lab.site.template(
        "test/1/x86_64/config/os/default",
        &[("repositories", "# mirrors\n$NOWHERE/debian stable main\n")],
    );
    let error = lab.plan().fails_with(2);
    assert!(
        error.contains("repositories") && error.contains("line 2") && error.contains("$NOWHERE"),
        "{error}"
    );
    let error = lab
        .site
        .vzpkg(&["create-cache", "debian-13-x86_64-minimall"])
        .fails_with(2);
    assert!(error.contains("debian-13-x86_64-minimal"), "{error}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_names_that_could_be_paths_are_refused() {
    let site = Site::new();
    for name in ["../x", "/etc/passwd", "a/../../b", "-rf", ""] {
        site.vzpkg(&["create-cache", "--", name]).fails_with(2);
        site.vzpkg(&["ct", "create", "--template", "debian-13-x86_64", "--", name])
            .fails_with(2);
    }
    site.vzpkg(&["history", "debian-13-x86_64@0"]).fails_with(2);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_dry_run_of_new_template_writes_nothing() {
    let site = Site::new();
    let error = site.vzpkg(&["new-template", "foo-1-x86_64"]).fails_with(2);
    assert!(error.contains("--like"), "{error}");
    let words = ["new-template", "foo-1-x86_64", "--like", "debian"];
    let said = site.vzpkg(&[&words[..], &["--dry-run"]].concat());
    assert!(said.stderr.contains("Would write"), "{}", said.stderr);
    let place = site.root().join("template/foo");
    assert!(said.code == 0 && !place.exists(), "{}", said.code);
    site.vzpkg(&words).ok();
    assert!(place.exists());
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_application_templates_are_refused_in_words() {
    let lab = Lab::new();
    let name = "test-1-x86_64/web";
    let made = lab.site.vzpkg(&["new-template", name]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(!made.stderr.contains("create-cache"), "{made:?}");
    let error = lab.site.vzpkg(&["create-cache", name]).fails_with(1);
    for text in ["not built yet", "vzpkg new-template test-1-x86_64-SET"] {
        assert!(error.contains(text), "{text}: {error}");
    }
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_each_of_several_templates_is_named_with_what_keeps_it() {
    let lab = Lab::new();
    let run = lab.site.vzpkg(&["create-cache", "--offline"]);
    assert_eq!(run.code, 3, "{run:?}");
    for name in ["debian-12-x86_64", "debian-13-x86_64", TEMPLATE] {
        let told = format!("error: `{name}`: ");
        assert!(run.stderr.contains(&told), "{name}: {}", run.stderr);
    }
    assert!(run.stderr.contains("without --offline"), "{}", run.stderr);
}
