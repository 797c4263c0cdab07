//! `vzpkg ct stop CT…` and `vzpkg ct restart CT…`

use super::Context;
use crate::cli::{CtRestart, CtStop};
use crate::commands::for_each;
use crate::error::{CommandError, CommandResult};
use crate::ops::{containers, node, relink};
use crate::output::Tone;
use std::time::Duration;
use vzpkg_cache::store::{GuardName, Store};
use vzpkg_metadata::ContainerId;
use vzpkg_runtime::container::{self, RelinkError, RunState, StopMode};
use vzpkg_runtime::oci::OciRuntime;

pub(super) fn run(context: &Context, arguments: &CtStop) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let runtime = containers::runtime(context)?;
    for_each(context, &arguments.names, |name| {
        let row = containers::row(&store, name)?;
        let stopped = stop(context, &store, &row.id, arguments.timeout, &runtime)?;
        if stopped == Stopped::Now {
            let undo = format_args!("vzpkg ct start {}", row.id);
            context.printer.undo(undo);
        }
        Ok(())
    })
}

/// What stopping a container came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It ran, and does no more.
    Now,
    /// Nothing was changed: it did not run, or this is a dry run.
    Already,
}

pub(super) fn restart(context: &Context, arguments: &CtRestart) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let runtime = containers::runtime(context)?;
    for_each(context, &arguments.names, |name| {
        let row = containers::row(&store, name)?;
        if context.settings.dry_run {
            let state = containers::state(context, &store, &row.id, &runtime)?.state;
            let verb = match state {
                RunState::Stopped => "Would start",
                _ => "Would restart",
            };
            context.printer.status(Tone::Plain, verb, &row.id);
            return Ok(());
        }
        stop(context, &store, &row.id, arguments.timeout, &runtime)?;
        let pid = containers::start(context, &store, &row.id, &runtime, |_| Ok(()))?;
        context.printer.status(
            Tone::Good,
            "Started",
            format_args!("{}, init is pid {pid}", row.id),
        );
        Ok(())
    })
}

/// Stops a container; one that does not run is fine.
pub(super) fn stop(
    context: &Context,
    store: &Store,
    id: &ContainerId,
    timeout: u64,
    runtime: &dyn OciRuntime,
) -> CommandResult<Stopped> {
    let dry_run = context.settings.dry_run;
    let _guard = node::guard_to_change(context, store, GuardName::Container(id.clone()))?;
    let gentle = StopMode::Gentle(Duration::from_secs(timeout));
    let mode = if dry_run {
        gentle
    } else {
        mode_after_recovery(context, store, id, gentle)?
    };
    let runs = containers::state(context, store, id, runtime)?.state != RunState::Stopped;
    if runs && dry_run {
        context.printer.status(Tone::Plain, "Would stop", id);
        return Ok(Stopped::Already);
    }
    if !dry_run {
        // Also one that does not run: a host that was switched off leaves mounts and bundles behind.
        container::stop(&containers::paths(context, store, id), mode, runtime)?;
    }
    if !runs {
        let what = format_args!("{id} already");
        context.printer.status(Tone::Plain, "Stopped", what);
        return Ok(Stopped::Already);
    }
    containers::release_versions(context, store, runtime)?;
    context.printer.status(Tone::Good, "Stopped", id);
    Ok(Stopped::Now)
}

/// Finishes what was cut short, and says how the container is to be stopped then: one that stands still between two
/// versions cannot be asked for anything, and its relink is finished when it is stopped. The caller holds its guard.
fn mode_after_recovery(
    context: &Context,
    store: &Store,
    id: &ContainerId,
    mode: StopMode,
) -> CommandResult<StopMode> {
    if !relink::is_cut_short(context, store, id)? {
        return Ok(mode);
    }
    match relink::recover(context, store, id) {
        Ok(()) => Ok(mode),
        Err(error) if stands_still(&error) => {
            let what = format_args!("{id} is killed: {}", error.source);
            context.printer.note(what);
            Ok(StopMode::Kill)
        }
        Err(error) => Err(error),
    }
}

/// Whether a container is stopped between two versions, so that nothing in it runs.
fn stands_still(error: &CommandError) -> bool {
    matches!(
        error.source.downcast_ref(),
        Some(RelinkError::Stuck { .. } | RelinkError::Helper { .. })
    )
}
