//! A filtered Debian 12 with its updates and security suites, from the real archive of this host: every verb, and a real
//! apt that installs from each state, through our server and through nginx.

use super::serving::Nginx;
use super::{Server, apt};
use crate::support::Site;
use std::fs;
use std::path::Path;
use vzpkg_tests::apt_repo::AptRepo;
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::http_server::HttpServer;
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::tools::host_archive;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Without dependencies and without scripts, so that it can be installed into an empty directory.
const PACKAGE: &str = "manpages";

fn add(site: &Site, name: &str, url: &str, suites: &str, packages: &str, keyring: &str) {
    let words = ["mirror", "add", name, url, "--suites", suites];
    let of = ["--arch", "amd64", "--packages", packages, "--newest", "1"];
    let words = [&words[..], &of, &["--keyring", keyring]];
    site.vzpkg(&words.concat()).ok();
}

/// What a sync says of each mirror: whether something changed.
fn synced(site: &Site, names: &[&str]) -> Vec<bool> {
    let words = [&["--format", "json", "mirror", "sync"][..], names].concat();
    let said = site.vzpkg(&words).ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let mirrors = said["mirrors"].as_array().unwrap().iter();
    mirrors
        .map(|mirror| mirror["changed"].as_bool().unwrap())
        .collect()
}

fn published(site: &Site, name: &str) -> serde_json::Value {
    let said = site
        .vzpkg(&["--format", "json", "mirror", "info", name])
        .ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    said["published"].clone()
}

/// Lists of these lines, read anew: a client that has seen a newer state does not go back.
fn update(client: &Path, lines: &[String]) -> String {
    drop(fs::remove_dir_all(client));
    fs::create_dir_all(client.join("apt")).unwrap();
    fs::write(client.join("apt/sources.list"), lines.concat()).unwrap();
    let update = apt(client, &["update"]);
    assert!(
        !update.contains("\nE:") && !update.contains("\nW:"),
        "{update}"
    );
    assert!(update.contains("/by-hash/SHA256/"), "{update}");
    update
}

/// The version of [`PACKAGE`] that apt and dpkg have put into an empty directory.
fn installed(client: &Path) -> String {
    let root = client.join("root");
    fs::create_dir_all(root.join("var/lib/dpkg/info")).unwrap();
    fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    let below = format!(
        "Dir::State::status={}",
        root.join("var/lib/dpkg/status").display()
    );
    let to = format!("DPkg::Options::=--root={}", root.display());
    let plain = "DPkg::Options::=--force-not-root";
    let words = [
        "-y", "-o", &below, "-o", &to, "-o", plain, "install", PACKAGE,
    ];
    apt(client, &words);
    assert!(root.join("usr/share/man/man7/ascii.7.gz").exists());
    let status = fs::read_to_string(root.join("var/lib/dpkg/status")).unwrap();
    let version = status
        .lines()
        .find_map(|line| line.strip_prefix("Version: "));
    version.unwrap().to_owned()
}

#[test]
#[ignore = "needs a Debian mirror: the network suite runs it"]
fn network_a_filtered_debian_12_with_security_is_installed_from() {
    let site = Site::new();
    let (archive, security) = (host_archive("debian"), host_archive("debian-security"));
    let suites = "bookworm,bookworm-updates";
    add(&site, "main", &archive, suites, PACKAGE, KEYRING);
    add(
        &site,
        "security",
        &security,
        "bookworm-security",
        "openssl",
        KEYRING,
    );
    assert_eq!(synced(&site, &[]), [true, true]);
    assert_eq!(synced(&site, &[]), [false, false]);
    let (own, nginx) = (Server::new(&site), Nginx::new(&site));
    let client = site.path("client");
    for url in [&own.url, &nginx.url] {
        let line = |mirror: &str, suite: &str| {
            format!("deb [signed-by={KEYRING}] {url}/{mirror} {suite} main\n")
        };
        let lines = [
            line("main", "bookworm"),
            line("main", "bookworm-updates"),
            line("security", "bookworm-security"),
        ];
        update(&client, &lines);
        installed(&client);
        // The newer of a package's versions is the one of the security archive; its files are here.
        let plan = apt(&client, &["download", "--print-uris", "openssl"]);
        assert!(plan.contains("/security/pool/updates/"), "{plan}");
        apt(&client, &["download", "openssl"]);
    }
    for name in ["main", "security"] {
        let verified = site.vzpkg(&["mirror", "verify", name]).ok();
        assert!(!verified.contains("damaged"), "{verified}");
    }
}

