//! Which signatures count, and where keys may come from.

use crate::apt::Archive;
use crate::support::{Bench, chain, fingerprint, line, pin};
use std::fs;
use vzpkg_metadata::template::{KeyPin, KeyPlace, RepositoryLine};
use vzpkg_repo_client::verify::{Keyring, Policy, SignatureError, openpgp};
use vzpkg_tests::http_server::HttpServer;
use vzpkg_tests::keys::{CREATED, TestKey};
use vzpkg_tests::tools::{DAY, EPOCH};

fn keyring(keys: &[&TestKey]) -> Keyring {
    let mut keyring = Keyring::new(keys.iter().map(|key| fingerprint(key)));
    for key in keys {
        keyring.add(&key.binary());
    }
    keyring
}

fn detached(keyring: &Keyring, signature: &[u8], data: &[u8]) -> Result<usize, SignatureError> {
    openpgp::verify_detached(keyring, signature, data, Policy::Standard, EPOCH + 60)
        .map(|verified| verified.signers.len())
}

#[test]
fn detached_signatures_count_in_text_and_binary_over_exactly_the_data() {
    let key = TestKey::new("packager");
    let ring = keyring(&[&key]);
    for signature in [
        key.sign_detached(b"data"),
        key.sign_detached_binary(b"data"),
    ] {
        assert_eq!(detached(&ring, &signature, b"data").unwrap(), 1);
        for data in [&b"dat"[..], b"data\n", b""] {
            let error = detached(&ring, &signature, data).unwrap_err();
            assert!(matches!(error, SignatureError::Untrusted { .. }), "{error}");
        }
    }
    for junk in [
        &b""[..],
        b"junk",
        b"-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n",
    ] {
        assert!(detached(&ring, junk, b"data").is_err());
    }
}

#[test]
fn wrong_key_is_refused_and_both_keys_are_named() {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    let other = TestKey::new("other");
    let error = chain(
        &bench
            .load(&line(&archive.server.url()), &[pin(&other)])
            .unwrap_err(),
    );
    // A signing subkey names itself, not its primary key, and only the certificate would tell.
    assert!(
        error.contains("no pinned key signed it; signatures: by "),
        "{error}"
    );
    assert!(error.contains(" (not a pinned key); "), "{error}");
    let pinned = format!("pinned: {}", other.fingerprint());
    assert!(error.contains(&pinned), "{error}");
}

#[test]
fn a_key_that_nobody_pinned_never_counts() {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    let other = TestKey::new("other");
    // The place holds the archive's key, but another fingerprint is pinned.
    let mut lying = pin(&archive.key);
    lying.fingerprint = fingerprint(&other);
    let error = chain(
        &bench
            .load(&line(&archive.server.url()), &[lying])
            .unwrap_err(),
    );
    assert!(
        error.contains("none of the pinned keys was found"),
        "{error}"
    );
    let error = chain(&bench.load(&line(&archive.server.url()), &[]).unwrap_err());
    assert!(error.contains("the template pins no key"), "{error}");
}

#[test]
fn an_index_of_a_key_that_is_no_longer_pinned_is_not_used() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    let line = line(&archive.server.url());
    bench.load(&line, &[pin(&archive.key)]).unwrap();
    bench.options.offline = true;
    bench.load(&line, &[pin(&archive.key)]).unwrap();
    assert!(bench.load(&line, &[pin(&TestKey::new("other"))]).is_err());
}

#[test]
fn what_was_loaded_as_trusted_does_not_count_once_signatures_are_asked_for() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    let mut line = line(&archive.server.url());
    let RepositoryLine::Apt(source) = &mut line else {
        unreachable!()
    };
    source.trusted = true;
    bench.load(&line, &[]).unwrap();
    let RepositoryLine::Apt(source) = &mut line else {
        unreachable!()
    };
    source.trusted = false;
    bench.options.offline = true;
    let error = chain(&bench.load(&line, &[pin(&archive.key)]).unwrap_err());
    assert!(error.contains("the work is offline"), "{error}");
}

#[test]
fn keys_are_found_at_their_places_in_host_keyrings_and_on_servers() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    let other = TestKey::new("other");
    let directory = bench.env.path("keyrings");
    fs::create_dir_all(directory.join("nested")).unwrap();
    let two = [other.armored(), archive.key.armored()].concat();
    let two_binary = [other.binary(), archive.key.binary()].concat();
    let served = bench.env.path("keys");
    fs::create_dir_all(&served).unwrap();
    fs::write(served.join("key.asc"), &two).unwrap();
    fs::write(bench.env.path("one.gpg"), two_binary).unwrap();
    let server = HttpServer::serve(&served);
    let pin = |places| KeyPin {
        places,
        ..pin(&archive.key)
    };
    let line = line(&archive.server.url());
    let load = |bench: &Bench, keys: &[KeyPin]| {
        fs::remove_dir_all(bench.env.path("index")).ok();
        bench.load(&line, keys).map(drop)
    };
    load(
        &bench,
        &[pin(vec![KeyPlace::Path(bench.env.path("one.gpg"))])],
    )
    .unwrap();
    assert!(load(&bench, &[pin(vec![])]).is_err());
    let url = vec![KeyPlace::Url(format!("{}/key.asc", server.url()))];
    load(&bench, &[pin(url)]).unwrap();
    assert_eq!(server.requests().len(), 1);
    fs::write(directory.join("nested/RPM-GPG-KEY-x"), &two).unwrap();
    bench.options.keyring_dirs = vec![bench.env.path("missing"), directory];
    load(&bench, &[pin(vec![])]).unwrap();
}

#[test]
fn a_signature_after_the_key_expired_does_not_count() {
    let key = TestKey::new_expiring("old", 30 * DAY);
    let ring = keyring(&[&key]);
    let text = key.sign_inline_at("Origin: x\n", CREATED + DAY);
    let verify = |file: &[u8], now| openpgp::verify_inline(&ring, file, Policy::Standard, now);
    assert_eq!(verify(&text, CREATED + 2 * DAY).unwrap().0, b"Origin: x\n");
    // Made while the key was valid: still good later, as for Debian's old releases.
    assert!(verify(&text, EPOCH).is_ok());
    let late = key.sign_inline_at("Origin: x\n", CREATED + 60 * DAY);
    assert!(verify(&late, EPOCH).is_err());
}

#[test]
fn one_good_signature_of_several_is_enough() {
    let (one, two) = (TestKey::new("one"), TestKey::new("two"));
    let both = [
        one.sign_detached_binary(b"data"),
        two.sign_detached_binary(b"data"),
    ]
    .concat();
    assert_eq!(detached(&keyring(&[&one]), &both, b"data").unwrap(), 1);
    assert_eq!(detached(&keyring(&[&two]), &both, b"data").unwrap(), 1);
    assert_eq!(
        detached(&keyring(&[&one, &two]), &both, b"data").unwrap(),
        2
    );
}
