//! Export: archives and directories hold the tree exactly, and the same bytes every time.

use crate::fixtures::{TIME, path, put_everything, store, tree_of_everything};
use crate::scan::{differences, scan};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use vzpkg_cache::archive::{Compression, ExtraFile, TarballError, write_directory, write_tarball};
use vzpkg_cache::store::{ObjectError, Store};
use vzpkg_metadata::tree::{Node, Tree};
use vzpkg_metadata::{Digest, RelPath};

const LATE: i64 = i64::MAX;

fn tarball(store: &Store, tree: &Tree, epoch: i64, compression: Compression) -> Vec<u8> {
    write_tarball(tree, &store.objects, &[], epoch, compression, Vec::new()).expect("written")
}

#[test]
fn archives_have_the_same_bytes_for_ever() {
    let (_directory, store) = store();
    put_everything(&store);
    let bytes = tarball(&store, &tree_of_everything(), LATE, Compression::None);
    insta::assert_snapshot!(Digest::of(&bytes), @"a2897bcd4e502af63b95019aff6367bfc021bb973deec60bc0c808774b9bed89");
}

#[test]
fn compressed_archives_hold_the_plain_one() {
    let (_directory, store) = store();
    put_everything(&store);
    let tree = tree_of_everything();
    let plain = tarball(&store, &tree, LATE, Compression::None);
    let zstd = tarball(&store, &tree, LATE, Compression::Zstd);
    assert_eq!(zstd::stream::decode_all(zstd.as_slice()).unwrap(), plain);
    let gzip = tarball(&store, &tree, LATE, Compression::Gzip);
    let mut found = Vec::new();
    flate2::read::GzDecoder::new(gzip.as_slice())
        .read_to_end(&mut found)
        .unwrap();
    assert_eq!(found, plain);
}

#[test]
fn names_of_every_length_and_attributes_are_read_back() {
    let (_directory, store) = store();
    let mut tree = Tree::new();
    tree.insert(RelPath::root(), Node::directory(0o755, TIME));
    let mut names = Vec::new();
    for length in [1, 95, 97, 98, 99, 100, 101, 150, 255] {
        let name = "n".repeat(length);
        tree.insert(path(&name), Node::file(0o600, TIME, b""));
        let link = format!("l{length}");
        tree.insert(path(&link), Node::symlink(name.clone(), TIME));
        names.extend([name, link]);
    }
    let odd = tree.node_mut(&path("n")).unwrap();
    odd.meta.uid = 3_000_000;
    odd.meta.xattrs = BTreeMap::from([(b"user.x".to_vec(), vec![0, b'=', 0xff])]);
    let bytes = tarball(&store, &tree, 1_600_000_000, Compression::None);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().mtime().unwrap(), 1_600_000_000);
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
        let records: Vec<(String, Vec<u8>)> = entry
            .pax_extensions()
            .unwrap()
            .into_iter()
            .flatten()
            .map(|record| {
                let record = record.unwrap();
                (
                    record.key().unwrap().to_owned(),
                    record.value_bytes().to_vec(),
                )
            })
            .collect();
        found.insert(name, (link, records));
    }
    for name in names {
        let (link, _) = &found[&format!("./{name}")];
        if let Some(length) = name.strip_prefix('l') {
            let target = "n".repeat(length.parse().unwrap());
            assert_eq!(link.as_deref(), Some(target.as_bytes()));
        }
    }
    let (_, records) = &found["./n"];
    assert_eq!(
        *records,
        [
            ("uid".to_owned(), b"3000000".to_vec()),
            ("SCHILY.xattr.user.x".to_owned(), vec![0, b'=', 0xff])
        ]
    );
}

