//! The container's own package manager: what it has, and what it is told to do. Everything that goes in goes through the
//! standard input of a command in the container, never through one of its paths.

use crate::error::{CommandError, CommandResult, Kind};
use crate::output::clean;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::transaction::PackageRef;
use vzpkg_metadata::{Arch, Digest, Family};
use vzpkg_runtime::container::{self, Captured, Config, ContainerError, ContainerPaths, ExecSpec};
use vzpkg_runtime::oci::OciRuntime;

/// Where package files lie inside while they are needed: a file system of its own, in memory.
const PLACE: &str = "/run/vzpkg-packages";

/// What is kept of what a command prints: a list of 100,000 packages is 10 MB.
const LIST_BYTES: usize = 64 << 20;

/// What is shown of a command that failed.
const LINES: usize = 20;

/// How often dpkg is asked to unpack what it refused: each time, more of what is needed first has been configured.
const ROUNDS: u32 = 8;

/// dpkg's word for a package that another one has to be configured for first.
const PRE_DEPENDENCY: &str = "pre-dependency problem";

/// A container that runs.
#[derive(Debug)]
pub(super) struct Inside<'a> {
    pub(super) paths: &'a ContainerPaths,
    pub(super) config: &'a Config,
    pub(super) runtime: &'a dyn OciRuntime,
    pub(super) family: Family,
    /// The native architecture of its packages.
    pub(super) arch: &'a Arch,
}

