//! An upstream that lies, cuts, hangs or sends old files, in every file that a sync asks for: what is published is the
//! state before, or the whole new one.

use crate::mirror::{self, name};
use crate::mirror_yum;
use crate::support::Bench;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use vzpkg_repo_client::Timeouts;
use vzpkg_repo_client::mirror::{MirrorConfig, MirrorError, Mirrors, Repair, Synced, Trust};
use vzpkg_tests::http_server::{Fault, HttpServer, Times};
use vzpkg_tests::keys::TestKey;

/// A node with a mirror that published the first state of an upstream which has a second by now.
trait Victim {
    fn bench(&mut self) -> &mut Bench;
    fn server(&self) -> &HttpServer;
    /// What the server serves.
    fn upstream(&self) -> PathBuf;
    fn mirrors(&self) -> Mirrors;
    fn sync(&self) -> Result<Synced, MirrorError>;
    /// The packages that a client finds in what is published.
    fn seen(&self) -> Vec<String>;
}

impl Victim for mirror::Node {
    fn bench(&mut self) -> &mut Bench {
        &mut self.bench
    }

    fn server(&self) -> &HttpServer {
        &self.archive.server
    }

    fn upstream(&self) -> PathBuf {
        self.archive.repo.root().to_owned()
    }

    fn mirrors(&self) -> Mirrors {
        self.mirrors()
    }

    fn sync(&self) -> Result<Synced, MirrorError> {
        self.sync()
    }

    fn seen(&self) -> Vec<String> {
        let seen = self.seen().into_iter();
        seen.map(|(name, version)| format!("{name} {version}"))
            .collect()
    }
}

impl Victim for mirror_yum::Node {
    fn bench(&mut self) -> &mut Bench {
        &mut self.bench
    }

    fn server(&self) -> &HttpServer {
        &self.server
    }

    fn upstream(&self) -> PathBuf {
        self.repo.root().to_owned()
    }

    fn mirrors(&self) -> Mirrors {
        self.mirrors()
    }

    fn sync(&self) -> Result<Synced, MirrorError> {
        self.sync()
    }

    fn seen(&self) -> Vec<String> {
        self.seen()
    }
}

/// The paths of the second state: what another node asks for that reads it.
fn paths(victim: &impl Victim, config: &MirrorConfig, key: &TestKey) -> BTreeSet<String> {
    victim.server().forget_requests();
    let other = Bench::new();
    let mirrors = other.client().mirrors(other.env.path("mirror"));
    let keys = [("key.asc".to_owned(), key.armored())];
    mirrors.add(&name(), config, &keys).unwrap();
    mirrors.sync(&[name()], &mut |_, result| drop(result.unwrap()));
    let requests = victim.server().requests().into_iter();
    let paths: BTreeSet<String> = requests.map(|request| request.path).collect();
    assert!(paths.len() >= 4, "{paths:?}");
    paths
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
    let mut node = mirror::Node::new();
    node.sync().unwrap();
    node.move_upstream();
    let config = mirror::config(&[node.archive.server.url()], &node.archive.key);
    let paths = paths(&node, &config, &node.archive.key);
    let stale = fs::read(node.published().join("dists/stable/InRelease")).unwrap();
    suffer(
        node,
        &paths,
        &stale,
        &["hello 1.0", "tool 2.0-1"],
        &["hello 2.0"],
    );
}

#[test]
fn whatever_a_yum_upstream_does_to_any_file_what_is_published_is_old_or_new() {
    let mut node = mirror_yum::Node::new(Trust::default());
    node.sync().unwrap();
    node.move_upstream();
    let paths = paths(&node, &node.config(), &node.key);
    let published = node
        .bench
        .env
        .path("mirror/m/published/repodata/repomd.xml");
    let stale = fs::read(published).unwrap();
    suffer(node, &paths, &stale, &["1.0-1"], &["1.0-1", "2.0-1"]);
}

/// Every fault in every file, one after the other; `stale` is a file of the first state.
fn suffer(
    mut node: impl Victim,
    paths: &BTreeSet<String>,
    stale: &[u8],
    old: &[&str],
    new: &[&str],
) {
    let patient = node.bench().options.timeouts;
    let hasty = Timeouts {
        no_progress: Duration::from_millis(400),
        attempts: 1,
        ..patient
    };
    let mut refused = 0;
    for path in paths {
        let content = fs::read(node.upstream().join(&path[1..])).unwrap();
        for fault in faults(&content, stale) {
            node.bench().options.timeouts = hasty;
            node.server().fault(path, Times::Always, fault.clone());
            let synced = node.sync();
            node.server().heal();
            node.bench().options.timeouts = patient;
            let seen = node.seen();
            // Where there was another way to the file, the new state is whole.
            if synced.is_ok_and(|synced| synced.changed) {
                assert_eq!(seen, new, "{path} {fault:?}");
                node.mirrors().rollback(&name()).unwrap();
                assert_eq!(node.seen(), old);
                forget_newest(&mut node);
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
fn forget_newest(node: &mut impl Victim) {
    let home = node.bench().env.path("mirror/m");
    let refs = home.join("refs.json");
    let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&refs).unwrap()).unwrap();
    let first = value["history"][0].clone();
    value["newest"] = first["state"].clone();
    value["history"] = serde_json::Value::Array(vec![first]);
    value["rolled_back"] = serde_json::json!([]);
    fs::write(&refs, serde_json::to_vec(&value).unwrap()).unwrap();
    drop(fs::remove_file(home.join("checked.json")));
    node.mirrors().gc(false).unwrap();
    for package in node.bench().packages() {
        if package.extension().is_some_and(|end| end == "part") {
            fs::remove_file(package).unwrap();
        }
    }
}
