//! A mirror that brings nothing by itself, behind a server that fetches what clients ask for.

use crate::mirror::{Node, name, part};
use crate::mirror_serve::Running;
use std::fs;
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
fn wrong_bytes_and_absent_ones_are_never_passed_on() {
    let node = node();
    let server = serve(&node, AGES);
    server.get("/m/dists/stable/InRelease", "");
    for fault in [
        Fault::Body(b"wrong".to_vec()),
        Fault::Status(404),
        Fault::Endless,
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
