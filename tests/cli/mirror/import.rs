//! Repositories of folders, read by the distributions' own package managers.

use super::{Server, apt, dnf};
use crate::support::Site;
use std::fs;
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::rpm_writer::Rpm;

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_real_apt_installs_from_a_folder_of_debs() {
    let site = Site::new();
    let folder = site.path("folder");
    Deb::new("lib", "1").build(&folder.join("deep"));
    let app = Deb::new("app", "1.0~rc1")
        .field("Depends", "lib (>= 1)")
        .file("usr/share/app", 0o644, b"app");
    app.build(&folder);
    let said = site.vzpkg(&["mirror", "import", "own", folder.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("deb [signed-by="), "{}", said.stderr);
    let again = site.vzpkg(&["mirror", "import", "own", folder.to_str().unwrap()]);
    assert!(again.stderr.contains("nothing new"), "{}", again.stderr);

    let server = Server::new(&site);
    let published = site.root().join("mirror/own/published");
    let client = site.path("client");
    fs::create_dir_all(client.join("apt")).unwrap();
    let line = format!(
        "deb [signed-by={}] {}/own stable main\n",
        published.join("key.asc").display(),
        server.url
    );
    fs::write(client.join("apt/sources.list"), line).unwrap();
    let update = apt(&client, &["update"]);
    assert!(update.contains("/by-hash/SHA256/"), "{update}");
    let plan = apt(&client, &["install", "-s", "app"]);
    assert!(
        plan.contains("Inst lib (1") && plan.contains("Inst app (1.0~rc1"),
        "{plan}"
    );
    apt(&client, &["download", "app"]);

    // A newer one beside it; a sync reads the folder again, and the client sees it.
    Deb::new("app", "1.0").build(&folder);
    let synced = site.vzpkg(&["mirror", "sync"]);
    assert_eq!(synced.code, 0, "{}", synced.stderr);
    apt(&client, &["update"]);
    let plan = apt(&client, &["install", "-s", "app"]);
    assert!(plan.contains("Inst app (1.0 "), "{plan}");
    site.vzpkg(&["mirror", "verify"]).ok();
    site.vzpkg(&["mirror", "rollback", "own"]).ok();
    // A client that has seen the newer state does not go back.
    fs::remove_dir_all(client.join("apt/lists")).unwrap();
    apt(&client, &["update"]);
    let plan = apt(&client, &["install", "-s", "app"]);
    assert!(plan.contains("Inst app (1.0~rc1"), "{plan}");

    // The key is nobody else's.
    let key = site.root().join("mirror/.own-key.pgp");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&key).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_real_dnf_installs_from_a_folder_of_rpms() {
    let site = Site::new();
    let folder = site.path("folder");
    Rpm::new("lib", "1", "1")
        .file("/usr/share/lib-of-it", 0o644, b"lib")
        .build(&folder);
    Rpm::new("app", "1.0", "1")
        .tag("Requires", "lib >= 1")
        .tag("Requires", "/usr/share/lib-of-it")
        .tag("Epoch", "2")
        .tag("Summary", "An <app> & \"more\"")
        .file("/usr/bin/app", 0o755, b"#!/bin/true\n")
        .build(&folder);
    site.vzpkg(&["mirror", "import", "own", folder.to_str().unwrap()])
        .ok();
    let server = Server::new(&site);
    let key = site.root().join("mirror/own/published/key.asc");
    let client = site.path("client");
    let url = format!("{}/own", server.url);
    dnf(&client, &url, &key, &["install", "app"]);
    assert!(client.join("root/usr/bin/app").exists());
    assert!(client.join("root/usr/share/lib-of-it").exists());
    Rpm::new("app", "1.1", "1")
        .tag("Epoch", "2")
        .file("/usr/bin/app", 0o755, b"#!/bin/false\n")
        .build(&folder);
    site.vzpkg(&["mirror", "sync", "own"]).ok();
    dnf(&client, &url, &key, &["upgrade", "--refresh"]);
    let now = fs::read_to_string(client.join("root/usr/bin/app")).unwrap();
    assert_eq!(now, "#!/bin/false\n");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_folder_that_is_none_changes_nothing() {
    let site = Site::new();
    let folder = site.path("folder");
    let words = ["mirror", "import", "own", folder.to_str().unwrap()];
    site.vzpkg(&words).fails_with(2);
    fs::create_dir_all(&folder).unwrap();
    assert!(
        site.vzpkg(&words)
            .fails_with(2)
            .contains("no .deb and no .rpm")
    );
    fs::write(folder.join("bad.deb"), "!<arch>\nnothing").unwrap();
    assert!(site.vzpkg(&words).fails_with(4).contains("bad.deb"));
    assert!(!site.root().join("mirror/own/published").exists());
    fs::remove_file(folder.join("bad.deb")).unwrap();
    Deb::new("app", "1").build(&folder);
    site.vzpkg(&words).ok();
    fs::write(folder.join("bad.rpm"), "x").unwrap();
    assert!(site.vzpkg(&words).fails_with(2).contains("both"));
    fs::remove_file(folder.join("bad.rpm")).unwrap();
    let odd = folder.join("a b.deb");
    fs::copy(folder.join("app_1_all.deb"), &odd).unwrap();
    assert!(site.vzpkg(&words).fails_with(2).contains("a b.deb"));
    assert!(
        site.root()
            .join("mirror/own/published/pool/app_1_all.deb")
            .exists()
    );
}
