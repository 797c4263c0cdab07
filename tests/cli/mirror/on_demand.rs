//! Real package managers in front of `mirror serve --on-demand`: many at once, cut in the middle, and cut by upstream.

use super::{Server, Upstream, apt, apt_client, apt_command, dnf};
use crate::support::Site;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};
use vzpkg_tests::http_server::{Fault, HttpServer, Times};
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::rpm_writer::Rpm;
use vzpkg_tests::yum_repo::YumRepo;

/// An archive behind a mirror that brings nothing by itself, and the proxy.
fn proxy(site: &Site, count: u32, size: u32) -> (Upstream, Server) {
    let upstream = Upstream::new(site, count, size);
    upstream.add_mirror_with(site, &["--on-demand"]);
    let server = Server::with(site, &["--on-demand"]);
    (upstream, server)
}

fn upstream_file(upstream: &Upstream, name: &str) -> (String, Vec<u8>) {
    let path = format!("/pool/main/{name}");
    let content = fs::read(upstream.repo.root().join(&path[1..])).unwrap();
    (path, content)
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_real_apts_at_once_get_each_package_from_one_fetch_of_the_proxy() {
    let site = Site::new();
    let (upstream, server) = proxy(&site, 6, 300_000);
    let names: Vec<String> = (0..6).map(|number| format!("p{number}")).collect();
    let clients: Vec<PathBuf> = (0..4)
        .map(|number| apt_client(&site, &format!("client{number}"), &server.url))
        .collect();
    thread::scope(|scope| {
        for client in &clients {
            let names = &names;
            scope.spawn(move || {
                let update = apt(client, &["update"]);
                assert!(update.contains("/by-hash/SHA256/"), "{update}");
                let mut words = vec!["download"];
                words.extend(names.iter().map(String::as_str));
                apt(client, &words);
            });
        }
    });
    for name in &names {
        let file = format!("{name}_1.0_all.deb");
        let (path, content) = upstream_file(&upstream, &file);
        for client in &clients {
            assert!(fs::read(client.join(&file)).unwrap() == content, "{file}");
        }
        assert_eq!(upstream.server.requests_of(&path).len(), 1, "{path}");
    }
    // The release was new for the first who asked, and fresh for the others.
    let releases = upstream.server.requests_of("/dists/stable/InRelease");
    assert_eq!(releases.len(), 1, "{releases:?}");
}

/// The longest file below a directory.
fn longest(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| Some(entry.metadata().ok()?.len()));
    sizes.max().unwrap_or(0)
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_real_apt_whose_proxy_is_killed_goes_on_where_it_was_and_so_does_the_proxy() {
    let site = Site::new();
    let (upstream, server) = proxy(&site, 1, 3_000_000);
    let address = server.url["http://".len()..].to_owned();
    let client = apt_client(&site, "client", &server.url);
    apt(&client, &["update"]);
    let (path, content) = upstream_file(&upstream, "p0_1.0_all.deb");
    upstream
        .server
        .fault(&path, Times::Once, Fault::HoldAfter(2_000_000));
    let words = ["-y", "install", "--download-only", "p0"];
    let mut first = apt_command(&client, &words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let archives = client.join("apt/cache/archives");
    let began = Instant::now();
    while longest(&archives.join("partial")) < 1_000_000 {
        assert!(began.elapsed() < Duration::from_mins(2), "nothing comes");
        thread::sleep(Duration::from_millis(20));
    }
    drop(server);
    assert!(!first.wait().unwrap().success());
    upstream.server.heal();
    let _server = Server::at(&site, &address, &["--on-demand"]);
    let second = apt(&client, &words);
    assert!(second.contains("\nRange: bytes="), "{second}");
    assert!(second.contains("206 Partial Content"), "{second}");
    assert!(fs::read(archives.join("p0_1.0_all.deb")).unwrap() == content);
    let requests = upstream.server.requests_of(&path);
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests[1].headers.contains_key("range"), "{requests:?}");
    assert_eq!(requests[1].status, 206);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_real_dnfs_at_once_get_a_package_whose_upstream_cuts_and_goes_away_for_a_moment() {
    let site = Site::new();
    let key = TestKey::new("packager");
    let content: Vec<u8> = (0..3_000_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0])
        .collect();
    let hello = Rpm::new("hello", "1.0", "1").file("/usr/share/hello", 0o644, &content);
    let hello = hello.build(&site.path("rpms"));
    let mut repo = YumRepo::new(site.path("upstream"));
    let path = format!("/{}", repo.add(&hello));
    repo.publish(&key);
    let upstream = HttpServer::serve(repo.root());
    let keyring = site.path("packager.asc");
    fs::write(&keyring, key.armored()).unwrap();
    let words = ["mirror", "add", "m", &upstream.url(), "--on-demand"];
    let words = [&words[..], &["--keyring", keyring.to_str().unwrap()]].concat();
    site.vzpkg(&words).ok();
    let server = Server::with(&site, &["--on-demand"]);
    let url = format!("{}/m", server.url);
    let half = fs::metadata(&hello).unwrap().len() / 2;
    // The proxy tries again after a cut, and gives up where the file is gone: then its clients ask again.
    upstream.fault(&path, Times::Once, Fault::CutAfter(half));
    upstream.fault(&path, Times::Once, Fault::Status(404));
    thread::scope(|scope| {
        for number in 0..3 {
            let client = site.path(&format!("client{number}"));
            let (url, keyring, content) = (&url, &keyring, &content);
            scope.spawn(move || {
                dnf(&client, url, keyring, &["install", "hello"]);
                let installed = fs::read(client.join("root/usr/share/hello")).unwrap();
                assert!(installed == *content);
            });
        }
    });
    let requests = upstream.requests_of(&path);
    let came: u64 = requests
        .iter()
        .filter(|request| request.status != 404)
        .map(|request| request.sent)
        .sum();
    assert_eq!(came, half * 2 + fs::metadata(&hello).unwrap().len() % 2);
    assert!(requests.len() >= 3, "{requests:?}");
}
