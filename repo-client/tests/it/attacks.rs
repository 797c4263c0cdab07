//! What a hostile mirror, or somebody between it and us, may try. Named after the attacks.

use crate::apt::Archive;
use crate::support::{Bench, chain, line, line_of, pin};
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use vzpkg_repo_client::clock::{Clock, SystemClock};
use vzpkg_repo_client::verify::verify_file;
use vzpkg_tests::apt_repo::Signature;
use vzpkg_tests::http_server::{Fault, HttpServer, Times};
use vzpkg_tests::keys::TestKey;

const INRELEASE: &str = "/dists/stable/InRelease";

/// The error of loading the archive, with its causes.
fn refused(bench: &Bench, archive: &Archive) -> String {
    let line = line(&archive.server.url());
    let loaded = bench.load(&line, &[pin(&archive.key)]);
    loaded.map_or_else(|error| chain(&error), |_| "it was loaded".into())
}

/// The path on the server of a package of the archive.
fn pool(name: &str) -> String {
    let version = if name == "hello" { "1.0" } else { "2.0-1" };
    format!("/pool/main/{name}_{version}_all.deb")
}

#[test]
fn unsigned_is_refused() {
    let bench = Bench::new();
    let mut archive = Archive::new(&bench);
    archive.repo.suite("stable").signature = Signature::None;
    archive.repo.publish(&archive.key);
    let error = refused(&bench, &archive);
    assert!(error.ends_with("stable): it is not signed"), "{error}");
}

#[test]
fn signed_to_unsigned_is_refused() {
    let bench = Bench::new();
    let mut archive = Archive::new(&bench);
    bench
        .load(&line(&archive.server.url()), &[pin(&archive.key)])
        .unwrap();
    archive.repo.suite("stable").signature = Signature::None;
    archive.repo.publish(&archive.key);
    assert!(refused(&bench, &archive).ends_with("it is not signed"));
}

#[test]
fn inrelease_extra_text_is_refused() {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    let path = archive.repo.root().join("dists/stable/InRelease");
    let good = fs::read_to_string(&path).unwrap();
    let evil = TestKey::new("evil").sign_inline("Origin: evil\n");
    let evil = String::from_utf8(evil).unwrap();
    let begin = "-----BEGIN PGP SIGNATURE-----";
    for (what, text) in [
        ("before", format!("Origin: evil\n{good}")),
        ("blank line before", format!("\n{good}")),
        ("after", format!("{good}Origin: evil\n")),
        ("second message after", format!("{good}{evil}")),
        ("second message before", format!("{evil}{good}")),
        (
            "unsigned part inside",
            good.replacen("Origin: ", "Origin: evil\nX: ", 1),
        ),
        (
            "second signature block",
            good.replacen(begin, &format!("{begin}\n\n{begin}"), 1),
        ),
        ("no signature", good.split(begin).next().unwrap().to_owned()),
        (
            "signature only",
            good.split_once(begin).unwrap().1.to_owned(),
        ),
        ("cut in the signature", good[..good.len() - 60].to_owned()),
        (
            "header lines",
            good.replacen("\n\n", "\nOrigin: evil\n\n", 1),
        ),
    ] {
        fs::write(&path, &text).unwrap();
        let error = refused(&bench, &archive);
        assert!(
            error.contains("`InRelease` is not trusted"),
            "{what}: {error}"
        );
        assert!(
            !bench.env.path("index").join("newest-seen.json").exists(),
            "{what}"
        );
    }
    fs::write(&path, good).unwrap();
    bench
        .load(&line(&archive.server.url()), &[pin(&archive.key)])
        .unwrap();
}

#[test]
fn mix_suites_is_refused() {
    let bench = Bench::new();
    let mut archive = Archive::new(&bench);
    archive.repo.suite("stable-security").component("main");
    archive.repo.publish(&archive.key);
    let stable = fs::read(archive.repo.root().join("dists/stable/InRelease")).unwrap();
    let security = "/dists/stable-security/InRelease";
    archive
        .server
        .fault(security, Times::Always, Fault::Body(stable));
    let line = line_of(&archive.server.url(), "stable-security", &["main"]);
    let error = chain(&bench.load(&line, &[pin(&archive.key)]).unwrap_err());
    assert!(error.contains("the server sent suite `stable`"), "{error}");
}

