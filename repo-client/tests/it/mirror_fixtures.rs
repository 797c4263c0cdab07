//! Mirrors of real yum repositories: the signed packages of CentOS 7 in two states, all metadata of CentOS Stream 9.

use crate::mirror::name;
use crate::support::{Bench, chain};
use std::fs;
use std::path::{Path, PathBuf};
use vzpkg_repo_client::mirror::{
    MirrorConfig, MirrorError, Mirrors, Part, Pin, Repair, Selection, StateName, Synced, Trust,
    Upstream, YumUpstream,
};
use vzpkg_tests::fixtures::{fixture, real_metadata};
use vzpkg_tests::http_server::HttpServer;
use vzpkg_tests::tools::EPOCH;
use vzpkg_tests::yum_repo::YumRepo;

/// The key that signed every package of CentOS 7.
const CENTOS_7: &str = "6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5";

fn mirrors(bench: &Bench) -> Mirrors {
    bench.client().mirrors(bench.env.path("mirror"))
}

fn sync(bench: &Bench) -> Result<Synced, MirrorError> {
    let mut results = Vec::new();
    mirrors(bench).sync(&[name()], &mut |_, result| results.push(result));
    results.pop().unwrap()
}

fn add(bench: &Bench, url: String, trust: Trust, selection: Selection) {
    let key = fixture("rpms/RPM-GPG-KEY-CentOS-7");
    let part = Part {
        directory: String::new(),
        upstream: Upstream::Yum(YumUpstream {
            urls: vec![url],
            mirror_lists: Vec::new(),
        }),
        keys: vec![Pin {
            fingerprint: CENTOS_7.parse().unwrap(),
            places: vec![key.to_str().unwrap().to_owned()],
        }],
        trust,
    };
    let config = MirrorConfig::new(vec![part]).unwrap();
    let config = config.with_selection(selection);
    mirrors(bench).add(&name(), &config, &[]).unwrap();
}

fn rpms(set: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixture(set)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rpm"));
    files.sort();
    files
}

/// A repository of a set whose packages alone are signed.
fn publish(root: &Path, set: &str, revision: i64) -> usize {
    drop(fs::remove_dir_all(root));
    let mut repo = YumRepo::new(root);
    let files = rpms(set);
    for file in &files {
        repo.add(file);
    }
    repo.revision = revision;
    repo.publish_unsigned();
    files.len()
}

#[test]
#[ignore = "needs the real CentOS data: make check runs it"]
fn fixtures_two_sets_of_centos_7_are_two_states_of_one_mirror() {
    let bench = Bench::new();
    let root = bench.env.path("repo");
    let old = publish(&root, "rpms/centos-7.6.1810-min", EPOCH);
    let server = HttpServer::serve(&root);
    let trust = Trust {
        unsigned_metadata: true,
        legacy_signatures: true,
        ..Trust::default()
    };
    add(&bench, server.url(), trust, Selection::default());
    let first = sync(&bench).unwrap();
    assert_eq!(first.state.packages, old as u64);
    assert!(!sync(&bench).unwrap().changed);
    mirrors(&bench)
        .snapshot(&name(), Some("old".parse().unwrap()))
        .unwrap();

    let new = publish(&root, "rpms/centos-7.9.2009", EPOCH + 60);
    let second = sync(&bench).unwrap();
    assert!(second.changed && second.published);
    assert_eq!(second.state.packages, new as u64);
    let of = |snapshot: Option<&str>| StateName {
        mirror: name(),
        snapshot: snapshot.map(|snapshot| snapshot.parse().unwrap()),
    };
    let changes = mirrors(&bench).diff(&of(Some("old")), &of(None)).unwrap();
    let bash = changes.iter().find(|change| change.name == "bash").unwrap();
    assert_eq!((bash.before.len(), bash.after.len()), (1, 1));
    let whole = mirrors(&bench).verify(&name(), Repair::No).unwrap();
    assert_eq!(whole.damaged, Vec::<String>::new());
    // The sets share packages, which are stored once.
    assert!(whole.files > new as u64 && whole.files < (old + new) as u64 + 20);
    assert_eq!(mirrors(&bench).rollback(&name()).unwrap(), first.state);

    // A package that nobody signed is not published.
    fs::copy(&rpms("rpms/stand-ins")[0], root.join("stand-in.rpm")).unwrap();
    let mut repo = YumRepo::new(&root);
    repo.revision = EPOCH + 120;
    repo.publish_unsigned();
    let error = chain(&sync(&bench).unwrap_err());
    assert!(error.contains("cannot be used"), "{error}");
    assert_eq!(
        mirrors(&bench).info(&name()).unwrap().published,
        Some(first.state)
    );
}

#[test]
#[ignore = "needs the real CentOS data: make check runs it"]
fn fixtures_all_metadata_of_stream_9_is_mirrored_and_searched() {
    for (of, packages) in [
        ("centos-stream-9-appstream", 17649),
        ("centos-stream-9-baseos", 1125),
    ] {
        let mut bench = Bench::new();
        // Its dates are of its own time.
        bench.options.now = i64::from(i32::MAX);
        let root = bench.env.path("repo");
        real_metadata(of, &root);
        let server = HttpServer::serve(&root);
        let trust = Trust {
            trusted: true,
            ..Trust::default()
        };
        let selection = Selection {
            on_demand: true,
            ..Selection::default()
        };
        add(&bench, server.url(), trust, selection);
        let synced = sync(&bench).unwrap();
        assert_eq!(synced.state.packages, 0, "nobody asked for one");
        assert!(synced.state.files > packages, "{}", synced.state.files);
        assert!(bench.packages().is_empty());

        // With a filter the same state asks for what it chose, and nothing is published without it.
        mirrors(&bench).remove(&name()).unwrap();
        let selection = Selection {
            packages: vec!["b*".into()],
            newest: Some(1),
            architectures: vec!["x86_64".parse().unwrap()],
            ..Selection::default()
        };
        add(&bench, server.url(), trust, selection);
        server.forget_requests();
        let error = chain(&sync(&bench).unwrap_err());
        assert!(error.contains("404"), "{error}");
        let requests = server.requests();
        let asked = requests
            .iter()
            .filter(|request| request.path.starts_with("/Packages/"));
        assert!(asked.count() > 0, "{requests:?}");
        assert!(!bench.env.path("mirror/m/published").exists());
    }
}
