//! `vzpkg ct relink CT…` and `vzpkg ct rollback CT`: containers to another version and back, running or stopped.

use super::{Context, pin};
use crate::cli::{CtRelink, CtRollback};
use crate::commands::for_each;
use crate::error::CommandResult;
use crate::ops::relink::{self, Between, Destination, Moved};
use crate::ops::relink_live::Live;
use crate::ops::{containers, names, node};
use crate::output::{Tone, clean};
use vzpkg_cache::store::{ContainerRow, Follow, Store, VersionRow};
use vzpkg_metadata::{ContainerId, Digest, VersionName};
use vzpkg_runtime::oci::OciRuntime;

pub(super) fn run(context: &Context, arguments: &CtRelink) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let runtime = containers::runtime(context)?;
    let (restart, follow) = (arguments.restart, wanted(arguments));
    for_each(context, &arguments.names, |name| {
        let row = containers::row(&store, name)?;
        match (&arguments.to, follow) {
            (Some(text), _) => {
                let target = names::version_of(&store, &area, &row.template, text)?;
                relink_one(context, &store, &row, &target, restart, &runtime)?;
            }
            (None, Some(Follow::Head)) => {
                let head = names::head(&store, &row.template)?;
                relink_one(context, &store, &row, &head, restart, &runtime)?;
            }
            // It stays where it is.
            (None, Some(Follow::Pinned)) if row.follow == Follow::Head => {}
            (None, Some(Follow::Pinned) | None) => {
                to_head(context, &store, &row, restart, &runtime)?;
            }
        }
        follow.map_or(Ok(()), |follow| pin::mark(context, &store, &row.id, follow))
    })
}

/// Whether it is to follow or to stay from now on, if that is asked for.
fn wanted(arguments: &CtRelink) -> Option<Follow> {
    match (arguments.follow, arguments.pin) {
        (true, _) => Some(Follow::Head),
        (_, true) => Some(Follow::Pinned),
        _ => None,
    }
}

/// Moves one container to the head of its template, unless it is pinned to a version.
///
/// # Errors
/// As [`relink::move_container`].
pub(in crate::commands) fn to_head(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
    restart: bool,
    runtime: &dyn OciRuntime,
) -> CommandResult {
    if row.follow == Follow::Pinned {
        return pin::stays(context, store, &row.id);
    }
    let head = names::head(store, &row.template)?;
    relink_one(context, store, row, &head, restart, runtime)
}

/// Moves one container forward and prints what the merge decided.
fn relink_one(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
    target: &VersionRow,
    restart: bool,
    runtime: &dyn OciRuntime,
) -> CommandResult {
    if would_finish(context, store, &row.id)? {
        return Ok(());
    }
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
    moved.outcome()
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
    if would_finish(context, &store, &row.id)? {
        return Ok(());
    }
    let (before, restart) = (Destination::Before, arguments.restart);
    let moved = relink::move_container(context, &store, &row.id, before, restart, &runtime)?;
    let Some(moved) = moved else {
        return Ok(());
    };
    let to = own_version(&store, &row, &moved.to)?;
    let name = to.map_or_else(|| moved.to.short(), |name| name.to_string());
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
    if !context.settings.dry_run {
        // What came back from a reset is on the version that it was on: only the same way leads there again.
        let left = own_version(&store, &row, &moved.from)?.filter(|_| moved.from != moved.to);
        context.printer.undo(left.map_or_else(
            || format!("vzpkg ct rollback {}", row.id),
            |left| format!("vzpkg ct relink {} --to {}", row.id, left.number),
        ));
    }
    moved.outcome()
}

/// The version of the container's own template that has this tree; another template may have the same.
///
/// # Errors
/// What the database says.
pub(super) fn own_version(
    store: &Store,
    row: &ContainerRow,
    tree: &Digest,
) -> CommandResult<Option<VersionName>> {
    let versions = store.db.versions_with(tree)?.into_iter();
    let mut names = versions.map(|version| version.name);
    Ok(names.find(|name| name.template == row.template))
}

/// Whether this is a dry run and the container is between two versions or names: all that can be said is what comes first.
///
/// # Errors
/// What the database says.
pub(super) fn would_finish(
    context: &Context,
    store: &Store,
    id: &ContainerId,
) -> CommandResult<bool> {
    if !context.settings.dry_run {
        return Ok(false);
    }
    let Some(Between { holder }) = relink::between(store, id)? else {
        return Ok(false);
    };
    let (verb, what) = match holder {
        Some(holder) => (
            "Would await",
            format!("what moves or renames {id} ({holder})"),
        ),
        None => (
            "Would finish",
            format!("an interrupted move or renaming of {id} first"),
        ),
    };
    let what = format_args!("{what}; where it goes from there is known then");
    context.printer.status(Tone::Plain, verb, what);
    Ok(true)
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
