//! An upstream that lies, cuts, hangs or sends old files, in every file that a sync asks for: what is published is the
//! state before, or the whole new one.

use crate::mirror::{Node, name, version};
use crate::support::Bench;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;
use vzpkg_repo_client::Timeouts;
use vzpkg_repo_client::mirror::Repair;
use vzpkg_tests::http_server::{Fault, Times};

/// A node that published the first state of an archive which has a second by now, and the paths of the second.
fn node() -> (Node, BTreeSet<String>) {
    let mut node = Node::new();
    node.sync().unwrap();
    node.move_upstream();
    node.archive.server.forget_requests();
    // Another node reads the new state, so that its files are known.
    let other = Bench::new();
    let mirrors = other.client().mirrors(other.env.path("mirror"));
    let config = crate::mirror::config(&[node.archive.server.url()], &node.archive.key);
    let keys = [("key.asc".to_owned(), node.archive.key.armored())];
    mirrors.add(&name(), &config, &keys).unwrap();
    mirrors.sync(&[name()], &mut |_, result| drop(result.unwrap()));
    let requests = node.archive.server.requests().into_iter();
    let paths = requests.map(|request| request.path).collect();
    (node, paths)
}

/// Everything that an upstream may do to a file.
fn faults(content: &[u8], old: &[u8]) -> Vec<Fault> {
    let mut changed = content.to_vec();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let longer = [content, b"\n"].concat();
    let half = (content.len() / 2) as u64;
    vec![
        Fault::Body(changed),
        Fault::Body(longer),
        Fault::Body(Vec::new()),
        Fault::Body(old.to_vec()),
        Fault::Body(b"<html>please log in</html>".to_vec()),
        Fault::CutAfter(0),
        Fault::CutAfter(half),
        Fault::HangAfter(half),
        Fault::Hang,
        Fault::Endless,
        Fault::Status(404),
        Fault::Status(403),
        Fault::Status(500),
        Fault::Raw(b"\x16\x03\x01 no http\r\n\r\n".to_vec()),
        Fault::Redirect("http://127.0.0.1:1/".into()),
    ]
}

#[test]
fn whatever_upstream_does_to_any_file_what_is_published_is_old_or_new() {
    let old = [version("hello", "1.0"), version("tool", "2.0-1")];
    let new = [version("hello", "2.0")];
    let (mut node, paths) = node();
    assert!(paths.len() >= 4, "{paths:?}");
    let release = fs::read(node.published().join("dists/stable/InRelease")).unwrap();
    let patient = node.bench.options.timeouts;
    let hasty = Timeouts {
        no_progress: Duration::from_millis(400),
        attempts: 1,
        ..patient
    };
    let mut refused = 0;
    for path in &paths {
        let file = node.archive.repo.root().join(&path[1..]);
        let content = fs::read(&file).unwrap();
        for fault in faults(&content, &release) {
            node.bench.options.timeouts = hasty;
            node.archive
                .server
                .fault(path, Times::Always, fault.clone());
            let synced = node.sync();
            node.archive.server.heal();
            node.bench.options.timeouts = patient;
            let seen = node.seen();
            // Where there was another way to the file, the new state is whole.
            if synced.is_ok_and(|synced| synced.changed) {
                assert_eq!(seen, new, "{path} {fault:?}");
                node.mirrors().rollback(&name()).unwrap();
                assert_eq!(node.seen(), old);
                forget_newest(&node);
            } else {
                assert_eq!(seen, old, "{path} {fault:?}");
            }
            refused += u32::from(seen == old);
        }
    }
    // What has two addresses comes by the other.
    assert!(refused > 20, "{refused}");
    let whole = node.mirrors().verify(&name(), Repair::No).unwrap();
    assert_eq!(whole.damaged, Vec::<String>::new());
    node.sync().unwrap();
    node.mirrors().publish(&name(), None).unwrap();
    assert_eq!(node.seen(), new);
}

/// As if the newest state had never been seen: the next sync reads all of it again.
fn forget_newest(node: &Node) {
    let home = node.bench.env.path("mirror/m");
    let refs = home.join("refs.json");
    let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&refs).unwrap()).unwrap();
    let first = value["history"][0].clone();
    value["newest"] = first["state"].clone();
    value["history"] = serde_json::Value::Array(vec![first]);
    value["rolled_back"] = serde_json::json!([]);
    fs::write(&refs, serde_json::to_vec(&value).unwrap()).unwrap();
    drop(fs::remove_file(home.join("checked.json")));
    node.mirrors().gc(false).unwrap();
    for package in node.bench.packages() {
        if package.extension().is_some_and(|end| end == "part") {
            fs::remove_file(package).unwrap();
        }
    }
}
