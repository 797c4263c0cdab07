//! From a transaction to a published version: fetch and build, side by side.

use super::{containers, node};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::output::progress::Progress;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use vzpkg_cache::build::{self, Base, BuildError, BuildRequest};
use vzpkg_cache::import::Fetched;
use vzpkg_cache::store::{Published, Store, VersionDraft};
use vzpkg_metadata::lock::Ids;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::{PackageRef, Transaction};
use vzpkg_metadata::{ByteSize, Digest, Family};
use vzpkg_repo_client::{Arrived, Client, Repository, Wanted};

/// One build as a command asks for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<'a> {
    /// The template.
    pub(crate) template: &'a Template,
    /// Where its packages are.
    pub(crate) repositories: &'a [Repository],
    /// What it is built on.
    pub(crate) base: Option<Base<'a>>,
    /// What it comes after in the history.
    pub(crate) parent: Option<Digest>,
    /// What is done.
    pub(crate) transaction: &'a Transaction,
    /// Times are clamped to this second.
    pub(crate) epoch: i64,
    /// Ids that a lock demands.
    pub(crate) ids: &'a BTreeMap<String, Ids>,
    /// Packages read at once.
    pub(crate) threads: usize,
    /// For the history.
    pub(crate) why: &'a str,
}

impl Order<'_> {
    /// Which package files it needs.
    pub(crate) fn files(&self) -> Files {
        Files::of(self.transaction.family, self.base.is_some())
    }
}

/// The epoch of a build from repositories: `SOURCE_DATE_EPOCH`, else the newest date they were signed with.
pub(crate) fn epoch(context: &Context, repositories: &[Repository]) -> i64 {
    let newest = repositories.iter().map(|repository| repository.date).max();
    context
        .settings
        .source_date_epoch
        .or(newest)
        .unwrap_or(context.clock.now)
}

/// Which package files a build is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// Those that were never imported: enough to lay everything out.
    AsNeeded,
    /// All: the tree's own package manager wants the files of what comes.
    All,
}

impl Files {
    /// What a build gets: an update is carried out by the tree's own package manager, and so is every build of rpm
    /// packages.
    pub(crate) fn of(family: Family, on_a_base: bool) -> Self {
        if on_a_base || family == Family::Rpm {
            Self::All
        } else {
            Self::AsNeeded
        }
    }
}

/// The file of a package below the root.
pub(crate) fn package_file(store: &Store, family: Family, sha256: &Digest) -> PathBuf {
    let name = format!("{sha256}.{}", family.extension());
    store.layout.packages().join(name)
}

/// The bytes that a build of `transaction` fetches.
pub(crate) fn to_download(store: &Store, transaction: &Transaction, files: Files) -> ByteSize {
    let coming = transaction.incoming().map(|step| &step.package);
    coming
        .filter(|package| is_wanted(store, package, files))
        .filter(|package| !package_file(store, transaction.family, &package.sha256).exists())
        .map(|package| package.size)
        .sum()
}

fn is_wanted(store: &Store, package: &PackageRef, files: Files) -> bool {
    files == Files::All || !store.layout.manifest(&package.sha256).exists()
}

/// The package files of `transaction` that a build is given, and where they may be had.
pub(crate) fn wanted(
    store: &Store,
    repositories: &[Repository],
    transaction: &Transaction,
    files: Files,
) -> Vec<Wanted> {
    let known: BTreeMap<_, _> = repositories
        .iter()
        .map(|repository| (&repository.id, repository))
        .collect();
    transaction
        .incoming()
        .filter(|step| is_wanted(store, &step.package, files))
        .map(|step| {
            let id = step.package.repository.as_ref();
            let repository = id.and_then(|id| known.get(id));
            Wanted {
                package: step.package.clone(),
                family: transaction.family,
                base_urls: repository.map_or_else(Vec::new, |of| of.base_urls.clone()),
                package_keys: repository.and_then(|of| of.package_keys.clone()),
            }
        })
        .collect()
}

