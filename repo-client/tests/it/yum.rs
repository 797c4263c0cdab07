//! Loading a yum repository: trust, mirrors, freshness, bounds.

use crate::support::{Bench, chain, pin};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use vzpkg_metadata::Digest;
use vzpkg_metadata::template::{KeyPin, RepositoryLine, RepositoryOptions, YumSource};
use vzpkg_repo_client::report::Loaded;
use vzpkg_repo_client::verify::Policy;
use vzpkg_repo_client::{PackageKeys, Refresh, Repository, Wanted};
use vzpkg_tests::apt_repo::compress;
use vzpkg_tests::http_server::{Fault, HttpServer, Times};
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::rpm_writer::Rpm;
use vzpkg_tests::tools::EPOCH;
use vzpkg_tests::yum_repo::YumRepo;

pub(crate) fn source(urls: &[String]) -> YumSource {
    YumSource {
        id: "base0".parse().unwrap(),
        base_urls: urls.to_vec(),
        mirror_lists: Vec::new(),
        trusted: false,
        options: RepositoryOptions::default(),
    }
}

pub(crate) fn line(url: &str) -> RepositoryLine {
    RepositoryLine::Yum(source(&[url.to_owned()]))
}

/// A `primary.xml` of packages by name, without any package file.
fn primary(names: &[&str], extra: &str) -> String {
    let mut text = format!("<metadata packages=\"{}\">", names.len());
    for name in names {
        let digest = Digest::of(name.as_bytes());
        write!(
            text,
            "<package type=\"rpm\"><name>{name}</name><arch>x86_64</arch><version epoch=\"0\" ver=\"1\" rel=\"1\"/>\
             <checksum type=\"sha256\">{digest}</checksum><summary>s</summary>\
             <size package=\"1\" installed=\"1\"/><location href=\"Packages/{name}.rpm\"/>\
             <format>{extra}</format></package>"
        )
        .unwrap();
    }
    text + "</metadata>"
}

/// Metadata written by hand, to say what `createrepo_c` would not.
pub(crate) struct Hand {
    root: PathBuf,
    data: String,
    date: i64,
}

impl Hand {
    fn new(root: PathBuf) -> Self {
        fs::create_dir_all(root.join("repodata")).unwrap();
        let (data, date) = (String::new(), EPOCH);
        Self { root, data, date }
    }

    /// Adds a file and its entry; `open_size` is what the entry claims.
    pub(crate) fn file(mut self, kind: &str, name: &str, bytes: &[u8], open_size: usize) -> Self {
        fs::write(self.root.join("repodata").join(name), bytes).unwrap();
        let (digest, size) = (Digest::of(bytes), bytes.len());
        self.entry(kind, &format!("repodata/{name}"), &digest, size, open_size);
        self
    }

    fn entry(&mut self, kind: &str, at: &str, digest: &Digest, size: usize, open_size: usize) {
        let date = self.date;
        write!(
            self.data,
            "<data type=\"{kind}\"><checksum type=\"sha256\">{digest}</checksum><location href=\"{at}\"/>\
             <timestamp>{date}</timestamp><size>{size}</size><open-size>{open_size}</open-size></data>"
        )
        .unwrap();
    }

    /// Writes `repomd.xml` and signs it.
    pub(crate) fn publish(&self, key: &TestKey) {
        let repomd = format!("<repomd><revision>1</revision>{}</repomd>", self.data);
        let path = self.root.join("repodata/repomd.xml");
        let signature = key.sign_detached(repomd.as_bytes());
        fs::write(&path, repomd).unwrap();
        fs::write(path.with_extension("xml.asc"), signature).unwrap();
    }
}

/// A repository with one list of packages, compressed as the name says.
pub(crate) fn hand(root: PathBuf, key: &TestKey, names: &[&str], extra: &str, date: i64) -> Hand {
    let text = primary(names, extra);
    let packed = compress(text.as_bytes(), "gz");
    let mut hand = Hand::new(root);
    hand.date = date;
    let hand = hand.file("primary", "primary.xml.gz", &packed, text.len());
    hand.publish(key);
    hand
}

