//! Every state of a mirror as real clients see it, through nginx on the published folder and through our own server.

use super::{Server, Upstream, apt, apt_client, dnf};
use crate::support::Site;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::http_server::HttpServer;
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::rpm_writer::Rpm;
use vzpkg_tests::tools::{DAY, EPOCH};
use vzpkg_tests::yum_repo::YumRepo;

/// nginx that serves what each mirror publishes below `/NAME/`, until it is dropped.
pub(super) struct Nginx {
    child: Child,
    pub(super) url: String,
}

impl Nginx {
    pub(super) fn new(site: &Site) -> Self {
        let directory = site.path("nginx");
        fs::create_dir_all(&directory).unwrap();
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let place = directory.display();
        let mirrors = site.root().join("mirror");
        let text = format!(
            "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log;\n\
             events {{}}\n\
             http {{ access_log off; client_body_temp_path {place}/a; proxy_temp_path {place}/b;\n\
             fastcgi_temp_path {place}/c; uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;\n\
             server {{ listen 127.0.0.1:{port}; location ~ ^/([a-z]+)/(.+)$ {{ alias {}/$1/published/$2; }} }} }}\n",
            mirrors.display()
        );
        let configuration = directory.join("nginx.conf");
        fs::write(&configuration, text).unwrap();
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&configuration)
            .args(["-e", &format!("{place}/error.log")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let mut nginx = Self { child, url };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = nginx.child.try_wait().unwrap();
            assert!(ended.is_none(), "nginx ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The version of `p0` that a new client would install: one that has seen a newer state does not go back.
fn offered(client: &Path) -> String {
    drop(fs::remove_dir_all(client.join("apt/lists")));
    let update = apt(client, &["update"]);
    assert!(
        !update.contains("\nE:") && !update.contains("\nW:"),
        "{update}"
    );
    let plan = apt(client, &["install", "-s", "p0"]);
    apt(client, &["download", "p0"]);
    let line = plan.lines().find(|line| line.starts_with("Inst p0 ("));
    assert!(line.is_some(), "{plan}");
    let line = line.unwrap();
    line["Inst p0 (".len()..]
        .split(' ')
        .next()
        .unwrap()
        .to_owned()
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_real_apt_reads_every_state_through_nginx() {
    let site = Site::new();
    let mut upstream = Upstream::new(&site, 1, 100_000);
    upstream.add_mirror(&site);
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    let nginx = Nginx::new(&site);
    let client = apt_client(&site, "client", &nginx.url);
    assert_eq!(offered(&client), "1.0");
    site.vzpkg(&["mirror", "snapshot", "m", "--as", "first"])
        .ok();

    let newer = Deb::new("p0", "2.0").build(&site.path("debs"));
    let mut suite = upstream.repo.suite("stable");
    suite.date += DAY;
    suite.add("main", &newer);
    upstream.repo.publish(&upstream.key);
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    assert_eq!(offered(&client), "2.0");
    for (words, version) in [
        (&["mirror", "publish", "m@first"][..], "1.0"),
        (&["mirror", "publish", "m"], "2.0"),
        (&["mirror", "rollback", "m"], "1.0"),
    ] {
        site.vzpkg(words).ok();
        assert_eq!(offered(&client), version, "{words:?}");
    }
}

/// The content of the one file of `hello` that a new client has installed.
fn installed(client: &Path, url: &str, key: &Path) -> String {
    drop(fs::remove_dir_all(client));
    dnf(client, url, key, &["install", "hello"]);
    fs::read_to_string(client.join("root/usr/share/hello")).unwrap()
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_real_dnf_installs_from_every_state() {
    let site = Site::new();
    let key = TestKey::new("packager");
    let mut repo = YumRepo::new(site.path("upstream"));
    let package = |version: &str| {
        let hello = Rpm::new("hello", version, "1");
        let hello = hello.file("/usr/share/hello", 0o644, version.as_bytes());
        hello.build(&site.path("rpms"))
    };
    repo.add(&package("1.0"));
    repo.publish(&key);
    let upstream = HttpServer::serve(repo.root());
    let keyring = site.path("packager.asc");
    fs::write(&keyring, key.armored()).unwrap();
    let words = ["mirror", "add", "m", &upstream.url(), "--keyring"];
    let words = [&words[..], &[keyring.to_str().unwrap()]].concat();
    site.vzpkg(&words).ok();
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    site.vzpkg(&["mirror", "snapshot", "m", "--as", "first"])
        .ok();
    let (nginx, own) = (Nginx::new(&site), Server::new(&site));
    let client = site.path("client");
    let see = |version: &str| {
        for server in [&nginx.url, &own.url] {
            let url = format!("{server}/m");
            assert_eq!(installed(&client, &url, &keyring), version, "{url}");
        }
    };
    see("1.0");
    repo.add(&package("2.0"));
    repo.revision = EPOCH + DAY;
    repo.publish(&key);
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    see("2.0");
    site.vzpkg(&["mirror", "publish", "m@first"]).ok();
    see("1.0");
    site.vzpkg(&["mirror", "publish", "m"]).ok();
    site.vzpkg(&["mirror", "rollback", "m"]).ok();
    see("1.0");
}
