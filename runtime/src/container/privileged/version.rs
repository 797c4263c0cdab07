//! A tiny version in every form in which a node may have it: objects, image, stubs, plain files.

use crate::rootfs::{Lower, write_stubs};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use vzpkg_metadata::tree::{Node, NodeKind, Tree};
use vzpkg_metadata::{Digest, RelPath, Timestamp};

/// The only program of the tree. Its bytes are copied by a program of the host: had this process the file open for
/// writing, a child that another test has just forked would have it too, and executing it would be refused.
const BUSYBOX: &str = "/bin/busybox";

const APPLETS: [&str; 12] = [
    "sh", "sleep", "cat", "id", "true", "kill", "chmod", "touch", "rm", "mkdir", "stat", "ln",
];

const DIRECTORIES: [&str; 13] = [
    "",
    "bin",
    "etc",
    "etc/shared",
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "root",
    "sbin",
    "var",
    "var/lib",
];

/// How many files `etc/shared` has: `00`, `01`, …
pub(super) const SHARED: u32 = 32;

/// A tree whose file `etc/release` says `release`, and the contents of its files but for busybox.
pub(super) fn content(release: &str) -> (Tree, BTreeMap<Digest, Vec<u8>>) {
    let time = Timestamp::from_seconds(1_700_000_000);
    let mut tree = Tree::new();
    let mut bytes = BTreeMap::new();
    for directory in DIRECTORIES {
        tree.insert(path(directory), Node::directory(0o755, time));
    }
    let busybox = fs::read(BUSYBOX).expect("the package busybox-static is installed");
    tree.insert(path("bin/busybox"), Node::file(0o755, time, &busybox));
    for applet in APPLETS {
        tree.insert(
            path("bin").join(applet.as_bytes()).unwrap(),
            Node::symlink("busybox", time),
        );
    }
    let mut put = |at: &str, content: Vec<u8>| {
        tree.insert(path(at), Node::file(0o644, time, &content));
        bytes.insert(Digest::of(&content), content);
    };
    put("etc/release", release.as_bytes().to_vec());
    put("etc/passwd", b"root:x:0:0::/root:/bin/sh\n".to_vec());
    for at in ["etc/changed", "etc/removed"] {
        put(at, b"of the version\n".to_vec());
    }
    for number in 0..SHARED {
        put(&format!("etc/shared/{number:02}"), shared(number));
    }
    (tree, bytes)
}

/// The content of one of `etc/shared`, two pages.
pub(super) fn shared(number: u32) -> Vec<u8> {
    let line = format!("{number:02} shared by all\n").into_bytes();
    line.into_iter().cycle().take(2 * 4096).collect()
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

/// Where the forms of a tree lie.
pub(super) fn lower(tree: &Tree, directory: &Path) -> Lower {
    Lower {
        digest: tree.digest(),
        image: directory.join("image.erofs"),
        objects: directory.join("objects"),
        stubs: Some(directory.join("stubs")),
        materialized: Some(directory.join("plain")),
    }
}

/// Puts a tree on disk in every form, in the empty directory `directory`.
pub(super) fn lay_out(tree: &Tree, bytes: &BTreeMap<Digest, Vec<u8>>, directory: &Path) {
    let at = |name: &str| directory.join(name);
    for name in ["objects", "stubs", "plain"] {
        fs::create_dir(at(name)).unwrap();
    }
    write_stubs(tree, &at("stubs")).unwrap();
    make_image(&at("stubs"), &at("image.erofs"));
    write_stubs(tree, &at("plain")).unwrap();
    for (name, entry) in tree.iter() {
        let Some(node) = entry.as_node() else {
            continue;
        };
        if let NodeKind::File { digest, .. } = node.kind {
            let content = bytes.get(&digest).map(Vec::as_slice);
            put(content, &object(&at("objects"), &digest), 0o400);
            let plain = at("plain").join(name.as_path());
            fs::remove_file(&plain).unwrap();
            put(content, &plain, node.meta.mode.into());
        }
    }
}

fn object(objects: &Path, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    let shard = objects.join(&name[..2]);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&shard).unwrap();
    shard.join(&name[2..])
}

/// A file with these bytes, or with those of busybox.
fn put(content: Option<&[u8]>, at: &Path, mode: u32) {
    match content {
        Some(content) => fs::write(at, content).unwrap(),
        None => succeed(Command::new("cp").arg(BUSYBOX).arg(at)),
    }
    fs::set_permissions(at, fs::Permissions::from_mode(mode)).unwrap();
}

/// Real `mkfs.erofs`, so that no writer of ours shares a bug with what is tested.
fn make_image(stubs: &Path, image: &Path) {
    succeed(
        Command::new("mkfs.erofs")
            .arg("--quiet")
            .arg(image)
            .arg(stubs),
    );
}

fn succeed(command: &mut Command) {
    let made = command
        .output()
        .expect("coreutils and erofs-utils are installed");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{command:?}: {said}");
}
