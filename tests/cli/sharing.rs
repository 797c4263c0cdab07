//! What a container costs: private bytes before its first start, and memory for what another has read already.

use crate::tiny::{TEMPLATE, Tiny, program};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use vzpkg_metadata::Digest;
use vzpkg_tests::tiny_debian;

/// The size of the file that both containers read.
const BYTES: usize = 1 << 20;

/// The bytes on disk of a directory with everything in it.
fn bytes_on_disk(directory: &Path) -> u64 {
    let own = fs::symlink_metadata(directory).unwrap();
    let mut bytes = own.blocks() * 512;
    if own.is_dir() {
        for entry in fs::read_dir(directory).unwrap() {
            bytes += bytes_on_disk(&entry.unwrap().path());
        }
    }
    bytes
}

/// The bytes of a file that are in memory, whoever has read them; the file is not read for that.
fn in_memory(path: &Path) -> u64 {
    let output = Command::new("fincore")
        .args(["--bytes", "--noheadings", "--output", "RES"])
        .arg(path)
        .output()
        .expect("the package util-linux-extra is installed");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().parse().unwrap()
}

/// Lets go of what is in memory of a file.
fn forget(path: &Path) {
    let status = Command::new("dd")
        .arg(format!("if={}", path.display()))
        .args(["iflag=nocache", "count=0", "status=none"])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_new_container_has_64_kib_of_its_own_at_most() {
    let tiny = Tiny::hello();
    tiny.ct(&["create", "web", "--template", TEMPLATE]).ok();
    let bytes = bytes_on_disk(&tiny.site.root().join("private/web"));
    assert!(bytes <= 64 << 10, "{bytes}");
    tiny.ct(&["destroy", "web"]).ok();
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_the_second_reader_of_a_file_adds_nothing_to_the_page_cache() {
    // Of this run alone: the object is in nobody's memory yet.
    let content: Vec<u8> = (0..BYTES as u64)
        .map(|at| {
            at.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(u64::from(std::process::id()))
                .to_le_bytes()[6]
        })
        .collect();
    let data = tiny_debian::package("data", "1").file("usr/share/data/blob", 0o644, &content);
    let mut tiny = Tiny::of(&["hello", "data"], &[program("hello", "1"), data]);
    tiny.create();
    tiny.make("first", &["--start"]).ok();
    tiny.publish_all(&[program("hello", "2")]);
    tiny.update();
    tiny.make("second", &["--start"]).ok();
    let doctor = tiny.json(&["ct", "list"]);
    let versions: Vec<_> = doctor["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["version"].clone())
        .collect();
    assert_ne!(versions[0], versions[1], "two versions share the file");

    let digest = Digest::of(&content).to_string();
    let object = tiny
        .site
        .root()
        .join("store/objects")
        .join(&digest[..2])
        .join(&digest[2..]);
    let inside = |name: &str| {
        let pid = tiny.json(&["ct", "info", name])["pid"].as_u64().unwrap();
        Path::new("/proc")
            .join(pid.to_string())
            .join("root/usr/share/data/blob")
    };
    let (first, second) = (inside("first"), inside("second"));
    let all = || [&object, &first, &second].map(|path| in_memory(path));
    let read = |name| {
        tiny.ct(&[
            "exec",
            name,
            "--",
            "sh",
            "-c",
            "cat /usr/share/data/blob > /dev/null",
        ])
        .ok()
    };
    // What the first has read is in memory for the second, which has read nothing: they are the same pages; and they go
    // together. A machine that is short of memory lets go of some by itself, but not each time.
    let size = BYTES as u64;
    let expected = [[0; 3], [size; 3], [size; 3], [0; 3]];
    let seen = (0..5).map(|_| {
        forget(&object);
        let before = all();
        read("first");
        let by_first = all();
        read("second");
        let by_second = all();
        forget(&object);
        [before, by_first, by_second, all()]
    });
    let others: Vec<_> = seen.take_while(|seen| *seen != expected).collect();
    assert!(others.len() < 5, "{others:?}");
    tiny.ct(&["destroy", "--force", "first", "second"]).ok();
}
