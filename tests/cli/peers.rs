//! What Debian's own tools make of the same request: the packages that apt would install, the tree of mmdebstrap.

use crate::support::Site;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use vzpkg_tests::tools::run;

/// Packages by name, and their versions.
pub(crate) type Packages = BTreeMap<String, String>;

/// The packages of the newest version of a template, from its lock.
pub(crate) fn packages_of(site: &Site, template: &str) -> Packages {
    let lock = site.vzpkg(&["lock", template]).ok();
    let packages = lock
        .lines()
        .filter_map(|line| line.strip_prefix("package "));
    let pair = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap())
    };
    packages.map(pair).collect()
}

/// The host's apt, told to look at nothing but the repositories of an exported tree.
pub(crate) struct Apt {
    configuration: PathBuf,
}

impl Apt {
    /// Fetches the lists.
    pub(crate) fn new(site: &Site, exported: &Path) -> Self {
        let directory = site.path("apt");
        for name in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(directory.join(name)).unwrap();
        }
        fs::write(directory.join("status"), "").unwrap();
        let sources = fs::read_to_string(exported.join("etc/apt/sources.list")).unwrap();
        // Whether they are trusted is not the question here.
        let sources = sources.replace("deb ", "deb [trusted=yes] ");
        fs::write(directory.join("sources.list"), sources).unwrap();
        let configuration = directory.join("apt.conf");
        let text = format!(
            "Dir::State \"{0}\";\nDir::State::status \"{0}/status\";\nDir::Cache \"{0}\";\n\
             Dir::Etc::SourceList \"{0}/sources.list\";\nDir::Etc::SourceParts \"/dev/null\";\n\
             Dir::Etc::Preferences \"/dev/null\";\nDir::Etc::PreferencesParts \"/dev/null\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\n\
             APT::Install-Recommends \"false\";\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n",
            directory.display()
        );
        fs::write(&configuration, text).unwrap();
        let apt = Self { configuration };
        run(apt.command().args(["-qq", "update"]));
        apt
    }

    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", &self.configuration);
        command
    }

    /// What it would install where nothing is: the Essential packages and those that the set names.
    pub(crate) fn would_install(&self, site: &Site, release: &str, set: &str) -> Packages {
        let file = format!("template/debian/{release}/x86_64/config/os/{set}/packages");
        let text = fs::read_to_string(site.root().join(file)).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let names = lines.flat_map(str::split_whitespace);
        let mut command = self.command();
        command.args(["-s", "install", "?essential"]).args(names);
        let said = String::from_utf8(run(&mut command)).unwrap();
        // `Inst libc6 (2.41-12 Debian:13.2/stable [amd64]) …`
        let installed = said.lines().filter_map(|line| line.strip_prefix("Inst "));
        let pair = |line: &str| {
            let mut words = line.split(' ');
            let name = words.next().unwrap().to_owned();
            (
                name,
                words.next().unwrap().trim_start_matches('(').to_owned(),
            )
        };
        installed.map(pair).collect()
    }
}

/// A repository of the packages that are on this site.
fn repository(site: &Site, suite: &str) -> PathBuf {
    let repository = site.path("repository");
    fs::create_dir(&repository).unwrap();
    for entry in fs::read_dir(site.root().join("packages")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "deb") {
            fs::hard_link(&path, repository.join(path.file_name().unwrap())).unwrap();
        }
    }
    let archive = |words: &[&str]| {
        let mut command = Command::new("apt-ftparchive");
        run(command.current_dir(&repository).args(words))
    };
    fs::write(repository.join("Packages"), archive(&["packages", "."])).unwrap();
    // It tells by the suite which Essential packages are meant.
    let name = |field: &str| format!("APT::FTPArchive::Release::{field}={suite}");
    let release = archive(&[
        "-o",
        &name("Suite"),
        "-o",
        &name("Codename"),
        "release",
        ".",
    ]);
    fs::write(repository.join("Release"), release).unwrap();
    repository
}

/// The tree that mmdebstrap makes of the packages of a template, which are on this site.
pub(crate) fn mmdebstrap(site: &Site, template: &str, suite: &str) -> PathBuf {
    let repository = repository(site, suite);
    let lock = site.vzpkg(&["lock", template]).ok();
    let epoch = lock.lines().find_map(|line| line.strip_prefix("epoch "));
    let names: Vec<String> = packages_of(site, template).into_keys().collect();
    let tree = site.path("mmdebstrap");
    let mut command = Command::new("mmdebstrap");
    command
        .env("SOURCE_DATE_EPOCH", epoch.unwrap())
        .args(["--quiet", "--mode=root", "--variant=minbase"])
        .arg("--dpkgopt=force-unsafe-io")
        .arg(format!("--include={}", names.join(",")))
        .arg(suite)
        .arg(&tree)
        .arg(format!(
            "deb [trusted=yes] copy://{} ./",
            repository.display()
        ));
    run(&mut command);
    tree
}

/// Lets the apt of an exported tree bring it to the newest packages that are on this site.
pub(crate) fn dist_upgrade(site: &Site, tree: &Path, suite: &str) {
    let repository = repository(site, suite);
    let script = "set -e
        mount --rbind /dev $1/dev; mount -t proc none $1/proc; mount -t tmpfs none $1/run; mount -t tmpfs none $1/tmp
        mkdir $1/run/repository; mount --bind $2 $1/run/repository
        echo 'deb [trusted=yes] file:/run/repository ./' >$1/run/sources.list
        apt='apt-get -qq -o Dir::Etc::SourceList=/run/sources.list -o Dir::Etc::SourceParts=/dev/null'
        chroot $1 sh -c \"$apt update && DEBIAN_FRONTEND=noninteractive $apt -y dist-upgrade\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    run(command.args([tree, &repository]));
}

/// A path, or everything that begins with what stands before a final `*`.
pub(crate) struct Pattern(String);

impl Pattern {
    pub(crate) fn matches(&self, path: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == self.0,
        }
    }
}

/// The paths that a section of `docs/differences.md` says are not compared, each with its reason there.
pub(crate) fn accepted_differences(section: &str) -> Vec<Pattern> {
    let text = include_str!("../../docs/differences.md");
    let title = format!("\n## {section}, path by path\n");
    let (_, section) = text.split_once(&title).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `/"));
    let patterns: Vec<Pattern> = cells
        .filter_map(|line| line.split(" | ").next())
        .flat_map(|cell| cell.split("`, `/"))
        .map(|path| Pattern(path.trim_end_matches('`').to_owned()))
        .collect();
    assert!(!patterns.is_empty(), "the list was not found");
    patterns
}
