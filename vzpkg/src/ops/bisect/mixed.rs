//! Sets of packages between two versions: the changes from one to the other in blocks, each of which leaves packages that
//! fit together.

use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::plan::DEFAULT_PRIORITY;
use crate::ops::sources::{self, Missing, Sources};
use std::collections::BTreeMap;
use vzpkg_cache::import::record;
use vzpkg_cache::store::{PackageManifest, Store};
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::index::{Index, IndexBuilder, IndexBytes};
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::{Action, Step, Transaction};
use vzpkg_metadata::{Digest, Family};
use vzpkg_repo_client::Repository;
use vzpkg_resolver::{Request, Solve};

/// The way from a good version to a bad one.
pub(crate) struct Way<'a> {
    store: &'a Store,
    template: &'a Template,
    repositories: &'a [Repository],
    from: &'a Lock,
    /// Changes that only fit together, in the order in which they are made.
    pub(crate) blocks: Vec<Vec<Step>>,
}

impl<'a> Way<'a> {
    /// Finds it.
    ///
    /// # Errors
    /// For packages of either version that the store has lost.
    pub(crate) fn find(
        store: &'a Store,
        template: &'a Template,
        repositories: &'a [Repository],
        from: &'a Lock,
        to: &Lock,
    ) -> CommandResult<Self> {
        let mut way = Self {
            store,
            template,
            repositories,
            from,
            blocks: Vec::new(),
        };
        // What is nowhere any more may not be needed: that is seen when a set with it is built.
        let own = way.own_packages(to)?;
        let steps = way.sources(&own)?.changes(from, to)?.steps;
        let universe = Universe::read(store, template, [from, to])?;
        way.blocks = blocks(&universe, from, steps)?;
        Ok(way)
    }

    /// The packages after the first `count` blocks.
    pub(crate) fn lock(&self, count: usize) -> Lock {
        let steps = self.blocks.iter().take(count).flatten().cloned();
        let transaction = Transaction {
            family: self.from.family,
            steps: steps.collect(),
        };
        self.from.after(&transaction)
    }

    /// What is done to the good version for that.
    ///
    /// # Errors
    /// [`Kind::Unmet`] for packages that are nowhere any more.
    pub(crate) fn transaction(&self, count: usize) -> CommandResult<Transaction> {
        let to = self.lock(count);
        let own = self.own_packages(&to)?;
        let mut missing = Missing::new();
        let sources = self.sources(&own)?;
        let transaction = sources.transaction(Some(self.from), &to, &mut missing)?;
        sources::check_found(self.template, missing)?;
        Ok(transaction)
    }

    fn own_packages(&self, to: &Lock) -> CommandResult<IndexBytes> {
        let packages = self.from.packages.iter().chain(&to.packages);
        let family = self.from.family;
        sources::own_packages(Some(self.store), self.repositories, family, packages)
    }

    fn sources<'s>(&'s self, own: &'s IndexBytes) -> CommandResult<Sources<'s>> {
        let family = self.from.family;
        Sources::new(Some(self.store), self.repositories, family, own)
    }
}

/// One after the other; what fits in no order is done at once.
fn blocks(universe: &Universe<'_>, from: &Lock, steps: Vec<Step>) -> CommandResult<Vec<Vec<Step>>> {
    // What comes in the order in which it is needed, then what goes.
    let (gone, mut left): (Vec<Step>, Vec<Step>) = steps
        .into_iter()
        .partition(|step| step.action == Action::Remove);
    left.extend(gone);
    let mut blocks = Vec::new();
    let mut reached = from.clone();
    let after = |reached: &Lock, steps: &[Step]| {
        reached.after(&Transaction {
            family: from.family,
            steps: steps.to_vec(),
        })
    };
    while !left.is_empty() {
        let mut block = None;
        for at in 0..left.len() {
            if universe.fits(&after(&reached, &left[at..=at]))? {
                block = Some(vec![left.remove(at)]);
                break;
            }
        }
        let mut count = 2;
        while block.is_none() && count < left.len() {
            if universe.fits(&after(&reached, &left[..count]))? {
                block = Some(left.drain(..count).collect());
            }
            count += 1;
        }
        let block = block.unwrap_or_else(|| std::mem::take(&mut left));
        reached = after(&reached, &block);
        blocks.push(block);
    }
    Ok(blocks)
}

/// The records of all packages of both versions.
struct Universe<'a> {
    template: &'a Template,
    manifests: BTreeMap<Digest, PackageManifest>,
}

impl<'a> Universe<'a> {
    fn read(store: &Store, template: &'a Template, locks: [&Lock; 2]) -> CommandResult<Self> {
        let mut manifests = BTreeMap::new();
        for package in locks.into_iter().flat_map(|lock| &lock.packages) {
            if let Some(manifest) = store.packages.get(&package.sha256)? {
                manifests.insert(package.sha256, manifest);
            }
        }
        Ok(Self {
            template,
            manifests,
        })
    }

    /// Whether the packages of a lock have all they need among themselves.
    fn fits(&self, lock: &Lock) -> CommandResult<bool> {
        let bug = |error: &dyn std::fmt::Display| {
            CommandError::message(Kind::Bug, format!("packages of a version: {error}"))
        };
        let mut builder = IndexBuilder::new(lock.family);
        let mut install = Vec::new();
        for package in &lock.packages {
            if let Some(manifest) = self.manifests.get(&package.sha256) {
                builder.add(&record::record_of(manifest)?);
            }
            let is_native = package.arch == lock.arch || package.arch.is_independent();
            match lock.family {
                Family::Deb if is_native => {
                    install.push(format!("{}={}", package.name, package.version));
                }
                Family::Rpm if is_native => install.push(package.name.to_string()),
                // A foreign package is there to be used, but cannot be asked for by name alone.
                _ => {}
            }
        }
        let bytes = builder.finish().map_err(|error| bug(&error))?;
        let repository = vzpkg_resolver::Repository {
            id: "versions".parse()?,
            index: Index::access(&bytes).map_err(|error| bug(&error))?,
            priority: DEFAULT_PRIORITY,
            excludes: Vec::new(),
            hotfixes: false,
            automatic: Automatic::Always,
        };
        let request = Request {
            install,
            ..Request::default()
        };
        let arch = self.template.arch.in_family(lock.family);
        let solve = vzpkg_resolver::resolve(lock.family, &arch, &[repository], None, &request)?;
        Ok(matches!(solve, Solve::Solved(_)))
    }
}
