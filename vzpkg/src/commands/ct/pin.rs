//! Containers that are pinned to a version, and `--follow` and `--pin` of `vzpkg ct relink`.

use super::{Context, list, relink};
use crate::error::CommandResult;
use crate::ops::{pin, relink as moving};
use crate::output::Tone;
use vzpkg_cache::store::{ContainerRow, Follow, Store};
use vzpkg_metadata::ContainerId;

/// Says that a pinned container is not moved by a command that names no version.
///
/// # Errors
/// What the database says, and where something that was cut short cannot be finished.
pub(super) fn stays(context: &Context, store: &Store, id: &ContainerId) -> CommandResult {
    if relink::would_finish(context, store, id)? {
        return Ok(());
    }
    if !context.settings.dry_run {
        moving::recover_if_cut_short(context, store, id)?;
    }
    let version = list::version(store, &store.db.container(id)?);
    let what = format_args!("{id} stays on {version}, it is pinned");
    context.printer.status(Tone::Plain, "Unchanged", what);
    context.printer.note(format_args!(
        "{:>12} move it: vzpkg ct relink {id} --to N; with its template again: vzpkg ct relink {id} --follow",
        ""
    ));
    Ok(())
}

/// Lets a container follow its template from now on, or stay where it is, and says so.
///
/// # Errors
/// As [`pin::set`].
pub(super) fn mark(
    context: &Context,
    store: &Store,
    id: &ContainerId,
    follow: Follow,
) -> CommandResult {
    let Some(row) = pin::set(context, store, id, follow)? else {
        return Ok(());
    };
    let what = match follow {
        Follow::Head => format!("{id}: it follows {} from now on", row.template),
        Follow::Pinned => format!("{id}: it is pinned from now on"),
    };
    if context.settings.dry_run {
        context.printer.status(Tone::Plain, "Would change", what);
        return Ok(());
    }
    context.printer.status(Tone::Good, "Changed", what);
    if let Some(undo) = undo(store, &row, follow)? {
        context.printer.undo(undo);
    }
    Ok(())
}

/// The command that takes a mark back and moves nothing; none where it would have to name a version that was forgotten.
fn undo(store: &Store, row: &ContainerRow, follow: Follow) -> CommandResult<Option<String>> {
    let id = &row.id;
    Ok(match follow {
        Follow::Head => Some(format!("vzpkg ct relink {id} --pin")),
        Follow::Pinned => relink::own_version(store, row, &row.link)?
            .map(|version| format!("vzpkg ct relink {id} --to {} --follow", version.number)),
    })
}
