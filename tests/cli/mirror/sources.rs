//! Source packages and lists of files of a mirror, as real apt reads them.

use super::{Server, Upstream, apt, apt_client};
use crate::support::Site;
use std::fs;
use std::process::Command;
use vzpkg_tests::tools::{command, run};

/// Makes a source package with dpkg and lists it, as `apt-ftparchive` does, in suite `stable`; and a list of files.
fn add_source(site: &Site, upstream: &mut Upstream) {
    let tree = site.path("work/hello-1.0");
    fs::create_dir_all(tree.join("debian/source")).unwrap();
    let control = "Source: hello\nMaintainer: M <m@example.org>\n\nPackage: hello\nArchitecture: all\nDescription: hello\n";
    let changelog = "hello (1.0) stable; urgency=low\n\n  * First.\n\n -- M <m@example.org>  Thu, 01 Jan 2026 00:00:00 +0000\n";
    for (file, text) in [
        ("debian/control", control),
        ("debian/changelog", changelog),
        ("debian/source/format", "3.0 (native)\n"),
        ("hello.c", "int main(void) { return 0; }\n"),
    ] {
        fs::write(tree.join(file), text).unwrap();
    }
    let pool = upstream.repo.root().join("pool/main/h/hello");
    fs::create_dir_all(&pool).unwrap();
    run(command("dpkg-source")
        .arg("-b")
        .arg(&tree)
        .current_dir(&pool));
    let mut listing = command("apt-ftparchive");
    listing
        .args(["sources", "pool/main/h"])
        .current_dir(upstream.repo.root());
    let sources = String::from_utf8(run(&mut listing)).unwrap();
    assert!(sources.contains("Package: hello\n"), "{sources}");
    let mut suite = upstream.repo.suite("stable");
    suite.further.insert("main/source/Sources".into(), sources);
    let contents = "usr/share/p0 misc/p0\n".to_owned();
    suite.further.insert("main/Contents-amd64".into(), contents);
    upstream.repo.publish(&upstream.key);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_real_apt_gets_source_packages_from_a_mirror() {
    let site = Site::new();
    let mut upstream = Upstream::new(&site, 1, 100);
    add_source(&site, &mut upstream);
    upstream.add_mirror_with(&site, &["--sources", "--contents"]);
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    let published = site.root().join("mirror/m/published");
    assert!(
        published
            .join("dists/stable/main/Contents-amd64.gz")
            .exists()
    );
    let server = Server::new(&site);
    let client = apt_client(&site, "client", &server.url);
    let list = client.join("apt/sources.list");
    let line = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("{line}{}", line.replace("deb ", "deb-src "))).unwrap();
    apt(&client, &["update"]);
    apt(&client, &["source", "--download-only", "hello"]);
    let mut unpack = Command::new("dpkg-source");
    unpack.args(["-x", "hello_1.0.dsc"]).current_dir(&client);
    run(&mut unpack);
    assert!(client.join("hello-1.0/hello.c").exists());
    // It belongs to the state: `clean` leaves it, and what is damaged is found.
    site.vzpkg(&["clean"]).ok();
    site.vzpkg(&["mirror", "verify", "m"]).ok();
    let tarball = published.join("pool/main/h/hello/hello_1.0.tar.xz");
    let content = fs::read(&tarball).unwrap();
    fs::write(&tarball, &content[1..]).unwrap();
    site.vzpkg(&["mirror", "verify", "m"]).fails_with(4);
    site.vzpkg(&["mirror", "verify", "--repair", "m"]).ok();
    assert!(fs::read(&tarball).unwrap() == content);
}
