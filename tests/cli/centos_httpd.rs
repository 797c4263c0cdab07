//! A web server on real CentOS 7 packages, from repositories that a test key signs, over http and from a disk: it serves a
//! page in its container, and goes on while the container goes forward to 7.9 and back.
//!
//! Stand-ins: `glibc-common` (SOURCES.md of the fixtures), and one package of ours for systemd and the logos, which httpd
//! asks for.

use crate::centos::{OS, TEMPLATE};
use crate::support::{Site, fixtures};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use vzpkg_tests::http_server::HttpServer;
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::rpm_writer::Rpm;
use vzpkg_tests::tools::{DAY, EPOCH};
use vzpkg_tests::yum_repo::YumRepo;

/// The name of the package in a file `name-version-release.arch.rpm`.
fn name_of(path: &Path) -> String {
    let file = path.file_name().unwrap().to_str().unwrap();
    file.rsplitn(3, '-').nth(2).unwrap().to_owned()
}

fn packages(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixtures().join("rpms").join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "rpm"))
        .collect()
}

/// A repository of these packages and of what stands in for others.
fn repository(site: &Site, name: &str, rpms: &[PathBuf]) -> YumRepo {
    let mut repo = YumRepo::new(site.path(name));
    for rpm in rpms {
        repo.add(rpm);
    }
    let stand_in = Rpm::new("stand-in", "1", "1")
        .define("_binary_payload", "w9.gzdio")
        .tag("Provides", "system-logos = 7.92.1-1")
        .tag("Provides", "systemd = 219-78.el7")
        .tag("Provides", "systemd-units = 219-78.el7");
    repo.add(&stand_in.build(&site.path("made")));
    repo
}

/// httpd of 7.9 on what it can be of 7.6, and everything of 7.9.
fn old_and_new(site: &Site) -> (YumRepo, YumRepo) {
    let glibc_common = |version: &str| {
        let file = format!("rpms/stand-ins/glibc-common-{version}.el7.x86_64.rpm");
        fixtures().join(file)
    };
    let mut newer = packages("centos-7.9.2009");
    newer.push(glibc_common("2.17-317"));
    let mut older = packages("centos-7.6.1810-min");
    older.push(glibc_common("2.17-260"));
    // What systemd's libraries need must be of their own release.
    older.retain(|path| name_of(path) != "elfutils-libelf");
    let names: BTreeSet<String> = older.iter().map(|path| name_of(path)).collect();
    let more = newer.iter().filter(|path| !names.contains(&name_of(path)));
    older.extend(more.cloned());
    let old = repository(site, "old", &older);
    let mut new = repository(site, "new", &newer);
    new.revision = EPOCH + DAY;
    (old, new)
}

/// A container of CentOS 7 whose web server runs.
struct Server {
    site: Site,
}

impl Server {
    fn start(site: Site) -> Self {
        let create = ["ct", "create", "web", "--net", "none", "--start"];
        site.vzpkg(&[&create[..], &["--template", TEMPLATE]].concat())
            .ok();
        let server = Self { site };
        server.inside("echo 'a page of mine' >/var/www/html/index.html");
        server.inside("echo '# mine' >>/etc/httpd/conf/httpd.conf");
        // What systemd-tmpfiles would make.
        server.inside("mkdir -p /run/httpd/htcacheclean; httpd -k start");
        server
    }

    fn inside(&self, line: &str) -> String {
        let exec = ["ct", "exec", "web", "--", "sh", "-c", line];
        self.site.vzpkg(&exec).ok()
    }

    /// That the page is served, the data are there and rpm finds nothing changed but these.
    fn assert_serves(&self, glibc: &str) {
        // httpd returns before it listens.
        let get = "n=0; until curl -s http://127.0.0.1/; do n=$((n+1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done";
        let page = self.inside(get);
        assert_eq!(page, "a page of mine\n");
        assert_eq!(
            self.inside("tail -n1 /etc/httpd/conf/httpd.conf"),
            "# mine\n"
        );
        let said = self.inside("rpm -q glibc");
        assert!(said.starts_with(&format!("glibc-{glibc}.el7")), "{said}");
        let changed = self.inside("rpm -V httpd glibc bash rpm coreutils openssl-libs || :");
        let lines = changed.lines().filter(|line| !line.contains(" /run/"));
        let changed: Vec<&str> = lines.collect();
        assert_eq!(changed, ["S.5....T.  c /etc/httpd/conf/httpd.conf"]);
    }

    fn restart(&self) {
        let gone = "while [ -e /run/httpd/httpd.pid ]; do sleep 0.05; done";
        self.inside(&format!("httpd -k stop; {gone}; httpd -k start"));
    }

    fn main_process(&self) -> String {
        self.inside("cat /run/httpd/httpd.pid")
    }
}

#[test]
#[ignore = "needs root and the real packages: make check runs it"]
fn privileged_centos_serves_a_page_while_it_goes_from_7_6_to_7_9_and_back() {
    let scratch = Site::new();
    let key = TestKey::new("centos");
    let (old, new) = old_and_new(&scratch);
    old.publish(&key);
    new.publish(&key);
    let upstream = HttpServer::serve(old.root());
    let site = Site::new();
    let keys = format!("{} key.asc\n", key.fingerprint());
    site.template(
        OS,
        &[
            ("package_manager", "rpm49db5x64\n"),
            ("distribution", "centos\n"),
            ("packages", "bash rpm coreutils centos-release httpd curl\n"),
            ("repositories", &format!("{}\n", upstream.url())),
            ("keys", &keys),
            ("key.asc", std::str::from_utf8(&key.armored()).unwrap()),
        ],
    );
    site.vzpkg(&["create-cache", TEMPLATE]).ok();
    let server = Server::start(site);
    server.assert_serves("2.17-260");
    let process = server.main_process();

    let disk = format!("file://{}\n", new.root().display());
    server.site.template(OS, &[("repositories", &disk)]);
    server.site.vzpkg(&["update", TEMPLATE]).ok();
    let relinked = server.site.vzpkg(&["ct", "relink", "web"]);
    assert!(
        relinked.stderr.contains("stood still"),
        "{}",
        relinked.stderr
    );
    relinked.ok();
    server.assert_serves("2.17-317");
    assert_eq!(server.main_process(), process, "it was not restarted");
    // The programs of the new version serve too, and those of the old one again.
    server.restart();
    server.assert_serves("2.17-317");
    let process = server.main_process();
    server.site.vzpkg(&["rollback", "web"]).ok();
    server.assert_serves("2.17-260");
    assert_eq!(server.main_process(), process, "it was not restarted");
    server.restart();
    server.assert_serves("2.17-260");
    server.site.vzpkg(&["ct", "destroy", "--force", "web"]).ok();
}
