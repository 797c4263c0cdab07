//! The text form of a lock, both ways. Foreign text: a lock is a file that people keep, send and merge.

use super::chain::Lines;
use super::{COMMITTED_FORMAT, ChainError, FORMAT, Ids, Installed, Link, Lock, LockedPackage};
use crate::name::NameError;
use crate::{Arch, ByteSize, Digest, Family, PackageName, limits};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Why a text is not a lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The first line is not `vzpkg-lock N`.
    #[error("not a lock file: the first line is not `vzpkg-lock {FORMAT}`")]
    NotALock,
    /// Written by a newer vzpkg.
    #[error("lock format {0} is newer than this vzpkg, which knows {COMMITTED_FORMAT}")]
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
    /// A chain that does not hold together.
    #[error("the chain of the lock is broken")]
    Chain(#[from] ChainError),
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

impl fmt::Display for Lock {
    /// The file, with a final newline. Packages are written in the order they stand; [`Lock::after`] and parsing keep
    /// them sorted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_recipe = self.committed.is_none() && self.installed.is_empty();
        let format = if is_recipe { FORMAT } else { COMMITTED_FORMAT };
        writeln!(
            f,
            "vzpkg-lock {format}\nfamily {}\narch {}",
            self.family, self.arch
        )?;
        match &self.base {
            Some(base) => writeln!(f, "base sha256:{base}")?,
            None => writeln!(f, "base none")?,
        }
        writeln!(f, "epoch {}", self.epoch)?;
        if let Some(tree) = &self.committed {
            writeln!(f, "committed sha256:{tree}")?;
        }
        for (name, ids) in &self.ids {
            writeln!(f, "{}", id_line(name, *ids))?;
        }
        for package in &self.packages {
            writeln!(f, "{}", package_line(package))?;
        }
        for package in &self.installed {
            writeln!(f, "installed {package}")?;
        }
        self.chain.iter().try_for_each(|link| write!(f, "{link}"))
    }
}

impl fmt::Display for Link {
    /// Its lines, each with a final newline, sorted by what they are about.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "link sha256:{} {}", self.tree, self.epoch)?;
        let mut lines = Vec::new();
        for (sign, side) in [('+', &self.has), ('-', &self.lacks)] {
            let ids = side.ids.iter().map(|(name, ids)| id_line(name, *ids));
            let packages = side.packages.iter().map(package_line);
            lines.extend(ids.chain(packages).map(|line| (line, sign)));
        }
        lines.sort();
        let mut lines = lines.iter();
        lines.try_for_each(|(line, sign)| writeln!(f, "{sign}{line}"))
    }
}

fn id_line(name: &str, ids: Ids) -> String {
    let id = |id: Option<u32>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    format!("id {name} {}:{}", id(ids.uid), id(ids.gid))
}

fn package_line(package: &LockedPackage) -> String {
    let LockedPackage {
        name,
        arch,
        version,
        sha256,
        size,
        reason,
    } = package;
    format!(
        "package {name} {version} {arch} {sha256} {} {reason}",
        size.0
    )
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
        let format = format.and_then(|number| number.parse::<u32>().ok());
        let mut draft = match format {
            Some(FORMAT) => Draft::default(),
            Some(COMMITTED_FORMAT) => Draft {
                may_be_committed: true,
                ..Draft::default()
            },
            Some(newer) if newer > COMMITTED_FORMAT => return Err(LockError::Newer(newer)),
            _ => return Err(LockError::NotALock),
        };
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
    chain: Vec<Link>,
    may_be_committed: bool,
    committed: Option<Digest>,
    installed: BTreeSet<Installed>,
}

impl Draft {
    fn take(&mut self, line: &str) -> Result<(), LineProblem> {
        if let Some(link) = self.chain.last_mut() {
            let sides = [('+', &mut link.has), ('-', &mut link.lacks)];
            for (sign, side) in sides {
                if let Some(line) = line.strip_prefix(sign) {
                    return take_difference(side, line);
                }
            }
        }
        let (keyword, rest) = line.split_once(' ').ok_or(LineProblem::Keyword)?;
        match keyword {
            "link" => {
                self.chain.push(link(rest)?);
                Ok(())
            }
            // What stands below a link is about that link.
            _ if !self.chain.is_empty() => Err(LineProblem::Keyword),
            "family" => set(&mut self.family, word(rest, "deb or rpm")?),
            "arch" => set(&mut self.arch, rest.parse()?),
            "base" => set(&mut self.base, base(rest)?),
            "epoch" => set(&mut self.epoch, word(rest, "a number of seconds")?),
            "committed" if self.may_be_committed => set(&mut self.committed, tree(rest)?),
            "installed" if self.may_be_committed => once(self.installed.insert(installed(rest)?)),
            "id" => {
                let (name, ids) = id(rest)?;
                once(self.ids.insert(name, ids).is_none())
            }
            "package" => {
                let package = package(rest)?;
                let LockedPackage {
                    name,
                    arch,
                    version,
                    ..
                } = &package;
                let key = (name.clone(), arch.clone(), version.clone());
                once(self.packages.insert(key, package).is_none())
            }
            _ => Err(LineProblem::Keyword),
        }
    }

