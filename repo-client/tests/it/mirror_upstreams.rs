//! Several upstreams of one mirror: they share the work, a slow one is dropped, and a limit holds for all.

use crate::mirror::{Node, config, name};
use std::sync::Arc;
use std::time::Duration;
use vzpkg_repo_client::Bandwidth;
use vzpkg_repo_client::clock::Clock as _;
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::http_server::{Fault, HttpServer, Times};
use vzpkg_tests::tools::EPOCH;

/// A mirror with two upstreams of an archive of these packages.
fn node(packages: u32) -> (Node, HttpServer) {
    let mut node = Node::new();
    let debs = node.bench.env.path("debs");
    let mut suite = node.archive.repo.suite("stable");
    suite.clear();
    suite.date = EPOCH + 600;
    for number in 0..packages {
        let content: Vec<u8> = (0..400_000_u32)
            .map(|i| ((i ^ number).wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0])
            .collect();
        let deb = Deb::new(&format!("p{number}"), "1")
            .compression("none")
            .file(&format!("usr/share/p{number}"), 0o644, &content);
        suite.add("main", &deb.build(&debs));
    }
    node.archive.repo.publish(&node.archive.key);
    node.mirrors().remove(&name()).unwrap();
    let second = HttpServer::serve(node.archive.repo.root());
    let urls = [node.archive.server.url(), second.url()];
    let config = config(&urls, &node.archive.key);
    node.add(&config, &node.archive.key).unwrap();
    (node, second)
}

fn packages(server: &HttpServer) -> usize {
    let requests = server.requests();
    let pool = requests
        .iter()
        .filter(|request| request.path.starts_with("/pool/"));
    pool.count()
}

#[test]
fn two_upstreams_share_the_packages() {
    let (node, second) = node(6);
    node.sync().unwrap();
    assert_eq!(packages(&node.archive.server), 3);
    assert_eq!(packages(&second), 3);
}

#[test]
fn an_upstream_that_stops_sending_is_dropped_and_what_it_sent_is_not_asked_for_again() {
    let (mut node, second) = node(10);
    node.bench.options.connections = 1;
    // A machine that does much else must not take the first one for slow as well.
    node.bench.options.timeouts.no_progress = Duration::from_secs(10);
    second.fault("*", Times::Always, Fault::HangAfter(300_000));
    let synced = node.sync().unwrap();
    assert_eq!(synced.fetched.files, 10);
    let messages = node.bench.recorder.messages.lock().unwrap().clone();
    let slow = format!("{} is too slow", second.url());
    let told = messages.iter().filter(|text| text.contains(&slow));
    assert_eq!(told.count(), 1, "{messages:?}");
    assert_eq!(packages(&second), 1, "half of them would be its share");
    let requests = node.archive.server.requests();
    let resumed = requests
        .iter()
        .filter(|request| request.headers.contains_key("range"));
    assert_eq!(resumed.count(), 1, "{requests:?}");
}

#[test]
fn a_limit_holds_for_all_connections_together() {
    let (mut node, _second) = node(4);
    node.bench.options.bandwidth = Some(Arc::new(Bandwidth::new(100_000)));
    node.sync().unwrap();
    let bytes = *node.bench.recorder.bytes.lock().unwrap();
    assert!(bytes > 1_600_000, "{bytes}");
    // What comes last need not be waited for.
    let needed = Duration::from_millis((bytes - 100_000) / 100);
    let took = node.bench.clock.elapsed();
    assert!(took >= needed, "{took:?} for {bytes} bytes");
}
