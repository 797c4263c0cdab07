//! Mirrors through the command: killed at random instants, and read by the distributions' own package managers.

mod catalogs;
mod centos;
mod debian;
mod import;
mod news;
mod on_demand;
mod serving;
mod sources;
mod templates;

use crate::crash::Instants;
use crate::support::Site;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use vzpkg_tests::apt_repo::AptRepo;
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::http_server::{Fault, HttpServer, Times};
use vzpkg_tests::keys::TestKey;

/// Instants at which a sync is killed; `VZPKG_KILLS` says another number.
const KILLS: u64 = 40;

/// An archive with packages of some size, dated now as far as its signature goes.
struct Upstream {
    repo: AptRepo,
    key: TestKey,
    server: HttpServer,
}

impl Upstream {
    fn new(site: &Site, count: u32, size: u32) -> Self {
        let key = TestKey::new("archive");
        let mut repo = AptRepo::new(site.path("upstream"));
        for number in 0..count {
            let content: Vec<u8> = (0..size)
                .map(|i| ((i ^ number).wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0])
                .collect();
            let deb = Deb::new(&format!("p{number}"), "1.0")
                .compression("none")
                .file(&format!("usr/share/p{number}"), 0o644, &content)
                .build(&site.path("debs"));
            repo.suite("stable").add("main", &deb);
        }
        // The command asks the machine's clock.
        repo.suite("stable").valid_until = None;
        repo.publish(&key);
        let server = HttpServer::serve(repo.root());
        Self { repo, key, server }
    }

    fn add_mirror(&self, site: &Site) {
        self.add_mirror_with(site, &[]);
    }

    fn add_mirror_with(&self, site: &Site, more: &[&str]) {
        let keyring = site.path("archive.asc");
        fs::write(&keyring, self.key.armored()).unwrap();
        let keyring = keyring.to_str().unwrap();
        let url = self.server.url();
        let words = ["mirror", "add", "m", &url, "--suites", "stable"];
        let words = [&words[..], &["--arch", "amd64", "--keyring", keyring], more];
        site.vzpkg(&words.concat()).ok();
    }
}

/// That every package of the published index is there with its signed hash; the number of packages.
fn assert_published_whole(site: &Site) -> usize {
    let published = site.root().join("mirror/m/published");
    let index = published.join("dists/stable/main/binary-amd64/Packages.xz");
    let output = Command::new("xz")
        .args(["-dc"])
        .arg(index)
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let field = |paragraph: &str, name: &str| {
        let line = paragraph.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().to_owned()
    };
    let paragraphs: Vec<&str> = text
        .split("\n\n")
        .filter(|text| !text.trim().is_empty())
        .collect();
    for paragraph in &paragraphs {
        let bytes = fs::read(published.join(field(paragraph, "Filename: "))).unwrap();
        let digest = vzpkg_tests::tools::sha256(&bytes);
        assert_eq!(digest, field(paragraph, "SHA256: "));
    }
    paragraphs.len()
}

/// Bytes of a package of the archive that is killed while it is mirrored.
const PACKAGE: u32 = 2_000_000;

