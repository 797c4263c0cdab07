//! A lock built again: for each version of its chain the transaction that made it, its packages wherever they are.

use super::plan;
use crate::error::{CommandError, CommandResult, Kind};
use std::collections::BTreeMap;
use vzpkg_cache::store::Store;
use vzpkg_metadata::index::{Index, IndexBuilder, IndexBytes};
use vzpkg_metadata::lock::{Change, Lock, LockedPackage};
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::{Action, PackageRef, Step, Transaction};
use vzpkg_metadata::{Digest, Family, RepoId};
use vzpkg_repo_client::Repository;

/// The name of the index of what this node has itself; no repository line has it.
const OWN: &str = "node";

/// One version of a chain, to be built on the one before it.
#[derive(Debug)]
pub(crate) struct Link {
    /// What it is made of.
    pub(crate) lock: Lock,
    /// The tree it must become, which the next link is built on; unknown for the last.
    pub(crate) tree: Option<Digest>,
    /// What is done to the version before it.
    pub(crate) transaction: Transaction,
}

/// What is to be built for a lock.
#[derive(Debug)]
pub(crate) struct Replay {
    /// The newest version of the chain that this node has: its tree and its lock.
    pub(crate) base: Option<(Digest, Lock)>,
    /// What comes after it, oldest first; at least one.
    pub(crate) links: Vec<Link>,
}

/// Works out how `lock` is built on this node. Its packages are taken from whichever repository has each hash, else from
/// those that this node has.
///
/// # Errors
/// [`Kind::Unmet`] naming the packages that are nowhere, with the nearest version; also for a lock that cannot be
/// repeated: without its chain, or with ids that this node gives to other names.
pub(crate) fn plan(
    store: Option<&Store>,
    template: &Template,
    repositories: &[Repository],
    lock: &Lock,
) -> CommandResult<Replay> {
    let mut locks = versions_of(lock)?;
    if let Some(store) = store {
        check_ids(store, template, &locks)?;
    }
    let base = known_base(store, &mut locks)?;
    let own = own_packages(
        store,
        repositories,
        base.iter().map(|(_, lock)| lock).chain(&locks),
    )?;
    let sources = Sources {
        store,
        repositories,
        own: Index::access(&own).map_err(|error| CommandError::new(Kind::Bug, error))?,
        own_id: OWN.parse()?,
        family: lock.family,
    };
    let mut missing = BTreeMap::new();
    let mut links: Vec<Link> = Vec::new();
    for lock in locks {
        let below = links
            .last()
            .map(|link| &link.lock)
            .or(base.as_ref().map(|(_, lock)| lock));
        let transaction = sources.transaction(below, &lock, &mut missing)?;
        if let Some(last) = links.last_mut() {
            last.tree = lock.base;
        }
        links.push(Link {
            lock,
            tree: None,
            transaction,
        });
    }
    if missing.is_empty() {
        return Ok(Replay { base, links });
    }
    let missing: Vec<String> = missing.into_values().collect();
    let text = format!(
        "the repositories of `{}` do not have what the lock says: {}",
        template.name,
        missing.join("; ")
    );
    Err(CommandError::message(Kind::Unmet, text).hint(
        "a mirror or snapshot that still has these hashes can be named in the template's `repositories`",
    ))
}

/// The locks of the chain, oldest first, `lock` itself last.
fn versions_of(lock: &Lock) -> CommandResult<Vec<Lock>> {
    if !lock.has_whole_chain() {
        let text = "the lock is of a version that was built on another, and does not say how that was made";
        return Err(CommandError::message(Kind::Unmet, text)
            .hint("`vzpkg update --rebuild` makes a version that stands alone"));
    }
    let counts = (0..=lock.chain.len()).rev();
    Ok(counts.filter_map(|count| lock.below(count)).collect())
}

/// A name has one id in every version of a template; a lock that wants another cannot become the same tree here.
fn check_ids(store: &Store, template: &Template, locks: &[Lock]) -> CommandResult {
    let registered = store.db.ids_for(&template.name)?;
    let mut wanted = locks.iter().flat_map(|lock| &lock.ids);
    let clash = wanted.find_map(|(name, wanted)| {
        let here = registered.get(name)?;
        let both = [(here.uid, wanted.uid), (here.gid, wanted.gid)];
        let mut known = both
            .into_iter()
            .filter_map(|(here, wanted)| Some((here?, wanted?)));
        let (here, wanted) = known.find(|(here, wanted)| here != wanted)?;
        Some((name, here, wanted))
    });
    let Some((name, here, wanted)) = clash else {
        return Ok(());
    };
    let text = format!(
        "the lock gives `{name}` the id {wanted}, but versions of `{}` on this node gave it {here}",
        template.name
    );
    Err(CommandError::message(Kind::Unmet, text).hint(
        "build it below another root: vzpkg --root DIRECTORY create-cache --lock FILE TEMPLATE",
    ))
}

/// Takes away what this node has built already: the newest base of the chain whose version is here.
fn known_base(
    store: Option<&Store>,
    locks: &mut Vec<Lock>,
) -> CommandResult<Option<(Digest, Lock)>> {
    let Some(store) = store else {
        return Ok(None);
    };
    for position in (1..locks.len()).rev() {
        let Some(tree) = locks.get(position).and_then(|lock| lock.base) else {
            continue;
        };
        if !store.versions.read_all(&tree)?.is_empty() && store.images.contains(&tree) {
            let rest = locks.split_off(position);
            let below = std::mem::replace(locks, rest).pop();
            return Ok(below.map(|lock| (tree, lock)));
        }
    }
    Ok(None)
}

