//! The chain of a lock: which versions the build of this one went through. Each is told by what it differs in from the
//! version built on it, so a year of daily updates is a few lines a day, and two people's changes to one lock merge.

use super::{Ids, Lock, LockedPackage};
use crate::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// An earlier version in the chain of a lock: the lock above it is this one without [`Self::lacks`] and with
/// [`Self::has`] turned round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The digest of its tree: what the version above has as its base.
    pub(super) tree: Digest,
    /// Its epoch.
    pub(super) epoch: i64,
    /// What it has and the lock above has not.
    pub(super) has: Lines,
    /// What the lock above has and it has not.
    pub(super) lacks: Lines,
}

/// Ids and packages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) ids: BTreeMap<String, Ids>,
    pub(super) packages: BTreeSet<LockedPackage>,
}

/// A link that does not follow from the lock above it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ChainError {
    /// The first link is not the base.
    #[error("its base is {base}, but its chain begins with {first}")]
    Base {
        /// What the line `base` says.
        base: String,
        /// The tree of the first link.
        first: Digest,
    },
    /// A line to leave out that the lock above has not, or one to add that it has.
    #[error("the link {tree} does not fit the lock above it: `{what}`")]
    Unfit {
        /// The tree of the link.
        tree: Digest,
        /// The name that the line is about.
        what: String,
    },
}

impl Lock {
    /// This lock with the version `tree`, made from `below`, as its base.
    #[must_use]
    pub fn built_on(mut self, tree: Digest, below: &Self) -> Self {
        self.base = Some(tree);
        self.committed = None;
        self.chain.clear();
        if below.has_whole_chain() {
            self.chain.push(Link::between(tree, &self, below));
            self.chain.extend_from_slice(&below.chain);
        }
        self
    }

    /// Whether the chain leads to a version that was built from nothing.
    pub const fn has_whole_chain(&self) -> bool {
        self.base.is_none() || !self.chain.is_empty()
    }

    /// The lock of the version `count` links below this one; 0 is this one. `None` beyond the end of the chain.
    ///
    /// Takes as long as the links are; parsing has made sure that they fit.
    pub fn below(&self, count: usize) -> Option<Self> {
        let (links, rest) = self.chain.split_at_checked(count)?;
        let mut lines = Lines {
            ids: self.ids.clone(),
            packages: self.packages.iter().cloned().collect(),
        };
        for link in links {
            link.apply(&mut lines).ok()?;
        }
        Some(Self {
            family: self.family,
            arch: self.arch.clone(),
            base: rest
                .first()
                .map(|link| link.tree)
                .or_else(|| self.base.filter(|_| count == 0)),
            epoch: links.last().map_or(self.epoch, |link| link.epoch),
            ids: lines.ids,
            packages: lines.packages.into_iter().collect(),
            chain: rest.to_vec(),
            // Such a lock has no chain.
            committed: self.committed.filter(|_| count == 0),
            installed: self.installed.clone(),
        })
    }

    /// Checks that every link follows from the one above it.
    pub(super) fn check_chain(&self) -> Result<(), ChainError> {
        let Some(first) = self.chain.first().map(|link| link.tree) else {
            return Ok(());
        };
        if self.base != Some(first) {
            let base = self
                .base
                .map_or_else(|| "none".to_owned(), |base| base.to_string());
            return Err(ChainError::Base { base, first });
        }
        let mut lines = Lines {
            ids: self.ids.clone(),
            packages: self.packages.iter().cloned().collect(),
        };
        self.chain
            .iter()
            .try_for_each(|link| link.apply(&mut lines))
    }
}

impl Link {
    fn between(tree: Digest, above: &Lock, below: &Lock) -> Self {
        Self {
            tree,
            epoch: below.epoch,
            has: only_in(below, above),
            lacks: only_in(above, below),
        }
    }

    /// Turns the lines of the lock above into those of this version.
    fn apply(&self, lines: &mut Lines) -> Result<(), ChainError> {
        let unfit = |what: &str| ChainError::Unfit {
            tree: self.tree,
            what: what.to_owned(),
        };
        for (name, ids) in &self.lacks.ids {
            if lines.ids.get(name) != Some(ids) {
                return Err(unfit(name));
            }
            lines.ids.remove(name);
        }
        for (name, ids) in &self.has.ids {
            if lines.ids.insert(name.clone(), *ids).is_some() {
                return Err(unfit(name));
            }
        }
        for package in &self.lacks.packages {
            if !lines.packages.remove(package) {
                return Err(unfit(package.name.as_str()));
            }
        }
        for package in &self.has.packages {
            if !lines.packages.insert(package.clone()) {
                return Err(unfit(package.name.as_str()));
            }
        }
        Ok(())
    }
}

/// The lines of `a` that `b` has not.
fn only_in(a: &Lock, b: &Lock) -> Lines {
    let others: BTreeSet<_> = b.packages.iter().collect();
    let ids = a
        .ids
        .iter()
        .filter(|(name, ids)| b.ids.get(*name) != Some(ids));
    let packages = a
        .packages
        .iter()
        .filter(|package| !others.contains(package));
    Lines {
        ids: ids.map(|(name, ids)| (name.clone(), *ids)).collect(),
        packages: packages.cloned().collect(),
    }
}
