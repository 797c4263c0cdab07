//! What a yum repository may not do: sign with keys that nobody pinned, go back in time, lead out of itself, have no end.

use crate::support::{Bench, chain, pin};
use crate::yum::{Hand, hand, line, names, primary, served, source};
use std::fs;
use vzpkg_metadata::Digest;
use vzpkg_metadata::template::{KeyPin, RepositoryLine, YumSource};
use vzpkg_repo_client::Refresh;
use vzpkg_tests::apt_repo::compress;
use vzpkg_tests::http_server::{Fault, Times};
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::tools::EPOCH;

#[test]
fn what_nobody_pinned_signed_is_refused() {
    let bench = Bench::new();
    let (key, other) = (TestKey::new("vendor"), TestKey::new("other"));
    let root = bench.env.path("repo");
    hand(root.clone(), &key, &["a"], "", EPOCH);
    let url = format!("file://{}", root.display());
    let load = |source: YumSource, pins: &[KeyPin]| {
        let loaded = bench.load(&RepositoryLine::Yum(source), pins);
        loaded
            .map(|repository| repository.package_keys.is_some())
            .map_err(|error| chain(&error))
    };
    let plain = source(&[url]);
    let error = load(plain.clone(), &[pin(&other)]).unwrap_err();
    assert!(error.contains("no pinned key signed it"), "{error}");
    let error = load(plain.clone(), &[]).unwrap_err();
    assert!(error.contains("pins no key"), "{error}");

    let asc = root.join("repodata/repomd.xml.asc");
    let signature = fs::read(&asc).unwrap();
    fs::remove_file(&asc).unwrap();
    let error = load(plain.clone(), &[pin(&key)]).unwrap_err();
    assert!(error.ends_with("it is not signed"), "{error}");

    let mut trusted = plain.clone();
    trusted.trusted = true;
    assert_eq!(load(trusted, &[]), Ok(false));
    let mut unsigned = plain.clone();
    unsigned.options.unsigned_metadata = true;
    let error = load(unsigned.clone(), &[]).unwrap_err();
    assert!(error.contains("pins no key"), "{error}");
    assert_eq!(load(unsigned, &[pin(&key)]), Ok(true));
    // What the other lines left in the cache proves nothing for this one.
    assert!(load(plain.clone(), &[pin(&key)]).is_err());

    fs::write(&asc, signature).unwrap();
    assert_eq!(load(plain, &[pin(&key)]), Ok(false));
}

#[test]
fn swapped_metadata_under_a_good_signature_is_refused() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    hand(root.clone(), &key, &["a"], "", EPOCH);
    let url = format!("file://{}", root.display());
    let repomd = root.join("repodata/repomd.xml");
    let text = fs::read_to_string(&repomd).unwrap();
    fs::write(&repomd, text.replace("<revision>1<", "<revision>2<")).unwrap();
    let error = chain(&bench.load(&line(&url), &[pin(&key)]).unwrap_err());
    assert!(error.contains("`repomd.xml.asc` is not trusted"), "{error}");
    fs::write(&repomd, text).unwrap();
    fs::write(root.join("repodata/primary.xml.gz"), b"other").unwrap();
    assert!(bench.load(&line(&url), &[pin(&key)]).is_err());
}

#[test]
fn replay_old_metadata_is_refused_and_the_index_stays() {
    let mut bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    let line = line(&format!("file://{}", root.display()));
    hand(root.clone(), &key, &["a"], "", EPOCH);
    bench.load(&line, &[pin(&key)]).unwrap();
    hand(root.clone(), &key, &["replayed"], "", EPOCH - 1);
    let error = chain(&bench.load(&line, &[pin(&key)]).unwrap_err());
    assert!(error.contains("was seen before"), "{error}");
    hand(root, &key, &["future"], "", EPOCH + 30 * 86400);
    let error = chain(&bench.load(&line, &[pin(&key)]).unwrap_err());
    assert!(error.contains("in the future"), "{error}");
    bench.options.refresh = Refresh::Never;
    assert_eq!(names(&bench.load(&line, &[pin(&key)]).unwrap()), ["a"]);
}