pub(crate) fn names(repository: &Repository) -> Vec<String> {
    let index = repository.index.as_index();
    index
        .packages()
        .map(|package| package.name().to_owned())
        .collect()
}

fn wanted(repository: &Repository, name: &str) -> Wanted {
    let index = repository.index.as_index();
    let package = index.by_name(name).next().unwrap();
    Wanted {
        package: package.to_package_ref(&repository.id).unwrap(),
        family: vzpkg_metadata::Family::Rpm,
        base_urls: repository.base_urls.clone(),
        package_keys: repository.package_keys.clone(),
    }
}

fn served(path: &Path) -> HttpServer {
    HttpServer::serve(path)
}

#[test]
fn a_signed_repository_is_loaded_and_its_packages_are_fetched() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    for compression in ["gz", "xz"] {
        let mut repo = YumRepo::new(bench.env.path(&format!("repo-{compression}")));
        repo.compression = compression;
        let rpm = Rpm::new("hello", "1.0", "1").file("/usr/bin/hello", 0o755, b"#!/bin/sh\n");
        repo.add(&rpm.build(&bench.env.path("rpms")));
        repo.publish(&key);
        let server = served(repo.root());
        let repository = bench.load(&line(&server.url()), &[pin(&key)]).unwrap();
        assert_eq!(names(&repository), ["hello"]);
        assert_eq!(repository.date, EPOCH);
        let paths = bench
            .client()
            .fetch(&[wanted(&repository, "hello")])
            .unwrap();
        assert_eq!(paths[0].extension().unwrap(), "rpm");
        assert_eq!(server.requests_of("/repodata/repomd.xml.asc").len(), 1);
    }
}

#[test]
fn a_package_that_is_here_is_judged_by_the_keys_that_are_asked_for_now() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let mut repo = YumRepo::new(bench.env.path("repo"));
    let rpm = Rpm::new("hello", "1.0", "1").file("/usr/bin/hello", 0o755, b"#!/bin/sh\n");
    repo.add(&rpm.build(&bench.env.path("rpms")));
    repo.publish(&key);
    let server = served(repo.root());
    let repository = bench.load(&line(&server.url()), &[pin(&key)]).unwrap();
    let mut wanted = [wanted(&repository, "hello")];
    bench.client().fetch(&wanted).unwrap();
    server.forget_requests();
    // The signed index was enough; now the package must prove itself, and cannot.
    let keyring = bench.client().keyring(&[pin(&key)], Policy::Standard);
    wanted[0].package_keys = Some(PackageKeys::new(keyring, Policy::Standard));
    let (arrived, arrivals) = std::sync::mpsc::channel();
    let error = bench.client().fetch_each(&wanted, &arrived).unwrap_err();
    assert!(
        chain(&error).contains("the package is not signed"),
        "{}",
        chain(&error)
    );
    drop(arrived);
    assert_eq!(arrivals.iter().count(), 0);
    assert_eq!(server.requests(), []);
}

#[test]
fn metadata_that_was_accepted_under_the_legacy_policy_does_not_count_under_the_standard_one() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    hand(root.clone(), &key, &["a"], "", EPOCH);
    let server = served(&root);
    let mut legacy = source(&[server.url()]);
    legacy.options.legacy_signatures = true;
    bench
        .load(&RepositoryLine::Yum(legacy), &[pin(&key)])
        .unwrap();
    server.forget_requests();
    bench.load(&line(&server.url()), &[pin(&key)]).unwrap();
    assert_eq!(server.requests_of("/repodata/repomd.xml.asc").len(), 1);
}

#[test]
fn every_compression_of_primary_is_read() {
    let text = primary(&["a", "b"], "");
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(text.as_bytes()).unwrap();
    let bzip2 = bzip2.finish().unwrap();
    for (extension, bytes) in [
        ("", text.clone().into_bytes()),
        (".gz", compress(text.as_bytes(), "gz")),
        (".xz", compress(text.as_bytes(), "xz")),
        (".zst", compress(text.as_bytes(), "zst")),
        (".bz2", bzip2),
    ] {
        let bench = Bench::new();
        let key = TestKey::new("vendor");
        let root = bench.env.path("repo");
        let name = format!("primary.xml{extension}");
        let hand = Hand::new(root.clone()).file("primary", &name, &bytes, text.len());
        hand.publish(&key);
        let url = format!("file://{}", root.display());
        let repository = bench.load(&line(&url), &[pin(&key)]).unwrap();
        assert_eq!(names(&repository), ["a", "b"], "{extension}");
    }
}

