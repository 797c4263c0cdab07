//! The relink of stopped containers, one or many of them: the disk is waited for once for each step of all, not once for
//! each of them.
//!
//! The order: undo record, which is the plan, durable → intent in the journal → edits → durable → row. One that changes
//! nothing in its upper needs no intent: its row is all there is to change. Cut short anywhere, the next command that uses
//! a container finishes it ([`super::recover`]); where an edit cannot be carried out, what was done is undone.

use super::apply::Editor;
use super::guard::ContainerGuard;
use super::link::{Intent, Link, LinkJournal};
use super::objects::Blobs;
use super::relink::{Recovered, RelinkError, RelinkPlan, RelinkTools};
use super::state::{RunState, state};
use super::{ContainerPaths, ObjectSource, UndoRecord, UpperEdit, keep, leftovers, prepare};
use crate::oci::OciRuntime;
use std::collections::BTreeMap;
use std::thread;
use vzpkg_metadata::{ContainerId, Digest};

/// A stopped container whose relink is written down, and held until it is carried out. Dropped, it leaves a record that
/// nobody reads.
#[derive(Debug)]
#[must_use = "it is not relinked yet"]
pub struct Prepared {
    pub(super) paths: ContainerPaths,
    pub(super) record: UndoRecord,
    pub(super) blobs: BTreeMap<Digest, Vec<u8>>,
    pub(super) intent: Intent,
    pub(super) _guard: ContainerGuard,
}

/// Writes down how a stopped container goes from its present link `from` to the tree `to`. The caller has called
/// [`super::recover`] before it made the plan.
///
/// # Errors
/// [`RelinkError`]; nothing is changed then.
pub fn prepare_relink(
    paths: &ContainerPaths,
    from: Link,
    to: Digest,
    plan: &RelinkPlan,
    runtime: &dyn OciRuntime,
    journal: &dyn LinkJournal,
) -> Result<Prepared, RelinkError> {
    let guard = ContainerGuard::take(paths)?;
    if state(paths, runtime)?.state != RunState::Stopped {
        return Err(RelinkError::Running(paths.id.clone()));
    }
    leftovers::clear(paths, runtime)?;
    let now = journal.link(&paths.id)?;
    if now != from {
        let container = paths.id.clone();
        return Err(RelinkError::Stale { container, now });
    }
    let to = Link {
        tree: to,
        generation: from.generation + 1,
    };
    let (record, digest) = keep::keep(paths, from, to, plan)?;
    prepare::remember(paths, &plan.regenerate)?;
    Ok(Prepared {
        paths: paths.clone(),
        record,
        blobs: plan.blobs.clone(),
        intent: Intent {
            from,
            to,
            plan: digest,
            live: false,
        },
        _guard: guard,
    })
}

/// Moves a stopped container from its present link `from` to the tree `to` and returns the new link.
///
/// # Errors
/// [`RelinkError`]; the container is unchanged then, unless undoing failed too: [`super::recover`] then goes on.
pub fn relink_stopped(
    paths: &ContainerPaths,
    from: Link,
    to: Digest,
    plan: &RelinkPlan,
    runtime: &dyn OciRuntime,
    tools: &RelinkTools<'_>,
) -> Result<Link, RelinkError> {
    let mut steps = [prepare_relink(paths, from, to, plan, runtime, tools.journal)?.into()];
    begin(&mut steps, tools);
    finish(&mut steps, tools);
    let [step] = steps;
    step.result()
}

/// Carries out what was prepared, all of it at the same time. Each succeeds or fails for itself, as with
/// [`relink_stopped`]; the results are in the order that the containers were given in.
pub fn relink_prepared(
    prepared: Vec<Prepared>,
    tools: &RelinkTools<'_>,
) -> Vec<(ContainerId, Result<Link, RelinkError>)> {
    let mut steps: Vec<Step> = prepared.into_iter().map(Step::from).collect();
    begin(&mut steps, tools);
    finish(&mut steps, tools);
    let results = steps.into_iter();
    results
        .map(|step| (step.prepared.paths.id.clone(), step.result()))
        .collect()
}

/// Finishes what was cut short after its intent was recorded, or undoes it where it cannot be finished.
///
/// # Errors
/// [`RelinkError`]; the intent stays recorded then.
pub(super) fn go_on(
    paths: &ContainerPaths,
    guard: ContainerGuard,
    intent: Intent,
    tools: &RelinkTools<'_>,
) -> Result<Recovered, RelinkError> {
    let (from, to) = (intent.from, intent.to);
    let (record, digest) = keep::read(paths, from.generation)?;
    if digest != intent.plan {
        let path = paths.undo(from.generation);
        return Err(RelinkError::OtherPlan { path });
    }
    let mut steps = [Step::from(Prepared {
        paths: paths.clone(),
        blobs: keep::blobs(paths, from.generation)?,
        record,
        intent,
        _guard: guard,
    })];
    finish(&mut steps, tools);
    let [step] = steps;
    match step.result() {
        Ok(link) => Ok(Recovered::Finished(link)),
        Err(error) if tools.journal.intent(&paths.id)?.is_some() => Err(error),
        // What failed may have come after the change of the row.
        Err(_) if tools.journal.link(&paths.id)? == to => Ok(Recovered::Finished(to)),
        Err(_) => Ok(Recovered::Undone(from)),
    }
}

