//! A mirror that brings nothing by itself, behind a server that fetches what clients ask for.

use crate::mirror::{Node, name, part};
use crate::mirror_serve::Running;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;
use vzpkg_repo_client::mirror::{MirrorConfig, Selection};
use vzpkg_tests::http_server::{Fault, Times};

const HELLO: &str = "/m/pool/main/hello_1.0_all.deb";
const TOOL: &str = "/m/pool/main/tool_2.0-1_all.deb";

/// A node whose mirror waits to be asked.
fn node() -> Node {
    let node = Node::new();
    node.mirrors().remove(&name()).unwrap();
    let mut part = part(&[node.archive.server.url()], &node.archive.key, &[]);
    // The server goes by the machine's clock.
    part.trust.ignore_valid_until = true;
    let config = MirrorConfig::new(vec![part]).unwrap();
    let config = config.with_selection(Selection {
        on_demand: true,
        ..Selection::default()
    });
    node.add(&config, &node.archive.key).unwrap();
    node
}

fn serve(node: &Node, max_age: Duration) -> Running {
    Running::of(node, |server| server.on_demand(max_age))
}

const AGES: Duration = Duration::from_secs(1 << 40);

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

/// An answer that comes.
struct Coming {
    stream: TcpStream,
    came: Vec<u8>,
}

