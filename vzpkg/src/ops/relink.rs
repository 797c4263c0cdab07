//! Moving a container to another version and back: the store's row, the merge's plan, the runtime's edits.

use super::relink_live::{self, Live};
use super::{containers, node, rename};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use std::io::Read;
use vzpkg_cache::changes;
use vzpkg_cache::merge::{self, MergeReport};
use vzpkg_cache::store::{ContainerRow, Database, GuardName, Store};
use vzpkg_metadata::tree::Tree;
use vzpkg_metadata::{ContainerId, Digest, RelPath};
use vzpkg_runtime::container::{
    self, Intent, JournalError, Link, LinkJournal, ObjectSource, Recovered, RelinkTools, RunState,
    UndoObjects, UpperDir,
};
use vzpkg_runtime::oci::OciRuntime;

/// The journal of relinks in `state.db`, as the runtime sees it.
#[derive(Debug)]
pub(crate) struct Journal<'a>(pub(crate) &'a Database);

impl Journal<'_> {
    fn failed<E: std::error::Error + Send + Sync + 'static>(
        operation: &'static str,
        container: &ContainerId,
    ) -> impl FnOnce(E) -> JournalError {
        let container = container.clone();
        move |source| JournalError {
            operation,
            container,
            source: Box::new(source),
        }
    }
}

impl LinkJournal for Journal<'_> {
    fn link(&self, container: &ContainerId) -> Result<Link, JournalError> {
        let row = self
            .0
            .container(container)
            .map_err(Self::failed("read the link", container))?;
        Ok(Link {
            tree: row.link,
            generation: row.generation,
        })
    }

    fn intent(&self, container: &ContainerId) -> Result<Option<Intent>, JournalError> {
        let entry = self
            .0
            .journal(container)
            .map_err(Self::failed("read the journal", container))?;
        entry
            .map(|entry| {
                serde_json::from_str(&entry)
                    .map_err(Self::failed("understand the journal", container))
            })
            .transpose()
    }

    fn begin(&self, container: &ContainerId, intent: &Intent) -> Result<(), JournalError> {
        let entry =
            serde_json::to_string(intent).map_err(Self::failed("write the journal", container))?;
        self.0
            .set_journal(container, Some(&entry))
            .map_err(Self::failed("write the journal", container))
    }

    fn finish(&self, container: &ContainerId, intent: &Intent) -> Result<(), JournalError> {
        let failed = || Self::failed("change the link", container);
        let row = self.0.container(container).map_err(failed())?;
        let row = ContainerRow {
            link: intent.to.tree,
            os_digest: intent.to.tree,
            generation: intent.to.generation,
            ..row
        };
        self.0
            .update_container_and_journal(&row, None)
            .map_err(failed())
    }

    fn abandon(&self, container: &ContainerId, _: &Intent) -> Result<(), JournalError> {
        self.0
            .set_journal(container, None)
            .map_err(Self::failed("clear the journal", container))
    }
}

/// Objects of the store, as the runtime reads them.
#[derive(Debug)]
pub(crate) struct StoreObjects<'a>(pub(crate) &'a Store);

impl ObjectSource for StoreObjects<'_> {
    fn open(&self, digest: &Digest) -> std::io::Result<Box<dyn Read + '_>> {
        match self.0.objects.open(digest) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(std::io::Error::other(error)),
        }
    }
}

/// The trees that an unfinished relink is between; none if the entry cannot be read (the row's own link still counts).
pub(crate) fn trees_of_journal(entry: &str) -> Vec<Digest> {
    serde_json::from_str::<Intent>(entry).map_or_else(
        |_| Vec::new(),
        |intent| vec![intent.from.tree, intent.to.tree],
    )
}

/// Finishes or forgets what an interrupted relink, renaming, creation or change of limits left. The caller holds the container's guard.
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
    let paths = containers::paths(context, store, id);
    settle_limits(context, &paths)?;
    if store.db.journal(id)?.is_none() && !container::is_unsettled(&paths) {
        return Ok(());
    }
    let _guard = node::guard(context, store, GuardName::Container(id.clone()))?;
    recover(context, store, id)
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
}

/// What came of moving a container, or would.
#[derive(Debug)]
pub(crate) struct Moved {
    /// What the merge decided.
    pub(crate) report: MergeReport,
    /// What else there is to say about one that runs.
    pub(crate) live: Option<Live>,
}

