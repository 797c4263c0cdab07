//! The lock: what a version is made of, as a text file that can be kept, diffed, merged line by line and built from.
//!
//! ```text
//! vzpkg-lock 1
//! family deb
//! arch amd64
//! base none
//! epoch 1757663741
//! id messagebus 412:412
//! package adduser 3.152 all 7a3c… 63804 dependency:openssh-server
//! ```
//!
//! One format for deb and rpm. Header lines come in this order; `id` and `package` lines are sorted by name; so two
//! locks differ in exactly the lines that changed. No URLs: a package is found by its hash in any repository. What the
//! lock does not say is taken from the template: scripts, repositories, keys.

use crate::name::NameError;
use crate::transaction::{Action, PackageRef, Reason, Transaction};
use crate::{Arch, ByteSize, Digest, Family, PackageName, limits};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The format number this code writes.
pub const FORMAT: u32 = 1;

/// The ids of one user name and the group of the same name; a name may be only one of the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ids {
    /// User id, if there is a user of this name.
    pub uid: Option<u32>,
    /// Group id, if there is a group of this name.
    pub gid: Option<u32>,
}

/// One package of a lock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedPackage {
    /// Its name.
    pub name: PackageName,
    /// Its architecture, as the family spells it.
    pub arch: Arch,
    /// deb version, or `[epoch:]version-release`.
    pub version: String,
    /// SHA-256 of the package file.
    pub sha256: Digest,
    /// Size of the package file.
    pub size: ByteSize,
    /// Why it is there.
    pub reason: Reason,
}

/// What a version is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Which package family.
    pub family: Family,
    /// The native architecture, as the family spells it.
    pub arch: Arch,
    /// The tree digest of the version this one was built on; `None` for a bootstrap.
    pub base: Option<Digest>,
    /// Times in the tree are clamped to this second since 1970.
    pub epoch: i64,
    /// User and group ids that the build was told to use, by name.
    pub ids: BTreeMap<String, Ids>,
    /// Every package of the version, sorted by name, architecture and version.
    pub packages: Vec<LockedPackage>,
}

/// Why a text is not a lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The first line is not `vzpkg-lock N`.
    #[error("not a lock file: the first line is not `vzpkg-lock {FORMAT}`")]
    NotALock,
    /// Written by a newer vzpkg.
    #[error("lock format {0} is newer than this vzpkg, which knows {FORMAT}")]
    Newer(u32),
    /// More than [`limits::LOCK_BYTES`].
    #[error("a lock of {0} bytes is too large")]
    TooLarge(usize),
    /// A line that cannot be read.
    #[error("line {number} of the lock, `{line}`: {problem}")]
    Line {
        /// Counted from 1.
        number: usize,
        /// The line, cut at 80 characters.
        line: String,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// A header line that must be there.
    #[error("the lock has no line `{0} …`")]
    Missing(&'static str),
}

/// What is wrong with one line of a lock.
#[derive(Debug, thiserror::Error)]
pub enum LineProblem {
    /// The first word is none of the known ones.
    #[error("unknown keyword")]
    Keyword,
    /// Too few or too many words.
    #[error("expected {0}")]
    Shape(&'static str),
    /// A word that is not what it should be.
    #[error("`{0}` is not {1}")]
    Word(String, &'static str),
    /// A second line for the same thing.
    #[error("given twice")]
    Twice,
    /// A name that breaks the rules.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Lock {
    /// An empty lock: nothing installed, no base, epoch 0.
    pub const fn empty(family: Family, arch: Arch) -> Self {
        Self {
            family,
            arch,
            base: None,
            epoch: 0,
            ids: BTreeMap::new(),
            packages: Vec::new(),
        }
    }

    /// The packages after `transaction` was carried out on this lock's. Base, epoch and ids are kept.
    #[must_use]
    pub fn after(&self, transaction: &Transaction) -> Self {
        let key = |package: &PackageRef| (package.name.clone(), package.arch.clone());
        let mut packages = self.packages.clone();
        for step in &transaction.steps {
            let leaving = match &step.action {
                Action::Install => None,
                Action::Upgrade { from } | Action::Downgrade { from } => Some(from),
                Action::Remove => Some(&step.package.version),
            };
            let (name, arch) = key(&step.package);
            packages.retain(|package| {
                package.name != name
                    || Some(&package.version) != leaving
                    || (package.arch != arch && step.action == Action::Remove)
            });
            if step.action != Action::Remove {
                packages.push(LockedPackage {
                    name,
                    arch,
                    version: step.package.version.clone(),
                    sha256: step.package.sha256,
                    size: step.package.size,
                    reason: step.reason.clone(),
                });
            }
        }
        packages.sort();
        Self {
            packages,
            ..self.clone()
        }
    }

    /// The digest of the text form.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_string().as_bytes())
    }
}

impl fmt::Display for Lock {
    /// The file, with a final newline. Packages are written in the order they stand; [`Lock::after`] and parsing keep
    /// them sorted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "vzpkg-lock {FORMAT}\nfamily {}\narch {}",
            self.family, self.arch
        )?;
        match &self.base {
            Some(base) => writeln!(f, "base sha256:{base}")?,
            None => writeln!(f, "base none")?,
        }
        writeln!(f, "epoch {}", self.epoch)?;
        let id = |id: Option<u32>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        for (name, ids) in &self.ids {
            writeln!(f, "id {name} {}:{}", id(ids.uid), id(ids.gid))?;
        }
        for package in &self.packages {
            let LockedPackage {
                name,
                arch,
                version,
                sha256,
                size,
                reason,
            } = package;
            writeln!(
                f,
                "package {name} {version} {arch} {sha256} {} {reason}",
                size.0
            )?;
        }
        Ok(())
    }
}

