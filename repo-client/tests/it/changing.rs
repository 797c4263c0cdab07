//! What changes between two requests or between two versions of vzpkg: a mirror that is being updated, the format of the
//! index, and who waits for whom.

use crate::apt::Archive;
use crate::support::{Bench, NOW, chain, line, pin};
use crate::yum;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use vzpkg_metadata::Digest;
use vzpkg_metadata::index::FORMAT;
use vzpkg_metadata::template::{KeyPin, RepositoryLine};
use vzpkg_repo_client::clock::SystemClock;
use vzpkg_repo_client::report::Loaded;
use vzpkg_repo_client::{FetchError, RepositoryProblem};
use vzpkg_tests::apt_repo::Signature;
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::http_server::{Fault, HttpServer, Times, Validators};
use vzpkg_tests::keys::TestKey;

const INRELEASE: &str = "/dists/stable/InRelease";
const RELEASE: &str = "/dists/stable/Release";

/// An archive whose signed release was just replaced, and the release before.
fn replaced(bench: &Bench, signature: Signature) -> (Archive, Vec<u8>) {
    let mut archive = Archive::new(bench);
    archive.server.validators(Validators::None);
    archive.repo.suite("stable").signature = signature;
    archive.repo.publish(&archive.key);
    let path = match signature {
        Signature::Inline => INRELEASE,
        _ => RELEASE,
    };
    let old = fs::read(archive.repo.root().join(&path[1..])).unwrap();
    let new = Deb::new("new", "1").build(&bench.env.path("debs"));
    let mut suite = archive.repo.suite("stable");
    suite.date += 60;
    suite.add("main", &new);
    archive.repo.publish(&archive.key);
    (archive, old)
}

#[test]
fn a_release_and_its_signature_of_two_states_of_a_mirror_are_asked_for_again() {
    let bench = Bench::new();
    let (archive, old) = replaced(&bench, Signature::Detached);
    let line = line(&archive.server.url());
    let keys = [pin(&archive.key)];
    archive
        .server
        .fault(RELEASE, Times::Next(2), Fault::Body(old.clone()));
    assert_eq!(bench.load(&line, &keys).unwrap().index.package_count(), 3);
    assert_eq!(archive.server.requests_of(RELEASE).len(), 3);
    // A signature that never fits is an error, after a few attempts.
    let bench = Bench::new();
    archive.server.forget_requests();
    archive
        .server
        .fault(RELEASE, Times::Always, Fault::Body(old));
    let error = chain(&bench.load(&line, &keys).unwrap_err());
    assert!(error.contains("`Release.gpg` is not trusted"), "{error}");
    assert_eq!(archive.server.requests_of(RELEASE).len(), 4);
}

#[test]
fn an_index_that_was_replaced_after_its_release_was_read_is_asked_for_again() {
    let bench = Bench::new();
    let (archive, old) = replaced(&bench, Signature::Inline);
    let line = line(&archive.server.url());
    let keys = [pin(&archive.key)];
    archive
        .server
        .fault(INRELEASE, Times::Once, Fault::Body(old.clone()));
    assert_eq!(bench.load(&line, &keys).unwrap().index.package_count(), 3);
    assert_eq!(archive.server.requests_of(INRELEASE).len(), 2);
    // A release whose indexes never come is an error, after a few attempts.
    let bench = Bench::new();
    archive.server.forget_requests();
    archive
        .server
        .fault(INRELEASE, Times::Always, Fault::Body(old));
    let error = chain(&bench.load(&line, &keys).unwrap_err());
    assert!(error.contains("cannot fetch `main/binary-amd64"), "{error}");
    assert_eq!(archive.server.requests_of(INRELEASE).len(), 4);
}

#[test]
fn a_repomd_and_its_signature_of_two_states_of_a_mirror_are_asked_for_again() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    yum::hand(root.clone(), &key, &["a"], "", NOW - 60);
    let old = fs::read(root.join("repodata/repomd.xml")).unwrap();
    yum::hand(root.clone(), &key, &["a", "b"], "", NOW);
    let server = HttpServer::serve(&root);
    server.fault("/repodata/repomd.xml", Times::Once, Fault::Body(old));
    let line = RepositoryLine::Yum(yum::source(&[server.url()]));
    let repository = bench.load(&line, &[pin(&key)]).unwrap();
    assert_eq!(repository.index.package_count(), 2);
}