/// Fetches what is missing, builds and publishes; packages are imported while others still download.
///
/// # Errors
/// The first failure of either side; nothing is visible then.
pub(crate) fn build(
    context: &Context,
    store: &Store,
    client: &Client,
    progress: &Progress,
    order: &Order<'_>,
) -> CommandResult<Published> {
    make(context, store, client, progress, order, &build::build)
}

/// As [`build`], without publishing: a base for what comes after it.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_base(
    context: &Context,
    store: &Store,
    client: &Client,
    progress: &Progress,
    order: &Order<'_>,
) -> CommandResult<VersionDraft> {
    make(context, store, client, progress, order, &build::build_tree)
}

/// What the builder does with a request and the packages that arrive.
type Builder<'b, T> = &'b dyn Fn(&BuildRequest<'_>, Receiver<Fetched>) -> Result<T, BuildError>;

fn make<T>(
    context: &Context,
    store: &Store,
    client: &Client,
    progress: &Progress,
    order: &Order<'_>,
    builder: Builder<'_, T>,
) -> CommandResult<T> {
    let files = order.files();
    match make_with(context, store, client, progress, order, builder, files)? {
        Ok(made) => Ok(made),
        // A few packages go through the package manager itself (colliding paths), which wants their files.
        Err(BuildError::MissingPackage(_)) if files == Files::AsNeeded => {
            let files = Files::All;
            Ok(make_with(
                context, store, client, progress, order, builder, files,
            )??)
        }
        Err(error) => Err(error.into()),
    }
}

fn make_with<T>(
    context: &Context,
    store: &Store,
    client: &Client,
    progress: &Progress,
    order: &Order<'_>,
    builder: Builder<'_, T>,
    files: Files,
) -> CommandResult<Result<T, BuildError>> {
    let wanted = wanted(store, order.repositories, order.transaction, files);
    let tier = containers::tier(context, store)?;
    let helper = containers::helper();
    let who = node::who(context);
    let request = BuildRequest {
        store,
        template: order.template,
        applications: &[],
        name: &order.template.name,
        base: order.base,
        parent: order.parent,
        transaction: order.transaction,
        epoch: order.epoch,
        ids: order.ids,
        helper: &helper,
        tier,
        threads: order.threads,
        timeout: context.settings.script_timeout,
        who: &who,
        why: order.why,
        now: context.clock.now,
        reporter: progress,
        cancel: &context.interrupted,
    };
    let (sender, arrivals) = mpsc::channel();
    let by_hash: BTreeMap<Digest, &PackageRef> = wanted
        .iter()
        .map(|wanted| (wanted.package.sha256, &wanted.package))
        .collect();
    let (arrived, arriving) = mpsc::channel::<Arrived>();
    let (fetched, built) = std::thread::scope(|scope| {
        let fetch = scope.spawn(|| {
            let arrived = arrived;
            client.fetch_each(&wanted, &arrived)
        });
        scope.spawn(|| {
            let sender = sender;
            for file in arriving {
                if let Some(package) = by_hash.get(&file.sha256) {
                    let fetched = Fetched {
                        package: (*package).clone(),
                        path: file.path,
                    };
                    // A builder that failed has gone; its own error is the one to report.
                    drop(sender.send(fetched));
                }
            }
        });
        let built = builder(&request, arrivals);
        let fetched = fetch
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (fetched, built)
    });
    progress.end_stage();
    // What was not fetched explains why it was not built.
    fetched?;
    node::check_interrupt(context)?;
    Ok(built)
}

/// Refuses a lock or transaction that has nothing in it.
///
/// # Errors
/// [`Kind::Unmet`].
pub(crate) fn check_not_empty(template: &Template, transaction: &Transaction) -> CommandResult {
    if transaction.is_empty() {
        return Err(CommandError::message(
            Kind::Unmet,
            format!("`{}` names no packages", template.name),
        )
        .hint("list some in its file `packages`"));
    }
    Ok(())
}
