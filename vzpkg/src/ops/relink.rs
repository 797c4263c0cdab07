//! Moving a container to another version and back: the store's row, the merge's plan, the runtime's edits.

use super::journal::{Journal, StoreObjects};
use super::readings::{Readings, Trees};
use super::relink_live::{self, Live};
use super::{containers, node, rename};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use vzpkg_cache::changes;
use vzpkg_cache::merge::{self, MergeReport, Obstacle};
use vzpkg_cache::store::{ContainerRow, Guard, GuardName, Holder, Store};
use vzpkg_metadata::{ContainerId, Digest, RelPath};
use vzpkg_runtime::container::{
    self, Link, Prepared, Recovered, RelinkPlan, RelinkTools, RunState, UndoObjects, UpperDir,
};
use vzpkg_runtime::oci::OciRuntime;

/// Finishes or forgets what an interrupted relink, renaming, creation or change of limits left. The caller holds the
/// container's guard.
///
/// # Errors
/// Where it cannot be finished.
pub(crate) fn recover(context: &Context, store: &Store, id: &ContainerId) -> CommandResult {
    let paths = containers::paths(context, store, id);
    if let Some(from) = rename::finish(context, store, id)? {
        context.printer.note(format_args!(
            "an interrupted renaming of {from} to {id} was finished"
        ));
    }
    container::settle(&paths)?;
    settle_limits(context, &paths)?;
    let objects = StoreObjects(store);
    let journal = Journal(&store.db);
    let tools = RelinkTools {
        objects: &objects,
        journal: &journal,
    };
    let recovered = match relink_live::recover(context, store, &paths, &tools)? {
        Recovered::Nothing => container::recover(&paths, &tools)?,
        live => live,
    };
    match recovered {
        Recovered::Nothing => {}
        Recovered::Finished(link) => {
            context.printer.note(format_args!(
                "an interrupted relink of {id} to {} was finished",
                link.tree.short()
            ));
        }
        Recovered::Undone(link) => {
            context.printer.note(format_args!(
                "an interrupted relink of {id} was undone; it stays on {}",
                link.tree.short()
            ));
        }
    }
    Ok(())
}

fn settle_limits(context: &Context, paths: &container::ContainerPaths) -> CommandResult {
    if container::has_unsettled_limits(paths) {
        container::settle_limits(paths, &containers::runtime(context)?)?;
    }
    Ok(())
}

/// [`recover`] for commands that only use a container: nothing is done, and nobody waited for, where nothing was cut
/// short.
///
/// # Errors
/// As [`recover`].
pub(crate) fn recover_if_cut_short(
    context: &Context,
    store: &Store,
    id: &ContainerId,
) -> CommandResult {
    if !is_cut_short(context, store, id)? {
        return Ok(());
    }
    let _guard = node::guard(context, store, GuardName::Container(id.clone()))?;
    recover(context, store, id)
}

/// Whether something of a container is half done: somebody is at it who holds its guard, or was killed.
///
/// # Errors
/// What the database says.
pub(crate) fn is_cut_short(
    context: &Context,
    store: &Store,
    id: &ContainerId,
) -> CommandResult<bool> {
    let paths = containers::paths(context, store, id);
    Ok(store.db.journal(id)?.is_some()
        || container::is_unsettled(&paths)
        || container::has_unsettled_limits(&paths))
}

/// A container that is between two versions or two names: where it goes from there is only known when that has been
/// finished or undone, which a dry run does not do.
#[derive(Debug)]
pub(crate) struct Between {
    /// Who is at it; nobody where it was cut short.
    pub(crate) holder: Option<Holder>,
}

/// Whether a container is between two versions or two names.
///
/// # Errors
/// What the database says.
pub(crate) fn between(store: &Store, id: &ContainerId) -> CommandResult<Option<Between>> {
    if store.db.journal(id)?.is_none() {
        return Ok(None);
    }
    let holder = store.guard_holder(&GuardName::Container(id.clone()))?;
    Ok(Some(Between { holder }))
}

/// Where a container is to go, as a person says it. Which tree that is, and which way, depends on where the container is,
/// and that is only known when what was cut short has been finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination<'a> {
    /// To this tree; private changes are merged.
    Tree(Digest),
    /// To this tree with its template: back to what it was where it came from there.
    Along(Digest),
    /// To where it was before its last relink.
    Before,
    /// Nowhere, but without the private changes at these paths; without all where there are none.
    Reset(&'a [RelPath]),
}