impl FromStr for Lock {
    type Err = LockError;

    fn from_str(text: &str) -> Result<Self, LockError> {
        if text.len() as u64 > limits::LOCK_BYTES {
            return Err(LockError::TooLarge(text.len()));
        }
        let mut lines = text.lines().enumerate();
        let format = lines
            .next()
            .and_then(|(_, line)| line.strip_prefix("vzpkg-lock "));
        match format.and_then(|number| number.parse::<u32>().ok()) {
            Some(FORMAT) => {}
            Some(newer) if newer > FORMAT => return Err(LockError::Newer(newer)),
            _ => return Err(LockError::NotALock),
        }
        let mut draft = Draft::default();
        for (index, line) in lines {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            draft.take(line).map_err(|problem| LockError::Line {
                number: index.saturating_add(1),
                line: line.chars().take(80).collect(),
                problem,
            })?;
        }
        draft.finish()
    }
}

/// The `base` line: nothing, or a tree.
type Base = Option<Digest>;

/// A lock of which some lines were read.
#[derive(Default)]
struct Draft {
    family: Option<Family>,
    arch: Option<Arch>,
    base: Option<Base>,
    epoch: Option<i64>,
    ids: BTreeMap<String, Ids>,
    packages: BTreeMap<(PackageName, Arch, String), LockedPackage>,
}

impl Draft {
    fn take(&mut self, line: &str) -> Result<(), LineProblem> {
        let (keyword, rest) = line.split_once(' ').ok_or(LineProblem::Keyword)?;
        match keyword {
            "family" => set(&mut self.family, word(rest, "deb or rpm")?),
            "arch" => set(&mut self.arch, rest.parse()?),
            "base" => set(&mut self.base, base(rest)?),
            "epoch" => set(&mut self.epoch, word(rest, "a number of seconds")?),
            "id" => self.take_id(rest),
            "package" => self.take_package(rest),
            _ => Err(LineProblem::Keyword),
        }
    }

    fn take_id(&mut self, rest: &str) -> Result<(), LineProblem> {
        let shape = || LineProblem::Shape("`id NAME UID:GID`");
        let (name, ids) = rest.split_once(' ').ok_or_else(shape)?;
        let (uid, gid) = ids.split_once(':').ok_or_else(shape)?;
        if name.is_empty() || name.contains([':', '/']) || name.chars().any(char::is_control) {
            return Err(LineProblem::Word(name.to_owned(), "a user or group name"));
        }
        let id = |text: &str| {
            if text == "-" {
                Ok(None)
            } else {
                word(text, "an id").map(Some)
            }
        };
        let ids = Ids {
            uid: id(uid)?,
            gid: id(gid)?,
        };
        match self.ids.insert(name.to_owned(), ids) {
            None => Ok(()),
            Some(_) => Err(LineProblem::Twice),
        }
    }

