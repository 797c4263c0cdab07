//! Another name for a container. The row changes first, with an entry in the journal; whoever uses the container next
//! gives its private area the new name if that was cut short.

use super::{containers, node, relink};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use vzpkg_cache::store::{ContainerRow, GuardName, Store};
use vzpkg_metadata::ContainerId;
use vzpkg_metadata::template::TemplateArea;
use vzpkg_runtime::container;
use vzpkg_runtime::oci::OciRuntime;

/// The journal entry of a container whose private area may still have its old name.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Renamed {
    renamed_from: ContainerId,
}

/// Gives the stopped container of `row` the name `to`. With `--dry-run` only says whether it could.
///
/// # Errors
/// [`Kind::Unmet`] where it runs or the name is taken.
pub(crate) fn rename(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
    to: &ContainerId,
    runtime: &dyn OciRuntime,
) -> CommandResult {
    let from = &row.id;
    is_free(context, store, &node::templates(context)?, to)?;
    let _guards = both(context, store, from, to)?;
    if !context.settings.dry_run {
        relink::recover(context, store, from)?;
        make_free(context, store, to)?;
    }
    stopped(context, store, from, runtime)?;
    if context.settings.dry_run {
        return Ok(());
    }
    let entry = Renamed {
        renamed_from: from.clone(),
    };
    let entry =
        serde_json::to_string(&entry).map_err(|error| CommandError::new(Kind::Bug, error))?;
    store.db.rename_container(from, to, &entry)?;
    finish(context, store, to)?;
    Ok(())
}

/// Both guards, in the order of the names, so that two commands never wait for each other.
pub(super) fn both(
    context: &Context,
    store: &Store,
    one: &ContainerId,
    other: &ContainerId,
) -> CommandResult<Vec<vzpkg_cache::store::Guard>> {
    let mut names = [one, other];
    names.sort();
    let mut guards = Vec::new();
    for name in names {
        let name = GuardName::Container(name.clone());
        guards.extend(node::guard_to_change(context, store, name)?);
    }
    Ok(guards)
}

/// Whether a container may have this name.
///
/// # Errors
/// [`Kind::Usage`] for the name of a template, [`Kind::Unmet`] for one that is taken.
pub(crate) fn is_free(
    context: &Context,
    store: &Store,
    area: &TemplateArea,
    id: &ContainerId,
) -> CommandResult {
    if area.knows(&id.as_str().parse()?)? {
        let text = format!("`{id}` is the name of a template; a container may not have it");
        return Err(CommandError::message(Kind::Usage, text));
    }
    let made = container::is_made(&containers::paths(context, store, id));
    if made && store.db.find_container(id)?.is_some() {
        return Err(taken(id));
    }
    Ok(())
}

fn taken(id: &ContainerId) -> CommandError {
    let text = format!("container `{id}` exists already");
    CommandError::message(Kind::Unmet, text).hint(format!(
        "vzpkg ct info {id}, or remove it: vzpkg ct destroy {id}"
    ))
}

/// Refuses a container that runs.
///
/// # Errors
/// [`Kind::Unmet`]
pub(super) fn stopped(
    context: &Context,
    store: &Store,
    id: &ContainerId,
    runtime: &dyn OciRuntime,
) -> CommandResult {
    let paths = containers::paths(context, store, id);
    let still = if context.settings.dry_run {
        match container::state(&paths, runtime)?.state {
            container::RunState::Stopped => Ok(()),
            _ => Err(container::ContainerError::Running(id.clone())),
        }
    } else {
        container::stands_still(&paths, runtime)
    };
    still.map_err(|error| {
        let running = matches!(error, container::ContainerError::Running(_));
        let error = CommandError::from(error);
        if running {
            error.hint(format!("stop it first: vzpkg ct stop {id}"))
        } else {
            error
        }
    })
}

/// Finishes the renaming of a container that was cut short; cheap where there is none. The caller holds its guard.
///
/// # Errors
/// Where the private area cannot be renamed.
pub(crate) fn finish(
    context: &Context,
    store: &Store,
    id: &ContainerId,
) -> CommandResult<Option<ContainerId>> {
    let Some(from) = store.db.journal(id)?.and_then(|entry| old_name(&entry)) else {
        return Ok(None);
    };
    let places = |id| containers::paths(context, store, id);
    container::rename(&places(&from), &places(id))?;
    store.db.set_journal(id, None)?;
    Ok(Some(from))
}

/// Makes a name free that no container has: a renaming from it is finished, a row without a private area is removed, and
/// so are the remains of one that a power loss took the row of. The caller holds the guard of `id`.
///
/// # Errors
/// As [`finish`]; [`Kind::Unmet`] where somebody made it since it was looked for, where the machine went down before it
/// was durable, and where a private area has the name and no row: of a database that was lost. It may be all that is left
/// of a container, so it is nobody's to remove but the user's.
pub(crate) fn make_free(context: &Context, store: &Store, id: &ContainerId) -> CommandResult {
    for (container, entry) in store.db.journals()? {
        if old_name(&entry).as_ref() == Some(id) {
            let guard = GuardName::Container(container.clone());
            let _guard = node::guard(context, store, guard)?;
            finish(context, store, &container)?;
        }
    }
    let paths = containers::paths(context, store, id);
    if store.db.find_container(id)?.is_some() {
        if container::is_made(&paths) {
            return Err(taken(id));
        }
        if container::is_remains(&paths) {
            return Err(container::ContainerError::NeverMade(id.clone()).into());
        }
        store.db.remove_container(id)?;
    }
    if container::is_remains(&paths) {
        container::discard(&paths)?;
    }
    if paths.private.exists() {
        let private = paths.private.display();
        let text =
            format!("`{private}` is there already, and the database knows no container `{id}`");
        return Err(CommandError::message(Kind::Unmet, text).hint(format!(
            "keep it under another name: mv {private} {private}.lost"
        )));
    }
    Ok(())
}

fn old_name(entry: &str) -> Option<ContainerId> {
    let entry: Renamed = serde_json::from_str(entry).ok()?;
    Some(entry.renamed_from)
}