    fn finish(self) -> Result<Lock, LockError> {
        let lock = Lock {
            family: self.family.ok_or(LockError::Missing("family"))?,
            arch: self.arch.ok_or(LockError::Missing("arch"))?,
            base: self.base.ok_or(LockError::Missing("base"))?,
            epoch: self.epoch.ok_or(LockError::Missing("epoch"))?,
            ids: self.ids,
            packages: self.packages.into_values().collect(),
            chain: self.chain,
            committed: self.committed,
            installed: self.installed,
        };
        lock.check_chain()?;
        Ok(lock)
    }
}

/// A line of a link, without its sign.
fn take_difference(side: &mut Lines, line: &str) -> Result<(), LineProblem> {
    match line.split_once(' ') {
        Some(("id", rest)) => {
            let (name, ids) = id(rest)?;
            once(side.ids.insert(name, ids).is_none())
        }
        Some(("package", rest)) => once(side.packages.insert(package(rest)?)),
        _ => Err(LineProblem::Keyword),
    }
}

fn link(rest: &str) -> Result<Link, LineProblem> {
    let shape = LineProblem::Shape("`link sha256:… EPOCH`");
    let (tree, epoch) = rest.split_once(' ').ok_or(shape)?;
    Ok(Link {
        tree: self::tree(tree)?,
        epoch: word(epoch, "a number of seconds")?,
        has: Lines::default(),
        lacks: Lines::default(),
    })
}

fn id(rest: &str) -> Result<(String, Ids), LineProblem> {
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
    let (uid, gid) = (id(uid)?, id(gid)?);
    Ok((name.to_owned(), Ids { uid, gid }))
}

fn package(rest: &str) -> Result<LockedPackage, LineProblem> {
    let words: Vec<&str> = rest.split(' ').collect();
    let [name, version, arch, sha256, size, reason] = words.as_slice() else {
        return Err(LineProblem::Shape(
            "`package NAME VERSION ARCH SHA256 SIZE REASON`",
        ));
    };
    if !is_version(version) {
        return Err(LineProblem::Word((*version).to_owned(), "a version"));
    }
    Ok(LockedPackage {
        name: name.parse()?,
        arch: arch.parse()?,
        version: (*version).to_owned(),
        sha256: word(sha256, "a sha256")?,
        size: ByteSize(word(size, "a number of bytes")?),
        reason: word(reason, "a reason")?,
    })
}

fn installed(rest: &str) -> Result<Installed, LineProblem> {
    let words: Vec<&str> = rest.split(' ').collect();
    let [name, version, arch] = words.as_slice() else {
        return Err(LineProblem::Shape("`installed NAME VERSION ARCH`"));
    };
    if !is_version(version) {
        return Err(LineProblem::Word((*version).to_owned(), "a version"));
    }
    Ok(Installed {
        name: name.parse()?,
        arch: arch.parse()?,
        version: (*version).to_owned(),
    })
}

/// Whether a text may stand for a version.
pub(super) fn is_version(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
    !text.is_empty() && text.bytes().all(plain)
}

fn set<T>(place: &mut Option<T>, value: T) -> Result<(), LineProblem> {
    once(place.replace(value).is_none())
}

/// Refuses what is not the first of its kind.
const fn once(first: bool) -> Result<(), LineProblem> {
    if first {
        Ok(())
    } else {
        Err(LineProblem::Twice)
    }
}

fn word<T: FromStr>(text: &str, wanted: &'static str) -> Result<T, LineProblem> {
    text.parse()
        .ok()
        .ok_or_else(|| LineProblem::Word(text.to_owned(), wanted))
}

fn base(text: &str) -> Result<Base, LineProblem> {
    if text == "none" {
        Ok(None)
    } else {
        tree(text).map(Some)
    }
}

fn tree(text: &str) -> Result<Digest, LineProblem> {
    let problem = || LineProblem::Word(text.to_owned(), "`sha256:…`");
    word(
        text.strip_prefix("sha256:").ok_or_else(problem)?,
        "a sha256",
    )
}