impl Inside<'_> {
    /// Puts a package file where [`Self::install`] looks for it.
    ///
    /// # Errors
    /// [`Kind::Script`] where there is no room for it.
    pub(super) fn hand_in(&self, sha256: &Digest, path: &Path) -> CommandResult {
        let mut file = File::open(path).map_err(FileError::on("open", path))?;
        let line = format!("umask 077; mkdir -p {PLACE} && cat >{}", self.file(sha256));
        self.run_with(owned(&["sh", "-c", &line]), Some(&mut file))?;
        Ok(())
    }

    /// Takes away what was handed in, now or by a command that was killed.
    ///
    /// # Errors
    /// [`Kind::Script`]
    pub(super) fn clear(&self) -> CommandResult {
        self.run(owned(&["rm", "-rf", PLACE]))?;
        Ok(())
    }

    /// Installs what was handed in: `upgrades` in the place of other versions, `beside` next to them.
    ///
    /// # Errors
    /// [`Kind::Script`] with the package manager's last words.
    pub(super) fn install(
        &self,
        upgrades: &[&PackageRef],
        beside: &[&PackageRef],
    ) -> CommandResult {
        match self.family {
            Family::Rpm => {
                let upgrade = ["rpm", "--upgrade", "--oldpackage", "--nosignature"];
                self.on_files(&upgrade, upgrades)?;
                self.on_files(&["rpm", "--install", "--nosignature"], beside)
            }
            Family::Deb => {
                self.unpack(&[upgrades, beside].concat())?;
                self.configure()
            }
        }
    }

    fn on_files(&self, words: &[&str], packages: &[&PackageRef]) -> CommandResult {
        if packages.is_empty() {
            return Ok(());
        }
        let files = packages.iter().map(|package| self.file(&package.sha256));
        self.work(owned(words).into_iter().chain(files).collect())
    }

    /// dpkg does not unpack what needs others configured first, but it does unpack the rest.
    fn unpack(&self, packages: &[&PackageRef]) -> CommandResult {
        let words = dpkg(&["--auto-deconfigure", "--skip-same-version", "--unpack"]);
        let files = packages.iter().map(|package| self.file(&package.sha256));
        let argv: Vec<String> = owned(&words).into_iter().chain(files).collect();
        if packages.is_empty() {
            return Ok(());
        }
        for round in 1..=ROUNDS {
            let said = self.captured(logged(argv.clone()), None, LIST_BYTES)?;
            let early = String::from_utf8_lossy(&said.tail).contains(PRE_DEPENDENCY);
            if said.code == 0 || !early || round == ROUNDS {
                return self.succeeded(&words.join(" "), said).map(drop);
            }
            // What cannot be configured yet is tried again when all is unpacked.
            drop(self.configure());
        }
        Ok(())
    }

    fn configure(&self) -> CommandResult {
        self.work(owned(&dpkg(&["--configure", "--pending"])))
    }

    /// Removes packages.
    ///
    /// # Errors
    /// As [`Self::install`].
    pub(super) fn remove(&self, packages: &[&PackageRef]) -> CommandResult {
        if packages.is_empty() {
            return Ok(());
        }
        let words = match self.family {
            Family::Rpm => vec!["rpm", "--erase"],
            Family::Deb => dpkg(&["--remove"]),
        };
        let names = packages.iter().map(|package| self.label(package));
        self.work(owned(&words).into_iter().chain(names).collect())
    }

    /// What the package manager knows a package by.
    fn label(&self, package: &PackageRef) -> String {
        let PackageRef { name, arch, .. } = package;
        match self.family {
            // The epoch is left out: old ones know none in a label, and of one name, version and release there are no two.
            Family::Rpm => {
                let version = package.version.rsplit(':').next().unwrap_or_default();
                format!("{name}-{version}.{arch}")
            }
            Family::Deb if arch == self.arch || arch.is_independent() => name.to_string(),
            Family::Deb => format!("{name}:{arch}"),
        }
    }

    /// Looks whether the package manager is content.
    ///
    /// # Errors
    /// [`Kind::Script`] with what it says.
    pub(super) fn check(&self) -> CommandResult {
        if self.family == Family::Rpm {
            return Ok(());
        }
        match self.captured(owned(&["apt-get", "-qq", "check"]), None, LIST_BYTES) {
            Err(ContainerError::NoCommand { .. }) => {}
            said => drop(self.succeeded("apt-get -qq check", said?)?),
        }
        let audit = self.run(owned(&["dpkg", "--audit"]))?;
        if audit.stdout.trim_ascii().is_empty() {
            return Ok(());
        }
        Err(self.failure("`dpkg --audit` has something to say", &audit.stdout))
    }

    fn file(&self, sha256: &Digest) -> String {
        format!("{PLACE}/{sha256}.{}", self.family.extension())
    }

    pub(super) fn run(&self, argv: Vec<String>) -> CommandResult<Captured> {
        self.run_with(argv, None)
    }

    /// Has the package manager change the container.
    fn work(&self, argv: Vec<String>) -> CommandResult {
        let what = told(&argv);
        let said = self.captured(logged(argv), None, LIST_BYTES)?;
        self.succeeded(&what, said).map(drop)
    }

    fn run_with(&self, argv: Vec<String>, input: Option<&mut dyn Read>) -> CommandResult<Captured> {
        let what = told(&argv);
        let said = self.captured(argv, input, LIST_BYTES)?;
        self.succeeded(&what, said)
    }

    fn captured(
        &self,
        argv: Vec<String>,
        input: Option<&mut dyn Read>,
        limit: usize,
    ) -> Result<Captured, ContainerError> {
        let plain = [("LC_ALL", "C"), ("DEBIAN_FRONTEND", "noninteractive")];
        let plain = plain.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let spec = ExecSpec {
            argv,
            environment: plain.into(),
            ..ExecSpec::default()
        };
        container::exec_captured(self.paths, self.config, &spec, input, limit, self.runtime)
    }

    fn succeeded(&self, what: &str, said: Captured) -> CommandResult<Captured> {
        match said.code {
            0 => Ok(said),
            code => Err(self.failure(&format!("`{what}` ended with {code}"), &said.tail)),
        }
    }

    fn failure(&self, what: &str, said: &[u8]) -> CommandError {
        let id = &self.paths.id;
        let text = String::from_utf8_lossy(said);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let skipped = lines.len().saturating_sub(LINES);
        let last: String = lines
            .into_iter()
            .skip(skipped)
            .map(|line| format!("\n    {}", clean(line)))
            .collect();
        CommandError::message(Kind::Script, format!("in container `{id}` {what}{last}")).hint(
            format!(
                "what it did before that stays; look into it: vzpkg ct enter {id}, then go on: vzpkg ct relink {id} --in-place"
            ),
        )
    }
}

/// dpkg as it is called everywhere: conffiles that somebody changed stay, and nobody is asked.
fn dpkg<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [&["dpkg", "--force-confdef", "--force-confold"], words].concat()
}

/// A command whose words go to a file first: services that scripts start keep what they are given open, and an OCI runtime
/// may wait for the pipes of a command until they are closed.
fn logged(argv: Vec<String>) -> Vec<String> {
    let line = format!(
        "(umask 077; mkdir -p {PLACE}); \"$@\" </dev/null >{PLACE}/log 2>&1; code=$?; cat {PLACE}/log; exit $code"
    );
    let mut words = owned(&["sh", "-c", &line, "sh"]);
    words.extend(argv);
    words
}

/// A command without its files, which are long and all the same to whoever reads this.
fn told(argv: &[String]) -> String {
    let words = argv.iter().filter(|word| !word.starts_with(PLACE));
    words.map(String::as_str).collect::<Vec<_>>().join(" ")
}

pub(super) fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Package files by hash.
pub(super) type Files = BTreeMap<Digest, PathBuf>;