#[test]
fn truncated_index_is_refused_and_the_old_one_stays() {
    let bench = Bench::new();
    let mut archive = Archive::new(&bench);
    let stable = line(&archive.server.url());
    bench.load(&stable, &[pin(&archive.key)]).unwrap();
    archive.repo.suite("stable").date += 60;
    archive.repo.suite("stable").add_paragraph("main", "all", "Package: x\nVersion: 1\nArchitecture: all\nFilename: x\nSize: 1\nSHA256: 0000000000000000000000000000000000000000000000000000000000000000\n");
    archive.repo.publish(&archive.key);
    let index = archive.repo.root().join("dists/stable/main/binary-amd64");
    for entry in fs::read_dir(index.join("by-hash/SHA256")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    let packages = index.join("Packages.xz");
    let bytes = fs::read(&packages).unwrap();
    fs::write(&packages, &bytes[..bytes.len() / 2]).unwrap();
    let error = refused(&bench, &archive);
    assert!(error.contains("the answer ended after"), "{error}");
    let mut offline = Bench::new();
    std::mem::swap(&mut offline.env, &mut { bench }.env);
    offline.options.index_dir = offline.env.path("index");
    offline.options.offline = true;
    let old = offline.load(&stable, &[pin(&archive.key)]).unwrap();
    assert_eq!(old.index.package_count(), 2);
}

#[test]
fn swap_package_is_refused() {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    let repository = bench
        .load(&line(&archive.server.url()), &[pin(&archive.key)])
        .unwrap();
    let wanted = bench.package(&repository, "hello");
    let path = archive.repo.root().join(&pool("hello")[1..]);
    let good = fs::read(&path).unwrap();
    let mut turned = good.clone();
    turned.reverse();
    let tool = fs::read(archive.repo.root().join(&pool("tool")[1..])).unwrap();
    for (bytes, expected) in [(turned, "signed is"), (tool, "is larger than")] {
        archive
            .server
            .fault(&pool("hello"), Times::Always, Fault::Body(bytes));
        let error = chain(
            &bench
                .client()
                .fetch(std::slice::from_ref(&wanted))
                .unwrap_err(),
        );
        assert!(error.contains(expected), "{error}");
        let whole = bench
            .packages()
            .into_iter()
            .filter(|path| path.extension() == Some("deb".as_ref()));
        assert_eq!(whole.count(), 0);
        archive.server.heal();
    }
    bench.client().fetch(&[wanted]).unwrap();
}

#[test]
fn poison_cache_is_found_and_fetched_again() {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    let repository = bench
        .load(&line(&archive.server.url()), &[pin(&archive.key)])
        .unwrap();
    let wanted = [bench.package(&repository, "hello")];
    let path = bench.client().fetch(&wanted).unwrap().remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let package = &wanted[0].package;
    let error = verify_file(&path, &package.sha256, package.size.0).unwrap_err();
    assert!(error.to_string().contains("instead of"), "{error}");
    archive.server.forget_requests();
    bench.client().fetch(&wanted).unwrap();
    verify_file(&path, &package.sha256, package.size.0).unwrap();
    assert_eq!(archive.server.requests().len(), 1);
    assert!(bench.recorder.messages.lock().unwrap()[0].contains("it is fetched again"));
}

#[test]
fn endless_http_is_cut_at_the_signed_size() {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    archive.server.fault(INRELEASE, Times::Once, Fault::Endless);
    let error = refused(&bench, &archive);
    assert!(
        error.contains("the answer is larger than 16777216 bytes"),
        "{error}"
    );
    let repository = bench
        .load(&line(&archive.server.url()), &[pin(&archive.key)])
        .unwrap();
    let wanted = bench.package(&repository, "hello");
    archive
        .server
        .fault(&pool("hello"), Times::Always, Fault::Endless);
    let error = chain(
        &bench
            .client()
            .fetch(std::slice::from_ref(&wanted))
            .unwrap_err(),
    );
    let limit = format!("the answer is larger than {} bytes", wanted.package.size.0);
    assert!(error.contains(&limit), "{error}");
    let part = bench
        .packages()
        .into_iter()
        .find(|path| path.extension() == Some("part".as_ref()));
    let kept = part.map_or(0, |part| fs::metadata(part).unwrap().len());
    assert!(kept <= wanted.package.size.0, "{kept}");
}

/// A clock on which every look takes a minute.
#[derive(Debug, Default)]
struct SlowWorld(std::sync::Mutex<Duration>);

impl Clock for SlowWorld {
    fn elapsed(&self) -> Duration {
        let mut now = self.0.lock().unwrap();
        *now += Duration::from_mins(1);
        *now
    }

    fn sleep(&self, _: Duration) {}
}

#[test]
fn slow_mirror_is_an_error_where_there_is_no_other() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    let repository = bench
        .load(&line(&archive.server.url()), &[pin(&archive.key)])
        .unwrap();
    let wanted = bench.package(&repository, "tool");
    bench.options.clock = Arc::new(SlowWorld::default());
    bench.options.timeouts.floor = 1 << 20;
    bench.options.timeouts.attempts = 2;
    let error = chain(&bench.client().fetch(&[wanted]).unwrap_err());
    assert!(error.contains("the server is too slow"), "{error}");
}

#[test]
fn slow_mirror_is_left_for_the_next() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    let second = HttpServer::serve(archive.repo.root());
    let repository = bench
        .load(&line(&archive.server.url()), &[pin(&archive.key)])
        .unwrap();
    let mut wanted = bench.package(&repository, "tool");
    wanted.base_urls.push(second.url());
    // 80 kB/s, where 300 are wanted.
    let (chunk, pause) = (4096, Duration::from_millis(50));
    let slow = Fault::Slow { chunk, pause };
    archive.server.fault(&pool("tool"), Times::Always, slow);
    bench.options.clock = Arc::new(SystemClock::new());
    bench.options.timeouts.floor = 300_000;
    bench.options.timeouts.floor_window = Duration::from_millis(200);
    bench.client().fetch(std::slice::from_ref(&wanted)).unwrap();
    assert!(second.sent(&pool("tool")) > wanted.package.size.0 / 2);
}

