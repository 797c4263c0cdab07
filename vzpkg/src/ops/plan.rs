//! What a build would do: the request of a template, the packages of a base, and the resolver's answer.

use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use vzpkg_cache::store::{Store, VersionRecord};
use vzpkg_metadata::index::{Index, IndexBuilder, IndexBytes};
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::Transaction;
use vzpkg_metadata::{Digest, Family};
use vzpkg_repo_client::Repository;
use vzpkg_resolver::{Installed, Request, Solve, Upgrade};

/// The priority of a repository line that says none, as yum has it; lower wins.
pub(crate) const DEFAULT_PRIORITY: i32 = 99;

/// What the packages of a template are asked to become.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal<'a> {
    /// Everything from nothing.
    Bootstrap,
    /// This version with everything newer that the repositories have.
    Update(&'a VersionRecord),
}

/// Resolves `template` against `repositories`.
///
/// # Errors
/// [`Kind::Unmet`] with the tree of reasons where it cannot be met.
pub(crate) fn transaction(
    context: &Context,
    store: Option<&Store>,
    template: &Template,
    repositories: &[Repository],
    goal: Goal<'_>,
) -> CommandResult<Transaction> {
    let names = template
        .packages_0
        .iter()
        .flatten()
        .chain(&template.packages_1)
        .chain(&template.packages);
    let mut install: Vec<String> = names.cloned().collect();
    install.sort();
    install.dedup();
    let held = match store {
        Some(store) => store
            .db
            .holds(&template.name)?
            .iter()
            .filter(|hold| hold.is_active(context.clock.now))
            .map(|hold| hold.pattern.to_string())
            .collect(),
        None => Vec::new(),
    };
    let request = Request {
        install,
        upgrade: if matches!(goal, Goal::Update(_)) {
            Upgrade::All
        } else {
            Upgrade::None
        },
        essential: template.family == Family::Deb,
        recommends: context.settings.recommends,
        holds: held,
        autoremove: true,
        ..Request::default()
    };
    let views: Vec<_> = repositories.iter().map(view).collect();
    let arch = template.arch.in_family(template.family);
    let solve = match (goal, store) {
        (Goal::Update(base), Some(store)) => {
            let bytes = installed_index(store, base)?;
            let index =
                Index::access(&bytes).map_err(|error| CommandError::new(Kind::Bug, error))?;
            let installed = Installed {
                index,
                lock: &base.lock,
            };
            vzpkg_resolver::resolve(template.family, &arch, &views, Some(&installed), &request)?
        }
        _ => vzpkg_resolver::resolve(template.family, &arch, &views, None, &request)?,
    };
    match solve {
        Solve::Solved(transaction) => Ok(transaction),
        Solve::Impossible(conflict) => {
            let text = format!(
                "the packages of `{}` cannot be installed together\n{conflict}",
                template.name
            );
            Err(CommandError::message(Kind::Unmet, text.trim_end()))
        }
    }
}

/// A repository as the resolver sees it.
pub(crate) fn view(repository: &Repository) -> vzpkg_resolver::Repository<'_> {
    vzpkg_resolver::Repository {
        id: repository.id.clone(),
        index: repository.index.as_index(),
        priority: repository.priority.unwrap_or(DEFAULT_PRIORITY),
    }
}

/// The index of what a version holds, from the records in its packages' manifests.
pub(crate) fn installed_index(store: &Store, version: &VersionRecord) -> CommandResult<IndexBytes> {
    let mut builder = IndexBuilder::new(version.lock.family);
    for package in &version.lock.packages {
        let manifest = store
            .packages
            .get(&package.sha256)?
            .ok_or_else(|| missing(&package.sha256))?;
        let record = vzpkg_cache::import::record::record_of(&manifest)?;
        builder.add(&record);
    }
    builder
        .finish()
        .map_err(|error| CommandError::new(Kind::Bug, error))
}

fn missing(package: &Digest) -> CommandError {
    CommandError::message(
        Kind::Environment,
        format!("the manifest of package {package} is missing from the store"),
    )
    .hint("`vzpkg update --rebuild TEMPLATE` builds without it")
}
