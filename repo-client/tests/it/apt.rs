//! Loading an apt repository and fetching from it.

use crate::support::{Bench, chain, line, line_of, pin};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use vzpkg_repo_client::report::Loaded;
use vzpkg_repo_client::{Refresh, verify};
use vzpkg_tests::apt_repo::{AptRepo, Signature};
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::http_server::{HttpServer, Validators};
use vzpkg_tests::keys::TestKey;

/// A repository with `hello` and `tool`, published and served.
pub(crate) struct Archive {
    pub(crate) key: TestKey,
    pub(crate) repo: AptRepo,
    pub(crate) server: HttpServer,
}

impl Archive {
    pub(crate) fn new(bench: &Bench) -> Self {
        let key = TestKey::new("archive");
        let mut repo = AptRepo::new(bench.env.path("repo"));
        for (name, version, size) in [("hello", "1.0", 3000), ("tool", "2.0-1", 400_000)] {
            let content: Vec<u8> = (0..size)
                .map(|i: u32| ((i * 7919) >> 3).to_le_bytes()[0])
                .collect();
            let deb = Deb::new(name, version)
                .compression("none")
                .file(&format!("usr/share/{name}"), 0o644, &content)
                .build(&bench.env.path("debs"));
            repo.suite("stable").add("main", &deb);
        }
        repo.publish(&key);
        let server = HttpServer::serve(repo.root());
        Self { key, repo, server }
    }
}

#[test]
fn a_signed_repository_is_loaded_and_its_packages_are_fetched() {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    let line = line(&archive.server.url());
    let repository = bench.load(&line, &[pin(&archive.key)]).unwrap();
    assert_eq!(repository.index.package_count(), 2);
    assert_eq!(
        (repository.codename.as_str(), repository.origin.as_str()),
        ("stable", "Test")
    );
    let wanted = [
        bench.package(&repository, "tool"),
        bench.package(&repository, "hello"),
    ];
    let paths = bench.client().fetch(&wanted).unwrap();
    for (path, wanted) in paths.iter().zip(&wanted) {
        verify::verify_file(path, &wanted.package.sha256, wanted.package.size.0).unwrap();
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o444
        );
        let name = format!("{}.deb", wanted.package.sha256);
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), name);
    }
    assert_eq!(bench.packages().len(), 2, "{:?}", bench.packages());
    archive.server.forget_requests();
    assert_eq!(bench.client().fetch(&wanted).unwrap(), paths);
    assert_eq!(archive.server.requests(), []);
}

#[test]
fn a_second_load_asks_one_small_question() {
    for validators in [Validators::ETag, Validators::LastModified, Validators::None] {
        let bench = Bench::new();
        let archive = Archive::new(&bench);
        archive.server.validators(validators);
        let line = line(&archive.server.url());
        bench.load(&line, &[pin(&archive.key)]).unwrap();
        archive.server.forget_requests();
        let again = bench.load(&line, &[pin(&archive.key)]).unwrap();
        assert_eq!(again.index.package_count(), 2);
        let requests = archive.server.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        assert_eq!(requests[0].path, "/dists/stable/InRelease");
        let status = if validators == Validators::None {
            200
        } else {
            304
        };
        assert_eq!(requests[0].status, status, "{validators:?}");
        let loaded = bench.recorder.loaded.lock().unwrap().clone();
        assert_eq!(loaded, [Loaded::Updated, Loaded::Unchanged]);
    }
}