#[test]
#[ignore = "needs a Debian mirror: the network suite runs it"]
fn network_a_copy_of_debian_12_that_moves_is_followed_and_left_again() {
    let site = Site::new();
    let archive = host_archive("debian");
    add(&site, "real", &archive, "bookworm", PACKAGE, KEYRING);
    synced(&site, &[]);
    // The same files on another web server are the same state.
    let copy = HttpServer::serve(&site.root().join("mirror/real/published"));
    add(&site, "copy", &copy.url(), "bookworm", PACKAGE, KEYRING);
    copy.forget_requests();
    synced(&site, &["copy"]);
    assert_eq!(
        published(&site, "real")["id"],
        published(&site, "copy")["id"]
    );
    let asked = copy.requests();
    let packages = asked
        .iter()
        .filter(|request| request.path.starts_with("/pool/"));
    assert_eq!(
        packages.count(),
        0,
        "a package of another mirror came again"
    );

    // A copy that has a newer package some day, signed by who keeps it.
    let debs = site.path("debs");
    fs::create_dir_all(&debs).unwrap();
    let real = apt_real(&site);
    let key = TestKey::new("archive");
    let keyring = site.path("archive.asc");
    fs::write(&keyring, key.armored()).unwrap();
    let mut repo = AptRepo::new(site.path("moving"));
    repo.suite("bookworm").valid_until = None;
    repo.suite("bookworm").add("main", &real);
    repo.publish(&key);
    let moving = HttpServer::serve(repo.root());
    add(
        &site,
        "m",
        &moving.url(),
        "bookworm",
        PACKAGE,
        keyring.to_str().unwrap(),
    );
    synced(&site, &["m"]);
    site.vzpkg(&["mirror", "snapshot", "m", "--as", "first"])
        .ok();
    let newer = Deb::new(PACKAGE, "99.0");
    let newer = newer
        .file("usr/share/man/man7/ascii.7.gz", 0o644, b"new")
        .build(&debs);
    let mut suite = repo.suite("bookworm");
    suite.date += vzpkg_tests::tools::DAY;
    suite.add("main", &newer);
    repo.publish(&key);
    let (own, nginx) = (Server::new(&site), Nginx::new(&site));
    let see = |expected: &dyn Fn(&str) -> bool| {
        for url in [&own.url, &nginx.url] {
            let line = format!(
                "deb [signed-by={}] {url}/m bookworm main\n",
                keyring.display()
            );
            let client = site.path("client");
            update(&client, &[line]);
            let version = installed(&client);
            assert!(expected(&version), "{url}: {version}");
        }
    };
    let (is_old, is_new) = (
        |version: &str| version != "99.0",
        |version: &str| version == "99.0",
    );
    see(&is_old);
    assert_eq!(synced(&site, &["m"]), [true]);
    see(&is_new);
    for (words, new) in [
        (&["mirror", "publish", "m@first"][..], false),
        (&["mirror", "publish", "m"], true),
        (&["mirror", "rollback", "m"], false),
    ] {
        site.vzpkg(words).ok();
        see(if new { &is_new } else { &is_old });
    }
}

/// The real package, as the mirror `real` has it.
fn apt_real(site: &Site) -> std::path::PathBuf {
    let pool = site
        .root()
        .join("mirror/real/published/pool/main/m")
        .join(PACKAGE);
    let entries = fs::read_dir(pool).unwrap();
    let mut debs = entries.map(|entry| entry.unwrap().path());
    debs.next().unwrap()
}
