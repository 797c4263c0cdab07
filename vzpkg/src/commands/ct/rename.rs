//! `vzpkg ct rename CT NEW` and `vzpkg ct clone CT NEW`.

use super::Context;
use crate::cli::{CtClone, CtRename};
use crate::error::CommandResult;
use crate::ops::{clone, containers, node, rename};
use crate::output::Tone;
use vzpkg_metadata::ContainerId;

pub(super) fn run(context: &Context, arguments: &CtRename) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let row = containers::row(&store, &arguments.name)?;
    let new: ContainerId = arguments.new.parse()?;
    let runtime = containers::runtime(context)?;
    rename::rename(context, &store, &row, &new, &runtime)?;
    let what = format_args!("{} to {new}", row.id);
    if context.settings.dry_run {
        context.printer.status(Tone::Plain, "Would rename", what);
        return Ok(());
    }
    context.printer.status(Tone::Good, "Renamed", what);
    let undo = format_args!("vzpkg ct rename {new} {}", row.id);
    context.printer.undo(undo);
    Ok(())
}

pub(super) fn clone(context: &Context, arguments: &CtClone) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let row = containers::row(&store, &arguments.name)?;
    let new: ContainerId = arguments.new.parse()?;
    let runtime = containers::runtime(context)?;
    let hostname = arguments.hostname.as_deref();
    clone::clone(context, &store, &row, &new, hostname, &runtime)?;
    let what = format_args!("{} to {new}", row.id);
    if context.settings.dry_run {
        context.printer.status(Tone::Plain, "Would copy", what);
        return Ok(());
    }
    context.printer.status(Tone::Good, "Copied", what);
    // It is there whatever comes of its start.
    let started = arguments
        .start
        .then(|| containers::start(context, &store, &new, &runtime, |_| Ok(())));
    let force = if matches!(started, Some(Ok(_))) {
        "--force "
    } else {
        ""
    };
    let undo = format_args!("vzpkg ct destroy {force}{new}");
    context.printer.undo(undo);
    if let Some(pid) = started {
        let what = format!("{new}, init is pid {}", pid?);
        context.printer.status(Tone::Good, "Started", what);
    }
    Ok(())
}
