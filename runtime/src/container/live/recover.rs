//! After a live relink that was cut short: the container moves again on one side or the other, or not at all.
//!
//! What was reached is told by the mark beside the plan ([`super::progress`]) and by the kernel's own mounts. Before the
//! first edit there is nothing to undo. After it the container stands still, and a new helper goes on from what it finds
//! ([`super::mover`]): forward, or back where nobody has crossed. Where it can do neither, the container stays as it is,
//! with its intent recorded, and every command says so: it can be stopped, and is finished while it is stopped.

use super::order::Answer;
use super::progress::{self, Progress};
use super::relink::{
    Helper, LiveTarget, Moved, abandon, broken, error_of, finish, freezer, make_work, order, stage,
};
use super::watch::Watched;
use crate::container::guard::ContainerGuard;
use crate::container::state::{RunState, state};
use crate::container::{
    Intent, Recovered, RelinkError, RelinkPlan, RelinkTools, keep, leftovers, stopped,
};
use std::time::Duration;
use vzpkg_metadata::Digest;

/// How long a helper whose command was killed may still be at work: it waits for the disk.
const PATIENCE: Duration = Duration::from_mins(1);

/// Finishes or undoes what was cut short, of a container that runs or is stopped. The version of `target` is that of
/// [`unfinished`]. Cheap where there is nothing.
///
/// # Errors
/// [`RelinkError`]; the container stands still if it did, and the intent stays recorded.
pub fn recover_live(
    target: &LiveTarget<'_>,
    tools: &RelinkTools<'_>,
) -> Result<Recovered, RelinkError> {
    let paths = target.paths;
    if !tools
        .journal
        .intent(&paths.id)?
        .is_some_and(|intent| intent.live)
    {
        return Ok(Recovered::Nothing);
    }
    let guard = ContainerGuard::take_within(paths, PATIENCE)?;
    let Some(intent) = tools.journal.intent(&paths.id)? else {
        return Ok(Recovered::Nothing);
    };
    let now = state(paths, target.runtime)?;
    if let (RunState::Running | RunState::Paused, Some(init)) = (now.state, now.pid) {
        let taken = take_up(target, init, &intent, tools, &guard)?;
        return Ok(match taken {
            Some(_) => Recovered::Finished(intent.to),
            None => Recovered::Undone(intent.from),
        });
    }
    // A machine or a container that went down: nothing but the upper is left of it.
    drop(leftovers::clear(paths, target.runtime));
    match progress::read(paths, intent.from.generation)? {
        Progress::Planned => {
            abandon(paths, &intent, tools)?;
            Ok(Recovered::Undone(intent.from))
        }
        Progress::Moved => {
            // Before the row, which is durable: nobody would carry the edits out again after a power loss.
            progress::settle(paths, intent.from.generation)?;
            tools.journal.finish(&paths.id, &intent)?;
            // The next relink forgets what stays.
            drop(keep::forget_others(paths, intent.from.generation));
            Ok(Recovered::Finished(intent.to))
        }
        Progress::Editing => stopped::go_on(paths, guard, intent, tools),
    }
}

/// Goes on with a running container; `None` where nothing had been changed, or everything was taken back. It moves again
/// unless this fails.
pub(super) fn take_up(
    target: &LiveTarget<'_>,
    init: u32,
    intent: &Intent,
    tools: &RelinkTools<'_>,
    guard: &ContainerGuard,
) -> Result<Option<Moved>, RelinkError> {
    let paths = target.paths;
    let thaw = || {
        let thawed = freezer(paths, init)?.thaw();
        thawed.map_err(|error| broken(paths, error))
    };
    let mut moved = Moved {
        link: intent.to,
        pause: Duration::ZERO,
    };
    let mut durable = false;
    match progress::read(paths, intent.from.generation)? {
        Progress::Planned => {
            thaw()?;
            abandon(paths, intent, tools)?;
            return Ok(None);
        }
        Progress::Moved => thaw()?,
        Progress::Editing => match go_on(target, init, intent, tools, guard)? {
            Answer::Moved {
                pause,
                durable: settled,
            } => {
                moved.pause = pause;
                durable = settled;
            }
            Answer::Refused(_) => {
                abandon(paths, intent, tools)?;
                return Ok(None);
            }
            other => return Err(error_of(paths, other)),
        },
    }
    finish(target, intent, durable, tools)?;
    Ok(Some(moved))
}

fn go_on(
    target: &LiveTarget<'_>,
    init: u32,
    intent: &Intent,
    tools: &RelinkTools<'_>,
    guard: &ContainerGuard,
) -> Result<Answer, RelinkError> {
    let paths = target.paths;
    let (record, _) = keep::read(paths, intent.from.generation)?;
    let blobs = keep::blobs(paths, intent.from.generation)?;
    stage(paths, &record.edits, &blobs, tools)?;
    if !paths.work(intent.to.generation).exists() {
        make_work(paths, intent.to.generation)?;
    }
    let plan = RelinkPlan {
        edits: record.edits,
        ..RelinkPlan::default()
    };
    let freezer = freezer(paths, init)?;
    let watched = Watched::default();
    let order = order(target, init, freezer, &plan, intent.from, &watched, true)?;
    Helper::start(target, guard)?.carry_out(paths, &order)
}

/// The tree that an unfinished live relink leads to, if there is one: what [`recover_live`] is to be given the version of.
///
/// # Errors
/// [`RelinkError::Journal`]
pub fn unfinished(
    container: &vzpkg_metadata::ContainerId,
    tools: &RelinkTools<'_>,
) -> Result<Option<(Digest, u64)>, RelinkError> {
    let intent = tools.journal.intent(container)?;
    Ok(intent
        .filter(|intent| intent.live)
        .map(|intent| (intent.to.tree, intent.to.generation)))
}