#[test]
fn offline_and_never_ask_nothing() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    let line = line(&archive.server.url());
    bench.options.offline = true;
    let error = bench.load(&line, &[pin(&archive.key)]).unwrap_err();
    assert!(
        chain(&error).contains("the work is offline"),
        "{}",
        chain(&error)
    );
    bench.options.offline = false;
    let repository = bench.load(&line, &[pin(&archive.key)]).unwrap();
    let wanted = bench.package(&repository, "hello");
    archive.server.forget_requests();
    for (offline, refresh) in [
        (true, Refresh::Always),
        (false, Refresh::Never),
        (false, Refresh::IfExpired(std::time::Duration::from_mins(1))),
    ] {
        bench.options.offline = offline;
        bench.options.refresh = refresh;
        bench.load(&line, &[pin(&archive.key)]).unwrap();
    }
    bench.options.offline = true;
    let error = bench.client().fetch(&[wanted]).unwrap_err();
    assert!(
        chain(&error).contains("`hello 1.0 all` is not here"),
        "{}",
        chain(&error)
    );
    assert_eq!(archive.server.requests(), []);
}

#[test]
fn every_form_of_signature_and_compression_is_read() {
    for signature in [Signature::Inline, Signature::Detached] {
        for forms in [vec!["xz"], vec!["zst"], vec!["gz"], vec![""]] {
            for by_hash in [true, false] {
                let bench = Bench::new();
                let mut archive = Archive::new(&bench);
                let mut suite = archive.repo.suite("stable");
                suite.signature = signature;
                suite.by_hash = by_hash;
                suite.compressions = forms.clone();
                if forms != [""] {
                    // The plain form is listed but not there: it is not asked for.
                    archive.server.validators(Validators::None);
                }
                archive.repo.publish(&archive.key);
                let line = line(&archive.server.url());
                let keys = [pin(&archive.key)];
                assert_eq!(bench.load(&line, &keys).unwrap().index.package_count(), 2);
                assert_eq!(bench.load(&line, &keys).unwrap().index.package_count(), 2);
                let loaded = bench.recorder.loaded.lock().unwrap().clone();
                assert_eq!(loaded, [Loaded::Updated, Loaded::Unchanged]);
            }
        }
    }
}

#[test]
fn a_form_that_is_listed_but_not_there_is_replaced_by_the_next() {
    let bench = Bench::new();
    let mut archive = Archive::new(&bench);
    archive.repo.suite("stable").by_hash = false;
    archive.repo.publish(&archive.key);
    let index = archive.repo.root().join("dists/stable/main/binary-amd64");
    fs::remove_file(index.join("Packages.xz")).unwrap();
    let line = line(&archive.server.url());
    let repository = bench.load(&line, &[pin(&archive.key)]).unwrap();
    assert_eq!(repository.index.package_count(), 2);
}

#[test]
fn components_and_a_separate_index_for_all_are_joined() {
    let bench = Bench::new();
    let mut archive = Archive::new(&bench);
    let own = Deb::new("own", "1")
        .arch("amd64")
        .build(&bench.env.path("debs"));
    let mut suite = archive.repo.suite("stable");
    suite.add("extra", &own);
    suite.architectures = vec!["all".into(), "amd64".into()];
    archive.repo.publish(&archive.key);
    let keys = [pin(&archive.key)];
    let of = |components: &[&str]| line_of(&archive.server.url(), "stable", components);
    let count = |components: &[&str]| {
        let repository = bench.load(&of(components), &keys).unwrap();
        repository
            .index
            .as_index()
            .packages()
            .map(|package| package.name().to_owned())
            .collect::<Vec<_>>()
    };
    let mut both = count(&["main", "extra"]);
    both.sort();
    both.dedup();
    assert_eq!(both, ["hello", "own", "tool"]);
    assert_eq!(count(&["extra"]), ["own"]);
    let error = chain(&bench.load(&of(&["missing"]), &keys).unwrap_err());
    assert!(
        error.contains("no index for component `missing` and architecture `amd64`"),
        "{error}"
    );
}

