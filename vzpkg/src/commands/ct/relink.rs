//! `vzpkg ct relink CT…` and `vzpkg ct rollback CT`: containers to another version and back, running or stopped.

use super::Context;
use crate::cli::{CtRelink, CtRollback};
use crate::commands::for_each;
use crate::error::CommandResult;
use crate::ops::relink::{self, Destination, Moved};
use crate::ops::relink_live::Live;
use crate::ops::{containers, names, node};
use crate::output::{Tone, clean};
use vzpkg_cache::store::{ContainerRow, Store, VersionRow};
use vzpkg_metadata::{ContainerId, VersionName};
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
        relink_one(context, &store, &row, &target, arguments.restart, &runtime)
    })
}

/// Moves one container forward and prints what the merge decided.
pub(in crate::commands) fn relink_one(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
    target: &VersionRow,
    restart: bool,
    runtime: &dyn OciRuntime,
) -> CommandResult {
    let there = Destination::Tree(target.digest);
    let moved = relink::move_container(context, store, &row.id, there, restart, runtime)?;
    let Some(moved) = moved else {
        let what = format_args!("{} is on {} already", row.id, target.name);
        context.printer.status(Tone::Plain, "Unchanged", what);
        return Ok(());
    };
    tell_moved(context, &row.id, &target.name, &moved);
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
        return relink_one(context, &store, &row, &target, arguments.restart, &runtime);
    }
    let (before, restart) = (Destination::Before, arguments.restart);
    let moved = relink::move_container(context, &store, &row.id, before, restart, &runtime)?;
    let Some(moved) = moved else {
        return Ok(());
    };
    let name = store
        .db
        .versions_with(&moved.to)?
        .first()
        .map_or_else(|| moved.to.short(), |row| row.name.to_string());
    let verb = if context.settings.dry_run {
        "Would move"
    } else {
        "Rolled back"
    };
    context.printer.status(
        Tone::Good,
        verb,
        format_args!("{} to {name}{}", row.id, pause(&moved)),
    );
    report(context, &moved);
    let left = store.db.versions_with(&moved.from)?.into_iter();
    let left = left
        .map(|version| version.name)
        .find(|name| name.template == row.template);
    if let (Some(left), false) = (left, context.settings.dry_run) {
        let undo = format_args!("vzpkg ct relink {} --to {}", row.id, left.number);
        context.printer.undo(undo);
    }
    Ok(())
}

/// What became of one container that was moved to a version, or would become.
pub(in crate::commands) fn tell_moved(
    context: &Context,
    id: &ContainerId,
    version: &VersionName,
    moved: &Moved,
) {
    let verb = if context.settings.dry_run {
        "Would relink"
    } else {
        "Relinked"
    };
    let what = format_args!("{id} to {version}{}", pause(moved));
    context.printer.status(Tone::Good, verb, what);
    report(context, moved);
}

/// How long a running container stood still.
pub(super) fn pause(moved: &Moved) -> String {
    let pause = moved.live.as_ref().and_then(|live| live.pause);
    pause.map_or_else(String::new, |pause| {
        format!(
            ", which stood still for {:.1} ms",
            pause.as_secs_f64() * 1000.0
        )
    })
}

/// One line for each decision a person may want to look at; all of them with `-v`. Of a running container also what is,
/// or would be, restarted, what is in the way and who is on old files.
pub(super) fn report(context: &Context, moved: &Moved) {
    for decision in &moved.report.lines {
        let line = format!("{:>12} {}", "", clean(&decision.to_string()));
        if decision.needs_attention() {
            context.printer.note(line);
        } else {
            context.printer.detail(line);
        }
    }
    report_live_of(context, moved);
}

/// What there is to say of a container that runs.
pub(super) fn report_live_of(context: &Context, moved: &Moved) {
    if let Some(live) = &moved.live {
        report_live(context, live);
    }
}

fn report_live(context: &Context, live: &Live) {
    let note = |line: String| {
        context
            .printer
            .note(format_args!("{:>12} {}", "", clean(&line)));
    };
    for process in &live.bound {
        let bonds: Vec<String> = process.bonds.iter().map(ToString::to_string).collect();
        note(format!("tied: {process} {}", bonds.join(", ")));
    }
    if !live.restarted.is_empty() {
        let planned = live.pause.is_none();
        let verb = if planned {
            "to be restarted (--restart)"
        } else {
            "restarted"
        };
        note(format!("{verb}: {}", live.restarted.join(" ")));
    }
    if !live.old.is_empty() {
        let names: Vec<&str> = live.old.iter().map(String::as_str).collect();
        note(format!(
            "on old files until restarted: {}",
            names.join(", ")
        ));
    }
}
