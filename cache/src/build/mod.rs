//! The one build primitive: a base (or none), a transaction and a template make a version.
//!
//! ```text
//! plan      what the new lock is, which ids the build must use
//! import    packages become manifests, in parallel                       crate::import
//! assemble  what the sandbox starts from, as a tree and its image        a backend
//! run       package manager and template scripts in the sandbox          a backend, scripts
//! commit    the upper's changes merged into the tree, cleaned            commit, crate::tree::normalize
//! publish   everything synced, then one row                              crate::store
//! ```
//!
//! Both families go through the same pipeline; what differs is behind [`Backend`]. Everything of a build lies in one
//! staging directory, which goes with the value that owns it; nothing is visible before it is published. Equal locks,
//! templates and package bytes give equal digests: order comes from the lock and from sorted trees, never from
//! arrival, threads or directory order, and `now` is only recorded.

mod assemble;
mod backend;
mod commit;
pub mod deb;
mod error;
mod ids;
mod keystore;
mod parallel;
mod plan;
pub mod rpm;
mod run;
mod scripts;
mod shown;

pub use assemble::Assembly;
pub use backend::Backend;
pub use error::{BuildError, ScriptFailure};
pub use plan::{Base, BuildKind, Plan};
pub use run::Session;

use crate::import::{self, Fetched, ImportReporter, Imported};
use crate::store::{PackageManifest, Published, Store, Timing, VersionDraft};
use crate::tree::normalize::normalize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use vzpkg_metadata::lock::Ids;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::transaction::Transaction;
use vzpkg_metadata::tree::Tree;
use vzpkg_metadata::{Digest, Family, RelPath, TemplateName};
use vzpkg_runtime::HelperCommand;
use vzpkg_runtime::rootfs::Tier;

/// Hears of the progress of a build. Called from the building thread, but [`ImportReporter`] from many.
pub trait BuildReporter: ImportReporter {
    /// A step begins.
    fn step(&self, _step: Step) {}
    /// A line that a package manager or script wrote, without its newline; may hold any byte.
    fn output(&self, _line: &[u8]) {}
}

impl BuildReporter for () {}

/// The steps of a build that a user sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Packages become manifests.
    Import,
    /// The tree is laid out and its image written.
    Assemble,
    /// The package manager and the scripts run.
    Run,
    /// Changes become objects and the new tree.
    Commit,
    /// The version becomes visible.
    Publish,
}

impl Step {
    /// Its name in timings: `import`, `assemble`, `run`, `commit`, `publish`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Assemble => "assemble",
            Self::Run => "run",
            Self::Commit => "commit",
            Self::Publish => "publish",
        }
    }
}

/// What to build, from what, and for whom.
#[derive(Clone, Copy)]
pub struct BuildRequest<'a> {
    /// Where everything is kept.
    pub store: &'a Store,
    /// The OS template.
    pub template: &'a Template,
    /// The applications whose scripts run besides, in order; for an appcache.
    pub applications: &'a [&'a Template],
    /// Whose version it becomes: the OS template's or an application's name.
    pub name: &'a TemplateName,
    /// What it is built on; `None` for a bootstrap.
    pub base: Option<Base<'a>>,
    /// The tree digest of the version it comes after in history; often that of `base`.
    pub parent: Option<Digest>,
    /// What is done to the base.
    pub transaction: &'a Transaction,
    /// Times in the tree are clamped to this second since 1970: the newest date of the repositories or of the lock.
    pub epoch: i64,
    /// User and group ids that a lock demands, by name; those of the OS template's registry are used anyway.
    pub ids: &'a BTreeMap<String, Ids>,
    /// How the sandbox starts its helper.
    pub helper: &'a HelperCommand,
    /// How the kernel shows trees here; from `runtime::rootfs::probe`.
    pub tier: Tier,
    /// How many package files the sender of [`build`] is going to send. Where fewer come, it failed, and nothing is built of
    /// what other builds have left of those that did not come: what was wrong with them is not known here.
    pub arriving: usize,
    /// How many packages are read at once.
    pub threads: usize,
    /// How long one run of the package manager, or one template script, may take.
    pub timeout: Duration,
    /// Who asked for it.
    pub who: &'a str,
    /// The command as typed.
    pub why: &'a str,
    /// Seconds since 1970; recorded, never part of the tree.
    pub now: i64,
    /// Hears of progress.
    pub reporter: &'a dyn BuildReporter,
    /// Becomes `true` when the user wants no more of it: the build ends with [`BuildError::Cancelled`] within a second.
    pub cancel: &'a AtomicBool,
}

