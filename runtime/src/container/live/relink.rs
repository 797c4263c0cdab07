//! The relink of a running container, seen from the command: record, hand over to the helper, record again.
//!
//! The order: census → what is replaced is kept, plan and record durable → contents staged → intent in the journal →
//! the helper ([`super::mover`]), which waits for the disk at its end → row. Whoever is killed, the next command finds the
//! intent and [`super::recover`] finishes or undoes it.

use super::census::{Census, Depth, take};
use super::freezer::Freezer;
use super::look::Procfs;
use super::order::{Answer, Order};
use super::progress::{self, Mark, Progress};
use super::report::Process;
use super::watch::{Watch, Watched};
use crate::container::apply::Editor;
use crate::container::guard::ContainerGuard;
use crate::container::objects::Blobs;
use crate::container::start::mount_spec;
use crate::container::state::{RunState, state};
use crate::container::{
    Config, ContainerError, ContainerPaths, ExecSpec, Intent, Link, RelinkError, RelinkPlan,
    RelinkTools, StartSpec, UpperDir, UpperEdit, exec, keep, prepare,
};
use crate::helper::{Channel, HelperCommand, Job};
use crate::oci::OciRuntime;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::process::{Child, Stdio};
use std::time::Duration;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::{Digest, RelPath};

/// How long the helper may take. It freezes within two seconds or gives up; everything else is a matter of milliseconds,
/// but for the disk that it waits for at the end. Where that takes longer the helper is ended, and we wait ourselves.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running container and what it shall stand on.
#[derive(Debug, Clone, Copy)]
pub struct LiveTarget<'a> {
    /// Where it lies.
    pub paths: &'a ContainerPaths,
    /// Its configuration.
    pub config: &'a Config,
    /// The version to come, with the generation of the link to come.
    pub version: &'a StartSpec,
    /// How the helper is started.
    pub helper: &'a HelperCommand,
    /// Runs it.
    pub runtime: &'a dyn OciRuntime,
}

/// A live relink that happened.
#[derive(Debug)]
pub struct Moved {
    /// The new link.
    pub link: Link,
    /// How long the container stood still.
    pub pause: Duration,
}

/// The processes of a running container that are tied to the version it stands on, if a relink were to carry out `plan`,
/// and those that use files of an earlier version.
///
/// # Errors
/// [`RelinkError::Refused`] where it cannot be looked at.
pub fn census(
    paths: &ContainerPaths,
    init: u32,
    plan: &RelinkPlan,
) -> Result<Vec<Process>, RelinkError> {
    let freezer = freezer(paths, init)?;
    let census = look(paths, init, &freezer, &replaced(plan), Depth::Everything)?;
    Ok(census.processes)
}

fn refused(paths: &ContainerPaths, why: impl Into<String>) -> RelinkError {
    RelinkError::Refused {
        container: paths.id.clone(),
        why: why.into(),
    }
}

pub(super) fn freezer(paths: &ContainerPaths, init: u32) -> Result<Freezer, RelinkError> {
    let found = Freezer::find(init, &paths.cgroup());
    found
        .map_err(|error| refused(paths, format!("its cgroups cannot be read: {error}")))?
        .ok_or_else(|| refused(paths, "it is in no cgroup that this host can freeze"))
}

pub(super) fn look(
    paths: &ContainerPaths,
    init: u32,
    freezer: &Freezer,
    replaced: &BTreeSet<Vec<u8>>,
    depth: Depth,
) -> Result<Census, RelinkError> {
    let taken = Procfs::open(freezer.group().to_owned())
        .and_then(|look| take(&look, init, replaced, depth));
    taken.map_err(|error| refused(paths, format!("its processes cannot be looked at: {error}")))
}

/// Private files that a plan puts something else in the place of, as processes name them.
fn replaced(plan: &RelinkPlan) -> BTreeSet<Vec<u8>> {
    let edits = plan.edits.iter().filter(|edit| {
        !matches!(
            edit,
            UpperEdit::Keep { .. }
                | UpperEdit::EnsureDirectory { .. }
                | UpperEdit::SetMeta { .. }
                | UpperEdit::SetOpaque { .. }
        )
    });
    edits
        .map(|edit| [b"/", edit.path().as_bytes()].concat())
        .collect()
}

