//! Downloads that are cut, resumed, retried, interrupted and shared.

use crate::apt::Archive;
use crate::support::{Bench, NOW, chain, line, pin};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use vzpkg_metadata::ByteSize;
use vzpkg_repo_client::verify::verify_file;
use vzpkg_repo_client::{Client, FetchError, FetchReporter, Wanted};
use vzpkg_tests::http_server::{Fault, HttpServer, Times, Validators};

const TOOL: &str = "/pool/main/tool_2.0-1_all.deb";

struct Fixture {
    bench: Bench,
    archive: Archive,
    tool: Wanted,
    size: u64,
}

fn fixture() -> Fixture {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    let repository = bench
        .load(&line(&archive.server.url()), &[pin(&archive.key)])
        .unwrap();
    let tool = bench.package(&repository, "tool");
    let size = tool.package.size.0;
    archive.server.forget_requests();
    Fixture {
        bench,
        archive,
        tool,
        size,
    }
}

impl Fixture {
    fn fetch(&self) -> Result<(), FetchError> {
        let paths = self
            .bench
            .client()
            .fetch(std::slice::from_ref(&self.tool))?;
        verify_file(&paths[0], &self.tool.package.sha256, self.size).unwrap();
        assert_eq!(self.bench.packages(), paths, "nothing else is left");
        Ok(())
    }
}

#[test]
fn resume_after_a_cut_fetches_only_the_rest() {
    for validators in [Validators::ETag, Validators::LastModified, Validators::None] {
        let f = fixture();
        f.archive.server.validators(validators);
        f.archive
            .server
            .fault(TOOL, Times::Once, Fault::CutAfter(150_000));
        f.archive
            .server
            .fault(TOOL, Times::Once, Fault::CutAfter(100_000));
        f.fetch().unwrap();
        assert_eq!(f.archive.server.sent(TOOL), f.size, "{validators:?}");
        let requests = f.archive.server.requests_of(TOOL);
        let ranges: Vec<Option<&String>> = requests
            .iter()
            .map(|request| request.headers.get("range"))
            .collect();
        let expected = ["bytes=150000-".to_owned(), "bytes=250000-".to_owned()];
        assert_eq!(ranges, [None, Some(&expected[0]), Some(&expected[1])]);
        let asked = requests[1].headers.contains_key("if-range");
        assert_eq!(asked, validators != Validators::None);
    }
}

#[test]
fn a_partial_file_survives_and_is_resumed_by_the_next_process() {
    let mut f = fixture();
    f.bench.options.timeouts.attempts = 1;
    f.archive
        .server
        .fault(TOOL, Times::Once, Fault::CutAfter(200_000));
    let error = f.fetch().unwrap_err();
    assert!(chain(&error).contains("after 200000"), "{}", chain(&error));
    let names: Vec<String> = f
        .bench
        .packages()
        .iter()
        .map(|path| path.extension().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["from", "part"]);
    f.fetch().unwrap();
    assert_eq!(f.archive.server.sent(TOOL), f.size);
}

#[test]
fn a_changed_or_stubborn_server_makes_the_file_start_over() {
    for stubborn in [false, true] {
        let mut f = fixture();
        f.bench.options.timeouts.attempts = 1;
        f.archive
            .server
            .fault(TOOL, Times::Once, Fault::CutAfter(200_000));
        f.fetch().unwrap_err();
        let part = f
            .bench
            .packages()
            .into_iter()
            .find(|path| path.extension() == Some("part".as_ref()))
            .unwrap();
        if stubborn {
            f.archive
                .server
                .fault(TOOL, Times::Once, Fault::IgnoreRange);
        } else {
            // What is here does not belong to the file: found when it is whole, then all of it is fetched.
            fs::write(&part, vec![7; 200_000]).unwrap();
        }
        f.fetch().unwrap();
        let rest = if stubborn { 0 } else { f.size - 200_000 };
        assert_eq!(f.archive.server.sent(TOOL), 200_000 + rest + f.size);
    }
}