#[test]
fn evil_repomd_path_never_leaves_the_repository() {
    for evil in [
        "../../../../etc/passwd",
        "/etc/passwd",
        "repodata/../../x",
        "repodata/%2e%2e/x",
        "a\u{1b}b",
    ] {
        let bench = Bench::new();
        let key = TestKey::new("vendor");
        let root = bench.env.path("repo");
        let passwd = fs::read("/etc/passwd").unwrap();
        let mut hand = Hand::new(root.clone());
        hand.entry(
            "primary",
            evil,
            &Digest::of(&passwd),
            passwd.len(),
            passwd.len(),
        );
        hand.publish(&key);
        let url = format!("file://{}", root.display());
        assert!(bench.load(&line(&url), &[pin(&key)]).is_err(), "{evil}");
        let kept = fs::read_dir(bench.env.path("index")).unwrap();
        for directory in kept
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
        {
            let files = fs::read_dir(directory).unwrap();
            let files: Vec<_> = files.map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(files, ["lock"], "{evil}");
        }
    }
}

#[test]
fn bomb_gz_and_bomb_xz_are_cut_at_the_signed_size() {
    let bomb = vec![b' '; 64 << 20];
    for kind in ["gz", "xz", "zst"] {
        let bench = Bench::new();
        let key = TestKey::new("vendor");
        let root = bench.env.path("repo");
        let packed = compress(&bomb, kind);
        let hand = Hand::new(root.clone()).file("primary", &format!("p.xml.{kind}"), &packed, 1000);
        hand.publish(&key);
        let url = format!("file://{}", root.display());
        let error = chain(&bench.load(&line(&url), &[pin(&key)]).unwrap_err());
        assert!(error.contains("unpacks to more than 1000 bytes"), "{error}");
    }
}

#[test]
fn truncated_primary_is_refused() {
    let text = primary(&["a", "b"], "");
    let whole = compress(text.as_bytes(), "gz");
    let half = &whole[..whole.len() / 2];
    let first = compress(&text.as_bytes()[..text.len() / 2], "gz");
    for (bytes, open_size) in [
        (half, text.len()),
        (&first, text.len()),
        (&first, text.len() / 2),
    ] {
        let bench = Bench::new();
        let key = TestKey::new("vendor");
        let root = bench.env.path("repo");
        Hand::new(root.clone())
            .file("primary", "p.xml.gz", bytes, open_size)
            .publish(&key);
        let url = format!("file://{}", root.display());
        assert!(bench.load(&line(&url), &[pin(&key)]).is_err());
    }
}

#[test]
fn weak_checksums_are_refused_with_a_word_that_helps() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    let mut hand = hand(root.clone(), &key, &["a"], "", EPOCH);
    hand.data = hand.data.replace("\"sha256\"", "\"sha\"");
    hand.publish(&key);
    let url = format!("file://{}", root.display());
    let error = chain(&bench.load(&line(&url), &[pin(&key)]).unwrap_err());
    assert!(
        error.ends_with("identifies `primary` by `sha`, which proves nothing; sha256 is needed"),
        "{error}"
    );
}

#[test]
fn endless_http_metadata_is_cut_off() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    hand(root.clone(), &key, &["a"], "", EPOCH);
    let server = served(&root);
    server.fault("/repodata/repomd.xml", Times::Always, Fault::Endless);
    let error = chain(&bench.load(&line(&server.url()), &[pin(&key)]).unwrap_err());
    assert!(error.contains("larger than"), "{error}");
    server.heal();
    server.fault("/repodata/repomd.xml.asc", Times::Always, Fault::Endless);
    assert!(bench.load(&line(&server.url()), &[pin(&key)]).is_err());
}