/// Moves a running container from its link `from` to the tree `to` and returns the new link. `watch` was made before
/// the plan, so that it tells whether the plan still fits.
///
/// # Errors
/// [`RelinkError::Bound`], [`RelinkError::Changed`], [`RelinkError::Refused`]: nothing is changed then. Others: the next
/// command finishes or undoes it.
pub fn relink_running(
    target: &LiveTarget<'_>,
    from: Link,
    to: Digest,
    plan: &RelinkPlan,
    mut watch: Watch,
    tools: &RelinkTools<'_>,
) -> Result<Moved, RelinkError> {
    let paths = target.paths;
    let guard = ContainerGuard::take(paths)?;
    let now = state(paths, target.runtime)?;
    let (RunState::Running, Some(init)) = (now.state, now.pid) else {
        return Err(ContainerError::NotRunning(paths.id.clone()).into());
    };
    let link = tools.journal.link(&paths.id)?;
    if link != from {
        let container = paths.id.clone();
        return Err(RelinkError::Stale {
            container,
            now: link,
        });
    }
    let freezer = freezer(paths, init)?;
    let bound = look(paths, init, &freezer, &replaced(plan), Depth::Bonds)?.bound();
    if !bound.is_empty() {
        return Err(bound_error(paths, bound));
    }
    // It starts while the plan is written.
    let mut helper = Helper::start(target, &guard)?;
    let to = Link {
        tree: to,
        generation: from.generation + 1,
    };
    let intent = record(target, from, to, plan, &mut watch, tools)?;
    // See to it at once, so that nothing stands still.
    let go_on = |error| match super::recover::take_up(target, init, &intent, tools, &guard)? {
        Some(moved) => Ok(moved),
        None => Err(error),
    };
    let answer = order(target, init, freezer, plan, from, watch.watched(), false)
        .and_then(|order| helper.carry_out(paths, &order));
    match answer {
        Ok(Answer::Moved { pause, durable }) => {
            finish(target, &intent, durable, tools)?;
            Ok(Moved { link: to, pause })
        }
        Ok(Answer::Stuck(why)) => {
            drop(helper);
            go_on(stuck(paths, why))
        }
        Ok(answer) => {
            abandon(paths, &intent, tools)?;
            Err(error_of(paths, answer))
        }
        // The helper was killed, or does not answer.
        Err(error) => {
            drop(helper);
            go_on(error)
        }
    }
}

fn bound_error(paths: &ContainerPaths, processes: Vec<Process>) -> RelinkError {
    RelinkError::Bound {
        container: paths.id.clone(),
        processes,
    }
}

/// What the helper's answer means where it did not move the container.
pub(super) fn error_of(paths: &ContainerPaths, answer: Answer) -> RelinkError {
    match answer {
        Answer::Bound(processes) => bound_error(paths, processes),
        Answer::Changed(path) => RelinkError::Changed {
            container: paths.id.clone(),
            path: RelPath::parse(&path).unwrap_or_else(|_| RelPath::root()),
        },
        Answer::Refused(why) => refused(paths, why),
        Answer::Stuck(why) => stuck(paths, why),
        Answer::Moved { .. } => refused(paths, "it was relinked"),
    }
}

fn stuck(paths: &ContainerPaths, why: String) -> RelinkError {
    RelinkError::Stuck {
        container: paths.id.clone(),
        why,
    }
}

pub(super) fn broken(paths: &ContainerPaths, source: io::Error) -> RelinkError {
    RelinkError::Helper {
        container: paths.id.clone(),
        source,
    }
}

/// Everything that has to be durable before the container stands still.
fn record(
    target: &LiveTarget<'_>,
    from: Link,
    to: Link,
    plan: &RelinkPlan,
    watch: &mut Watch,
    tools: &RelinkTools<'_>,
) -> Result<Intent, RelinkError> {
    let paths = target.paths;
    let upper = UpperDir::open(&paths.upper())?;
    let look = |error| FileError::on("look at", paths.upper())(error);
    let edited = plan.edits.iter().map(UpperEdit::path);
    watch.add(&upper, edited).map_err(look)?;
    let changed = |path| RelinkError::Changed {
        container: paths.id.clone(),
        path,
    };
    if let Some(path) = watch.changed(&upper).map_err(look)? {
        return Err(changed(path));
    }
    let (record, digest) = keep::keep(paths, from, to, plan)?;
    keep::settle(paths, from.generation, &record)?;
    if let Some(path) = watch.renew(&upper).map_err(look)? {
        keep::remove_all(&paths.undo(from.generation))?;
        return Err(changed(path));
    }
    stage(paths, &plan.edits, &plan.blobs, tools)?;
    make_work(paths, to.generation)?;
    prepare::remember(paths, &plan.regenerate)?;
    let intent = Intent {
        from,
        to,
        plan: digest,
        live: true,
    };
    tools.journal.begin(&paths.id, &intent)?;
    Ok(intent)
}

/// Makes what the edits will rename into place.
pub(super) fn stage(
    paths: &ContainerPaths,
    edits: &[UpperEdit],
    blobs: &BTreeMap<Digest, Vec<u8>>,
    tools: &RelinkTools<'_>,
) -> Result<(), RelinkError> {
    if edits.is_empty() {
        return Ok(());
    }
    let objects = Blobs {
        blobs,
        behind: tools.objects,
    };
    let (upper, undo) = (paths.upper(), paths.undo_area());
    Editor::new(&upper, paths.staging(), undo, &objects)?.stage(edits)
}