#[test]
fn a_server_in_trouble_is_asked_again_with_growing_waits() {
    let f = fixture();
    f.archive
        .server
        .fault(TOOL, Times::Next(3), Fault::Status(503));
    f.fetch().unwrap();
    assert_eq!(f.archive.server.requests().len(), 4);
    let waited = vzpkg_repo_client::clock::Clock::elapsed(f.bench.clock.as_ref());
    assert_eq!(waited, Duration::from_millis(500 + 1000 + 2000));
    assert_eq!(f.bench.recorder.retries.lock().unwrap().len(), 3);
    fs::remove_dir_all(f.bench.env.path("packages")).unwrap();
    f.archive.server.forget_requests();
    f.archive
        .server
        .fault(TOOL, Times::Always, Fault::Status(500));
    let error = chain(&f.fetch().unwrap_err());
    assert!(error.contains("the server answered 500"), "{error}");
    assert_eq!(f.archive.server.requests().len(), 4);
}

#[test]
fn a_missing_file_is_not_asked_for_twice_but_on_the_next_mirror() {
    let mut f = fixture();
    let second = HttpServer::serve(f.archive.repo.root());
    f.tool.base_urls.push(second.url());
    f.archive
        .server
        .fault(TOOL, Times::Always, Fault::Status(404));
    f.fetch().unwrap();
    assert_eq!(f.archive.server.requests().len(), 1);
    assert_eq!(second.sent(TOOL), f.size);
}

#[test]
fn wrong_bytes_send_us_to_the_next_mirror() {
    let mut f = fixture();
    let second = HttpServer::serve(f.archive.repo.root());
    f.tool.base_urls.push(second.url());
    let wrong = vec![0; usize::try_from(f.size).unwrap()];
    f.archive
        .server
        .fault(TOOL, Times::Always, Fault::Body(wrong));
    f.fetch().unwrap();
    assert_eq!(
        (f.archive.server.requests().len(), second.requests().len()),
        (1, 1)
    );
}

#[test]
fn the_same_file_is_fetched_once_however_many_ask() {
    let f = fixture();
    let many = vec![f.tool.clone(); 5];
    assert_eq!(f.bench.client().fetch(&many).unwrap().len(), 5);
    assert_eq!(f.archive.server.sent(TOOL), f.size);
    fs::remove_dir_all(f.bench.env.path("packages")).unwrap();
    f.archive.server.forget_requests();
    let pause = Duration::from_millis(1);
    f.archive.server.fault(
        TOOL,
        Times::Always,
        Fault::Slow {
            chunk: 20_000,
            pause,
        },
    );
    let clients: Vec<_> = (0..3)
        .map(|_| {
            // A client of its own stands for another process; its waits are real.
            let mut options = f.bench.options.clone();
            options.clock = Arc::new(vzpkg_repo_client::clock::SystemClock::new());
            let client = Client::new(options, Arc::new(vzpkg_repo_client::report::Silent));
            let tool = f.tool.clone();
            std::thread::spawn(move || client.fetch(&[tool]).map(|paths| paths.len()))
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap().unwrap(), 1);
    }
    assert_eq!(f.archive.server.sent(TOOL), f.size);
}

/// Interrupts when the first bytes arrive.
struct CtrlC(Arc<AtomicBool>);

