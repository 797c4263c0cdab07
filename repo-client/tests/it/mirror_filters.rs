//! Mirrors that bring a part of their upstream: what filters choose, and what the published tree then holds.

use crate::mirror::{Node, name, part};
use crate::support::{arch, chain, line, pin};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use vzpkg_metadata::{Digest, MirrorName, TemplateName};
use vzpkg_repo_client::Client;
use vzpkg_repo_client::mirror::{Chooser, MirrorConfig, MirrorError, Mirrors, Selection, Synced};
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::tools::EPOCH;

/// An archive of packages that need each other: name, version, what it needs, section.
const PACKAGES: [(&str, &str, &str, &str); 10] = [
    ("app", "1.0", "lib (>= 2), mailer", "web"),
    ("app", "1.1", "lib (>= 2), mailer", "web"),
    ("lib", "1.0", "", "libs"),
    ("lib", "2.0", "base", "libs"),
    ("base", "1", "", "contrib/libs"),
    ("exim", "4", "", "mail"),
    ("postfix", "3", "", "mail"),
    ("other", "1", "absent | lib", "web"),
    ("broken", "1", "nowhere", "web"),
    ("chain", "1", "exim, mailer", "misc"),
];

/// A node whose mirror brings this.
fn node(selection: Selection) -> Node {
    let mut node = Node::new();
    let debs = node.bench.env.path("debs");
    let mut suite = node.archive.repo.suite("stable");
    suite.clear();
    suite.date = EPOCH + 600;
    for (name, version, needs, section) in PACKAGES {
        let mut deb = Deb::new(name, version).field("Section", section);
        if !needs.is_empty() {
            deb = deb.field("Depends", needs);
        }
        if section == "mail" {
            deb = deb.field("Provides", "mailer");
        }
        suite.add("main", &deb.build(&debs));
    }
    node.archive.repo.publish(&node.archive.key);
    node.mirrors().remove(&name()).unwrap();
    let part = part(&[node.archive.server.url()], &node.archive.key, &[]);
    let config = MirrorConfig::new(vec![part]).unwrap();
    let config = config.with_selection(selection);
    node.add(&config, &node.archive.key).unwrap();
    node
}

fn packages(names: &[&str]) -> Selection {
    Selection {
        packages: names.iter().map(ToString::to_string).collect(),
        ..Selection::default()
    }
}