#[test]
fn what_nobody_pinned_signed_is_refused() {
    let bench = Bench::new();
    let (key, other) = (TestKey::new("vendor"), TestKey::new("other"));
    let root = bench.env.path("repo");
    hand(root.clone(), &key, &["a"], "", EPOCH);
    let url = format!("file://{}", root.display());
    let load = |source: YumSource, pins: &[KeyPin]| {
        let loaded = bench.load(&RepositoryLine::Yum(source), pins);
        loaded
            .map(|repository| repository.package_keys.is_some())
            .map_err(|error| chain(&error))
    };
    let plain = source(&[url]);
    let error = load(plain.clone(), &[pin(&other)]).unwrap_err();
    assert!(error.contains("no pinned key signed it"), "{error}");
    let error = load(plain.clone(), &[]).unwrap_err();
    assert!(error.contains("pins no key"), "{error}");

    let asc = root.join("repodata/repomd.xml.asc");
    let signature = fs::read(&asc).unwrap();
    fs::remove_file(&asc).unwrap();
    let error = load(plain.clone(), &[pin(&key)]).unwrap_err();
    assert!(error.ends_with("it is not signed"), "{error}");

    let mut trusted = plain.clone();
    trusted.trusted = true;
    assert_eq!(load(trusted, &[]), Ok(false));
    let mut unsigned = plain.clone();
    unsigned.options.unsigned_metadata = true;
    let error = load(unsigned.clone(), &[]).unwrap_err();
    assert!(error.contains("pins no key"), "{error}");
    assert_eq!(load(unsigned, &[pin(&key)]), Ok(true));
    // What the other lines left in the cache proves nothing for this one.
    assert!(load(plain.clone(), &[pin(&key)]).is_err());

    fs::write(&asc, signature).unwrap();
    assert_eq!(load(plain, &[pin(&key)]), Ok(false));
}

#[test]
fn swapped_metadata_under_a_good_signature_is_refused() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    hand(root.clone(), &key, &["a"], "", EPOCH);
    let url = format!("file://{}", root.display());
    let repomd = root.join("repodata/repomd.xml");
    let text = fs::read_to_string(&repomd).unwrap();
    fs::write(&repomd, text.replace("<revision>1<", "<revision>2<")).unwrap();
    let error = chain(&bench.load(&line(&url), &[pin(&key)]).unwrap_err());
    assert!(error.contains("`repomd.xml.asc` is not trusted"), "{error}");
    fs::write(&repomd, text).unwrap();
    fs::write(root.join("repodata/primary.xml.gz"), b"other").unwrap();
    assert!(bench.load(&line(&url), &[pin(&key)]).is_err());
}

#[test]
fn mirrors_that_fail_lie_or_lag_are_passed_over() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let mirror = |name: &str, packages: &str, date: i64| {
        let root = bench.env.path(name);
        hand(root.join("7/os"), &key, &[packages], "", date);
        let server = served(&root);
        let url = format!("{}/7/os", server.url());
        (server, url)
    };
    let (_good, good) = mirror("good", "new", EPOCH);
    let (_old, old) = mirror("old", "old", EPOCH - 1000);
    let (_unsigned, unsigned) = mirror("unsigned", "evil", EPOCH);
    let (_missing, missing) = mirror("missing", "none", EPOCH);
    fs::remove_file(bench.env.path("unsigned/7/os/repodata/repomd.xml.asc")).unwrap();
    fs::remove_file(bench.env.path("missing/7/os/repodata/repomd.xml")).unwrap();
    let urls = [missing, unsigned, good.clone()];
    let source = RepositoryLine::Yum(source(&urls));
    let repository = bench.load(&source, &[pin(&key)]).unwrap();
    assert_eq!(names(&repository), ["new"]);
    assert!(repository.base_urls[0].starts_with(&good));
    assert_eq!(repository.base_urls.len(), 3);

    // The same content from a mirror that lags behind what was seen: known by the end of the path, not by the host.
    let lagging = RepositoryLine::Yum(self::source(std::slice::from_ref(&old)));
    let error = chain(&bench.load(&lagging, &[pin(&key)]).unwrap_err());
    assert!(error.contains("was seen before"), "{error}");
    let both = RepositoryLine::Yum(self::source(&[old, good]));
    assert_eq!(names(&bench.load(&both, &[pin(&key)]).unwrap()), ["new"]);
    let messages = bench.recorder.messages.lock().unwrap().join("\n");
    assert!(messages.contains("trying the next mirror"), "{messages}");
}