#[test]
fn a_damaged_or_lost_index_is_made_again_from_what_is_here() {
    let bench = Bench::new();
    let archive = Archive::new(&bench);
    let line = line(&archive.server.url());
    let keys = [pin(&archive.key)];
    bench.load(&line, &keys).unwrap();
    let mut places = fs::read_dir(bench.env.path("index")).unwrap();
    let directory = places
        .find_map(|entry| Some(entry.unwrap().path()).filter(|path| path.is_dir()))
        .unwrap();
    let files = |extension: &str| {
        let files = fs::read_dir(&directory).unwrap();
        let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension() == Some(extension.as_ref()));
        files
    };
    let [index] = files("index").try_into().unwrap();
    let damage: [&dyn Fn(); 4] = [
        &|| fs::write(&index, b"not an index").unwrap(),
        &|| fs::write(&index, b"").unwrap(),
        &|| fs::remove_file(&index).unwrap(),
        &|| fs::write(directory.join("state.json"), b"{\"format\":1").unwrap(),
    ];
    for damage in damage {
        damage();
        archive.server.forget_requests();
        assert_eq!(bench.load(&line, &keys).unwrap().index.package_count(), 2);
        let requests = archive.server.requests();
        let asked: Vec<&str> = requests
            .iter()
            .map(|request| request.path.as_str())
            .collect();
        assert_eq!(asked, ["/dists/stable/InRelease"]);
    }
    // An index that others may write is not trusted either.
    fs::set_permissions(&index, fs::Permissions::from_mode(0o666)).unwrap();
    bench.load(&line, &keys).unwrap();
    assert_eq!(
        fs::metadata(&index).unwrap().permissions().mode() & 0o777,
        0o644
    );
}

#[test]
fn an_old_index_goes_when_a_new_one_is_here() {
    let bench = Bench::new();
    let mut archive = Archive::new(&bench);
    let line = line(&archive.server.url());
    let keys = [pin(&archive.key)];
    let old = bench.load(&line, &keys).unwrap();
    let new = Deb::new("new", "1").build(&bench.env.path("debs"));
    let mut suite = archive.repo.suite("stable");
    suite.date += 60;
    suite.add("main", &new);
    archive.repo.publish(&archive.key);
    assert_eq!(bench.load(&line, &keys).unwrap().index.package_count(), 3);
    // What is mapped stays readable.
    assert_eq!(old.index.as_index().by_name("hello").count(), 1);
    let places = fs::read_dir(bench.env.path("index")).unwrap();
    let inside = places.flat_map(|entry| fs::read_dir(entry.unwrap().path()).into_iter().flatten());
    let names: Vec<String> = inside
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for (extension, count) in [(".index", 1), (".packages", 1), (".part", 0)] {
        let found = names
            .iter()
            .filter(|name| name.ends_with(extension))
            .count();
        assert_eq!(found, count, "{names:?}");
    }
}

#[test]
fn two_processes_that_load_at_once_fetch_once() {
    let mut bench = Bench::new();
    // They wait for each other, and a clock of their own would run away.
    bench.options.clock = std::sync::Arc::new(vzpkg_repo_client::clock::SystemClock::new());
    let archive = Archive::new(&bench);
    let line = line(&archive.server.url());
    let keys = [pin(&archive.key)];
    std::thread::scope(|scope| {
        let loads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| bench.load(&line, &keys).unwrap().index.package_count()))
            .collect();
        for load in loads {
            assert_eq!(load.join().unwrap(), 2);
        }
    });
    let requests = archive.server.requests();
    let indexes = requests
        .iter()
        .filter(|request| request.path.contains("by-hash"));
    assert_eq!(indexes.count(), 1);
}

#[test]
fn file_repositories_work_offline() {
    let mut bench = Bench::new();
    let archive = Archive::new(&bench);
    bench.options.offline = true;
    let line = line(&format!("file://{}", archive.repo.root().display()));
    let repository = bench.load(&line, &[pin(&archive.key)]).unwrap();
    let wanted = [bench.package(&repository, "hello")];
    assert_eq!(bench.client().fetch(&wanted).unwrap().len(), 1);
    assert!(archive.server.requests().is_empty());
}
