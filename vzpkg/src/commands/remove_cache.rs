//! `vzpkg remove-cache T…`: removes all versions of templates that no container uses.

use super::{Context, for_each};
use crate::cli::RemoveCache;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{collect_garbage, names, node};
use crate::output::Tone;
use vzpkg_cache::store::{GcMode, GuardName};

pub(super) fn run(context: &Context, arguments: &RemoveCache) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    for_each(context, &arguments.templates, |typed| {
        let template = names::template_name(&area, typed)?;
        let _guard = node::guard(context, &store, GuardName::Template(template.clone()))?;
        let mut versions = store.db.versions(&template)?;
        // The head goes last: it may only be removed when it is the only one.
        let head = store.db.head(&template)?.map(|row| row.name.number);
        versions.sort_by_key(|row| Some(row.name.number) == head);
        if versions.is_empty() {
            return Err(CommandError::message(
                Kind::Unmet,
                format!("`{template}` has no cache"),
            ));
        }
        let users: Vec<String> = store
            .db
            .containers()?
            .into_iter()
            .filter(|row| row.template == template)
            .map(|row| row.id.to_string())
            .collect();
        if !users.is_empty() {
            return Err(CommandError::message(
                Kind::Unmet,
                format!("`{template}` is used by {}", users.join(", ")),
            )
            .hint("destroy these containers or move them to another template first"));
        }
        for version in &versions {
            if context.settings.dry_run {
                context
                    .printer
                    .status(Tone::Plain, "Would remove", &version.name);
            } else {
                store.db.remove_version(&version.name)?;
                context.printer.status(Tone::Good, "Removed", &version.name);
            }
        }
        Ok(())
    })?;
    if !context.settings.dry_run {
        let report = collect_garbage::collect(context, &store, GcMode::Remove)?;
        context
            .printer
            .status(Tone::Good, "Freed", report.object_bytes);
    }
    Ok(())
}
