//! Whether a container goes with the head of its template or stays on the version that it is put on, changed.

use super::{node, relink};
use crate::commands::Context;
use crate::error::CommandResult;
use vzpkg_cache::store::{ContainerRow, Follow, GuardName, Store};
use vzpkg_metadata::ContainerId;

/// Lets a container follow its template from now on, or stay; its row before that, nothing where it does so already. With
/// `--dry-run` only says so.
///
/// # Errors
/// What the database says, and where something that was cut short cannot be finished.
pub(crate) fn set(
    context: &Context,
    store: &Store,
    id: &ContainerId,
    follow: Follow,
) -> CommandResult<Option<ContainerRow>> {
    let guard = GuardName::Container(id.clone());
    let _guard = node::guard_to_change(context, store, guard)?;
    if !context.settings.dry_run {
        relink::recover(context, store, id)?;
    }
    let row = store.db.container(id)?;
    if row.follow == follow {
        return Ok(None);
    }
    if !context.settings.dry_run {
        store.db.update_container(&ContainerRow {
            follow,
            ..row.clone()
        })?;
    }
    Ok(Some(row))
}