impl<'a> Destination<'a> {
    /// The way there from `row`, which nothing was left half done of; nothing where it is there.
    fn way(
        self,
        context: &Context,
        store: &Store,
        row: &ContainerRow,
    ) -> CommandResult<Option<(Digest, Direction<'a>)>> {
        let before = || link_before(context, store, row);
        Ok(match self {
            Self::Tree(to) | Self::Along(to) if row.link == to => None,
            Self::Along(to) if before().is_ok_and(|before| before == to) => {
                Some((to, Direction::Back))
            }
            Self::Tree(to) | Self::Along(to) => Some((to, Direction::Forward)),
            Self::Before => Some((before()?, Direction::Back)),
            Self::Reset(paths) => Some((row.link, Direction::Reset(paths))),
        })
    }
}

/// Which way a container moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction<'a> {
    /// To another version; private changes are merged.
    Forward,
    /// Back to the link before; what the merge did and nobody touched is restored.
    Back,
    /// To the same version, without the private changes at these paths; without all where there are none.
    Reset(&'a [RelPath]),
}

impl Direction<'_> {
    /// The verb of `ct` that goes there.
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Forward => "relink",
            Self::Back => "rollback",
            Self::Reset(_) => "reset",
        }
    }

    /// Whether nothing at all would come of `plan`: carried out, it would only take the place of the way back to where the
    /// container was before.
    pub(super) fn is_idle(self, plan: &RelinkPlan) -> bool {
        matches!(self, Self::Reset(_)) && plan.edits.is_empty()
    }
}

/// What came of moving a container, or would.
#[derive(Debug)]
pub(crate) struct Moved {
    /// The tree that it was on.
    pub(crate) from: Digest,
    /// The tree that it is on now, or would be.
    pub(crate) to: Digest,
    /// What the merge decided.
    pub(crate) report: MergeReport,
    /// What else there is to say about one that runs.
    pub(crate) live: Option<Live>,
}

impl Moved {
    /// How it ended: it was moved, but perhaps not every service that was stopped for that runs again. For when the rest is
    /// told.
    ///
    /// # Errors
    /// [`Kind::Script`]
    pub(crate) fn outcome(self) -> CommandResult {
        let failed = self.live.and_then(|live| live.failed);
        failed.map_or(Ok(()), Err)
    }
}

/// Moves a container, running or stopped, unless it is there already or nothing would come of it; with `--dry-run` only judges, and finishes nothing
/// that was cut short ([`between`]). Services that tie a running one to its version are stopped and started with
/// `restart`.
///
/// # Errors
/// [`Kind::Unmet`] for merges that cannot be done from outside, for running containers that are tied, and where there is
/// nothing to go back to.
pub(crate) fn move_container(
    context: &Context,
    store: &Store,
    id: &ContainerId,
    destination: Destination<'_>,
    restart: bool,
    runtime: &dyn OciRuntime,
) -> CommandResult<Option<Moved>> {
    let readings = Readings::new(store);
    move_one(context, &readings, id, destination, restart, runtime)
}

/// [`move_container`] for one of many, which read the same.
///
/// # Errors
/// As [`move_container`].
pub(super) fn move_one(
    context: &Context,
    readings: &Readings<'_>,
    id: &ContainerId,
    destination: Destination<'_>,
    restart: bool,
    runtime: &dyn OciRuntime,
) -> CommandResult<Option<Moved>> {
    let store = readings.store;
    let guard = GuardName::Container(id.clone());
    let _guard = node::guard_to_change(context, store, guard)?;
    if !context.settings.dry_run {
        recover(context, store, id)?;
    }
    let row = store.db.container(id)?;
    let Some((to, direction)) = destination.way(context, store, &row)? else {
        return Ok(None);
    };
    let paths = containers::paths(context, store, id);
    let now = container::state(&paths, runtime)?;
    let moved = match (now.state, now.pid) {
        (RunState::Stopped, _) => {
            let report = move_stopped(context, readings, &row, to, direction, runtime)?;
            report.map(|report| (report, None))
        }
        (RunState::Running, Some(init)) => {
            let how = (restart, init);
            let moved =
                relink_live::move_running(context, readings, &row, to, direction, how, runtime)?;
            moved.map(|(report, live)| (report, Some(live)))
        }
        _ => {
            return Err(CommandError::message(
                Kind::Unmet,
                format!("container `{id}` is neither running nor stopped"),
            )
            .hint(format!("stop it first: vzpkg ct stop {id}")));
        }
    };
    Ok(moved.map(|(report, live)| Moved {
        from: row.link,
        to,
        report,
        live,
    }))
}

fn move_stopped(
    context: &Context,
    readings: &Readings<'_>,
    row: &ContainerRow,
    to: Digest,
    direction: Direction<'_>,
    runtime: &dyn OciRuntime,
) -> CommandResult<Option<MergeReport>> {
    let store = readings.store;
    let paths = containers::paths(context, store, &row.id);
    let merged = plan_stopped(readings, row, &paths, &to, direction)?;
    if direction.is_idle(&merged.plan) {
        return Ok(None);
    }
    if !context.settings.dry_run {
        let (objects, journal) = (StoreObjects(store), Journal(&store.db));
        let tools = RelinkTools {
            objects: &objects,
            journal: &journal,
        };
        container::relink_stopped(&paths, link(row), to, &merged.plan, runtime, &tools)?;
    }
    Ok(Some(merged.report))
}