    fn take_package(&mut self, rest: &str) -> Result<(), LineProblem> {
        let mut words = rest.split(' ');
        let mut next = || {
            words.next().ok_or(LineProblem::Shape(
                "`package NAME VERSION ARCH SHA256 SIZE REASON`",
            ))
        };
        let (name, version, arch) = (next()?, next()?, next()?);
        let (sha256, size, reason) = (next()?, next()?, next()?);
        if words.next().is_some() {
            return Err(LineProblem::Shape(
                "`package NAME VERSION ARCH SHA256 SIZE REASON`",
            ));
        }
        if version.is_empty()
            || !version
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'/')
        {
            return Err(LineProblem::Word(version.to_owned(), "a version"));
        }
        let package = LockedPackage {
            name: name.parse()?,
            arch: arch.parse()?,
            version: version.to_owned(),
            sha256: word(sha256, "a sha256")?,
            size: ByteSize(word(size, "a number of bytes")?),
            reason: word(reason, "a reason")?,
        };
        let key = (
            package.name.clone(),
            package.arch.clone(),
            package.version.clone(),
        );
        match self.packages.insert(key, package) {
            None => Ok(()),
            Some(_) => Err(LineProblem::Twice),
        }
    }

    fn finish(self) -> Result<Lock, LockError> {
        Ok(Lock {
            family: self.family.ok_or(LockError::Missing("family"))?,
            arch: self.arch.ok_or(LockError::Missing("arch"))?,
            base: self.base.ok_or(LockError::Missing("base"))?,
            epoch: self.epoch.ok_or(LockError::Missing("epoch"))?,
            ids: self.ids,
            packages: self.packages.into_values().collect(),
        })
    }
}

fn set<T>(place: &mut Option<T>, value: T) -> Result<(), LineProblem> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(LineProblem::Twice),
    }
}

fn word<T: FromStr>(text: &str, wanted: &'static str) -> Result<T, LineProblem> {
    text.parse()
        .ok()
        .ok_or_else(|| LineProblem::Word(text.to_owned(), wanted))
}

fn base(text: &str) -> Result<Base, LineProblem> {
    if text == "none" {
        return Ok(None);
    }
    let problem = || LineProblem::Word(text.to_owned(), "`none` or `sha256:…`");
    word(
        text.strip_prefix("sha256:").ok_or_else(problem)?,
        "a sha256",
    )
    .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::Step;

    fn sample() -> String {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        format!(
            "vzpkg-lock 1\nfamily deb\narch amd64\nbase none\nepoch 17\nid mail 8:8\nid ssl-cert -:412\n\
             package apt 2.6.1 amd64 {a} 1200 requested\npackage libc6 2.36-9 amd64 {b} 7 dependency:apt\n"
        )
    }

    #[test]
    fn a_lock_prints_what_it_parses() {
        let lock: Lock = sample().parse().unwrap();
        assert_eq!(lock.packages.len(), 2);
        assert_eq!(lock.to_string(), sample());
    }

    #[test]
    fn bad_lines_are_named() {
        for (from, to) in [
            ("epoch 17", "epoch x"),
            ("base none", "base nothing"),
            ("id mail 8:8", "id ../x 8:8"),
            ("requested", "because"),
            ("requested", "requested twice"),
            ("apt 2.6.1", "../apt 2.6.1"),
            ("family deb", "colour blue"),
            ("epoch 17", "epoch 17\nepoch 18"),
        ] {
            let error = sample().replace(from, to).parse::<Lock>().unwrap_err();
            assert!(matches!(error, LockError::Line { .. }), "{to}: {error}");
        }
        assert!(matches!("x".parse::<Lock>(), Err(LockError::NotALock)));
        assert!(matches!(
            "vzpkg-lock 99\n".parse::<Lock>(),
            Err(LockError::Newer(99))
        ));
    }

    #[test]
    fn a_transaction_changes_exactly_its_packages() {
        let lock: Lock = sample().parse().unwrap();
        let package = |name: &str, version: &str| PackageRef {
            name: name.parse().unwrap(),
            arch: "amd64".parse().unwrap(),
            version: version.to_owned(),
            sha256: Digest::of(version.as_bytes()),
            size: ByteSize(1),
            installed_size: ByteSize(1),
            repository: None,
            location: String::new(),
        };
        let step = |action, package| Step {
            action,
            package,
            reason: Reason::Requested,
        };
        let steps = vec![
            step(Action::Remove, package("apt", "2.6.1")),
            step(
                Action::Upgrade {
                    from: "2.36-9".into(),
                },
                package("libc6", "2.41-1"),
            ),
            step(Action::Install, package("bash", "5.2-1")),
        ];
        let after = lock.after(&Transaction {
            family: Family::Deb,
            steps,
        });
        let shown: Vec<String> = after
            .packages
            .iter()
            .map(|p| format!("{} {}", p.name, p.version))
            .collect();
        assert_eq!(shown, ["bash 5.2-1", "libc6 2.41-1"]);
    }
}
