//! Snapshots, publication by name, rollback, differences, verification and collection of a mirror's states.

use crate::mirror::{Node, name, version};
use crate::support::chain;
use std::fs;
use std::path::Path;
use vzpkg_metadata::SnapshotName;
use vzpkg_repo_client::mirror::{MirrorError, Repair, StateName};
use vzpkg_tests::http_server::{Fault, Times};
use vzpkg_tests::tools::{DAY, EPOCH};

fn tag(name: &str) -> SnapshotName {
    name.parse().unwrap()
}

fn of(snapshot: &str) -> StateName {
    StateName {
        mirror: name(),
        snapshot: (!snapshot.is_empty()).then(|| tag(snapshot)),
    }
}

/// A mirror of two states, the first of which is kept as `first`.
fn two_states() -> Node {
    let mut node = Node::new();
    node.sync().unwrap();
    node.mirrors()
        .snapshot(&name(), Some(tag("first")))
        .unwrap();
    node.move_upstream();
    node.sync().unwrap();
    node
}

#[test]
fn a_snapshot_is_published_by_name_and_stays_until_told_otherwise() {
    let mut node = two_states();
    node.mirrors()
        .publish(&name(), Some(&tag("first")))
        .unwrap();
    assert_eq!(
        node.seen(),
        [version("hello", "1.0"), version("tool", "2.0-1")]
    );
    node.move_upstream_to("3.0", 2400);
    let synced = node.sync().unwrap();
    assert!(synced.changed && !synced.published);
    assert_eq!(
        node.seen(),
        [version("hello", "1.0"), version("tool", "2.0-1")]
    );
    node.mirrors().publish(&name(), None).unwrap();
    assert_eq!(node.seen(), [version("hello", "3.0")]);
    let error = node
        .mirrors()
        .publish(&name(), Some(&tag("none")))
        .unwrap_err();
    assert!(
        matches!(error, MirrorError::NoSnapshot { .. }),
        "{}",
        chain(&error)
    );
}

#[test]
fn a_rollback_lasts_until_upstream_has_something_newer() {
    let mut node = two_states();
    node.mirrors().rollback(&name()).unwrap();
    assert_eq!(
        node.seen(),
        [version("hello", "1.0"), version("tool", "2.0-1")]
    );
    let again = node.sync().unwrap();
    assert!(!again.changed && !again.published);
    assert_eq!(node.seen().len(), 2);
    let error = node.mirrors().rollback(&name()).unwrap_err();
    assert!(
        matches!(error, MirrorError::NoEarlier(_)),
        "{}",
        chain(&error)
    );
    node.move_upstream_to("3.0", 2400);
    assert!(node.sync().unwrap().published);
    assert_eq!(node.seen(), [version("hello", "3.0")]);
}

#[test]
fn a_snapshot_means_one_state_and_is_dated_where_it_has_no_name() {
    let node = two_states();
    let error = node
        .mirrors()
        .snapshot(&name(), Some(tag("first")))
        .unwrap_err();
    assert!(matches!(error, MirrorError::SnapshotExists { .. }));
    let (dated, state) = node.mirrors().snapshot(&name(), None).unwrap();
    assert!(
        dated.as_str().ends_with('Z') && dated.as_str().contains('T'),
        "{dated}"
    );
    let (again, same) = node.mirrors().snapshot(&name(), None).unwrap();
    assert_eq!((again, same), (dated.clone(), state));
    node.mirrors().remove_snapshot(&name(), &dated).unwrap();
    assert!(
        !node
            .mirrors()
            .info(&name())
            .unwrap()
            .snapshots
            .contains_key(&dated)
    );
}

