//! Expiry, future dates, and never going back: `freeze`, `replay_old`.

use crate::apt::Archive;
use crate::support::{Bench, NOW, chain, line, pin};
use vzpkg_metadata::template::{KeyPin, RepositoryLine};
use vzpkg_repo_client::Refresh;
use vzpkg_tests::http_server::HttpServer;
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::tools::{DAY, EPOCH};

fn refused(bench: &Bench, line: &RepositoryLine, keys: &[KeyPin]) -> String {
    chain(&bench.load(line, keys).unwrap_err())
}

#[test]
fn expired_metadata_is_refused_unless_the_line_says_so() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    let keys = [pin(&archive.key)];
    bench.options.now = EPOCH + 8 * DAY;
    let mut line = line(&archive.server.url());
    let error = refused(&bench, &line, &keys);
    assert!(
        error.contains("it was valid until 2026-01-08T00:00:00Z"),
        "{error}"
    );
    let RepositoryLine::Apt(source) = &mut line else {
        unreachable!()
    };
    source.options.ignore_valid_until = true;
    bench.load(&line, &keys).unwrap();
}

#[test]
fn freeze_is_noticed_though_nothing_changed() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    let keys = [pin(&archive.key)];
    let line = line(&archive.server.url());
    bench.load(&line, &keys).unwrap();
    bench.options.now = EPOCH + 8 * DAY;
    // Within the age, but expired: the server is asked, and has nothing newer.
    bench.options.refresh = Refresh::IfExpired(std::time::Duration::from_secs(1 << 30));
    let error = refused(&bench, &line, &keys);
    assert!(
        error.contains("its metadata is stale: it was valid until"),
        "{error}"
    );
    bench.options.offline = true;
    bench.load(&line, &keys).unwrap();
    assert!(bench.recorder.messages.lock().unwrap()[0].contains("has expired"));
}

#[test]
fn metadata_from_the_future_is_refused() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    bench.options.now = NOW - DAY;
    let error = refused(&bench, &line(&archive.server.url()), &[pin(&archive.key)]);
    // The signature itself is from the future too, and is judged first.
    assert!(
        error.contains("not trusted") || error.contains("in the future"),
        "{error}"
    );
}

#[test]
fn replay_old_is_refused_from_whichever_mirror() {
    let bench = Bench::new();
    let mut archive = Archive::new(&bench);
    let keys = [pin(&archive.key)];
    archive.repo.suite("stable").date = EPOCH + 60;
    archive.repo.publish(&archive.key);
    bench.load(&line(&archive.server.url()), &keys).unwrap();
    archive.repo.suite("stable").date = EPOCH;
    archive.repo.publish(&archive.key);
    let other = HttpServer::serve(archive.repo.root());
    for url in [archive.server.url(), other.url()] {
        let error = refused(&bench, &line(&url), &keys);
        assert!(
            error.contains("it is dated 2026-01-01T00:00:00Z, but one of 2026-01-01T00:01:00Z"),
            "{error}"
        );
    }
    // Another suite of the same signer has its own memory.
    archive.repo.suite("other").component("main");
    archive.repo.publish(&archive.key);
    let line = crate::support::line_of(&other.url(), "other", &["main"]);
    bench.load(&line, &keys).unwrap();
}

#[test]
fn a_damaged_memory_is_not_ignored() {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    let keys = [pin(&archive.key)];
    bench.load(&line(&archive.server.url()), &keys).unwrap();
    std::fs::write(bench.env.path("index/newest-seen.json"), "{").unwrap();
    let other = HttpServer::serve(archive.repo.root());
    let error = refused(&bench, &line(&other.url()), &keys);
    assert!(error.contains("newest-seen.json` is damaged"), "{error}");
}

#[test]
fn replay_old_is_refused_where_another_pinned_key_signed_it() {
    let bench = Bench::new();
    let mut archive = Archive::new(&bench);
    let successor = TestKey::new("successor");
    let keys = [pin(&archive.key), pin(&successor)];
    archive.repo.suite("stable").date = EPOCH + 60;
    archive.repo.publish(&successor);
    bench.load(&line(&archive.server.url()), &keys).unwrap();
    archive.repo.suite("stable").date = EPOCH;
    archive.repo.publish(&archive.key);
    let error = refused(&bench, &line(&archive.server.url()), &keys);
    assert!(error.contains("but one of 2026-01-01T00:01:00Z"), "{error}");
}

#[test]
fn what_was_signed_a_moment_after_we_began_counts() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    bench.options.now = EPOCH - 60;
    bench
        .load(&line(&archive.server.url()), &[pin(&archive.key)])
        .unwrap();
}