#[test]
fn replay_old_metadata_is_refused_and_the_index_stays() {
    let mut bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    let line = line(&format!("file://{}", root.display()));
    hand(root.clone(), &key, &["a"], "", EPOCH);
    bench.load(&line, &[pin(&key)]).unwrap();
    hand(root.clone(), &key, &["replayed"], "", EPOCH - 1);
    let error = chain(&bench.load(&line, &[pin(&key)]).unwrap_err());
    assert!(error.contains("was seen before"), "{error}");
    hand(root, &key, &["future"], "", EPOCH + 30 * 86400);
    let error = chain(&bench.load(&line, &[pin(&key)]).unwrap_err());
    assert!(error.contains("in the future"), "{error}");
    bench.options.refresh = Refresh::Never;
    assert_eq!(names(&bench.load(&line, &[pin(&key)]).unwrap()), ["a"]);
}

#[test]
fn a_second_load_parses_nothing() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    hand(root.clone(), &key, &["a"], "", EPOCH);
    let server = served(&root);
    let line = line(&server.url());
    bench.load(&line, &[pin(&key)]).unwrap();
    server.forget_requests();
    bench.load(&line, &[pin(&key)]).unwrap();
    let asked: Vec<String> = server
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(asked, ["/repodata/repomd.xml"]);
    assert_eq!(
        *bench.recorder.loaded.lock().unwrap(),
        [Loaded::Updated, Loaded::Unchanged]
    );
    let mut offline = Bench::new();
    offline
        .options
        .index_dir
        .clone_from(&bench.options.index_dir);
    offline.options.offline = true;
    server.forget_requests();
    assert_eq!(names(&offline.load(&line, &[pin(&key)]).unwrap()), ["a"]);
    assert_eq!(server.requests(), []);
}

#[test]
fn a_mirror_list_and_a_metalink_name_the_mirrors() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let (right, wrong) = (bench.env.path("right"), bench.env.path("wrong"));
    hand(right.clone(), &key, &["right"], "", EPOCH);
    hand(wrong.clone(), &key, &["wrong"], "", EPOCH + 1);
    let digest = Digest::of(&fs::read(right.join("repodata/repomd.xml")).unwrap());
    let (right, wrong) = (served(&right), served(&wrong));
    let lists = bench.env.path("lists");
    fs::create_dir_all(&lists).unwrap();
    fs::write(
        lists.join("plain"),
        format!("# mirrors\n{}/\n", right.url()),
    )
    .unwrap();
    let metalink = format!(
        "<?xml version=\"1.0\"?><metalink><files><file name=\"repomd.xml\"><verification>\
         <hash type=\"sha256\">{digest}</hash></verification><resources>\
         <url preference=\"100\">{}/repodata/repomd.xml</url><url preference=\"1\">{}/repodata/repomd.xml</url>\
         </resources></file></files></metalink>",
        wrong.url(),
        right.url()
    );
    fs::write(lists.join("metalink"), metalink).unwrap();
    fs::write(lists.join("empty"), "<metalink/>").unwrap();
    let load = |names: &[&str]| {
        let mut source = source(&[]);
        let list = |name: &&str| format!("file://{}/{name}", lists.display());
        source.mirror_lists = names.iter().map(list).collect();
        bench.load(&RepositoryLine::Yum(source), &[pin(&key)])
    };
    assert_eq!(names(&load(&["plain"]).unwrap()), ["right"]);
    assert_eq!(names(&load(&["metalink"]).unwrap()), ["right"]);
    assert_eq!(
        names(&load(&["absent", "empty", "plain"]).unwrap()),
        ["right"]
    );
    let error = chain(&load(&["empty"]).unwrap_err());
    assert!(error.contains("names 0 files"), "{error}");
}