#[test]
fn a_difference_names_packages_with_their_versions() {
    let node = two_states();
    let changes = node.mirrors().diff(&of("first"), &of("")).unwrap();
    let shown: Vec<_> = changes
        .iter()
        .map(|change| {
            (
                change.name.as_str(),
                change.before.join(" "),
                change.after.join(" "),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("hello", "1.0".into(), "2.0".into()),
            ("tool", "2.0-1".into(), String::new())
        ]
    );
    assert_eq!(node.mirrors().diff(&of("first"), &of("first")).unwrap(), []);
}

/// Changes a byte of a stored file, which the published tree links to.
fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[100] ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn damage_is_found_wherever_it_is() {
    let node = two_states();
    let whole = node.mirrors().verify(&name(), Repair::No).unwrap();
    assert!(whole.damaged.is_empty() && whole.files > 5, "{whole:?}");
    spoil(&node.bench.packages()[0]);
    let damaged = node.mirrors().verify(&name(), Repair::No).unwrap();
    assert!(!damaged.damaged.is_empty(), "{damaged:?}");
    assert!(
        damaged.damaged.iter().any(|text| text.contains("sha256")),
        "{damaged:?}"
    );
    assert_eq!(damaged.repaired, 0);
}

#[test]
fn a_repair_brings_back_what_upstream_still_has_and_says_what_it_has_not() {
    let node = Node::new();
    node.sync().unwrap();
    let index = node
        .published()
        .join("dists/stable/main/binary-amd64/Packages.xz");
    let stored = vzpkg_metadata::Digest::of(&fs::read(index).unwrap());
    spoil(&node.bench.env.path(&format!("mirror/.files/{stored}")));
    fs::remove_file(&node.bench.packages()[0]).unwrap();
    let in_tree = node.published().join("pool/main/tool_2.0-1_all.deb");
    fs::remove_file(&in_tree).unwrap();
    fs::write(&in_tree, "something else").unwrap();
    let repaired = node.mirrors().verify(&name(), Repair::Fetch).unwrap();
    assert!(repaired.failed.is_empty(), "{repaired:?}");
    assert_eq!(repaired.repaired, repaired.damaged.len() as u64);
    let whole = node.mirrors().verify(&name(), Repair::No).unwrap();
    assert!(whole.damaged.is_empty(), "{whole:?}");
    assert_eq!(node.seen().len(), 2);

    let package = node.bench.packages().remove(0);
    spoil(&package);
    node.archive
        .server
        .fault("*", Times::Always, Fault::Status(404));
    let failed = node.mirrors().verify(&name(), Repair::Fetch).unwrap();
    assert_eq!(failed.failed.len(), 1, "{failed:?}");
    assert!(failed.failed[0].contains("404"), "{failed:?}");
    node.archive.server.heal();
    let repaired = node.mirrors().verify(&name(), Repair::Fetch).unwrap();
    assert_eq!((repaired.failed.len(), repaired.repaired), (0, 1));
    assert_eq!(node.seen().len(), 2);
}

#[test]
fn collection_leaves_what_a_sync_has_fetched_that_did_not_end() {
    let mut node = Node::new();
    // One after the other: what comes beside it would end when it fails, wherever it is.
    node.bench.options.connections = 1;
    let gone = "/pool/main/tool_2.0-1_all.deb";
    node.archive
        .server
        .fault(gone, Times::Once, Fault::CutAfter(300_000));
    node.archive
        .server
        .fault(gone, Times::Always, Fault::Status(404));
    node.sync().unwrap_err();
    let here = node.bench.packages();
    let collected = node.mirrors().gc(false).unwrap();
    assert_eq!((collected.states, collected.files), (0, 0));
    assert_eq!(node.bench.packages(), here);
    let partial = node.partial();
    assert!(partial > 0);
    node.archive.server.heal();
    node.archive.server.forget_requests();
    node.sync().unwrap();
    let index = |path: &str| path.contains("/by-hash/") || path.contains("/Packages");
    let requests = node.archive.server.requests();
    assert!(
        !requests.iter().any(|request| index(&request.path)),
        "{requests:?}"
    );
    let whole = fs::metadata(node.archive.repo.root().join(&gone[1..]))
        .unwrap()
        .len();
    let retries = node.bench.recorder.retries.lock().unwrap();
    assert_eq!(
        node.archive.server.sent(gone),
        whole - partial,
        "{retries:?}"
    );
    drop(retries);
    assert_eq!(node.mirrors().gc(false).unwrap().files, 0);
    assert_eq!(node.seen().len(), 2);
}

#[test]
fn what_a_sync_left_that_nobody_takes_up_goes_with_the_next_state() {
    let mut node = Node::new();
    let gone = "/pool/main/tool_2.0-1_all.deb";
    node.archive
        .server
        .fault(gone, Times::Always, Fault::Status(404));
    node.sync().unwrap_err();
    node.move_upstream();
    node.archive.server.heal();
    node.sync().unwrap();
    node.mirrors().gc(false).unwrap();
    let files: Vec<_> = node.bench.packages();
    let whole = files
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "deb"));
    assert_eq!(whole.count(), 1, "{files:?}");
    assert_eq!(node.seen(), [version("hello", "2.0")]);
}

