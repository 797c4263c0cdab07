//! A site with a whole small distribution in a signed repository of its own: versions are built in a second or two,
//! without a network. Made from the host's shell and dpkg (`vzpkg_tests::tiny_debian`); it has no apt.

use crate::support::{Run, Site, mounts_below};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use vzpkg_tests::apt_repo::AptRepo;
use vzpkg_tests::deb_writer::Deb;
use vzpkg_tests::http_server::HttpServer;
use vzpkg_tests::keys::TestKey;
use vzpkg_tests::tiny_debian;
use vzpkg_tests::tools::DAY;

/// The one template of the site; it wants every package that the site began with.
pub(crate) const TEMPLATE: &str = "tiny-1-x86_64";

/// Where its files lie below the template area.
pub(crate) const TEMPLATE_FILES: &str = "tiny/1/x86_64/config/os/default";

/// No scenario waits longer than this for something that ought to happen.
const PATIENCE: Duration = Duration::from_mins(2);

/// The site, its repository, and the server of that.
pub(crate) struct Tiny {
    pub(crate) site: Site,
    pub(crate) server: HttpServer,
    repo: AptRepo,
    key: TestKey,
    /// What its templates want, a line each.
    packages: String,
    /// The lines of their repositories.
    repositories: String,
}

impl Tiny {
    /// A site whose repository has the base and this package, which is called `app`.
    pub(crate) fn with(app: &Deb) -> Self {
        Self::of(&["app"], std::slice::from_ref(app))
    }

    /// A site whose template wants packages of these names, and whose repository has the base and these files.
    pub(crate) fn of(names: &[&str], packages: &[Deb]) -> Self {
        let site = Site::new();
        let key = TestKey::new("archive");
        let mut repo = AptRepo::new(site.path("repo"));
        let base = tiny_debian::base("1").build(&site.path("debs"));
        let mut suite = repo.suite("stable");
        suite.valid_until = None;
        suite.add("main", &base);
        let server = HttpServer::serve(repo.root());
        let repositories = format!("{} stable main\n", server.url());
        let mut tiny = Self {
            site,
            server,
            repo,
            key,
            packages: names.join("\n") + "\n",
            repositories,
        };
        tiny.write_template(TEMPLATE);
        tiny.publish_all(packages);
        tiny
    }

    /// A site with a first version that has the program `hello`.
    pub(crate) fn hello() -> Self {
        let tiny = Self::of(&["hello"], &[program("hello", "1")]);
        tiny.create();
        tiny
    }

    /// A site with a first version of the package `served`, and a container `web` of it in which these lines were run. It
    /// sees a package `mine`, which is in no repository, in `/srv/debs`.
    pub(crate) fn serving(served: Deb, lines: &str) -> Self {
        let tiny = Self::of(&["served"], &[served]);
        tiny.create();
        let debs = tiny.site.path("own");
        program("mine", "1").build(&debs);
        let mount = format!("{}:/srv/debs:ro", debs.display());
        tiny.make("web", &["--mount", &mount, "--start"]).ok();
        tiny.inside("web", lines);
        tiny
    }

    /// Adds a newer `app` to the repository, which becomes a day newer itself.
    pub(crate) fn publish(&mut self, app: &Deb) {
        self.publish_all(std::slice::from_ref(app));
    }

    /// Adds these packages to the repository, which becomes a day newer itself.
    pub(crate) fn publish_all(&mut self, packages: &[Deb]) {
        let debs = self.site.path("debs");
        let mut suite = self.repo.suite("stable");
        suite.date += DAY;
        for package in packages {
            suite.add("main", &package.build(&debs));
        }
        self.repo.publish(&self.key);
    }

    /// Leaves only the base and these packages in the repository, which becomes a day newer itself.
    pub(crate) fn replace_all(&mut self, packages: &[Deb]) {
        let mut suite = self.repo.suite("stable");
        for packages in suite.packages.values_mut() {
            packages.retain(|package| {
                package
                    .paragraph
                    .starts_with(&format!("Package: {}\n", tiny_debian::BASE))
            });
        }
        self.publish_all(packages);
    }

    /// Adds these packages to a security archive beside the repository, which the template has from now on.
    pub(crate) fn publish_security(&mut self, packages: &[Deb]) {
        let debs = self.site.path("debs");
        let mut suite = self.repo.suite("stable-security");
        "Debian-Security".clone_into(&mut suite.label);
        suite.valid_until = None;
        suite.date += DAY;
        for package in packages {
            suite.add("main", &package.build(&debs));
        }
        self.repo.publish(&self.key);
        let line = format!("{} stable-security main\n", self.server.url());
        if !self.repositories.contains(&line) {
            self.repositories += &line;
            self.write_template(TEMPLATE);
        }
    }