/// Names and versions of the packages in the published tree.
fn published(node: &Node) -> Vec<String> {
    let entries = fs::read_dir(node.published().join("pool/main")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .map(|name| name.trim_end_matches("_all.deb").to_owned())
        .collect();
    names.sort();
    names
}

fn sync(mirrors: &Mirrors) -> Result<Synced, MirrorError> {
    let mut results = Vec::new();
    mirrors.sync(&[name()], &mut |_, result| results.push(result));
    results.pop().unwrap()
}

#[test]
fn packages_come_with_what_they_need_in_the_newest_version_that_fits() {
    let selection = Selection {
        newest: Some(1),
        ..packages(&["app"])
    };
    let node = node(selection);
    let synced = node.sync().unwrap();
    // Of two packages that provide `mailer` the first by name.
    let expected = ["app_1.1", "base_1", "exim_4", "lib_2.0"];
    assert_eq!(published(&node), expected);
    assert_eq!((synced.state.packages, synced.fetched.files), (4, 4));
    let client = crate::support::Bench::new();
    let url = format!("file://{}", node.published().display());
    let keys = [pin(&node.archive.key)];
    let repository = client.client().load(&line(&url), &keys, &arch()).unwrap();
    assert_eq!(
        repository.index.package_count(),
        PACKAGES.len(),
        "the signed index is upstream's"
    );
    assert!(
        node.mirrors()
            .verify(&name(), vzpkg_repo_client::mirror::Repair::No)
            .unwrap()
            .damaged
            .is_empty()
    );
    let roots = node.mirrors().packages().unwrap();
    assert_eq!(roots.len(), 4, "what was not brought keeps nothing");
}

#[test]
fn a_provider_that_is_wanted_anyway_is_enough_and_what_nothing_meets_is_told() {
    let node = node(packages(&["postfix", "app", "other", "broken"]));
    node.sync().unwrap();
    let expected = [
        "app_1.0",
        "app_1.1",
        "base_1",
        "broken_1",
        "lib_2.0",
        "other_1",
        "postfix_3",
    ];
    assert_eq!(published(&node), expected);
    let messages = node.bench.recorder.messages.lock().unwrap().clone();
    let told = messages
        .iter()
        .filter(|text| text.contains("broken needs nowhere"));
    assert_eq!(told.count(), 1, "{messages:?}");
}

#[test]
fn sections_globs_and_newest_versions_choose() {
    for (selection, expected) in [
        (
            Selection {
                sections: vec!["libs".into()],
                ..Selection::default()
            },
            vec!["base_1", "lib_1.0", "lib_2.0"],
        ),
        (
            Selection {
                sections: vec!["contrib/libs".into()],
                ..packages(&["e?i*"])
            },
            vec!["base_1", "exim_4"],
        ),
        (
            Selection {
                newest: Some(1),
                sections: vec!["libs".into(), "misc".into()],
                ..Selection::default()
            },
            vec!["base_1", "chain_1", "lib_2.0"],
        ),
    ] {
        let node = node(selection);
        node.sync().unwrap();
        assert_eq!(published(&node), expected);
    }
}

/// Says that templates need one package, which it looks for in the state that it is shown.
struct One(&'static str);

impl Chooser for One {
    fn choose(
        &self,
        _: &MirrorName,
        _: &MirrorConfig,
        templates: &[TemplateName],
        directory: &Path,
    ) -> Result<BTreeSet<Digest>, Box<dyn Error + Send + Sync>> {
        assert_eq!(templates.len(), 1);
        assert!(directory.join("dists/stable/InRelease").is_file());
        let debs = directory.parent().unwrap().parent().unwrap();
        let debs = debs.parent().unwrap().parent().unwrap().join("debs");
        let bytes = fs::read(debs.join(self.0))?;
        Ok(BTreeSet::from([Digest::of(&bytes)]))
    }
}

#[test]
fn what_templates_need_is_asked_for_each_state() {
    let node = node(Selection {
        templates: vec!["debian-13-x86_64".parse().unwrap()],
        ..Selection::default()
    });
    let error = chain(&node.sync().unwrap_err());
    assert!(error.contains("nobody here knows"), "{error}");
    let recorder = Arc::clone(&node.bench.recorder);
    let client = Client::new(node.bench.options.clone(), recorder);
    let mirrors = client.mirrors(node.bench.env.path("mirror"));
    let fails = mirrors.clone().with_chooser(Arc::new(One("none.deb")));
    let error = chain(&sync(&fails).unwrap_err());
    assert!(error.contains("No such file"), "{error}");
    assert!(!node.published().exists());
    let one = |file| mirrors.clone().with_chooser(Arc::new(One(file)));
    assert!(sync(&one("lib_1.0_all.deb")).unwrap().changed);
    assert_eq!(published(&node), ["lib_1.0"]);
    assert!(!sync(&one("lib_1.0_all.deb")).unwrap().changed);
    // The template needs something else, while upstream is what it was.
    assert!(sync(&one("base_1_all.deb")).unwrap().changed);
    assert!(published(&node).contains(&"base_1".to_owned()));
    let trees = fs::read_dir(node.bench.env.path("mirror/m/trees")).unwrap();
    assert_eq!(trees.count(), 1, "what was shown is gone");
}

#[test]
fn a_filter_that_matches_nothing_is_an_error_and_beside_others_a_message() {
    let wrong = node(packages(&["libb"]));
    let error = chain(&wrong.sync().unwrap_err());
    assert!(error.contains("`libb`"), "{error}");
    assert!(!wrong.published().exists());
    let half = node(packages(&["libb", "base"]));
    half.sync().unwrap();
    assert_eq!(published(&half), ["base_1"]);
    let said = half.bench.recorder.messages.lock().unwrap().join("\n");
    assert!(said.contains("`libb`"), "{said}");
}
