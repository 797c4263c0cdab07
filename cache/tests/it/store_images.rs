//! Images and manifests: what is read is what was written, bit by bit, or an error that names it.

use crate::fixtures::{TIME, manifest, path, store, tree_of, tree_of_everything};
use std::collections::BTreeMap;
use std::fs;
use vzpkg_cache::store::{ImageError, ManifestError, PackageManifest};
use vzpkg_metadata::Digest;
use vzpkg_metadata::tree::{Entry, Node, Tree};

#[test]
fn a_tree_of_everything_survives_its_image() {
    let (_directory, store) = store();
    let tree = tree_of_everything();
    let digest = store.images.write(&tree).unwrap();
    assert_eq!(digest, tree.digest());
    let read = store.images.read(&digest).unwrap();
    for ((path, expected), (_, found)) in tree.iter().zip(read.iter()) {
        assert_eq!(expected, found, "{path}");
    }
    assert_eq!(read, tree);
}

#[test]
fn images_have_the_same_bytes_for_ever() {
    let (_directory, store) = store();
    let digest = store.images.write(&tree_of_everything()).unwrap();
    let image = fs::read(store.images.path(&digest)).unwrap();
    insta::assert_snapshot!(Digest::of(&image), @"d7b52adabbd517703746c72a424df07fdcb7bcfeaded028d7c534044a2f75af9");
}

#[test]
fn manifests_have_the_same_bytes_for_ever() {
    let bytes = manifest("base-files", tree_of_everything()).encode();
    insta::assert_snapshot!(Digest::of(&bytes), @"9358c31f79fc507ab849a00cae239503725d8830e825d8369c1b4c2da0b97395");
}

#[test]
fn a_damaged_image_is_told_from_a_wrong_name() {
    let (_directory, store) = store();
    let digest = store.images.write(&tree_of(&[("a", b"1")])).unwrap();
    let other = store.images.write(&tree_of(&[("a", b"2")])).unwrap();
    let good = fs::read(store.images.path(&digest)).unwrap();
    let replace = |bytes: &[u8]| {
        fs::remove_file(store.images.path(&digest)).unwrap();
        fs::write(store.images.path(&digest), bytes).unwrap();
        let error = store.images.read(&digest).unwrap_err();
        assert!(error.to_string().contains(&digest.to_string()), "{error}");
        error
    };
    let mut flipped = good.clone();
    flipped[1500] ^= 1;
    assert!(matches!(replace(&flipped), ImageError::Format { .. }));
    assert!(matches!(
        replace(&good[..good.len() - 1]),
        ImageError::Format { .. }
    ));
    assert!(matches!(replace(b""), ImageError::Format { .. }));
    let wrong = fs::read(store.images.path(&other)).unwrap();
    assert!(replace(&wrong).to_string().contains("another tree"));
    // Writing the tree again heals it.
    store.images.write(&tree_of(&[("a", b"1")])).unwrap();
    assert_eq!(fs::read(store.images.path(&digest)).unwrap(), good);
    let missing = Digest::of(b"no tree");
    assert!(matches!(
        store.images.read(&missing),
        Err(ImageError::Missing(_))
    ));
}

#[test]
fn what_an_image_cannot_hold_is_refused_by_name() {
    let (_directory, store) = store();
    let base = tree_of(&[("b", b"1")]);
    let with = |name: &str, entry: Entry| {
        let mut tree = base.clone();
        tree.insert(path(name), entry);
        store.images.write(&tree).unwrap_err().to_string()
    };
    let xattr = |name: &[u8]| {
        let mut node = Node::file(0o644, TIME, b"1");
        node.meta.xattrs = BTreeMap::from([(name.to_vec(), vec![1])]);
        node.into()
    };
    for (name, entry) in [
        ("overlay", xattr(b"trusted.overlay.redirect")),
        ("other", xattr(b"os2.x")),
        ("backward", Entry::HardLink(path("b"))),
        ("a/b", Node::directory(0o755, TIME).into()),
    ] {
        // A link to an earlier name is canonical; only this one is backward.
        let name = if name == "backward" { "a" } else { name };
        let error = with(name, entry);
        assert!(error.contains("cannot be"), "{name}: {error}");
    }
    assert!(store.images.write(&Tree::new()).is_err());
}

#[test]
fn a_manifest_is_visible_to_others_only_after_a_sync() {
    let (directory, store) = store();
    let other = crate::fixtures::open(&directory);
    let package = manifest("base-files", tree_of(&[("etc/issue", b"Debian")]));
    store.packages.put(&package).unwrap();
    assert_eq!(
        store.packages.get(&package.sha256).unwrap().as_ref(),
        Some(&package)
    );
    assert_eq!(other.packages.get(&package.sha256).unwrap(), None);
    store.sync().unwrap();
    assert_eq!(
        store.packages.get(&package.sha256).unwrap().as_ref(),
        Some(&package)
    );
    assert_eq!(other.packages.get(&package.sha256).unwrap(), Some(package));
}

#[test]
fn every_changed_or_missing_byte_of_a_manifest_is_noticed() {
    let package = manifest("base-files", tree_of(&[("etc/issue", b"Debian")]));
    let bytes = package.encode();
    let decode = |bytes: &[u8]| PackageManifest::decode(&package.sha256, bytes);
    assert_eq!(decode(&bytes).unwrap(), package);
    for at in 0..bytes.len() {
        assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x20;
        assert!(decode(&flipped).is_err(), "flipped at {at}");
    }
    let other = Digest::of(b"other");
    assert!(matches!(
        PackageManifest::decode(&other, &bytes),
        Err(ManifestError::Damaged { package, .. }) if package == other
    ));
}
