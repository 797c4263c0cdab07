//! Where the packages of a lock are: in whichever repository has their hash, else on this node, which imported them once.

use super::build_version::{self, Files};
use super::plan;
use crate::error::{CommandError, CommandResult, Kind};
use std::collections::BTreeMap;
use vzpkg_cache::store::Store;
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::index::{Index, IndexBuilder, IndexBytes};
use vzpkg_metadata::lock::{Change, Lock, LockedPackage};
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::{Action, PackageRef, Step, Transaction};
use vzpkg_metadata::{ByteSize, Digest, Family, RepoId};
use vzpkg_repo_client::Repository;

/// The name of the index of what this node has itself; no repository line has it.
const OWN: &str = "node";

/// What is nowhere, in words, by hash.
pub(crate) type Missing = BTreeMap<Digest, String>;

/// The repositories, and what this node has itself.
pub(crate) struct Sources<'a> {
    store: Option<&'a Store>,
    repositories: &'a [Repository],
    own: Index<'a>,
    own_id: RepoId,
    family: Family,
}

/// The index of those of `packages` that only this node's manifests have.
///
/// # Errors
/// For manifests that cannot be read.
pub(crate) fn own_packages<'l>(
    store: Option<&Store>,
    repositories: &[Repository],
    family: Family,
    packages: impl Iterator<Item = &'l LockedPackage>,
) -> CommandResult<IndexBytes> {
    let wanted: BTreeMap<Digest, &LockedPackage> =
        packages.map(|package| (package.sha256, package)).collect();
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

impl<'a> Sources<'a> {
    /// `own` is what [`own_packages`] made.
    ///
    /// # Errors
    /// For an index that is none.
    pub(crate) fn new(
        store: Option<&'a Store>,
        repositories: &'a [Repository],
        family: Family,
        own: &'a IndexBytes,
    ) -> CommandResult<Self> {
        Ok(Self {
            store,
            repositories,
            own: Index::access(own).map_err(|error| CommandError::new(Kind::Bug, error))?,
            own_id: OWN.parse()?,
            family,
        })
    }

    /// All of them as the resolver sees them.
    pub(crate) fn views(&self) -> Vec<vzpkg_resolver::Repository<'_>> {
        let mut views: Vec<_> = self.repositories.iter().map(plan::view).collect();
        views.push(vzpkg_resolver::Repository {
            id: self.own_id.clone(),
            index: self.own,
            priority: plan::DEFAULT_PRIORITY,
            excludes: Vec::new(),
            hotfixes: false,
            automatic: Automatic::Always,
        });
        views
    }

    /// Nothing is fetched from what this node has itself.
    pub(crate) fn without_own_name(&self, mut transaction: Transaction) -> Transaction {
        for step in &mut transaction.steps {
            let package = &mut step.package;
            package.repository.take_if(|id| *id == self.own_id);
        }
        transaction
    }

    /// The steps from `below` (nothing, if there is none) to `lock`, in the order in which they are taken. What is nowhere
    /// goes to `missing`.
    ///
    /// # Errors
    /// For indexes that cannot be read.
    pub(crate) fn transaction(
        &self,
        below: Option<&Lock>,
        lock: &Lock,
        missing: &mut Missing,
    ) -> CommandResult<Transaction> {
        let empty = Lock::empty(lock.family, lock.arch.clone());
        let before = below.unwrap_or(&empty);
        let mut steps = Vec::new();
        for Change { action, package } in before.changes_to(lock) {
            let found = match action {
                Action::Remove => Some(self.leaving(&package)?),
                _ => self.find_or_note(&package, below.is_some(), missing)?,
            };
            let Some(found) = found else { continue };
            steps.push(Step {
                action,
                package: found,
                reason: package.reason,
            });
        }
        Ok(self.in_order(lock, steps))
    }

    /// The steps from one lock to another as far as locks tell them: nobody is going to fetch these packages.
    ///
    /// # Errors
    /// For indexes that cannot be read.
    pub(crate) fn changes(&self, before: &Lock, after: &Lock) -> CommandResult<Transaction> {
        let steps = before.changes_to(after).into_iter().map(|change| {
            Ok(Step {
                action: change.action,
                package: self.leaving(&change.package)?,
                reason: change.package.reason,
            })
        });
        let steps = steps.collect::<CommandResult<_>>()?;
        Ok(self.in_order(after, steps))
    }

    /// A package that comes; what is nowhere goes to `missing`. `on_a_base` as the build is.
    ///
    /// # Errors
    /// For indexes that cannot be read.
    pub(crate) fn find_or_note(
        &self,
        package: &LockedPackage,
        on_a_base: bool,
        missing: &mut Missing,
    ) -> CommandResult<Option<PackageRef>> {
        // What is imported is laid out from its manifest; everything else the package manager does itself.
        let laid_out = Files::of(self.family, on_a_base) == Files::AsNeeded;
        let found = self.find(package, laid_out)?;
        if found.is_none() {
            missing.insert(package.sha256, self.describe(package)?);
        }
        Ok(found)
    }

    /// A package that goes, of which its name is enough.
    ///
    /// # Errors
    /// For indexes that cannot be read.
    pub(crate) fn leaving(&self, package: &LockedPackage) -> CommandResult<PackageRef> {
        let found = self.find(package, true)?;
        Ok(found.unwrap_or_else(|| known_by_lock(package)))
    }

    fn find(
        &self,
        package: &LockedPackage,
        without_file: bool,
    ) -> CommandResult<Option<PackageRef>> {
        if let Some(found) = offered(self.repositories, package)? {
            return Ok(Some(found));
        }
        let has_file = |store: &Store| {
            build_version::package_file(store, self.family, &package.sha256).exists()
        };
        if !without_file && !self.store.is_some_and(has_file) {
            return Ok(None);
        }
        let found = in_index(self.own, &self.own_id, package)?;
        Ok(found.map(|found| PackageRef {
            repository: None,
            ..found
        }))
    }

    /// What goes in the reverse order of installation, then what comes.
    fn in_order(&self, lock: &Lock, steps: Vec<Step>) -> Transaction {
        let (gone, coming): (Vec<Step>, Vec<Step>) = steps
            .into_iter()
            .partition(|step| step.action == Action::Remove);
        let views = self.views();
        let sequence = |steps| vzpkg_resolver::sequence(self.family, &lock.arch, &views, steps);
        let mut steps = sequence(gone);
        steps.reverse();
        steps.extend(sequence(coming));
        let family = lock.family;
        Transaction { family, steps }
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

/// Fails where packages are nowhere.
///
/// # Errors
/// [`Kind::Unmet`], naming all of them.
pub(crate) fn check_found(template: &Template, missing: Missing) -> CommandResult {
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = missing.into_values().collect();
    let text = format!(
        "the repositories of `{}` do not have what is wanted: {}",
        template.name,
        missing.join("; ")
    );
    Err(CommandError::message(Kind::Unmet, text).hint(
        "a mirror or snapshot that still has these hashes can be named in the template's `repositories`",
    ))
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

/// What a lock says of a package: its name, version and hash, and not where it may be had. Enough for one that goes, and for
/// one that is asked for by its hash.
pub(crate) fn known_by_lock(package: &LockedPackage) -> PackageRef {
    PackageRef {
        name: package.name.clone(),
        arch: package.arch.clone(),
        version: package.version.clone(),
        sha256: package.sha256,
        size: package.size,
        installed_size: ByteSize(0),
        repository: None,
        location: String::new(),
    }
}