impl Coming {
    fn begin(server: &Running, path: &str, headers: &str) -> Self {
        let mut stream = server.connect();
        let close = "Connection: close\r\n";
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{close}{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let came = Vec::new();
        Self { stream, came }
    }

    fn body(&self) -> &[u8] {
        let end = self.came.windows(4).position(|four| four == b"\r\n\r\n");
        end.map_or(&[], |end| &self.came[end + 4..])
    }

    /// Waits for so many bytes of the body.
    fn until(&mut self, bytes: usize) {
        let mut buffer = [0; 4096];
        while self.body().len() < bytes {
            let read = self.stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the answer ends after {}", self.body().len());
            self.came.extend_from_slice(&buffer[..read]);
        }
    }

    /// The whole answer, and how long its body was to be.
    fn end(mut self) -> (Self, usize) {
        self.stream.read_to_end(&mut self.came).unwrap();
        let text = String::from_utf8_lossy(&self.came);
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.unwrap().parse().unwrap();
        (self, length)
    }
}

/// A server of a mirror whose metadata are here, and `tool` as upstream has it: 400 KB.
fn with_tool(node: &Node) -> (Running, Vec<u8>) {
    let server = serve(node, AGES);
    server.get("/m/dists/stable/InRelease", "");
    let content = fs::read(
        node.archive
            .repo
            .root()
            .join(UPSTREAM.trim_start_matches('/')),
    );
    (server, content.unwrap())
}

/// [`TOOL`] upstream.
const UPSTREAM: &str = "/pool/main/tool_2.0-1_all.deb";

#[test]
fn a_package_is_passed_on_while_it_comes_to_all_clients_of_one_fetch() {
    let node = node();
    let (server, content) = with_tool(&node);
    let upstream = &node.archive.server;
    upstream.fault(UPSTREAM, Times::Once, Fault::HoldAfter(200_000));
    let mut clients: Vec<Coming> = (0..5).map(|_| Coming::begin(&server, TOOL, "")).collect();
    let range = "Range: bytes=100000-149999\r\n";
    let mut part = Coming::begin(&server, TOOL, range);
    // Upstream holds the rest back until everybody has this.
    for client in &mut clients {
        client.until(150_000);
    }
    part.until(49_999);
    assert_eq!(upstream.requests_of(UPSTREAM).len(), 1);
    upstream.heal();
    for client in clients {
        let (answer, length) = client.end();
        assert!(answer.came.starts_with(b"HTTP/1.1 200 "));
        assert_eq!(length, content.len());
        assert!(answer.body() == content);
    }
    let (part, length) = part.end();
    assert!(part.came.starts_with(b"HTTP/1.1 206 "));
    assert_eq!(length, 50_000);
    assert!(part.body() == &content[100_000..150_000]);
    let (again, _) = Coming::begin(&server, TOOL, "").end();
    assert!(again.body() == content);
    assert_eq!(upstream.requests_of(UPSTREAM).len(), 1);
}

#[test]
fn attack_bytes_are_cut_off_before_the_last_one_and_not_kept() {
    let node = node();
    let (server, content) = with_tool(&node);
    let upstream = &node.archive.server;
    for at in [10, content.len() / 2, content.len() - 1] {
        let mut spoilt = content.clone();
        spoilt[at] ^= 1;
        upstream.fault(UPSTREAM, Times::Always, Fault::Body(spoilt));
        for range in ["", "Range: bytes=0-99999\r\n", "Range: bytes=5-5\r\n"] {
            let (answer, length) = Coming::begin(&server, TOOL, range).end();
            let came = answer.body().len();
            assert!(came < length.max(1), "{at} {range}: {came} of {length}");
        }
        let is_package = |path: &PathBuf| path.extension().is_some_and(|end| end == "deb");
        assert!(!node.bench.packages().iter().any(is_package));
        upstream.heal();
    }
    upstream.fault(UPSTREAM, Times::Always, Fault::Endless);
    let (answer, length) = Coming::begin(&server, TOOL, "").end();
    assert!(answer.body().len() < length.max(1));
    upstream.heal();
    // Who asks while what is endless is still tried again is cut off as well.
    let mut answers = (0..100).map(|_| Coming::begin(&server, TOOL, "").end().0);
    assert!(answers.any(|answer| answer.body() == content));
}

#[test]
fn an_upstream_that_cuts_is_gone_on_with_and_one_that_goes_away_is_told() {
    let node = node();
    let (server, content) = with_tool(&node);
    let upstream = &node.archive.server;
    upstream.fault(UPSTREAM, Times::Next(2), Fault::CutAfter(150_000));
    let (answer, _) = Coming::begin(&server, TOOL, "").end();
    assert!(answer.body() == content);
    assert_eq!(upstream.sent(UPSTREAM), content.len() as u64);
    for path in node.bench.packages() {
        fs::remove_file(path).unwrap();
    }
    upstream.fault(UPSTREAM, Times::Once, Fault::CutAfter(150_000));
    upstream.fault(UPSTREAM, Times::Always, Fault::Status(404));
    let (answer, length) = Coming::begin(&server, TOOL, "").end();
    // By the status where that was known before the first word was said, and else by an answer that ends too early.
    if !answer.came.starts_with(b"HTTP/1.1 502 ") {
        assert!(answer.came.starts_with(b"HTTP/1.1 200 "));
        assert_eq!(length, content.len());
        assert!(answer.body().len() <= 150_000 && content.starts_with(answer.body()));
    }
    upstream.heal();
    // What came is not asked for again.
    upstream.forget_requests();
    let (answer, _) = Coming::begin(&server, TOOL, "").end();
    assert!(answer.body() == content);
    assert_eq!(upstream.sent(UPSTREAM), content.len() as u64 - 150_000);
}

#[test]
fn the_first_question_brings_metadata_and_each_package_comes_once() {
    let node = node();
    let server = serve(&node, AGES);
    assert!(
        server.get(HELLO, "").starts_with("HTTP/1.1 404 "),
        "no index names it yet"
    );
    let root = server.get("/m/dists/stable/InRelease", "");
    assert!(root.starts_with("HTTP/1.1 200 "), "{root}");
    assert!(node.bench.packages().is_empty());
    let upstream = fs::read(node.archive.repo.root().join("pool/main/hello_1.0_all.deb")).unwrap();
    for turn in 0..2 {
        node.archive.server.forget_requests();
        let answer = server.get(HELLO, "");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(body(&answer), String::from_utf8_lossy(&upstream));
        assert_eq!(node.archive.server.requests().len(), 1 - turn);
    }
    let part = server.get(HELLO, "Range: bytes=0-6\r\n");
    assert!(part.ends_with("\r\n\r\n!<arch>"), "{part}");
    assert_eq!(node.bench.packages().len(), 1);
}

#[test]
fn few_wrong_bytes_and_absent_ones_are_never_passed_on() {
    let node = node();
    let server = serve(&node, AGES);
    server.get("/m/dists/stable/InRelease", "");
    for fault in [
        Fault::Body(b"wrong".to_vec()),
        Fault::Status(404),
        Fault::Redirect("file:///etc/passwd".into()),
    ] {
        let upstream = &node.archive.server;
        upstream.fault(TOOL.trim_start_matches("/m"), Times::Always, fault.clone());
        let answer = server.get(TOOL, "");
        assert!(answer.starts_with("HTTP/1.1 502 "), "{fault:?}: {answer}");
        assert_eq!(body(&answer), "");
        upstream.heal();
    }
    assert!(server.get(TOOL, "").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_newer_upstream_is_seen_when_what_is_here_is_old_enough_and_an_absent_one_does_no_harm() {
    let mut node = node();
    let server = serve(&node, Duration::ZERO);
    let first = server.get("/m/dists/stable/InRelease", "");
    node.archive
        .server
        .fault("*", Times::Always, Fault::Status(503));
    // Publications and checks are dated to the second.
    std::thread::sleep(Duration::from_millis(1100));
    let same = server.get("/m/dists/stable/InRelease", "");
    assert_eq!(body(&same), body(&first));
    node.archive.server.heal();
    node.move_upstream();
    std::thread::sleep(Duration::from_millis(1100));
    let second = server.get("/m/dists/stable/InRelease", "");
    assert_ne!(body(&second), body(&first));
    let moved = server.get("/m/pool/main/hello_2.0_all.deb", "");
    assert!(moved.starts_with("HTTP/1.1 200 "), "{moved}");
    // A client that reads the state before asks for what is gone upstream.
    let gone = server.get(HELLO, "");
    assert!(gone.starts_with("HTTP/1.1 502 "), "{gone}");
}

#[test]
fn attack_paths_that_no_index_names_are_not_asked_for_upstream() {
    let node = node();
    fs::write(node.archive.repo.root().join("secret"), "secret").unwrap();
    let server = serve(&node, AGES);
    server.get("/m/dists/stable/InRelease", "");
    node.archive.server.forget_requests();
    for path in [
        "/m/secret",
        "/m/pool/../secret",
        "/m/%2e%2e/secret",
        "/m/pool/main/%2e%2e/%2e%2e/secret",
        "/m/dists/stable/main/binary-arm64/Packages.xz",
        "/n/pool/main/hello_1.0_all.deb",
        "/m/",
    ] {
        let answer = server.get(path, "");
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    assert_eq!(node.archive.server.requests(), []);
}

#[test]
fn slow_upstream_costs_a_client_a_moment_and_not_its_patience() {
    let node = node();
    let server = serve(&node, Duration::ZERO);
    let first = server.get("/m/dists/stable/InRelease", "");
    // It takes the question and says nothing.
    node.archive.server.fault("*", Times::Always, Fault::Hang);
    std::thread::sleep(Duration::from_millis(1100));
    let began = std::time::Instant::now();
    let same = server.get("/m/dists/stable/InRelease", "");
    assert_eq!(body(&same), body(&first));
    // A quiet server is given up after half a minute, and tried again.
    assert!(began.elapsed() < Duration::from_secs(25), "{began:?}");
}
