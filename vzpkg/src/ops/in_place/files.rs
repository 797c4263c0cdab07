//! The files of the packages that come: those that this node has, by hash, else from wherever the template's repositories
//! have that hash.

use super::inside::Files;
use crate::commands::Context;
use crate::error::CommandResult;
use crate::ops::sources::{self, Missing};
use crate::ops::{build_version, node, refresh_index, repair};
use crate::output::progress::Progress;
use std::sync::Arc;
use vzpkg_cache::store::{Store, VersionRecord};
use vzpkg_metadata::Digest;
use vzpkg_metadata::template::{Template, TemplateArea};
use vzpkg_metadata::transaction::{PackageRef, Transaction};
use vzpkg_repo_client::{Repository, Wanted};

/// Brings them all here; each has the hash that the version's lock says.
///
/// # Errors
/// [`crate::error::Kind::Unmet`] naming those that are nowhere; what the repositories fail with.
pub(super) fn fetch(
    context: &Context,
    store: &Store,
    area: &TemplateArea,
    version: &VersionRecord,
    transaction: &Transaction,
) -> CommandResult<Files> {
    let progress = Arc::new(Progress::new(&context.settings, context.printer));
    let client = refresh_index::client(context, &progress);
    let (mut wanted, mut absent) = (Vec::new(), Vec::new());
    for step in transaction.incoming() {
        let package = &step.package;
        let here = build_version::package_file(store, transaction.family, &package.sha256);
        if repair::is_right(&here, package) {
            // Whose it is was looked at when the version was built, whose lock has its hash.
            wanted.push(repair::from(transaction.family, package.clone(), None));
        } else {
            absent.push(package);
        }
    }
    if !absent.is_empty() {
        let (_, location) = node::locate(area, version.template.as_str())?;
        let template = node::load(area, &location)?;
        let repositories = refresh_index::load(&client, &template)?;
        wanted.extend(offered(&template, &repositories, &absent, transaction)?);
    }
    let paths = client.fetch(&wanted)?;
    progress.end_stage();
    let digests = wanted.iter().map(|wanted| wanted.package.sha256);
    Ok(digests.zip(paths).collect())
}

fn offered(
    template: &Template,
    repositories: &[Repository],
    absent: &[&PackageRef],
    transaction: &Transaction,
) -> CommandResult<Vec<Wanted>> {
    let (mut wanted, mut missing) = (Vec::new(), Missing::new());
    for package in absent {
        match find(repositories, package)? {
            Some((found, repository)) => {
                wanted.push(repair::from(transaction.family, found, Some(repository)));
            }
            None => drop(missing.insert(package.sha256, package.to_string())),
        }
    }
    sources::check_found(template, missing)?;
    Ok(wanted)
}

fn find<'r>(
    repositories: &'r [Repository],
    package: &PackageRef,
) -> CommandResult<Option<(PackageRef, &'r Repository)>> {
    let sha256: Digest = package.sha256;
    for repository in repositories {
        let mut named = repository.index.as_index().by_name(package.name.as_str());
        if let Some(found) = named.find(|found| found.sha256() == sha256) {
            return Ok(Some((found.to_package_ref(&repository.id)?, repository)));
        }
    }
    Ok(None)
}