/// What one kill may cost: bytes that were on their way. The server counts what it has handed to the kernel, which holds
/// megabytes for a reader that comes late.
const LOST: u64 = 6 << 20;

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_kills_at_random_instants_publish_nothing_half() {
    let kills = std::env::vars()
        .find(|(name, _)| name == "VZPKG_KILLS")
        .map_or(KILLS, |(_, count)| count.parse().unwrap());
    let site = Site::new();
    let upstream = Upstream::new(&site, 12, PACKAGE);
    upstream.add_mirror(&site);
    let slow = Fault::Slow {
        chunk: 50_000,
        pause: Duration::from_millis(5),
    };
    upstream.server.fault("*", Times::Always, slow);
    let (mut instants, mut completed) = (Instants(42), 0_u64);
    for number in 0..kills {
        let mut child = site
            .command(&["mirror", "sync", "m"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(instants.below(600)));
        drop(child.kill());
        child.wait().unwrap();
        if number % 4 == 0 {
            // A collection leaves what the next sync goes on with.
            site.vzpkg(&["mirror", "gc"]).ok();
        }
        if site.root().join("mirror/m/published").exists() {
            assert_eq!(assert_published_whole(&site), 12);
            completed += 1;
            site.vzpkg(&["mirror", "remove", "m"]).ok();
            site.vzpkg(&["clean"]).ok();
            upstream.add_mirror(&site);
        }
    }
    upstream.server.heal();
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    assert_eq!(assert_published_whole(&site), 12);
    let requests = upstream.server.requests();
    let bytes: u64 = requests.iter().map(|request| request.sent).sum();
    // The packages of each completed round and of the last; what a kill loses is what was on its way.
    let whole = 12 * u64::from(PACKAGE + 10_000) * (completed + 1);
    println!(
        "{kills} kills, {completed} rounds completed between them: {} KiB more than needed",
        bytes.saturating_sub(whole) >> 10
    );
    assert!(
        bytes < whole + kills * LOST,
        "{bytes} bytes for {completed} rounds"
    );
}

/// `vzpkg mirror serve`, until it is dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn new(site: &Site) -> Self {
        Self::with(site, &[])
    }

    fn with(site: &Site, more: &[&str]) -> Self {
        Self::at(site, "127.0.0.1:0", more)
    }

    /// At an address that may have been somebody's until now.
    fn at(site: &Site, address: &str, more: &[&str]) -> Self {
        let began = Instant::now();
        loop {
            let error = match Self::once(site, address, more) {
                Ok(server) => return server,
                Err(error) => error,
            };
            let is_taken = error.contains("Address already in use");
            let is_late = began.elapsed() > Duration::from_secs(10);
            assert!(is_taken && !is_late, "{error}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// One attempt; what was said where it ended instead.
    fn once(site: &Site, address: &str, more: &[&str]) -> Result<Self, String> {
        let words = ["mirror", "serve", "--listen", address];
        let mut child = site
            .command(&[&words[..], more].concat())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(start) = line.find("http://") {
                let url = line[start..].split("/NAME").next().unwrap().to_owned();
                return Ok(Self { child, url });
            }
            said += &(line + "\n");
        }
        child.wait().unwrap();
        Err(said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a real package manager; its output, whatever it says.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{command:?}\n{text}");
    text
}

/// `apt-get` with lists, cache and sources of its own.
fn apt(directory: &Path, words: &[&str]) -> String {
    run(&mut apt_command(directory, words))
}

fn apt_command(directory: &Path, words: &[&str]) -> Command {
    let state = directory.join("apt");
    for part in [
        "lists/partial",
        "cache/archives/partial",
        "etc/apt.conf.d",
        "etc/preferences.d",
    ] {
        fs::create_dir_all(state.join(part)).unwrap();
    }
    fs::write(state.join("status"), "").unwrap();
    // Read before everything else, so that nothing of the host's own configuration is.
    let place = state.display();
    let text = format!(
        "Dir::Etc \"{place}/etc\"; Dir::Etc::parts \"apt.conf.d\"; Dir::Etc::main \"none\";\n\
         Dir::Etc::sourcelist \"{place}/sources.list\"; Dir::Etc::sourceparts \"-\";\n\
         Dir::State::lists \"{place}/lists\"; Dir::State::status \"{place}/status\"; Dir::Cache \"{place}/cache\";\n\
         Acquire::Languages \"none\"; APT::Sandbox::User \"root\"; APT::Architecture \"amd64\";\n\
         Debug::Acquire::http \"true\";\n"
    );
    let configuration = state.join("apt.conf");
    fs::write(&configuration, text).unwrap();
    let mut command = Command::new("apt-get");
    command
        .current_dir(directory)
        .env("APT_CONFIG", configuration)
        .arg("-q")
        .args(words);
    command
}

/// A client of its own that reads suite `stable` of the mirror at this server.
fn apt_client(site: &Site, name: &str, server: &str) -> PathBuf {
    let client = site.path(name);
    fs::create_dir_all(client.join("apt")).unwrap();
    let keyring = site.path("archive.asc");
    let line = format!(
        "deb [signed-by={}] {server}/m stable main\n",
        keyring.display()
    );
    fs::write(client.join("apt/sources.list"), line).unwrap();
    client
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_real_apt_reads_a_mirror_by_hash() {
    let site = Site::new();
    let upstream = Upstream::new(&site, 2, 200_000);
    upstream.add_mirror(&site);
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    let server = Server::new(&site);
    let client = apt_client(&site, "client", &server.url);
    let update = apt(&client, &["update"]);
    assert!(update.contains("/by-hash/SHA256/"), "{update}");
    apt(&client, &["download", "p0", "p1"]);
    for name in ["p0_1.0_all.deb", "p1_1.0_all.deb"] {
        let ours = fs::read(client.join(name)).unwrap();
        let theirs = fs::read(upstream.repo.root().join("pool/main").join(name)).unwrap();
        assert_eq!(ours, theirs);
    }
    let again = apt(&client, &["update"]);
    assert!(again.contains("304 Not Modified"), "{again}");
}

/// `dnf` with everything of its own below `client`, and one repository, whose metadata this key signs.
fn dnf(client: &Path, url: &str, key: &Path, words: &[&str]) -> String {
    dnf_trusting(client, url, ["repo_gpgcheck=1", "gpgcheck=0"], key, words)
}

/// The same with other rules of what the key must sign.
fn dnf_trusting(client: &Path, url: &str, rules: [&str; 2], key: &Path, words: &[&str]) -> String {
    fs::create_dir_all(client.join("repos")).unwrap();
    fs::create_dir_all(client.join("log")).unwrap();
    let text = format!(
        "[m]\nname=m\nbaseurl={url}\n{}\ngpgkey=file://{}\nmetadata_expire=0\n",
        rules.join("\n"),
        key.display()
    );
    fs::write(client.join("repos/m.repo"), text).unwrap();
    let set = |name: &str, place: &str| format!("--setopt={name}={}", client.join(place).display());
    run(Command::new("dnf")
        .args(["-y", "--releasever=9", "--disableplugin=*"])
        .arg(format!("--installroot={}", client.join("root").display()))
        .args([
            &set("reposdir", "repos"),
            &set("cachedir", "cache"),
            &set("logdir", "log"),
        ])
        .args(words))
}