impl BuildRequest<'_> {
    /// A step begins, unless the user wants no more of it.
    fn step(&self, step: Step) -> Result<(), BuildError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(BuildError::Cancelled);
        }
        self.reporter.step(step);
        Ok(())
    }
}

impl std::fmt::Debug for BuildRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuildRequest")
            .field("name", self.name)
            .field("base", &self.base.map(|base| base.tree))
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// How often a tree is built until every name has the id it should have; the last one counts as it is.
const ATTEMPTS: u32 = 3;

/// Imports what `arrivals` brings and builds a version from it, without publishing it. The sender must send every
/// package of the transaction that comes, and then go; a package it leaves out must be imported already.
///
/// The image and the objects of the result are in the store, not yet synced; gc keeps them while the store is open.
///
/// # Errors
/// [`BuildError`]; nothing is left but unreferenced objects.
pub fn build_tree(
    request: &BuildRequest<'_>,
    arrivals: Receiver<Fetched>,
) -> Result<VersionDraft, BuildError> {
    let mut clock = Clock::new(request);
    clock.begin(Step::Import)?;
    let family = request.transaction.family;
    let imported = import::import_all(
        request.store,
        family,
        request.threads,
        arrivals,
        request.reporter,
    )?;
    if imported.len() < request.arriving {
        return Err(BuildError::Unfetched);
    }
    let packages = in_order(request, &imported)?;
    let mut known = request.store.db.ids_for(&request.template.name)?;
    for (name, ids) in request.ids {
        known.entry(name.clone()).or_insert(*ids);
    }
    // A script may make a user whose name nobody foresaw; then it is built again with an id for it (DESIGN, Ids).
    let mut attempt = 1;
    loop {
        let mut plan = Plan::new(request, &packages, &imported, &known)?;
        let (digest, given) = build_once(&plan, &mut clock)?;
        let unforeseen = ids::unforeseen(&plan, &given);
        if unforeseen.is_empty() || attempt == ATTEMPTS {
            clock.end();
            plan.lock.ids = given;
            return Ok(draft(request, &plan, digest, clock.timings));
        }
        known.extend(unforeseen);
        attempt += 1;
    }
}

/// Builds a version and publishes it: everything is synced first, then one row makes it visible. The ids it uses are
/// registered for its OS template.
///
/// The caller holds the guard of the template from before it chose the base until this returns.
///
/// # Errors
/// [`BuildError`]; nothing is visible then.
pub fn build(
    request: &BuildRequest<'_>,
    arrivals: Receiver<Fetched>,
) -> Result<Published, BuildError> {
    let draft = finish(request, arrivals)?;
    Ok(request.store.publish(draft)?)
}

/// As [`build`], but where the template has a version with the tree already, its head stays where it is.
///
/// # Errors
/// As [`build`].
pub fn build_if_new(
    request: &BuildRequest<'_>,
    arrivals: Receiver<Fetched>,
) -> Result<Published, BuildError> {
    let draft = finish(request, arrivals)?;
    Ok(request.store.publish_if_new(draft)?)
}

/// A version that is ready to be published.
fn finish(
    request: &BuildRequest<'_>,
    arrivals: Receiver<Fetched>,
) -> Result<VersionDraft, BuildError> {
    let draft = build_tree(request, arrivals)?;
    // The last moment: a version that is being published is published to the end.
    request.step(Step::Publish)?;
    let registry = &request.store.db;
    registry.reserve(&request.template.name, &draft.lock.ids)?;
    Ok(draft)
}

/// The manifests of everything that comes, in the order of the transaction.
fn in_order(
    request: &BuildRequest<'_>,
    imported: &BTreeMap<Digest, Imported>,
) -> Result<Vec<Arc<PackageManifest>>, BuildError> {
    let incoming = request.transaction.incoming();
    incoming
        .map(|step| {
            let sha256 = step.package.sha256;
            if let Some(imported) = imported.get(&sha256) {
                return Ok(Arc::clone(&imported.manifest));
            }
            let kept = request.store.packages.get(&sha256)?;
            kept.map(Arc::new)
                .ok_or_else(|| BuildError::MissingPackage(Box::new(step.package.clone())))
        })
        .collect()
}

fn backend(family: Family) -> &'static dyn Backend {
    match family {
        Family::Deb => &deb::DebBackend,
        Family::Rpm => &rpm::RpmBackend,
    }
}