#[test]
fn collection_removes_what_no_state_names_and_nothing_else() {
    let mut node = two_states();
    assert_eq!(node.bench.packages().len(), 3);
    let nothing = node.mirrors().gc(false).unwrap();
    assert_eq!((nothing.states, nothing.files), (0, 0));
    node.mirrors()
        .remove_snapshot(&name(), &tag("first"))
        .unwrap();
    node.move_upstream_to("3.0", 2400);
    node.sync().unwrap();
    node.move_upstream_to("4.0", 3000);
    node.sync().unwrap();
    let would = node.mirrors().gc(true).unwrap();
    assert_eq!(would.states, 2);
    assert_eq!(node.bench.packages().len(), 5);
    let done = node.mirrors().gc(false).unwrap();
    assert_eq!(done, would);
    assert_eq!(node.bench.packages().len(), 2, "4.0, and 3.0 to go back to");
    assert_eq!(node.seen(), [version("hello", "4.0")]);
    node.mirrors().rollback(&name()).unwrap();
    assert_eq!(node.seen(), [version("hello", "3.0")]);
}

#[test]
fn a_day_after_publication_collection_drops_the_files_of_the_state_before() {
    let mut node = two_states();
    let old = node.published().join("pool/main/tool_2.0-1_all.deb");
    node.mirrors().gc(false).unwrap();
    assert!(old.exists());
    node.bench.options.now += 2 * 24 * 3600;
    node.mirrors().gc(false).unwrap();
    assert!(!old.exists());
    assert_eq!(node.seen(), [version("hello", "2.0")]);
}

#[test]
fn a_kill_between_publication_and_its_record_is_mended_by_the_next_verb() {
    let node = two_states();
    let refs = node.bench.env.path("mirror/m/refs.json");
    let before = fs::read(&refs).unwrap();
    node.mirrors()
        .publish(&name(), Some(&tag("first")))
        .unwrap();
    // As if the process had ended after the link was renamed.
    fs::write(&refs, before).unwrap();
    let info = node.mirrors().info(&name()).unwrap();
    let first = info.snapshots[&tag("first")].state;
    assert_eq!(info.published.unwrap().id, first);
    assert_eq!(info.history.len(), 3);
}

#[test]
fn freeze_of_what_is_mirrored_is_noticed_when_it_expires() {
    let mut node = Node::new();
    node.sync().unwrap();
    node.bench.options.now = EPOCH + 8 * DAY;
    for _ in 0..2 {
        // Upstream, or who speaks for it, has nothing newer to say.
        let error = chain(&node.sync().unwrap_err());
        assert!(
            error.contains("nothing newer than a `stable`") && error.contains("valid until"),
            "{error}"
        );
    }
    assert!(node.published().join("dists/stable/InRelease").exists());
    node.archive.repo.suite("stable").valid_until = Some(EPOCH + 14 * DAY);
    node.move_upstream_to("2.0", 8 * DAY);
    assert!(node.sync().unwrap().published);
}