impl FetchReporter for CtrlC {
    fn progressed(&self, _: ByteSize) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn an_interruption_ends_the_work_and_keeps_what_came() {
    let f = fixture();
    f.archive
        .server
        .fault(TOOL, Times::Once, Fault::HangAfter(100_000));
    let cancel = Arc::clone(&f.bench.options.cancel);
    let client = Client::new(
        f.bench.options.clone(),
        Arc::new(CtrlC(Arc::clone(&cancel))),
    );
    let (arrived, arrivals) = mpsc::channel();
    let error = client
        .fetch_each(std::slice::from_ref(&f.tool), &arrived)
        .unwrap_err();
    assert!(matches!(error, FetchError::Cancelled), "{error}");
    // A worker may still wait for the server; whoever listens does not wait for it.
    drop(arrived);
    assert_eq!(arrivals.iter().count(), 0);
    let part = f
        .bench
        .packages()
        .into_iter()
        .find(|path| path.extension() == Some("part".as_ref()));
    assert!(fs::metadata(part.unwrap()).unwrap().len() > 0);
}

#[test]
fn every_file_is_handed_on_once_when_it_is_there() {
    let f = fixture();
    for _ in 0..2 {
        let (arrived, arrivals) = mpsc::channel();
        let wanted = [f.tool.clone(), f.tool.clone()];
        let paths = f.bench.client().fetch_each(&wanted, &arrived).unwrap();
        drop(arrived);
        let handed: Vec<_> = arrivals
            .iter()
            .map(|file| (file.sha256, file.path))
            .collect();
        assert_eq!(handed, [(f.tool.package.sha256, paths[0].clone())]);
    }
}

#[test]
fn a_package_with_a_base_of_its_own_stays_on_the_network() {
    let mut f = fixture();
    let other = HttpServer::serve(f.archive.repo.root());
    f.tool.package.location = format!("{}{TOOL}", other.url());
    f.fetch().unwrap();
    assert_eq!(
        (f.archive.server.requests().len(), other.requests().len()),
        (0, 1)
    );
    f.tool.package.location = format!("file://{}{TOOL}", f.archive.repo.root().display());
    assert!(chain(&f.fetch().unwrap_err()).contains("`file:` addresses are not supported"));
}

#[test]
fn a_proxy_is_used_for_all_but_the_hosts_that_are_reached_directly() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    let keys = [pin(&archive.key)];
    bench.options.proxies.http = Some(archive.server.url());
    bench.load(&line("http://archive.invalid"), &keys).unwrap();
    let host = archive.server.requests()[0].headers["host"].clone();
    assert_eq!(host, "archive.invalid");
    bench.options.proxies.http = Some("http://127.0.0.1:1".into());
    bench.options.timeouts.attempts = 1;
    let direct = line(&archive.server.url());
    let error = chain(&bench.load(&direct, &keys).unwrap_err());
    assert!(error.contains("no answer from the server"), "{error}");
    bench.options.proxies.direct = Some("localhost,127.0.0.1".into());
    bench.load(&direct, &keys).unwrap();
}

#[test]
fn an_address_that_is_none_is_refused_before_anything_is_asked() {
    let mut f = fixture();
    f.tool.base_urls = vec!["ftp://127.0.0.1/debian".into()];
    assert!(chain(&f.fetch().unwrap_err()).contains("`ftp:` addresses are not supported"));
    f.tool.base_urls.clear();
    assert!(chain(&f.fetch().unwrap_err()).contains("no address is known"));
    assert_eq!(f.bench.options.now, NOW);
}

#[test]
fn attack_on_files_of_others_by_a_wrong_size_removes_nothing() {
    let mut f = fixture();
    f.fetch().unwrap();
    f.tool.package.size.0 += 1;
    let error = f.fetch().unwrap_err();
    assert!(
        matches!(error, FetchError::Size { claimed, found, .. } if claimed == found + 1),
        "{}",
        chain(&error)
    );
    f.tool.package.size.0 -= 1;
    f.archive.server.forget_requests();
    f.fetch().unwrap();
    assert_eq!(f.archive.server.requests(), []);
}

#[test]
fn a_server_that_does_not_answer_is_asked_last_from_then_on() {
    let f = fixture();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let repository = f
        .bench
        .load(&line(&f.archive.server.url()), &[pin(&f.archive.key)])
        .unwrap();
    let client = f.bench.client();
    for name in ["tool", "hello"] {
        let mut wanted = f.bench.package(&repository, name);
        wanted.base_urls.insert(0, dead.clone());
        client.fetch(&[wanted]).unwrap();
    }
    let messages = f.bench.recorder.messages.lock().unwrap().join("\n");
    assert_eq!(messages.matches("does not answer").count(), 1, "{messages}");
}
