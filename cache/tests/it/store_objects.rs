//! Objects: what is put is what is read, damage is found and healed, threads do not meet.

use crate::fixtures::{open, store};
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::thread;
use vzpkg_cache::store::ObjectError;
use vzpkg_metadata::Digest;

#[test]
fn bytes_are_stored_once_and_read_back() {
    let (_directory, store) = store();
    let digest = store.objects.put_bytes(b"abc").unwrap();
    assert_eq!(digest, Digest::of(b"abc"));
    let inode = fs::metadata(store.objects.path(&digest)).unwrap().ino();
    assert_eq!(store.objects.put_bytes(b"abc").unwrap(), digest);
    assert_eq!(
        fs::metadata(store.objects.path(&digest)).unwrap().ino(),
        inode
    );
    assert_eq!(store.objects.read(&digest, 3).unwrap(), b"abc");
    assert!(matches!(
        store.objects.read(&digest, 2),
        Err(ObjectError::TooLarge { limit: 2 })
    ));
    let missing = Digest::of(b"missing");
    assert!(!store.objects.contains(&missing));
    assert!(
        matches!(store.objects.open(&missing), Err(ObjectError::Missing(digest)) if digest == missing)
    );
}

#[test]
fn a_reader_of_any_size_is_hashed_while_it_is_copied() {
    let (_directory, store) = store();
    for size in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000] {
        let bytes: Vec<u8> = (0..size)
            .map(|at: u32| at.to_le_bytes()[at as usize % 3])
            .collect();
        for _ in 0..2 {
            let (digest, length) = store
                .objects
                .put_reader(&mut bytes.as_slice(), u64::from(size))
                .unwrap();
            assert_eq!((digest, length), (Digest::of(&bytes), u64::from(size)));
            assert_eq!(store.objects.read(&digest, length).unwrap(), bytes);
        }
        if let Some(limit) = size.checked_sub(1) {
            let result = store
                .objects
                .put_reader(&mut bytes.as_slice(), u64::from(limit));
            assert!(
                matches!(result, Err(ObjectError::TooLarge { .. })),
                "{size}"
            );
        }
    }
}

#[test]
fn nobody_but_the_owner_can_read_objects() {
    let (directory, store) = store();
    let digest = store.objects.put_bytes(b"root:$y$").unwrap();
    let path = store.objects.path(&digest);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o400);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&directory.path().join("store/objects")), 0o700);
}

#[test]
fn a_file_that_is_put_does_not_share_its_inode() {
    let (directory, store) = store();
    let path = directory.path().join("file");
    fs::write(&path, b"before").unwrap();
    let (digest, _) = store
        .objects
        .put_file(&fs::File::open(&path).unwrap(), 100)
        .unwrap();
    fs::write(&path, b"after!").unwrap();
    assert_eq!(store.objects.read(&digest, 100).unwrap(), b"before");
}

#[test]
fn a_ruin_left_by_a_power_loss_is_replaced_when_its_bytes_come_again() {
    for ruin in [&b""[..], b"ABC"] {
        let (directory, store) = store();
        let digest = store.objects.put_bytes(b"abc").unwrap();
        let path = store.objects.path(&digest);
        drop(store);
        fs::remove_file(&path).unwrap();
        fs::write(&path, ruin).unwrap();
        let store = open(&directory);
        assert!(matches!(
            store.objects.read(&digest, 100),
            Err(ObjectError::Damaged { .. })
        ));
        store.objects.put_bytes(b"abc").unwrap();
        assert_eq!(store.objects.read(&digest, 100).unwrap(), b"abc");
    }
}

#[test]
fn a_reader_that_fails_leaves_nothing() {
    struct Fails;
    impl io::Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let (_directory, store) = store();
    let start = vec![7_u8; 2 << 20];
    let result = store
        .objects
        .put_reader(&mut start.as_slice().chain(Fails), u64::MAX);
    assert!(matches!(result, Err(ObjectError::Source(_))));
    assert!(!store.objects.contains(&Digest::of(&start)));
}

#[test]
fn threads_and_stores_put_the_same_bytes_at_once() {
    let (directory, first) = store();
    let second = open(&directory);
    thread::scope(|scope| {
        for worker in 0..8_u32 {
            let store = if worker % 2 == 0 { &first } else { &second };
            scope.spawn(move || {
                for content in 0..200_u32 {
                    store.objects.put_bytes(&content.to_le_bytes()).unwrap();
                }
            });
        }
    });
    for content in 0..200_u32 {
        let bytes = content.to_le_bytes();
        let digest = Digest::of(&bytes);
        assert_eq!(first.objects.read(&digest, 4).unwrap(), bytes);
    }
}

#[test]
fn a_store_opened_to_read_refuses_to_put() {
    let (directory, store) = store();
    store.objects.put_bytes(b"x").unwrap();
    drop(store);
    let store =
        vzpkg_cache::store::Store::open(directory.path(), vzpkg_cache::store::Access::ReadOnly)
            .unwrap();
    assert!(store.objects.read(&Digest::of(b"x"), 1).is_ok());
    assert!(store.objects.put_bytes(b"y").is_err());
}

#[test]
fn a_file_equals_an_object_only_if_every_byte_does() {
    let (_directory, store) = store();
    let file = |bytes: &[u8]| {
        use std::io::{Seek as _, Write as _};
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    };
    // Below, at and above what is compared at once.
    for size in [0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 700_000] {
        let bytes = vec![7_u8; size];
        let digest = store.objects.put_bytes(&bytes).unwrap();
        let equals = |size: usize, bytes: &[u8]| {
            let equal = store.objects.equals(&digest, size as u64, &file(bytes));
            equal.unwrap()
        };
        assert!(equals(size, &bytes), "{size}");
        let longer = [bytes.as_slice(), b"x"].concat();
        assert!(!equals(size, &longer), "{size}");
        if let Some(last) = size.checked_sub(1) {
            assert!(!equals(size, &bytes[..last]), "{size}");
            let mut other = bytes.clone();
            other[last] = 8;
            assert!(!equals(size, &other), "{size}");
        }
    }
}

#[test]
fn a_damaged_object_equals_nothing() {
    let (directory, store) = store();
    let digest = store.objects.put_bytes(b"good").unwrap();
    let path = store.objects.path(&digest);
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"evil").unwrap();
    // Another process' store: this one knows what it wrote.
    let store = open(&directory);
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, b"evil").unwrap();
    io::Seek::rewind(&mut file).unwrap();
    assert!(!store.objects.equals(&digest, 4, &file).unwrap());
}