/// The work directory of the new overlay; that of the old one is still in use.
pub(super) fn make_work(paths: &ContainerPaths, generation: u64) -> Result<(), RelinkError> {
    let work = paths.work(generation);
    keep::remove_all(&work)?;
    Ok(fs::create_dir(&work).map_err(FileError::on("create directory", &work))?)
}

pub(super) fn order(
    target: &LiveTarget<'_>,
    init: u32,
    freezer: Freezer,
    plan: &RelinkPlan,
    from: Link,
    watched: &Watched,
    finish: bool,
) -> Result<Order, RelinkError> {
    let (paths, version) = (target.paths, target.version);
    let work = paths.work(version.generation);
    let label = work.file_name().unwrap_or_default().to_string_lossy();
    if !finish {
        // Created here, so that the helper need not where it has no time.
        let mark = Mark::open(paths, from.generation)
            .and_then(|mark| mark.set(Progress::Planned, !plan.edits.is_empty()));
        mark.map_err(FileError::on("write", paths.undo(from.generation)))?;
    }
    Ok(Order {
        id: paths.id.clone(),
        private: paths.private.clone(),
        init,
        freezer,
        mount: mount_spec(paths, target.config, version),
        label: label.into_owned(),
        from: from.generation,
        replaced: replaced(plan).into_iter().collect(),
        watched: watched.clone(),
        finish,
    })
}

/// The link is changed; what was kept for an earlier way back goes; what is made again is made. `durable`: the edits are on
/// the disk.
pub(super) fn finish(
    target: &LiveTarget<'_>,
    intent: &Intent,
    durable: bool,
    tools: &RelinkTools<'_>,
) -> Result<(), RelinkError> {
    let paths = target.paths;
    if !durable {
        progress::settle(paths, intent.from.generation)?;
    }
    // Not settled yet: process 1 itself runs a program of the old overlay. Before the row, for nobody would remember it
    // after a kill in between; without the row, whoever comes next does this again.
    super::settle::begin(paths)?;
    tools.journal.finish(&paths.id, intent)?;
    // It is relinked, whatever becomes of the rest: the next relink forgets what stays here, the next start makes again
    // what could not be made.
    if let Err(error) = keep::forget_others(paths, intent.from.generation) {
        tracing::debug!(%error, "what an earlier relink kept stays");
    }
    if let Err(error) = regenerate(target) {
        tracing::debug!(%error, "it is made again by the next start");
    }
    Ok(())
}

/// Makes again what the merge dropped. What cannot be made now is made at the next start.
fn regenerate(target: &LiveTarget<'_>) -> Result<(), RelinkError> {
    let lines = prepare::lines(target.paths)?;
    if lines.is_empty() {
        return Ok(());
    }
    let spec = ExecSpec {
        argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), lines.join(" && ")],
        ..ExecSpec::default()
    };
    if let Ok(0) = exec(target.paths, target.config, &spec, target.runtime) {
        prepare::done(target.paths)?;
    }
    Ok(())
}

/// The relink did not happen: its record goes.
pub(super) fn abandon(
    paths: &ContainerPaths,
    intent: &Intent,
    tools: &RelinkTools<'_>,
) -> Result<(), RelinkError> {
    tools.journal.abandon(&paths.id, intent)?;
    prepare::done(paths)?;
    keep::remove_all(&paths.staging())?;
    keep::remove_all(&paths.work(intent.to.generation))?;
    keep::remove_all(&paths.undo(intent.from.generation))
}

/// The helper process.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    channel: Channel,
}

impl Helper {
    /// Starts it; it holds the container's guard as long as it lives.
    pub(super) fn start(
        target: &LiveTarget<'_>,
        guard: &ContainerGuard,
    ) -> Result<Self, RelinkError> {
        let started = guard
            .share()
            .and_then(|guard| target.helper.start_with(&Job::Move, Stdio::from(guard)));
        let (child, channel) = started.map_err(|error| broken(target.paths, error))?;
        Ok(Self { child, channel })
    }

    /// Gives it its order and waits for what came of it.
    pub(super) fn carry_out(
        &mut self,
        paths: &ContainerPaths,
        order: &Order,
    ) -> Result<Answer, RelinkError> {
        let channel = &mut self.channel;
        let answer = channel
            .set_patience(PATIENCE)
            .and_then(|()| channel.tell(order))
            .and_then(|()| channel.hear());
        answer.map_err(|error| broken(paths, error))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.channel.close();
        // It has answered, or it never will.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