/// Moves a container to the tree `to`, running or stopped; with `--dry-run` only judges. Services that tie a running one
/// to its version are stopped and started with `restart`.
///
/// # Errors
/// [`Kind::Unmet`] for merges that cannot be done from outside and for running containers that are tied.
pub(crate) fn move_container(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
    to: Digest,
    direction: Direction<'_>,
    restart: bool,
    runtime: &dyn OciRuntime,
) -> CommandResult<Moved> {
    let _guard = node::guard(context, store, GuardName::Container(row.id.clone()))?;
    recover(context, store, &row.id)?;
    let row = store.db.container(&row.id)?;
    let paths = containers::paths(context, store, &row.id);
    let now = container::state(&paths, runtime)?;
    match (now.state, now.pid) {
        (RunState::Stopped, _) => {
            let report = move_stopped(context, store, &row, to, direction, runtime)?;
            Ok(Moved { report, live: None })
        }
        (RunState::Running, Some(init)) => {
            let how = (restart, init);
            let (report, live) =
                relink_live::move_running(context, store, &row, to, direction, how, runtime)?;
            Ok(Moved {
                report,
                live: Some(live),
            })
        }
        _ => Err(CommandError::message(
            Kind::Unmet,
            format!("container `{}` is neither running nor stopped", row.id),
        )
        .hint(format!("stop it first: vzpkg ct stop {}", row.id))),
    }
}

fn move_stopped(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
    to: Digest,
    direction: Direction<'_>,
    runtime: &dyn OciRuntime,
) -> CommandResult<MergeReport> {
    let paths = containers::paths(context, store, &row.id);
    let from = Link {
        tree: row.link,
        generation: row.generation,
    };
    let trees = Trees::read(store, &from.tree, &to)?;
    let merged = plan(store, row, &paths, from, &trees, direction)?;
    no_obstacle(&row.id, &merged.report)?;
    if !context.settings.dry_run {
        let (objects, journal) = (StoreObjects(store), Journal(&store.db));
        let tools = RelinkTools {
            objects: &objects,
            journal: &journal,
        };
        container::relink_stopped(&paths, from, to, &merged.plan, runtime, &tools)?;
    }
    Ok(merged.report)
}

/// Fails where the merge cannot be done from outside.
///
/// # Errors
/// [`Kind::Unmet`]
pub(super) fn no_obstacle(id: &ContainerId, report: &MergeReport) -> CommandResult {
    report.obstacles.first().map_or(Ok(()), |obstacle| {
        Err(CommandError::message(
            Kind::Unmet,
            format!("container `{id}` cannot be relinked: {obstacle}"),
        ))
    })
}

/// The tree that a container leaves and the one it goes to.
pub(super) struct Trees {
    pub(super) from: Tree,
    pub(super) to: Tree,
}

impl Trees {
    /// Reads both images.
    ///
    /// # Errors
    /// [`Kind::Verification`] where one is damaged.
    pub(super) fn read(store: &Store, from: &Digest, to: &Digest) -> CommandResult<Self> {
        Ok(Self {
            from: store.images.read(from)?,
            to: store.images.read(to)?,
        })
    }
}

/// What a container needs in its upper to stand on the tree it goes to.
///
/// # Errors
/// Where a private file cannot be read.
pub(super) fn plan(
    store: &Store,
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
    let objects = StoreObjects(store);
    let version = store.versions.read(&row.template, &row.os_digest)?;
    let kept = record.as_ref().map(|record| UndoObjects {
        paths,
        record,
        behind: &objects,
    });
    let input = merge::MergeInput {
        family: version.lock.family,
        from: &trees.from,
        to: &trees.to,
        upper: &upper,
        private: &private,
        objects: kept.as_ref().map_or(&objects, |kept| kept),
        undo: record.as_ref(),
    };
    let arch = &version.lock.arch;
    Ok(merge::merge(&input, &mut |packages| {
        super::union::check(arch, packages)
    })?)
}

/// The tree a container was linked to before its last relink.
///
/// # Errors
/// [`Kind::Unmet`] where it never was relinked.
pub(crate) fn link_before(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
) -> CommandResult<Digest> {
    let paths = containers::paths(context, store, &row.id);
    let link = Link {
        tree: row.link,
        generation: row.generation,
    };
    Ok(container::undo_record(&paths, link)?.from.tree)
}
