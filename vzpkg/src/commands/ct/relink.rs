//! `vzpkg ct relink CT…` and `vzpkg ct rollback CT`: stopped containers to another version and back.

use super::Context;
use crate::cli::{CtRelink, CtRollback};
use crate::commands::for_each;
use crate::error::CommandResult;
use crate::ops::relink::{self, Direction};
use crate::ops::{containers, names, node};
use crate::output::{Tone, clean};
use vzpkg_cache::merge::MergeReport;
use vzpkg_cache::store::{ContainerRow, Store, VersionRow};
use vzpkg_runtime::oci::OciRuntime;

pub(super) fn run(context: &Context, arguments: &CtRelink) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let runtime = containers::runtime(context)?;
    for_each(context, &arguments.names, |name| {
        let row = containers::row(&store, name)?;
        let target = match &arguments.to {
            Some(text) => names::version_of(&store, &area, &row.template, text)?,
            None => names::head(&store, &row.template)?,
        };
        relink_one(context, &store, &row, &target, &runtime)
    })
}

/// Moves one stopped container forward and prints what the merge decided.
pub(in crate::commands) fn relink_one(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
    target: &VersionRow,
    runtime: &dyn OciRuntime,
) -> CommandResult {
    if row.link == target.digest {
        context.printer.status(
            Tone::Plain,
            "Unchanged",
            format_args!("{} is on {} already", row.id, target.name),
        );
        return Ok(());
    }
    let merged = relink::move_stopped(
        context,
        store,
        row,
        target.digest,
        Direction::Forward,
        runtime,
    )?;
    let verb = if context.settings.dry_run {
        "Would relink"
    } else {
        "Relinked"
    };
    context.printer.status(
        Tone::Good,
        verb,
        format_args!("{} to {}", row.id, target.name),
    );
    report(context, &merged);
    if !context.settings.dry_run {
        context
            .printer
            .undo(format_args!("vzpkg ct rollback {}", row.id));
    }
    Ok(())
}

pub(in crate::commands) fn rollback(context: &Context, arguments: &CtRollback) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let runtime = containers::runtime(context)?;
    let row = containers::row(&store, &arguments.name)?;
    if let Some(text) = &arguments.to {
        let target = names::version_of(&store, &area, &row.template, text)?;
        return relink_one(context, &store, &row, &target, &runtime);
    }
    let before = relink::link_before(context, &store, &row)?;
    let merged = relink::move_stopped(context, &store, &row, before, Direction::Back, &runtime)?;
    let name = store
        .db
        .versions_with(&before)?
        .first()
        .map_or_else(|| before.short(), |row| row.name.to_string());
    let verb = if context.settings.dry_run {
        "Would move"
    } else {
        "Rolled back"
    };
    context
        .printer
        .status(Tone::Good, verb, format_args!("{} to {name}", row.id));
    report(context, &merged);
    let left = store.db.versions_with(&row.link)?.into_iter();
    let left = left
        .map(|version| version.name)
        .find(|name| name.template == row.template);
    if let (Some(left), false) = (left, context.settings.dry_run) {
        let undo = format_args!("vzpkg ct relink {} --to {}", row.id, left.number);
        context.printer.undo(undo);
    }
    Ok(())
}

/// One line for each decision a person may want to look at; all of them with `-v`.
pub(in crate::commands) fn report(context: &Context, merged: &MergeReport) {
    for decision in &merged.lines {
        let line = format!("{:>12} {}", "", clean(&decision.to_string()));
        if decision.needs_attention() {
            context.printer.note(line);
        } else {
            context.printer.detail(line);
        }
    }
}