#[test]
fn a_hanging_mirror_is_left_for_the_next_in_bounded_time() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    let second = HttpServer::serve(archive.repo.root());
    let repository = bench
        .load(&line(&archive.server.url()), &[pin(&archive.key)])
        .unwrap();
    let mut wanted = bench.package(&repository, "tool");
    bench.options.timeouts.no_progress = Duration::from_millis(500);
    wanted.base_urls = vec![archive.server.url(), second.url()];
    archive
        .server
        .fault(&pool("tool"), Times::Always, Fault::Hang);
    bench.client().fetch(std::slice::from_ref(&wanted)).unwrap();
    assert!(!second.requests_of(&pool("tool")).is_empty());
    archive.server.heal();
    fs::remove_dir_all(bench.env.path("packages")).unwrap();
    archive
        .server
        .fault(&pool("tool"), Times::Always, Fault::HangAfter(1000));
    bench.client().fetch(&[wanted]).unwrap();
}

#[test]
fn http_inject_and_redirects_reach_nothing_else() {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    let injected = b"HTTP/1.1 302 Found\r\nLocation: /x\n201 URI Done\nFilename: /etc/passwd\r\nContent-Length: 0\r\n\r\n";
    for fault in [
        Fault::Raw(injected.to_vec()),
        Fault::Raw(b"not http at all\r\n\r\n".to_vec()),
        Fault::Redirect("file:///etc/passwd".into()),
        Fault::Redirect(format!("{}{INRELEASE}", archive.server.url())),
        Fault::Status(206),
        Fault::Status(304),
        Fault::Body(b"<html>hotel wifi</html>".to_vec()),
    ] {
        archive
            .server
            .fault(INRELEASE, Times::Always, fault.clone());
        archive.server.forget_requests();
        let error = refused(&bench, &archive);
        assert!(!error.contains("root:"), "{error}");
        assert!(archive.server.requests().len() <= 8, "{fault:?}");
        archive.server.heal();
    }
    let other = HttpServer::serve(archive.repo.root());
    let target = Fault::Redirect(format!("{}{INRELEASE}", other.url()));
    archive.server.fault(INRELEASE, Times::Once, target);
    bench
        .load(&line(&archive.server.url()), &[pin(&archive.key)])
        .unwrap();
}

#[test]
fn evil_names_never_become_paths() {
    for (field, evil) in [
        ("Filename", "../../../../outside"),
        ("Filename", "/etc/passwd"),
        ("Filename", "pool/%2e%2e/%2e%2e/outside"),
        ("Package", "../outside"),
        ("Package", "a\u{1b}[31m"),
        ("Architecture", "../x"),
        ("Version", "1/../../x"),
    ] {
        let bench = Bench::new();
        let mut archive = Archive::new(&bench);
        let mut fields = [
            ("Package", "evil"),
            ("Version", "1"),
            ("Architecture", "all"),
            ("Filename", "pool/evil.deb"),
            ("Size", "1"),
            (
                "SHA256",
                "0000000000000000000000000000000000000000000000000000000000000000",
            ),
        ];
        fields
            .iter_mut()
            .find(|(name, _)| *name == field)
            .unwrap()
            .1 = evil;
        let lines: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        archive
            .repo
            .suite("stable")
            .add_paragraph("main", "all", &lines.join("\n"));
        archive.repo.publish(&archive.key);
        let Ok(repository) = bench.load(&line(&archive.server.url()), &[pin(&archive.key)]) else {
            continue;
        };
        let index = repository.index.as_index();
        let Some(Ok(package)) = index
            .by_name("evil")
            .next()
            .map(|package| package.to_package_ref(&repository.id))
        else {
            assert_eq!(repository.index.package_count(), 2, "{evil}");
            continue;
        };
        let mut wanted = bench.package(&repository, "hello");
        wanted.package = package;
        let error = chain(&bench.client().fetch(&[wanted]).unwrap_err());
        assert!(
            error.contains("is no clean relative path"),
            "{evil}: {error}"
        );
    }
}

#[test]
fn evil_paths_in_a_release_are_refused() {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    let digest = "0".repeat(64);
    for path in ["../../x", "/etc/passwd", "main/../../x"] {
        let table = format!(
            "Codename: stable\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {digest} 1 {path}\n"
        );
        let signed = archive.key.sign_inline(&table);
        archive
            .server
            .fault(INRELEASE, Times::Once, Fault::Body(signed));
        let error = refused(&bench, &archive);
        assert!(
            error.contains("its `Release` file cannot be used"),
            "{error}"
        );
    }
    for entry in fs::read_dir(bench.env.path("index")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with("base0-"), "{name}");
    }
}
