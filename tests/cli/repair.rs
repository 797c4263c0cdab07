//! Damage of every kind: what is wrong is said with what helps, and the help helps.

use crate::tiny::{TEMPLATE as TINY, TEMPLATE_FILES, Tiny, program};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::tools::sha256;

const HELLO: &[u8] = b"#!/bin/sh\necho 1\n";

/// One version of two packages; a script of one makes a file that no package has.
fn one() -> Tiny {
    let made = program("maker", "1").script("postinst", "#!/bin/sh\necho made here > /etc/made\n");
    let tiny = Tiny::of(&["hello", "maker"], &[program("hello", "1"), made]);
    tiny.create();
    tiny
}

fn object(tiny: &Tiny, bytes: &[u8]) -> PathBuf {
    let digest = sha256(bytes);
    let store = tiny.site.root().join("store/objects");
    store.join(&digest[..2]).join(&digest[2..])
}

fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn digest(tiny: &Tiny) -> String {
    tiny.json(&["lock", TINY])["digest"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Verification fails and names it; the repair succeeds; then everything is sound, and nothing new was published.
fn assert_repaired(tiny: &Tiny, named: &str, repaired: &str) {
    let before = digest(tiny);
    let failed = tiny.vzpkg(&["verify"]).fails_with(4);
    assert!(failed.contains(named), "{named}: {failed}");
    assert!(failed.contains("vzpkg verify --repair"), "{failed}");
    let run = tiny.vzpkg(&["verify", "--repair"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains(repaired), "{repaired}: {}", run.stderr);
    tiny.vzpkg(&["verify", "--all"]).ok();
    assert_eq!(digest(tiny), before);
    let versions = tiny.json(&["history", TINY]);
    assert_eq!(versions["versions"].as_array().unwrap().len(), 1);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_objects_and_manifests_come_back_from_package_files() {
    let tiny = one();
    let hello = object(&tiny, HELLO);
    replace(&hello, b"#!/bin/sh\necho 2\n");
    assert_repaired(&tiny, &sha256(HELLO), "package hello 1");
    fs::remove_file(&hello).unwrap();
    assert_repaired(&tiny, "is missing", "package hello 1");
    let requests = tiny.server.requests().len();

    // A manifest, and a downloaded file that is damaged as well: it is fetched again.
    let manifests = tiny.site.root().join("store/packages");
    let package = tiny.json(&["list", "--packages", TINY]);
    let package = package["packages"].as_array().unwrap();
    let sha256 = package.iter().find(|one| one["name"] == "hello").unwrap()["sha256"].clone();
    let sha256 = sha256.as_str().unwrap();
    replace(&manifests.join(sha256), b"vzpkg-package 1\n");
    replace(
        &tiny.site.root().join(format!("packages/{sha256}.deb")),
        b"cut",
    );
    assert_repaired(&tiny, sha256, "package hello 1");
    assert!(
        tiny.server.requests().len() > requests,
        "the file came from the repository"
    );
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_what_a_build_made_comes_back_by_building_it_again() {
    let tiny = one();
    fs::remove_file(object(&tiny, b"made here\n")).unwrap();
    assert_repaired(
        &tiny,
        "is missing",
        "tiny-1-x86_64@1, built again from its lock",
    );
    let images = tiny.site.root().join("store/images");
    let image = images.join(format!("{}.erofs", digest(&tiny)));
    let mut bytes = fs::read(&image).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    replace(&image, &bytes);
    assert_repaired(&tiny, "the image of tree", "built again from its lock");
    fs::remove_file(&image).unwrap();
    assert_repaired(&tiny, "is missing", "built again from its lock");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_version_with_a_package_that_dpkg_unpacked_is_built_again() {
    let made = program("maker", "1").script("postinst", "#!/bin/sh\necho made here > /etc/made\n");
    // Without md5sums dpkg unpacks it and wants its file, though its manifest is here.
    let aside = Deb::new("aside", "1").file("usr/bin/aside", 0o755, HELLO);
    let tiny = Tiny::of(&["aside", "maker"], &[aside, made]);
    tiny.create();
    fs::remove_file(object(&tiny, b"made here\n")).unwrap();
    assert_repaired(&tiny, "is missing", "built again from its lock");
}

/// A verb that meets damage fails, names it and what brings it back.
fn assert_told(tiny: &Tiny, words: &[&str], what: &str) {
    let failed = tiny.vzpkg(words).fails_with(4);
    assert!(failed.contains(what), "{words:?}: {failed}");
    assert!(failed.contains("vzpkg verify --repair"), "{failed}");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_verbs_that_meet_damage_name_it_and_the_repair() {
    let mut tiny = one();
    let directory = tiny.site.path("out");
    let archive = tiny.site.path("out.tar.gz");
    let (directory, archive) = (directory.to_str().unwrap(), archive.to_str().unwrap());
    let hello = object(&tiny, HELLO);
    let damaged = HELLO.to_ascii_uppercase();
    for bytes in [Some(&damaged[..]), Some(&b"cut"[..]), None] {
        match bytes {
            Some(bytes) => replace(&hello, bytes),
            None => fs::remove_file(&hello).unwrap(),
        }
        for place in [directory, archive] {
            assert_told(&tiny, &["export", TINY, place], "`usr/bin/");
        }
        drop(fs::remove_dir_all(directory));
    }
    fs::write(&hello, HELLO).unwrap();

    tiny.publish_all(&[program("hello", "2")]);
    let tree = digest(&tiny);
    let image = tiny.site.root().join(format!("store/images/{tree}.erofs"));
    let mut bytes = fs::read(&image).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    for bytes in [Some(&bytes[..]), Some(&b"cut"[..]), None] {
        match bytes {
            Some(bytes) => replace(&image, bytes),
            None => fs::remove_file(&image).unwrap(),
        }
        assert_told(&tiny, &["update", TINY, "--refresh"], &tree);
        assert_told(&tiny, &["diff", "tiny-1-x86_64@1", "@1"], &tree);
        assert_told(&tiny, &["export", TINY, directory], &tree);
    }
    assert_eq!(tiny.head(), 1, "nothing was made of it");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_package_that_nobody_has_any_more_is_named() {
    let tiny = one();
    fs::remove_file(object(&tiny, HELLO)).unwrap();
    for entry in fs::read_dir(tiny.site.root().join("packages")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::remove_dir_all(tiny.site.path("repo/pool")).unwrap();
    let failed = tiny.vzpkg(&["verify", "--repair"]).fails_with(4);
    assert!(failed.contains("hello"), "{failed}");
    assert!(failed.contains(&sha256(HELLO)), "{failed}");
    assert_eq!(tiny.head(), 1, "the version is still there");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_lost_record_is_removed_with_its_version() {
    let mut tiny = one();
    tiny.publish_all(&[program("hello", "2")]);
    tiny.update();
    let head = digest(&tiny);
    replace(
        &tiny.site.root().join(format!("store/versions/{head}.json")),
        b"{",
    );
    let failed = tiny.vzpkg(&["verify", "--repair"]).fails_with(4);
    assert!(
        failed.contains("vzpkg remove-cache tiny-1-x86_64@2"),
        "{failed}"
    );
    let refused = tiny
        .vzpkg(&["remove-cache", "tiny-1-x86_64@2"])
        .fails_with(1);
    assert!(
        refused.contains("it is the head") && refused.contains("rollback"),
        "{refused}"
    );
    tiny.vzpkg(&["rollback", TINY]).ok();
    tiny.vzpkg(&["remove-cache", "tiny-1-x86_64@2"]).ok();
    tiny.vzpkg(&["verify"]).ok();
    tiny.update();
    assert_eq!(tiny.head(), 3, "a number is never used twice");
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_damaged_database_is_made_again_from_the_versions() {
    let mut tiny = one();
    tiny.publish_all(&[program("hello", "2")]);
    tiny.update();
    let sound = tiny.vzpkg(&["doctor", "--rebuild"]);
    assert!(sound.stderr.contains("nothing was missing"), "{sound:?}");
    let store = tiny.site.root().join("store");
    fs::write(store.join("state.db"), [7; 8192]).unwrap();
    fs::write(store.join("state.db-wal"), b"").unwrap();
    fs::remove_file(store.join("state.db-shm")).unwrap();
    let failed = tiny.vzpkg(&["history", TINY]).fails_with(4);
    assert!(failed.contains("state.db"), "{failed}");
    assert!(failed.contains("vzpkg doctor --rebuild"), "{failed}");
    let doctor = tiny.vzpkg(&["doctor"]);
    assert_eq!(doctor.code, 3);
    assert!(
        doctor.stdout.contains("vzpkg doctor --rebuild"),
        "{doctor:?}"
    );
    let rebuilt = tiny.vzpkg(&["doctor", "--rebuild"]);
    assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
    assert!(rebuilt.stderr.contains("tiny-1-x86_64@2"), "{rebuilt:?}");
    assert!(rebuilt.stderr.contains("state.db.damaged-"), "{rebuilt:?}");
    assert_eq!(tiny.head(), 2, "the newest, for nobody knows better");
    tiny.vzpkg(&["verify"]).ok();
    tiny.publish_all(&[program("hello", "3")]);
    tiny.update();
    assert_eq!(tiny.head(), 3);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_lost_database_stops_every_verb_until_it_is_made_again() {
    let mut tiny = one();
    tiny.publish_all(&[program("hello", "2")]);
    tiny.update();
    let store = tiny.site.root().join("store");
    for ending in ["", "-wal", "-shm"] {
        fs::remove_file(store.join(format!("state.db{ending}"))).unwrap();
    }
    let verbs: [&[&str]; 4] = [&["history", TINY], &["gc"], &["update", TINY], &["verify"]];
    for words in verbs {
        let failed = tiny.vzpkg(words).fails_with(4);
        assert!(failed.contains("is lost"), "{words:?}: {failed}");
        assert!(failed.contains("vzpkg doctor --rebuild"), "{failed}");
    }
    assert!(!store.join("state.db").exists());
    // A record that is damaged as well costs its version, and no other.
    let records = fs::read_dir(store.join("versions")).unwrap();
    let first = records.map(|entry| entry.unwrap().path()).find(|path| {
        let text = fs::read_to_string(path).unwrap();
        text.contains("\"number\": 1,")
    });
    replace(&first.unwrap(), b"{");
    let rebuilt = tiny.vzpkg(&["doctor", "--rebuild"]);
    assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
    assert!(rebuilt.stderr.contains("tiny-1-x86_64@2"), "{rebuilt:?}");
    let named = rebuilt.stderr.contains("Left out the record");
    assert!(named, "{rebuilt:?}");
    assert_eq!(tiny.head(), 2);
    tiny.vzpkg(&["gc"]).ok();
    tiny.vzpkg(&["verify"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_template_that_changed_cannot_bring_an_old_version_back_and_says_so() {
    let tiny = one();
    fs::remove_file(object(&tiny, b"made here\n")).unwrap();
    tiny.site.template(
        TEMPLATE_FILES,
        &[("post-cache", "#!/bin/sh\necho other > \"$1/etc/made\"\n")],
    );
    let script = tiny.site.root().join("template").join(TEMPLATE_FILES);
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(script.join("post-cache"), executable).unwrap();
    let failed = tiny.vzpkg(&["verify", "--repair"]).fails_with(4);
    assert!(failed.contains("came out as tree"), "{failed}");
    assert!(failed.contains("its template has changed"), "{failed}");
    assert_eq!(tiny.head(), 1);
}