    /// Another template of the same packages, `NAME-1-x86_64`.
    pub(crate) fn write_template(&self, template: &str) {
        let name = template.split('-').next().unwrap();
        self.site.template(
            &format!("{name}/1/x86_64/config/os/default"),
            &[
                ("package_manager", "dpkgx64\n"),
                ("distribution", "debian\n"),
                ("packages", &self.packages),
                ("repositories", &self.repositories),
                ("keys", &format!("{} archive.asc\n", self.key.fingerprint())),
                (
                    "archive.asc",
                    &String::from_utf8(self.key.armored()).unwrap(),
                ),
            ],
        );
    }

    /// Runs the command with these words.
    pub(crate) fn vzpkg(&self, words: &[&str]) -> Run {
        self.site.vzpkg(words)
    }

    /// Runs `vzpkg ct` with these words.
    pub(crate) fn ct(&self, words: &[&str]) -> Run {
        self.vzpkg(&[&["ct"], words].concat())
    }

    /// Makes a container of the head with a network of its own.
    pub(crate) fn make(&self, container: &str, more: &[&str]) -> Run {
        self.ct(&making(container, more))
    }

    /// What a shell line says in a container.
    pub(crate) fn inside(&self, container: &str, line: &str) -> String {
        self.ct(&["exec", container, "--", "sh", "-c", line]).ok()
    }

    /// Builds the first version.
    pub(crate) fn create(&self) {
        self.vzpkg(&["create-cache", TEMPLATE]).ok();
    }

    /// Updates with fresh metadata; what was said on stderr.
    pub(crate) fn update(&self) -> String {
        let run = self.vzpkg(&["update", TEMPLATE, "--refresh"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        run.stderr
    }

    /// A verb's JSON.
    pub(crate) fn json(&self, words: &[&str]) -> serde_json::Value {
        let text = self.vzpkg(&[words, &["--format", "json"]].concat()).ok();
        serde_json::from_str(&text).unwrap()
    }

    /// The versions there are, newest first, as `history` has them.
    pub(crate) fn versions(&self) -> Vec<serde_json::Value> {
        let history = self.json(&["history", TEMPLATE]);
        history["versions"].as_array().unwrap().clone()
    }

    /// The number of the head.
    pub(crate) fn head(&self) -> u64 {
        let versions = self.versions();
        let head = versions.iter().find(|version| version["head"] == true);
        head.unwrap()["number"].as_u64().unwrap()
    }

    /// The version of a package in a version of the template.
    pub(crate) fn version_of(&self, package: &str, version: &str) -> String {
        let packages = self.json(&["list", "--packages", version]);
        let packages = packages["packages"].as_array().unwrap();
        let found = packages.iter().find(|found| found["name"] == package);
        found.unwrap()["version"].as_str().unwrap().to_owned()
    }

    /// Writes the settings of this site.
    pub(crate) fn settings(&self, text: &str) {
        fs::create_dir_all(self.site.path("etc")).unwrap();
        fs::write(self.site.path("etc/vzpkg.toml"), text).unwrap();
    }

    /// Starts the command with these words and does not wait for it.
    pub(crate) fn begin(&self, words: &[&str]) -> Child {
        let mut command = self.site.command(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// No version of any template, no staging directory, no mount and no process is left.
    pub(crate) fn assert_nothing_made(&self) {
        let list = self.site.vzpkg(&["list", "--cached"]).ok();
        assert!(!list.contains(TEMPLATE), "{list}");
        self.assert_nothing_left();
    }

    /// No staging directory, no mount and no process is left.
    pub(crate) fn assert_nothing_left(&self) {
        let builds = fs::read_dir(self.site.root().join("store/tmp"));
        let builds: Vec<_> = builds.unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(builds.is_empty(), "{builds:?}");
        assert_eq!(mounts_below(&self.site.root()), Vec::<String>::new());
        assert_eq!(mounts_below(&self.site.path("run")), Vec::<String>::new());
    }
}

/// A package with one program, which prints this version.
pub(crate) fn program(name: &str, version: &str) -> Deb {
    let text = format!("#!/bin/sh\necho {version}\n");
    let path = format!("usr/bin/{name}");
    tiny_debian::package(name, version).file(&path, 0o755, text.as_bytes())
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The words of `vzpkg ct` that make a container of the head with a network of its own.
pub(crate) fn making<'a>(container: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let words = ["create", container, "--template", TEMPLATE, "--net", "none"];
    [&words, more].concat()
}

/// Whether some process on this machine has this word among its arguments.
pub(crate) fn runs(argument: &str) -> bool {
    let lines = fs::read_dir("/proc").unwrap().flatten();
    let lines = lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.into_iter().any(|line| {
        line.split(|byte| *byte == 0)
            .any(|word| word == argument.as_bytes())
    })
}

/// An argument of `sleep` that no other process of this machine has: about a day.
pub(crate) fn own_sleep(scenario: u32) -> String {
    format!("86{scenario}.{}", std::process::id())
}

/// Sends a signal to a command that was begun.
pub(crate) fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// What a command that was begun said in the end.
pub(crate) fn end(child: Child) -> Run {
    Run::of(&child.wait_with_output().unwrap())
}