/// The one directory below `index/`.
fn directory(bench: &Bench) -> PathBuf {
    let mut places = fs::read_dir(bench.env.path("index")).unwrap();
    let directory =
        places.find_map(|entry| Some(entry.unwrap().path()).filter(|path| path.is_dir()));
    directory.unwrap()
}

fn indexes(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension() == Some("index".as_ref()));
    files
}

/// Leaves the directory as a vzpkg would that writes another format: its index has another name and number.
fn turn_into_another_format(directory: &Path) {
    let [index] = indexes(directory).try_into().unwrap();
    let mut bytes = fs::read(&index).unwrap();
    bytes[12..16].copy_from_slice(&(FORMAT - 1).to_le_bytes());
    let name = Digest::of(b"another format").to_string();
    fs::write(directory.join(format!("{name}.index")), bytes).unwrap();
    fs::remove_file(&index).unwrap();
    let state = directory.join("state.json");
    let known = index.file_stem().unwrap().to_str().unwrap();
    let text = fs::read_to_string(&state).unwrap();
    assert!(text.contains(known));
    fs::write(&state, text.replace(known, &name)).unwrap();
}

fn offline_after_a_change_of_format(bench: &mut Bench, line: &RepositoryLine, keys: &[KeyPin]) {
    let count = bench.load(line, keys).unwrap().index.package_count();
    let directory = directory(bench);
    bench.options.offline = true;
    for loaded in [Loaded::Updated, Loaded::Cached] {
        if loaded == Loaded::Updated {
            turn_into_another_format(&directory);
        }
        let again = bench.load(line, keys).unwrap();
        assert_eq!(again.index.package_count(), count);
        assert_eq!(bench.recorder.loaded.lock().unwrap().last(), Some(&loaded));
        assert_eq!(indexes(&directory).len(), 1);
    }
    // Without the original there is nothing to make it of.
    turn_into_another_format(&directory);
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().unwrap_or_default();
        if extension == "packages" || extension == "metadata" {
            fs::remove_file(path).unwrap();
        }
    }
    let error = chain(&bench.load(line, keys).unwrap_err());
    assert!(
        error.contains("is not here and the work is offline"),
        "{error}"
    );
    bench.options.offline = false;
    assert_eq!(bench.load(line, keys).unwrap().index.package_count(), count);
}

#[test]
fn offline_after_an_index_format_change_the_index_is_made_again_from_the_original() {
    for signature in [Signature::Inline, Signature::Detached] {
        let mut bench = Bench::new();
        let (archive, _) = replaced(&bench, signature);
        let line = line(&archive.server.url());
        offline_after_a_change_of_format(&mut bench, &line, &[pin(&archive.key)]);
    }
    let mut bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    yum::hand(root.clone(), &key, &["a", "b"], "", NOW - 60);
    let server = HttpServer::serve(&root);
    let line = RepositoryLine::Yum(yum::source(&[server.url()]));
    offline_after_a_change_of_format(&mut bench, &line, &[pin(&key)]);
}

#[test]
fn an_interruption_ends_a_single_load_though_the_server_is_silent() {
    for fault in [Fault::Hang, Fault::HangAfter(20)] {
        let mut bench = Bench::new();
        let archive = Archive::new(&bench);
        bench.options.clock = Arc::new(SystemClock::new());
        // Whoever waits for the server waits for ever.
        bench.options.timeouts.no_progress = Duration::from_hours(24);
        archive.server.fault(INRELEASE, Times::Always, fault);
        let line = line(&archive.server.url());
        let keys = [pin(&archive.key)];
        let error = std::thread::scope(|scope| {
            let load = scope.spawn(|| bench.load(&line, &keys).unwrap_err());
            let (began, server) = (Instant::now(), &archive.server);
            let is_asked = || !server.requests_of(INRELEASE).is_empty();
            while !is_asked() && !load.is_finished() && began.elapsed() < Duration::from_mins(2) {
                std::thread::sleep(Duration::from_millis(5));
            }
            bench.options.cancel.store(true, Ordering::Relaxed);
            load.join().unwrap()
        });
        assert!(!archive.server.requests_of(INRELEASE).is_empty());
        assert!(
            matches!(
                *error.problem,
                RepositoryProblem::Fetch(FetchError::Cancelled)
            ),
            "{}",
            chain(&error)
        );
    }
}
