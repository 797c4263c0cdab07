//! From a transaction to a published version: fetch and build, side by side.

use super::{containers, node};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::output::progress::Progress;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use vzpkg_cache::build::{self, Base, BuildError, BuildRequest};
use vzpkg_cache::import::Fetched;
use vzpkg_cache::store::{Published, Store, VersionDraft};
use vzpkg_metadata::lock::Ids;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::{PackageRef, Transaction};
use vzpkg_metadata::{ByteSize, Digest, Family};
use vzpkg_repo_client::{Arrived, Client, FetchError, Repository, Wanted};

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
    coming(store, transaction, files)
        .filter(|package| !package_file(store, transaction.family, &package.sha256).exists())
        .map(|package| package.size)
        .sum()
}

fn is_wanted(store: &Store, package: &PackageRef, files: Files) -> bool {
    files == Files::All || !store.layout.manifest(&package.sha256).exists()
}

/// The packages that come with `transaction` and whose files a build is given.
pub(crate) fn coming<'t>(
    store: &'t Store,
    transaction: &'t Transaction,
    files: Files,
) -> impl Iterator<Item = &'t PackageRef> {
    let packages = transaction.incoming().map(|step| &step.package);
    packages.filter(move |package| is_wanted(store, package, files))
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
    coming(store, transaction, files)
        .map(|package| {
            let id = package.repository.as_ref();
            let repository = id.and_then(|id| known.get(id));
            Wanted {
                package: package.clone(),
                family: transaction.family,
                base_urls: repository.map_or_else(Vec::new, |of| of.base_urls.clone()),
                package_keys: repository.and_then(|of| of.package_keys.clone()),
            }
        })
        .collect()
}

/// What the builds of one command are carried out with.
#[derive(Clone, Copy)]
pub(crate) struct Builder<'a> {
    /// The command.
    pub(crate) context: &'a Context,
    /// Where versions are kept.
    pub(crate) store: &'a Store,
    /// Fetches packages.
    pub(crate) client: &'a Client,
    /// Hears of both sides.
    pub(crate) progress: &'a Progress,
}

/// What is done with a request and the packages that arrive.
type Work<'w, T> = &'w dyn Fn(&BuildRequest<'_>, Receiver<Fetched>) -> Result<T, BuildError>;

/// Which package files there are to fetch, and from where.
type Offers<'w> = &'w mut dyn FnMut(Files) -> CommandResult<Vec<Wanted>>;

impl Builder<'_> {
    /// Fetches what is missing, builds and publishes; packages are imported while others still download.
    ///
    /// # Errors
    /// The first failure of either side; nothing is visible then.
    pub(crate) fn publish(&self, order: &Order<'_>) -> CommandResult<Published> {
        self.make(
            order,
            &mut |files| Ok(self.offers(order, files)),
            &build::build,
        )
    }

    /// As [`Self::publish`], but the head stays where it is if a version with the tree is there already.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub(crate) fn publish_if_new(&self, order: &Order<'_>) -> CommandResult<Published> {
        self.make(
            order,
            &mut |files| Ok(self.offers(order, files)),
            &build::build_if_new,
        )
    }

    /// As [`Self::publish`], without publishing: a base for what comes after it.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub(crate) fn tree(&self, order: &Order<'_>) -> CommandResult<VersionDraft> {
        self.tree_from(order, &mut |files| Ok(self.offers(order, files)))
    }

    /// As [`Self::tree`], of files that `offers` names; it is asked a second time where a build wants more of them.
    ///
    /// # Errors
    /// As [`Self::publish`], and what `offers` fails with.
    pub(crate) fn tree_from(
        &self,
        order: &Order<'_>,
        offers: Offers<'_>,
    ) -> CommandResult<VersionDraft> {
        self.make(order, offers, &build::build_tree)
    }

    fn offers(&self, order: &Order<'_>, files: Files) -> Vec<Wanted> {
        wanted(self.store, order.repositories, order.transaction, files)
    }

    fn make<T>(
        &self,
        order: &Order<'_>,
        offers: Offers<'_>,
        work: Work<'_, T>,
    ) -> CommandResult<T> {
        let files = order.files();
        match self.make_with(order, &offers(files)?, work)? {
            Ok(made) => Ok(made),
            // A few packages go through the package manager itself (colliding paths), which wants their files.
            Err(BuildError::MissingPackage(_)) if files == Files::AsNeeded => {
                Ok(self.make_with(order, &offers(Files::All)?, work)??)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn make_with<T>(
        &self,
        order: &Order<'_>,
        wanted: &[Wanted],
        work: Work<'_, T>,
    ) -> CommandResult<Result<T, BuildError>> {
        let Self { context, store, .. } = *self;
        let digests: BTreeSet<Digest> = wanted.iter().map(|it| it.package.sha256).collect();
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
            tier: containers::tier(context, store)?,
            arriving: digests.len(),
            threads: order.threads,
            timeout: context.settings.script_timeout,
            who: &who,
            why: order.why,
            now: context.clock.now,
            reporter: self.progress,
            cancel: &context.interrupted,
        };
        let (fetched, built) =
            side_by_side(self.client, wanted, |arrivals| work(&request, arrivals));
        self.progress.end_stage();
        // What was not fetched explains why it was not built.
        fetched?;
        node::check_interrupt(context)?;
        Ok(built)
    }
}

/// Fetches, and gives `work` each file as it arrives.
fn side_by_side<T>(
    client: &Client,
    wanted: &[Wanted],
    work: impl FnOnce(Receiver<Fetched>) -> T,
) -> (Result<Vec<PathBuf>, FetchError>, T) {
    let (sender, arrivals) = mpsc::channel();
    let by_hash: BTreeMap<Digest, &PackageRef> = wanted
        .iter()
        .map(|wanted| (wanted.package.sha256, &wanted.package))
        .collect();
    let (arrived, arriving) = mpsc::channel::<Arrived>();
    std::thread::scope(|scope| {
        let fetch = scope.spawn(|| {
            let arrived = arrived;
            client.fetch_each(wanted, &arrived)
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
        let made = work(arrivals);
        let fetched = fetch
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (fetched, made)
    })
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
