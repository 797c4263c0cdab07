//! What a sync would find is said without a change, and what it would refuse is refused.

use super::Upstream;
use crate::dry_runs::files;
use crate::support::Site;
use vzpkg_tests::deb_writer::Deb;

const TRY: [&str; 4] = ["mirror", "sync", "m", "--dry-run"];

#[test]
#[ignore = "needs root: make check runs it"]
fn privileged_a_sync_that_is_tried_says_what_is_new_and_brings_nothing() {
    let site = Site::new();
    let mut upstream = Upstream::new(&site, 1, 100);
    upstream.add_mirror(&site);
    let tried = |expected: &str| {
        let before = files(&site.root());
        let run = site.vzpkg(&TRY);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stderr.contains(expected), "{expected}: {run:?}");
        assert_eq!(files(&site.root()), before);
    };
    tried("(not here yet)");
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    tried("m: nothing new");
    let deb = Deb::new("new", "1.0").build(&site.path("debs"));
    upstream.repo.suite("stable").add("main", &deb);
    upstream.repo.publish(&upstream.key);
    tried("Would sync m: stable of ");
    tried("(here: of ");
    let run = site.vzpkg(&[&TRY[..], &["--format", "json"]].concat());
    let value: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let news = &value["mirrors"][0]["news"];
    assert_eq!(news[0]["suite"], "stable", "{value}");
    assert_eq!(news[0]["date"], news[0]["known"], "{value}");
    site.vzpkg(&["mirror", "sync", "m"]).ok();
    tried("m: nothing new");
    // Signed by somebody else.
    upstream.repo.suite("stable").add("main", &deb);
    let other = vzpkg_tests::keys::TestKey::new("other");
    upstream.repo.publish(&other);
    let refused = site.vzpkg(&TRY);
    let real = site.vzpkg(&["mirror", "sync", "m"]);
    assert_ne!(real.code, 0);
    assert_eq!((refused.code, refused.stderr), (real.code, real.stderr));
}
