//! The server against a client of four lines.

use super::*;
use std::fs;
use std::io::{Read as _, Write as _};

/// Sends one request on a connection of its own and returns everything that comes back.
fn get(server: &HttpServer, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    // A cut connection may end with a reset: what came before counts.
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

fn fixture() -> (tempfile::TempDir, HttpServer) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a+b"), "0123456789").unwrap();
    let server = HttpServer::serve(directory.path());
    (directory, server)
}

#[test]
fn files_ranges_and_validators_are_served() {
    let (_directory, server) = fixture();
    let whole = get(&server, "/a%2Bb", "");
    assert!(whole.starts_with("HTTP/1.1 200 "), "{whole}");
    assert!(whole.ends_with("\r\n\r\n0123456789"), "{whole}");
    let tag = whole.lines().find(|line| line.starts_with("ETag")).unwrap();
    let tag = tag.trim_start_matches("ETag: ");
    let same = get(&server, "/a+b", &format!("If-None-Match: {tag}\r\n"));
    assert!(same.starts_with("HTTP/1.1 304 "), "{same}");
    let part = get(
        &server,
        "/a+b",
        &format!("Range: bytes=7-\r\nIf-Range: {tag}\r\n"),
    );
    assert!(
        part.starts_with("HTTP/1.1 206 ") && part.ends_with("\r\n\r\n789"),
        "{part}"
    );
    let other = get(&server, "/a+b", "Range: bytes=7-\r\nIf-Range: \"x\"\r\n");
    assert!(other.starts_with("HTTP/1.1 200 "), "{other}");
    assert!(get(&server, "/../x", "").starts_with("HTTP/1.1 404 "));
    assert_eq!(server.requests_of("/a+b").len(), 3);
    assert_eq!(server.sent("/a+b"), 3 + 10);
}

#[test]
fn faults_strike_as_often_as_planned() {
    let (_directory, server) = fixture();
    server.fault("/a+b", Times::Next(2), Fault::Status(500));
    server.fault("/a+b", Times::Once, Fault::CutAfter(4));
    for _ in 0..2 {
        assert!(get(&server, "/a+b", "").starts_with("HTTP/1.1 500 "));
    }
    assert!(get(&server, "/a+b", "").ends_with("\r\n\r\n0123"));
    assert!(get(&server, "/a+b", "").ends_with("\r\n\r\n0123456789"));
    server.fault(
        "*",
        Times::Always,
        Fault::Redirect("http://elsewhere/".into()),
    );
    assert!(get(&server, "/x", "").contains("Location: http://elsewhere/\r\n"));
    server.heal();
    assert!(get(&server, "/x", "").starts_with("HTTP/1.1 404 "));
}