#[test]
fn a_damaged_object_is_never_exported() {
    let (_directory, store) = store();
    put_everything(&store);
    let object = store.objects.path(&Digest::of(b"root:*:\n"));
    let export = |bytes: &[u8]| {
        crate::fixtures::replace(&object, bytes);
        let tree = tree_of_everything();
        let output = Vec::new();
        write_tarball(&tree, &store.objects, &[], LATE, Compression::None, output).unwrap_err()
    };
    let error = export(b"ROOT:*:\n");
    assert!(
        matches!(&error, TarballError::Content { path, source: ObjectError::Damaged { .. } }
            if path.to_string() == "etc/shadow"),
        "{error:?}"
    );
    assert!(matches!(export(b""), TarballError::Length { .. }));
}

fn node_files() -> [ExtraFile; 2] {
    [
        ExtraFile {
            path: path("etc/hostname"),
            node: Node::file(0o644, TIME, b""),
            bytes: b"web1\n".to_vec(),
        },
        // Takes the place of a symbolic link, and does not follow it.
        ExtraFile {
            path: path("link"),
            node: Node::file(0o600, TIME, b""),
            bytes: b"not through the link\n".to_vec(),
        },
    ]
}

#[test]
fn node_files_take_the_place_of_what_the_tree_has() {
    let (_directory, store) = store();
    put_everything(&store);
    let tree = tree_of_everything();
    let bytes = write_tarball(
        &tree,
        &store.objects,
        &node_files(),
        LATE,
        Compression::None,
        Vec::new(),
    )
    .unwrap();
    let mut contents = BTreeMap::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        contents.insert(name, content);
    }
    assert_eq!(contents["./etc/hostname"], "web1\n");
    assert_eq!(contents["./link"], "not through the link\n");
    assert_eq!(contents.len(), tree.len() + 1);
    let inside = ExtraFile {
        path: path("etc/shadow/x"),
        ..node_files()[0].clone()
    };
    let result = write_tarball(
        &tree,
        &store.objects,
        &[inside],
        0,
        Compression::None,
        Vec::new(),
    );
    assert!(matches!(result, Err(TarballError::Tree(_))));
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_directory_holds_the_tree_exactly() {
    let (directory, store) = store();
    put_everything(&store);
    let tree = tree_of_everything();
    let target = directory.path().join("export");
    write_directory(&tree, &store.objects, &[], &target).unwrap();
    assert_eq!(differences(&tree, &scan(&target).unwrap()), [""; 0]);
    let again = write_directory(&tree, &store.objects, &[], &target).unwrap_err();
    assert!(again.to_string().contains("export"), "{again}");
    let target = directory.path().join("with-node-files");
    write_directory(&tree, &store.objects, &node_files(), &target).unwrap();
    assert_eq!(fs::read(target.join("etc/hostname")).unwrap(), b"web1\n");
    assert!(fs::symlink_metadata(target.join("link")).unwrap().is_file());
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_tar_unpacks_an_archive_to_the_tree_exactly() {
    let (directory, store) = store();
    put_everything(&store);
    let tree = tree_of_everything();
    let archive = directory.path().join("export.tar");
    fs::write(&archive, tarball(&store, &tree, LATE, Compression::None)).unwrap();
    let target = directory.path().join("unpacked");
    fs::create_dir(&target).unwrap();
    let status = Command::new("tar")
        .args([
            "--extract",
            "--same-owner",
            "--same-permissions",
            "--numeric-owner",
        ])
        .args(["--xattrs", "--xattrs-include=*", "--file"])
        .arg(&archive)
        .arg("--directory")
        .arg(&target)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(differences(&tree, &scan(&target).unwrap()), [""; 0]);
}

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_materialised_tree_is_made_once() {
    let (_directory, store) = store();
    put_everything(&store);
    let tree = tree_of_everything();
    let digest = store.images.write(&tree).unwrap();
    let path = store.materialize(&digest).unwrap();
    assert_eq!(differences(&tree, &scan(&path).unwrap()), [""; 0]);
    fs::write(path.join("mark"), b"").unwrap();
    assert_eq!(store.materialize(&digest).unwrap(), path);
    assert!(path.join("mark").exists());
}