#[test]
fn evil_repomd_path_never_leaves_the_repository() {
    for evil in [
        "../../../../etc/passwd",
        "/etc/passwd",
        "repodata/../../x",
        "repodata/%2e%2e/x",
        "a\u{1b}b",
    ] {
        let bench = Bench::new();
        let key = TestKey::new("vendor");
        let root = bench.env.path("repo");
        let passwd = fs::read("/etc/passwd").unwrap();
        let mut hand = Hand::new(root.clone());
        hand.entry(
            "primary",
            evil,
            &Digest::of(&passwd),
            passwd.len(),
            passwd.len(),
        );
        hand.publish(&key);
        let url = format!("file://{}", root.display());
        assert!(bench.load(&line(&url), &[pin(&key)]).is_err(), "{evil}");
        let kept = fs::read_dir(bench.env.path("index")).unwrap();
        for directory in kept
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
        {
            let files = fs::read_dir(directory).unwrap();
            let files: Vec<_> = files.map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(files, ["lock"], "{evil}");
        }
    }
}

#[test]
fn bomb_gz_and_bomb_xz_are_cut_at_the_signed_size() {
    let bomb = vec![b' '; 64 << 20];
    for kind in ["gz", "xz", "zst"] {
        let bench = Bench::new();
        let key = TestKey::new("vendor");
        let root = bench.env.path("repo");
        let packed = compress(&bomb, kind);
        let hand = Hand::new(root.clone()).file("primary", &format!("p.xml.{kind}"), &packed, 1000);
        hand.publish(&key);
        let url = format!("file://{}", root.display());
        let error = chain(&bench.load(&line(&url), &[pin(&key)]).unwrap_err());
        assert!(error.contains("unpacks to more than 1000 bytes"), "{error}");
    }
}

#[test]
fn truncated_primary_is_refused() {
    let text = primary(&["a", "b"], "");
    let whole = compress(text.as_bytes(), "gz");
    let half = &whole[..whole.len() / 2];
    let first = compress(&text.as_bytes()[..text.len() / 2], "gz");
    for (bytes, open_size) in [
        (half, text.len()),
        (&first, text.len()),
        (&first, text.len() / 2),
    ] {
        let bench = Bench::new();
        let key = TestKey::new("vendor");
        let root = bench.env.path("repo");
        Hand::new(root.clone())
            .file("primary", "p.xml.gz", bytes, open_size)
            .publish(&key);
        let url = format!("file://{}", root.display());
        assert!(bench.load(&line(&url), &[pin(&key)]).is_err());
    }
}

#[test]
fn weak_checksums_are_refused_with_a_word_that_helps() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    let mut hand = hand(root.clone(), &key, &["a"], "", EPOCH);
    hand.data = hand.data.replace("\"sha256\"", "\"sha\"");
    hand.publish(&key);
    let url = format!("file://{}", root.display());
    let error = chain(&bench.load(&line(&url), &[pin(&key)]).unwrap_err());
    assert!(
        error.ends_with("identifies `primary` by `sha`, which proves nothing; sha256 is needed"),
        "{error}"
    );
}