fn plan_stopped(
    readings: &Readings<'_>,
    row: &ContainerRow,
    paths: &container::ContainerPaths,
    to: &Digest,
    direction: Direction<'_>,
) -> CommandResult<merge::Merge> {
    let trees = readings.trees(&row.link, to)?;
    let merged = plan(readings, row, paths, link(row), &trees, direction)?;
    no_obstacle(&row.id, &merged.report)?;
    Ok(merged)
}

const fn link(row: &ContainerRow) -> Link {
    Link {
        tree: row.link,
        generation: row.generation,
    }
}

/// A container that goes along with others.
pub(crate) enum Begun {
    /// It is stopped: its way is written down, and it is held until that is gone.
    Stopped(Box<(Prepared, Moved, Guard)>),
    /// It is there: what was cut short led there and was finished.
    There,
    /// It runs, or is on its way to: it is moved alone.
    Running,
}

/// Begins to move a container, if it is stopped: what is left to do can be done for many at once.
///
/// # Errors
/// [`Kind::Unmet`] for merges that cannot be done from outside.
pub(crate) fn begin(
    context: &Context,
    readings: &Readings<'_>,
    id: &ContainerId,
    destination: Destination<'_>,
    runtime: &dyn OciRuntime,
) -> CommandResult<Begun> {
    let store = readings.store;
    let guard = node::guard(context, store, GuardName::Container(id.clone()))?;
    recover(context, store, id)?;
    let row = store.db.container(id)?;
    let Some((to, direction)) = destination.way(context, store, &row)? else {
        return Ok(Begun::There);
    };
    let paths = containers::paths(context, store, id);
    if container::state(&paths, runtime)?.state != RunState::Stopped {
        return Ok(Begun::Running);
    }
    let merged = plan_stopped(readings, &row, &paths, &to, direction)?;
    let journal = Journal(&store.db);
    let prepared =
        container::prepare_relink(&paths, link(&row), to, &merged.plan, runtime, &journal)?;
    let moved = Moved {
        from: row.link,
        to,
        report: merged.report,
        live: None,
    };
    Ok(Begun::Stopped(Box::new((prepared, moved, guard))))
}

/// Fails where the merge cannot be done from outside.
///
/// # Errors
/// [`Kind::Unmet`]
pub(super) fn no_obstacle(id: &ContainerId, report: &MergeReport) -> CommandResult {
    report.obstacles.first().map_or(Ok(()), |obstacle| {
        let what = format!("container `{id}` cannot be relinked: {obstacle}");
        let error = CommandError::message(Kind::Unmet, what);
        Err(match obstacle {
            Obstacle::Packages { .. } | Obstacle::Database { .. } => error.hint(format!(
                "while it runs, its own package manager can bring it to the packages of the version: vzpkg ct relink {id} --in-place"
            )),
            Obstacle::IdClash { .. } => error,
        })
    })
}

/// What a container needs in its upper to stand on the tree it goes to.
///
/// # Errors
/// Where a private file cannot be read.
pub(super) fn plan(
    readings: &Readings<'_>,
    row: &ContainerRow,
    paths: &container::ContainerPaths,
    from: Link,
    trees: &Trees,
    direction: Direction<'_>,
) -> CommandResult<merge::Merge> {
    let private = UpperDir::open(&paths.upper()).map_err(container::ContainerError::from)?;
    let upper = private.scan().map_err(container::ContainerError::from)?;
    let record = match direction {
        Direction::Reset(chosen) => return Ok(changes::reset(&trees.from, &upper, chosen)?),
        Direction::Forward => None,
        Direction::Back => Some(container::undo_record(paths, from)?),
    };
    let objects = StoreObjects(readings.store);
    let made_of = readings.made_of(row)?;
    let kept = record.as_ref().map(|record| UndoObjects {
        paths,
        record,
        behind: &objects,
    });
    let input = merge::MergeInput {
        family: made_of.family,
        from: &trees.from,
        to: &trees.to,
        differing: &trees.differing,
        upper: &upper,
        private: &private,
        objects: kept.as_ref().map_or(&objects, |kept| kept),
        undo: record.as_ref(),
    };
    Ok(merge::merge(&input, &mut |packages| {
        super::union::check(&made_of.arch, packages)
    })?)
}

/// The tree a container was linked to before its last relink.
///
/// # Errors
/// [`Kind::Unmet`] where it never was relinked.
fn link_before(context: &Context, store: &Store, row: &ContainerRow) -> CommandResult<Digest> {
    let paths = containers::paths(context, store, &row.id);
    Ok(container::undo_record(&paths, link(row))?.from.tree)
}
