//! The groups and module streams of a yum repository: kept beside the index, the streams never left out.

use crate::support::{Bench, chain, pin};
use crate::yum::{Hand, hand, line, names};
use std::fs;
use vzpkg_repo_client::report::Loaded;
use vzpkg_repo_client::{Refresh, read_groups, read_modules};
use vzpkg_tests::apt_repo::compress;
use vzpkg_tests::http_server::{Fault, HttpServer, Times};
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::tools::EPOCH;

const GROUPS: &str = "<!DOCTYPE comps PUBLIC 'x' 'comps.dtd'><comps><group><id>core</id><packagelist>\
    <packagereq type=\"mandatory\">a</packagereq></packagelist></group></comps>";

const MODULES: &str = "---\ndocument: modulemd\nversion: 2\ndata:\n  name: web\n  stream: \"1\"\n  version: 1\n  \
    artifacts:\n    rpms:\n    - a-0:1-1.x86_64\n...\n";

/// A repository of one package with a packed file of this kind, as a URL.
fn repository(bench: &Bench, key: &TestKey, name: &str, files: &[(&str, &str)]) -> String {
    let root = bench.env.path(name);
    let mut made: Hand = hand(root.clone(), key, &["a"], "", EPOCH);
    for (kind, text) in files {
        let packed = compress(text.as_bytes(), "xz");
        made = made.file(kind, &format!("{kind}.xz"), &packed, text.len());
    }
    made.publish(key);
    format!("file://{}", root.display())
}

#[test]
fn groups_and_streams_are_kept_and_made_again_where_they_are_lost() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let url = repository(
        &bench,
        &key,
        "repo",
        &[("group_xz", GROUPS), ("modules", MODULES)],
    );
    for loaded in [Loaded::Updated, Loaded::Unchanged, Loaded::Updated] {
        let repository = bench.load(&line(&url), &[pin(&key)]).unwrap();
        let groups = repository.groups.unwrap();
        assert!(
            read_groups(&groups).unwrap().groups["core"]
                .mandatory
                .contains("a")
        );
        let modules = repository.modules.unwrap();
        let found = read_modules(&modules).unwrap();
        assert_eq!(
            (
                found.streams[0].name.as_str(),
                found.streams[0].stream.as_str()
            ),
            ("web", "1")
        );
        assert_eq!(bench.recorder.loaded.lock().unwrap().pop(), Some(loaded));
        if loaded == Loaded::Unchanged {
            fs::remove_file(groups).unwrap();
            fs::remove_file(modules).unwrap();
        }
    }
    assert!(bench.recorder.messages.lock().unwrap().is_empty());
}

#[test]
fn what_is_kept_in_another_form_is_refused() {
    let bench = Bench::new();
    let path = bench.env.path("x.groups");
    for text in [
        "",
        "{}",
        "{\"format\":0,\"content\":{\"groups\":{},\"environments\":{}}}",
    ] {
        fs::write(&path, text).unwrap();
        assert!(read_groups(&path).is_err(), "{text}");
        assert!(read_modules(&path).is_err(), "{text}");
    }
}

#[test]
fn groups_that_cannot_be_read_stop_nobody() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let url = repository(&bench, &key, "repo", &[("group", "<comps><group>")]);
    let repository = bench.load(&line(&url), &[pin(&key)]).unwrap();
    assert_eq!(names(&repository), ["a"]);
    assert_eq!(repository.groups, None);
    let messages = bench.recorder.messages.lock().unwrap();
    assert!(
        messages
            .iter()
            .any(|text| text.contains("its groups cannot be used"))
    );
}

#[test]
fn streams_that_cannot_be_read_stop_the_load() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    for (number, text) in ["document: [", "a: &x 1\nb: *x\n"].iter().enumerate() {
        let url = repository(&bench, &key, &format!("repo{number}"), &[("modules", text)]);
        let error = chain(&bench.load(&line(&url), &[pin(&key)]).unwrap_err());
        assert!(error.contains("YAML"), "{error}");
    }
}

#[test]
fn groups_that_could_not_be_fetched_are_asked_for_again() {
    let mut bench = Bench::new();
    bench.options.refresh = Refresh::Always;
    let key = TestKey::new("vendor");
    repository(&bench, &key, "repo", &[("group_xz", GROUPS)]);
    let server = HttpServer::serve(&bench.env.path("repo"));
    let load = || bench.load(&line(&server.url()), &[pin(&key)]).unwrap();
    let file = "/repodata/group_xz.xz";
    server.fault(file, Times::Always, Fault::Status(404));
    assert_eq!(load().groups, None);
    let said = bench.recorder.messages.lock().unwrap().join("\n");
    assert!(said.contains("asked for again"), "{said}");
    server.heal();
    assert!(load().groups.is_some());
}

#[test]
fn bomb_sizes_that_no_index_has_are_refused() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    let packed = compress(GROUPS.as_bytes(), "xz");
    let made = hand(root.clone(), &key, &["a"], "", EPOCH);
    let made = made.file("modules", "modules.xz", &packed, 1 << 40);
    made.publish(&key);
    let url = format!("file://{}", root.display());
    let error = chain(&bench.load(&line(&url), &[pin(&key)]).unwrap_err());
    assert!(error.contains("more than any has"), "{error}");
}