#[test]
fn filelists_are_fetched_only_for_paths_that_primary_does_not_list() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let requires =
        |path: &str| format!("<rpm:requires><rpm:entry name=\"{path}\"/></rpm:requires>");
    let owner = Digest::of(b"a");
    let lists = format!(
        "<filelists packages=\"1\"><package pkgid=\"{owner}\" name=\"a\" arch=\"x86_64\"><version ver=\"1\"/>\
         <file>/usr/share/a</file><file>/usr/share/b</file></package></filelists>"
    );
    let make = |name: &str, extra: &str| {
        let root = bench.env.path(name);
        let hand = hand(root.clone(), &key, &["a"], extra, EPOCH);
        let packed = compress(lists.as_bytes(), "gz");
        hand.file("filelists", "filelists.xml.gz", &packed, lists.len())
            .publish(&key);
        served(&root)
    };
    // `/usr/bin` is listed by every primary: what is not there is not in filelists either.
    let without = make("without", &requires("/usr/bin/none"));
    bench.load(&line(&without.url()), &[pin(&key)]).unwrap();
    assert_eq!(without.requests_of("/repodata/filelists.xml.gz"), []);

    let with = make("with", &requires("/usr/share/a"));
    let line = line(&with.url());
    let owners =
        |repository: &Repository, path: &str| repository.index.as_index().providers(path).count();
    let repository = bench.load(&line, &[pin(&key)]).unwrap();
    assert_eq!(owners(&repository, "/usr/share/a"), 1);
    assert_eq!(owners(&repository, "/usr/share/b"), 0);
    assert_eq!(with.requests_of("/repodata/filelists.xml.gz").len(), 1);

    // A user may name a path too; the copy that is here answers.
    let lines = [(line.clone(), vec![pin(&key)])];
    let arch = crate::support::arch();
    let mut repositories = [repository];
    let paths = ["/usr/share/b".to_owned()].into();
    with.forget_requests();
    bench
        .client()
        .load_paths(&lines, &arch, &mut repositories, &paths)
        .unwrap();
    assert_eq!(owners(&repositories[0], "/usr/share/b"), 1);
    let again = bench.load(&line, &[pin(&key)]).unwrap();
    assert_eq!(
        (
            owners(&again, "/usr/share/a"),
            owners(&again, "/usr/share/b")
        ),
        (1, 1)
    );
    let asked: Vec<String> = with
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(asked, ["/repodata/repomd.xml"]);
}

#[test]
fn filelists_that_cannot_be_had_stop_nobody() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    let extra = "<rpm:requires><rpm:entry name=\"/usr/share/a\"/></rpm:requires>";
    let hand = hand(root.clone(), &key, &["a"], extra, EPOCH);
    hand.file("filelists", "filelists.xml.gz", b"x", 10)
        .publish(&key);
    fs::remove_file(root.join("repodata/filelists.xml.gz")).unwrap();
    let url = format!("file://{}", root.display());
    let repository = bench.load(&line(&url), &[pin(&key)]).unwrap();
    assert_eq!(names(&repository), ["a"]);
    let messages = bench.recorder.messages.lock().unwrap().join("\n");
    assert!(messages.contains("stay unknown"), "{messages}");
    // What is there but is not what was signed is another matter.
    fs::write(root.join("repodata/filelists.xml.gz"), b"x").unwrap();
    assert!(bench.load(&line(&url), &[pin(&key)]).is_err());
}

#[test]
fn a_package_with_a_base_of_its_own_is_fetched_from_there() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let other = bench.env.path("other");
    fs::create_dir_all(other.join("Packages")).unwrap();
    fs::write(other.join("Packages/a.rpm"), b"a").unwrap();
    let text = primary(&["a"], "").replace(
        "<location ",
        &format!("<location xml:base=\"file://{}\" ", other.display()),
    );
    let root = bench.env.path("repo");
    Hand::new(root.clone())
        .file("primary", "p.xml", text.as_bytes(), text.len())
        .publish(&key);
    let repository = bench
        .load(&line(&format!("file://{}", root.display())), &[pin(&key)])
        .unwrap();
    let paths = bench.client().fetch(&[wanted(&repository, "a")]).unwrap();
    assert_eq!(fs::read(&paths[0]).unwrap(), b"a");
}

#[test]
fn endless_http_metadata_is_cut_off() {
    let bench = Bench::new();
    let key = TestKey::new("vendor");
    let root = bench.env.path("repo");
    hand(root.clone(), &key, &["a"], "", EPOCH);
    let server = served(&root);
    server.fault("/repodata/repomd.xml", Times::Always, Fault::Endless);
    let error = chain(&bench.load(&line(&server.url()), &[pin(&key)]).unwrap_err());
    assert!(error.contains("larger than"), "{error}");
    server.heal();
    server.fault("/repodata/repomd.xml.asc", Times::Always, Fault::Endless);
    assert!(bench.load(&line(&server.url()), &[pin(&key)]).is_err());
}