/// One attempt: the digest of the finished tree, and the ids that its names got.
fn build_once(
    plan: &Plan<'_>,
    clock: &mut Clock<'_>,
) -> Result<(Digest, BTreeMap<String, Ids>), BuildError> {
    let request = plan.request;
    let backend = backend(request.transaction.family);
    clock.begin(Step::Assemble)?;
    let staging = request.store.begin_build()?;
    let assembly = backend.assemble(plan, staging.path())?;
    let stage = assemble::Stage::prepare(plan, &staging, assembly)?;
    clock.begin(Step::Run)?;
    std::thread::scope(|scope| {
        // What was imported reaches the disk while scripts run one after the other: there is a processor free, and less to
        // wait for at the end. A script that fails does not take it away again. Where nothing was imported, all that would
        // be written are the scratch files of this build, which are never to be.
        let synced = plan.is_new().then(|| scope.spawn(|| request.store.sync()));
        let run = scripts::run_all(plan, &stage, backend);
        let synced = synced.map(std::thread::ScopedJoinHandle::join);
        run?;
        match synced {
            Some(Ok(synced)) => Ok(synced?),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok::<_, BuildError>(()),
        }
    })?;
    clock.begin(Step::Commit)?;
    let likely = commit::Likely::of(plan.incoming);
    let (upper, threads) = (stage.upper(), request.threads);
    let mut tree = commit::commit(&stage.merge_base, &upper, request.store, &likely, threads)?;
    std::thread::scope(|scope| {
        // All that is wanted of it is in the store. Its thousands of files go while the image is made, and before the disk
        // is synced, so that they are never written.
        scope.spawn(|| drop(staging));
        stage.scaffold.remove_from(&mut tree, &stage.merge_base);
        backend.finish(plan, &mut tree)?;
        let given = ids::given(plan, &tree)?;
        keystore::finish(plan, &mut tree)?;
        normalize(&mut tree, plan.lock.epoch);
        tree.check()?;
        let digest = request.store.images.write(&tree)?;
        Ok((digest, given))
    })
}

fn draft(
    request: &BuildRequest<'_>,
    plan: &Plan<'_>,
    digest: Digest,
    timings: Vec<Timing>,
) -> VersionDraft {
    let lock = plan.lock.clone();
    let lock = match request.base {
        Some(base) => lock.built_on(base.tree, base.lock),
        None => lock,
    };
    VersionDraft {
        template: request.name.clone(),
        digest,
        parent: request.parent,
        lock,
        transaction: request.transaction.clone(),
        template_digest: request.template.digest(),
        created: request.now,
        who: request.who.to_owned(),
        why: request.why.to_owned(),
        timings,
    }
}

/// `base` with those changes in `upper` that are wanted; nobody uses the upper. Contents become objects, hashed by
/// `threads` threads.
///
/// # Errors
/// [`BuildError::File`], [`BuildError::Object`] and [`BuildError::Path`] by what cannot be read or stored.
pub(crate) fn commit_chosen(
    base: &Tree,
    upper: &Path,
    store: &Store,
    wanted: &dyn Fn(&RelPath) -> bool,
    threads: usize,
) -> Result<Tree, BuildError> {
    let likely = commit::Likely::default();
    commit::commit_chosen(base, upper, store, wanted, &likely, threads)
}

/// Name, version and architecture of each package that a tree's own database has installed.
///
/// # Errors
/// [`BuildError::Content`] for a database that is not understood, [`BuildError::Outcome`] for a package that is half
/// installed.
pub(crate) fn installed(
    family: Family,
    store: &Store,
    tree: &Tree,
) -> Result<Vec<(String, String, String)>, BuildError> {
    match family {
        Family::Deb => deb::installed(store, tree),
        Family::Rpm => rpm::installed(store, tree),
    }
}

/// Measures steps, which are monotonic durations and no dates.
struct Clock<'a> {
    request: &'a BuildRequest<'a>,
    running: Option<(Step, Instant)>,
    timings: Vec<Timing>,
}

impl<'a> Clock<'a> {
    const fn new(request: &'a BuildRequest<'a>) -> Self {
        Self {
            request,
            running: None,
            timings: Vec::new(),
        }
    }

    fn begin(&mut self, step: Step) -> Result<(), BuildError> {
        self.end();
        self.request.step(step)?;
        self.running = Some((step, Instant::now()));
        Ok(())
    }

    fn end(&mut self) {
        let Some((step, since)) = self.running.take() else {
            return;
        };
        let elapsed = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        match self
            .timings
            .iter_mut()
            .find(|timing| timing.step == step.name())
        {
            Some(timing) => timing.milliseconds = timing.milliseconds.saturating_add(elapsed),
            None => self.timings.push(Timing {
                step: step.name().to_owned(),
                milliseconds: elapsed,
            }),
        }
    }
}
