//! The web server of mirrors, asked by a client of four lines.

use crate::mirror::Node;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use vzpkg_repo_client::mirror::Server;

/// A server that runs until it is dropped.
pub(crate) struct Running {
    address: SocketAddr,
    cancel: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn new(node: &Node) -> Self {
        Self::of(node, |server| server)
    }

    /// A server that was told more.
    pub(crate) fn of(node: &Node, tell: impl FnOnce(Server) -> Server) -> Self {
        let server = tell(node.mirrors().listen("127.0.0.1:0").unwrap());
        let address = server.address().unwrap();
        let thread = thread::spawn(move || server.run().unwrap());
        Self {
            address,
            cancel: Arc::clone(&node.bench.options.cancel),
            thread: Some(thread),
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    /// Everything that comes back for some requests on one connection.
    fn ask(&self, requests: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(requests.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn get(&self, path: &str, headers: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n{headers}\r\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

const RELEASE: &str = "/m/dists/stable/InRelease";

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let line = answer.lines().find(|line| line.starts_with(name));
    line.unwrap().split_once(": ").unwrap().1
}

#[test]
fn files_are_served_whole_in_parts_and_on_condition() {
    let node = Node::new();
    node.sync().unwrap();
    let server = Running::new(&node);
    let content = fs::read_to_string(node.published().join("dists/stable/InRelease")).unwrap();
    let whole = server.get(RELEASE, "");
    assert!(whole.starts_with("HTTP/1.1 200 OK\r\n"), "{whole}");
    assert!(whole.ends_with(&format!("\r\n\r\n{content}")), "{whole}");
    let (tag, time) = (header(&whole, "ETag"), header(&whole, "Last-Modified"));
    for condition in [
        format!("If-None-Match: {tag}"),
        format!("If-Modified-Since: {time}"),
    ] {
        let same = server.get(RELEASE, &format!("{condition}\r\n"));
        assert!(
            same.starts_with("HTTP/1.1 304 ") && same.ends_with("\r\n\r\n"),
            "{same}"
        );
    }
    let part = server.get(RELEASE, &format!("Range: bytes=5-9\r\nIf-Range: {tag}\r\n"));
    assert!(part.starts_with("HTTP/1.1 206 "), "{part}");
    assert!(
        part.ends_with(&format!("\r\n\r\n{}", &content[5..10])),
        "{part}"
    );
    let other = server.get(RELEASE, "Range: bytes=5-9\r\nIf-Range: \"x\"\r\n");
    assert!(other.starts_with("HTTP/1.1 200 "), "{other}");
    let beyond = server.get(RELEASE, "Range: bytes=999999-\r\n");
    assert!(beyond.starts_with("HTTP/1.1 416 "), "{beyond}");
}

#[test]
fn several_requests_come_on_one_connection() {
    let node = Node::new();
    node.sync().unwrap();
    let server = Running::new(&node);
    let one = format!("HEAD {RELEASE} HTTP/1.1\r\nHost: h\r\n\r\n");
    let missing = "GET /m/none HTTP/1.1\r\nHost: h\r\n\r\n";
    let answers = server.ask(&format!("{one}{missing}{one}"));
    let statuses: Vec<&str> = answers
        .lines()
        .filter_map(|line| line.strip_prefix("HTTP/1.1 "))
        .collect();
    assert_eq!(statuses, ["200 OK", "404 Not Found", "200 OK"]);
}

#[test]
fn attack_requests_that_leave_what_is_published() {
    let node = Node::new();
    node.sync().unwrap();
    fs::write(node.bench.env.path("mirror/secret"), "secret").unwrap();
    fs::write(node.bench.env.path("secret"), "secret").unwrap();
    let server = Running::new(&node);
    for path in [
        "/",
        "/m",
        "/m/",
        "/m/dists",
        "/m/../secret",
        "/m/%2e%2e/secret",
        "/m/..%2fsecret",
        "/m/dists/../../mirror.json",
        "/../m/dists/stable/InRelease",
        "/m//dists/stable/InRelease",
        "/.files/x",
        "/secret/x",
        "/m/dists/stable/InRelease/",
        "/m/%00",
        "/m/%zz",
        "m",
        "http://h/m/dists/stable/InRelease",
    ] {
        let answer = server.get(path, "");
        assert!(!answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert!(!answer.contains("secret"), "{path}: {answer}");
    }
    // A link that somebody put into the tree is not followed.
    symlink("/etc/passwd", node.published().join("passwd")).unwrap();
    assert!(server.get("/m/passwd", "").starts_with("HTTP/1.1 404 "));
    for junk in [
        "\u{0}\u{1}\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        assert!(server.ask(junk).starts_with("HTTP/1.1 400 "));
    }
    assert!(
        server
            .ask(&"x".repeat(16 << 10))
            .starts_with("HTTP/1.1 400 ")
    );
}