/// The index of the packages that only this node's manifests have.
fn own_packages<'l>(
    store: Option<&Store>,
    repositories: &[Repository],
    locks: impl Iterator<Item = &'l Lock> + Clone,
) -> CommandResult<IndexBytes> {
    let family = locks.clone().next().map_or(Family::Deb, |lock| lock.family);
    let wanted: BTreeMap<Digest, &LockedPackage> = locks
        .flat_map(|lock| &lock.packages)
        .map(|package| (package.sha256, package))
        .collect();
    let mut index = IndexBuilder::new(family);
    for (sha256, package) in wanted {
        if let Some(store) = store
            && offered(repositories, package)?.is_none()
            && let Some(manifest) = store.packages.get(&sha256)?
        {
            index.add(&vzpkg_cache::import::record::record_of(&manifest)?);
        }
    }
    index
        .finish()
        .map_err(|error| CommandError::new(Kind::Bug, error))
}

/// Where packages are: the repositories, and what this node imported once.
struct Sources<'a> {
    store: Option<&'a Store>,
    repositories: &'a [Repository],
    own: Index<'a>,
    own_id: RepoId,
    family: Family,
}

impl Sources<'_> {
    /// The steps from `below` to `lock`, in the order in which they were taken. What is nowhere goes to `missing`.
    fn transaction(
        &self,
        below: Option<&Lock>,
        lock: &Lock,
        missing: &mut BTreeMap<Digest, String>,
    ) -> CommandResult<Transaction> {
        let empty = Lock::empty(lock.family, lock.arch.clone());
        let before = below.unwrap_or(&empty);
        // An imported deb package is laid out from its manifest; everything else the package manager does itself.
        let laid_out = below.is_none() && self.family == Family::Deb;
        let (mut gone, mut coming) = (Vec::new(), Vec::new());
        for Change { action, package } in before.changes_to(lock) {
            let goes = action == Action::Remove;
            let found = self.find(&package, goes || laid_out)?;
            let found = found.or_else(|| goes.then(|| known_by_lock(&package)));
            let Some(found) = found else {
                let text = self.describe(&package)?;
                missing.insert(package.sha256, text);
                continue;
            };
            let steps = if goes { &mut gone } else { &mut coming };
            steps.push(Step {
                action,
                package: found,
                reason: package.reason,
            });
        }
        let mut steps = self.in_order(lock, gone);
        steps.reverse();
        steps.extend(self.in_order(lock, coming));
        let transaction = Transaction {
            family: lock.family,
            steps,
        };
        if missing.is_empty() && before.after(&transaction).packages != lock.packages {
            let text =
                "the lock gives packages another reason without changing them, which no build does";
            return Err(CommandError::message(Kind::Unmet, text).hint(
                "take the reasons from the lock of its base, or from a version that was rebuilt",
            ));
        }
        Ok(transaction)
    }

    fn find(
        &self,
        package: &LockedPackage,
        without_file: bool,
    ) -> CommandResult<Option<PackageRef>> {
        if let Some(found) = offered(self.repositories, package)? {
            return Ok(Some(found));
        }
        let file = format!("{}.{}", package.sha256, self.family.extension());
        let has_file = |store: &Store| store.layout.packages().join(file).exists();
        if !without_file && !self.store.is_some_and(has_file) {
            return Ok(None);
        }
        let found = in_index(self.own, &self.own_id, package)?;
        Ok(found.map(|found| PackageRef {
            repository: None,
            ..found
        }))
    }

    fn in_order(&self, lock: &Lock, steps: Vec<Step>) -> Vec<Step> {
        let mut views: Vec<_> = self.repositories.iter().map(plan::view).collect();
        views.push(vzpkg_resolver::Repository {
            id: self.own_id.clone(),
            index: self.own,
            priority: plan::DEFAULT_PRIORITY,
        });
        vzpkg_resolver::sequence(self.family, &lock.arch, &views, steps)
    }

    /// A package that is nowhere, and the nearest that is offered.
    fn describe(&self, package: &LockedPackage) -> CommandResult<String> {
        let mut offered = Vec::new();
        for repository in self.repositories {
            let named = repository.index.as_index().by_name(package.name.as_str());
            for found in named {
                offered.push(found.to_package_ref(&repository.id)?.version);
            }
        }
        let compare = |a: &String, b: &String| vzpkg_metadata::version::compare(self.family, a, b);
        offered.sort_by(compare);
        let higher = |version: &&String| compare(version, &package.version).is_ge();
        let nearest = offered.iter().find(higher).or(offered.last());
        let LockedPackage { name, version, .. } = package;
        Ok(match nearest {
            Some(nearest) if nearest == version => {
                format!("{name} {version} (there is one with another hash)")
            }
            Some(nearest) => format!("{name} {version} (the nearest is {nearest})"),
            None => format!("{name} {version} (nothing of that name)"),
        })
    }
}

fn offered(
    repositories: &[Repository],
    package: &LockedPackage,
) -> CommandResult<Option<PackageRef>> {
    for repository in repositories {
        let index = repository.index.as_index();
        if let Some(found) = in_index(index, &repository.id, package)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn in_index(
    index: Index<'_>,
    id: &RepoId,
    package: &LockedPackage,
) -> CommandResult<Option<PackageRef>> {
    let mut named = index.by_name(package.name.as_str());
    let found = named.find(|found| found.sha256() == package.sha256);
    Ok(found.map(|found| found.to_package_ref(id)).transpose()?)
}

/// A package that goes needs no more than its name.
fn known_by_lock(package: &LockedPackage) -> PackageRef {
    PackageRef {
        name: package.name.clone(),
        arch: package.arch.clone(),
        version: package.version.clone(),
        sha256: package.sha256,
        size: package.size,
        installed_size: vzpkg_metadata::ByteSize(0),
        repository: None,
        location: String::new(),
    }
}