/// One of several that are relinked together.
#[derive(Debug)]
struct Step {
    prepared: Prepared,
    /// Whether its upper may be another than before.
    touched: bool,
    /// Why it goes no further.
    failed: Option<RelinkError>,
}

impl From<Prepared> for Step {
    fn from(prepared: Prepared) -> Self {
        Self {
            prepared,
            touched: false,
            failed: None,
        }
    }
}

impl Step {
    const fn edits(&self) -> bool {
        !self.prepared.record.edits.is_empty()
    }

    fn result(self) -> Result<Link, RelinkError> {
        self.failed.map_or(Ok(self.prepared.intent.to), Err)
    }
}

/// Does `work` for all steps of a kind that have not failed, at once; where that fails, for each alone, so that everybody
/// gets an error of its own or none.
fn together(
    steps: &mut [Step],
    kind: impl Fn(&Step) -> bool,
    work: impl Fn(&[&Prepared]) -> Result<(), RelinkError>,
) {
    let mut going: Vec<&mut Step> = steps
        .iter_mut()
        .filter(|step| step.failed.is_none() && kind(step))
        .collect();
    let all: Vec<&Prepared> = going.iter().map(|step| &step.prepared).collect();
    if all.is_empty() || work(&all).is_ok() {
        return;
    }
    for step in &mut going {
        step.failed = work(&[&step.prepared]).err();
    }
}

/// From the written plan to the recorded intent.
fn begin(steps: &mut [Step], tools: &RelinkTools<'_>) {
    together(
        steps,
        |_| true,
        |going| match going {
            [one] => keep::settle(&one.paths, one.intent.from.generation, &one.record),
            many => sync(many),
        },
    );
    together(steps, Step::edits, |going| {
        let entries: Vec<_> = going
            .iter()
            .map(|one| (&one.paths.id, &one.intent))
            .collect();
        Ok(tools.journal.begin_all(&entries)?)
    });
}

/// From the recorded intent to the changed row; undone where an edit fails.
fn finish(steps: &mut [Step], tools: &RelinkTools<'_>) {
    edit_all(steps, tools.objects);
    for step in steps
        .iter_mut()
        .filter(|step| step.touched && step.failed.is_some())
    {
        take_back(step, tools);
    }
    together(
        steps,
        |_| true,
        |going| {
            let entries: Vec<_> = going
                .iter()
                .map(|one| (&one.paths.id, &one.intent))
                .collect();
            Ok(tools.journal.finish_all(&entries)?)
        },
    );
    for step in steps.iter().filter(|step| step.failed.is_none()) {
        let Prepared { paths, intent, .. } = &step.prepared;
        // It is relinked, whatever becomes of this: the next relink forgets what stays here.
        drop(keep::forget_others(paths, intent.from.generation));
    }
}

/// Carries all edits out and makes them durable.
fn edit_all(steps: &mut [Step], objects: &dyn ObjectSource) {
    let mut going: Vec<&mut Step> = steps
        .iter_mut()
        .filter(|step| step.failed.is_none() && step.edits())
        .collect();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = going.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        for share in going.chunks_mut(share) {
            scope.spawn(|| {
                for step in share {
                    step.touched = true;
                    let one = &step.prepared;
                    step.failed = edit(one, &one.record.edits, objects).err();
                }
            });
        }
    });
    together(steps, Step::edits, sync);
}

/// What a step that failed did to its upper is undone; where that fails too, its intent stays for [`super::recover`].
fn take_back(step: &mut Step, tools: &RelinkTools<'_>) {
    let one = &step.prepared;
    let undo = || -> Result<(), RelinkError> {
        edit(one, &one.record.inverse(), tools.objects)?;
        sync(&[one])?;
        tools.journal.abandon(&one.paths.id, &one.intent)?;
        keep::remove_all(&one.paths.undo(one.intent.from.generation))
    };
    if let Err(error) = undo() {
        step.failed = Some(error);
    }
}

fn edit(
    one: &Prepared,
    edits: &[UpperEdit],
    objects: &dyn ObjectSource,
) -> Result<(), RelinkError> {
    let objects = Blobs {
        blobs: &one.blobs,
        behind: objects,
    };
    let (upper, undo) = (one.paths.upper(), one.paths.undo_area());
    Editor::new(&upper, one.paths.staging(), undo, &objects)?.apply(edits)
}

fn sync(those: &[&Prepared]) -> Result<(), RelinkError> {
    keep::sync(those.iter().map(|one| one.paths.private.as_path()))
}
