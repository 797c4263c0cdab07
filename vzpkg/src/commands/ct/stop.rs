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
        stop(context, &store, &row.id, arguments.timeout, &runtime)?;
        if context.settings.dry_run {
            return Ok(());
        }
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
    let mut mode = StopMode::Gentle(Duration::from_secs(timeout));
    if !context.settings.dry_run
        && let Err(error) = relink::recover_if_cut_short(context, store, id)
    {
        if !stands_still(&error) {
            return Err(error);
        }
        // It cannot be asked for anything; its relink is finished when it is stopped.
        context
            .printer
            .note(format_args!("{id} is killed: {}", error.source));
        mode = StopMode::Kill;
    }
    if containers::state(context, store, id, runtime)?.state == RunState::Stopped {
        // A host that was switched off leaves mounts and bundles behind; stopping clears them too.
        if !context.settings.dry_run {
            container::stop(
                &containers::paths(context, store, id),
                StopMode::Kill,
                runtime,
            )?;
        }
        context
            .printer
            .status(Tone::Plain, "Stopped", format_args!("{id} already"));
        return Ok(Stopped::Already);
    }
    if context.settings.dry_run {
        context.printer.status(Tone::Plain, "Would stop", id);
        return Ok(Stopped::Already);
    }
    let _guard = node::guard(context, store, GuardName::Container(id.clone()))?;
    container::stop(&containers::paths(context, store, id), mode, runtime)?;
    containers::release_versions(context, store, runtime)?;
    context.printer.status(Tone::Good, "Stopped", id);
    Ok(Stopped::Now)
}

/// Whether a container is stopped between two versions, so that nothing in it runs.
fn stands_still(error: &CommandError) -> bool {
    matches!(
        error.source.downcast_ref(),
        Some(RelinkError::Stuck { .. } | RelinkError::Helper { .. })
    )
}
