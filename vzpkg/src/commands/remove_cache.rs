//! `vzpkg remove-cache T…` and `vzpkg remove-cache T@N…`: removes all versions of templates, or single ones.

use super::{Context, ct, for_each, gc};
use crate::cli::RemoveCache;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{collect_garbage, names, node};
use crate::output::Tone;
use vzpkg_cache::store::{GcMode, GuardName, Store, VersionRow};
use vzpkg_metadata::name::Which;
use vzpkg_metadata::template::TemplateArea;
use vzpkg_metadata::{TemplateName, VersionReference};

pub(super) fn run(context: &Context, arguments: &RemoveCache) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let mut removed = false;
    let done = for_each(context, &arguments.templates, |typed| {
        remove_named(context, &store, &area, typed)?;
        removed = !context.settings.dry_run;
        Ok(())
    });
    let interrupted = matches!(&done, Err(error) if error.kind == Kind::Interrupted);
    if !removed || interrupted {
        return done;
    }
    // That one could not go is no reason to keep the space of the others.
    match (done, free(context, &store)) {
        (Ok(()), freed) => freed,
        (Err(first), freed) => {
            if let Err(error) = freed {
                context.printer.error(&crate::output::render(&error));
            }
            Err(first)
        }
    }
}

fn free(context: &Context, store: &Store) -> CommandResult {
    let report = collect_garbage::collect(context, store, GcMode::Remove)?;
    gc::tell_removed(context, &report);
    context.printer.status(Tone::Good, "Freed", report.bytes());
    Ok(())
}

/// All versions of a template, or the one that is named.
fn remove_named(
    context: &Context,
    store: &Store,
    area: &TemplateArea,
    typed: &str,
) -> CommandResult {
    let reference: VersionReference = typed.parse()?;
    match (reference.template, reference.which) {
        (Some(template), Which::Head) => {
            let template = names::template_name(Some(store), area, template.as_str())?;
            remove_all(context, store, &template)
        }
        _ => remove_one(context, store, area, typed),
    }
}

fn remove_one(context: &Context, store: &Store, area: &TemplateArea, typed: &str) -> CommandResult {
    let version = names::version(store, area, typed, None)?;
    let template = GuardName::Template(version.name.template.clone());
    let _guard = node::guard_to_change(context, store, template)?;
    check_unused(store, &version)?;
    remove(context, store, &version)
}

fn remove_all(context: &Context, store: &Store, template: &TemplateName) -> CommandResult {
    let _guard = node::guard_to_change(context, store, GuardName::Template(template.clone()))?;
    let mut versions = store.db.versions(template)?;
    // The head goes last: it may only be removed when it is the only one.
    let head = store.db.head(template)?.map(|row| row.name.number);
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
        .filter(|row| row.template == *template)
        .map(|row| row.id.to_string())
        .collect();
    if !users.is_empty() {
        return Err(CommandError::message(
            Kind::Unmet,
            format!("`{template}` is used by {}", users.join(", ")),
        )
        .hint("destroy these containers or move them to another template first"));
    }
    // All or none: what cannot go is found before anything goes.
    for version in versions.iter().filter(|row| Some(row.name.number) != head) {
        check_unused(store, version)?;
    }
    if let Some(version) = versions.iter().find(|row| row.kept || !row.tags.is_empty()) {
        return Err(marked(version));
    }
    confirm(context, template, versions.len())?;
    for version in &versions {
        remove(context, store, version)?;
    }
    Ok(())
}

/// Asks on a terminal, for what is removed here no command takes back.
fn confirm(context: &Context, template: &TemplateName, versions: usize) -> CommandResult {
    let question = match versions {
        1 => format!("Remove the only version of `{template}`?"),
        versions => format!("Remove all {versions} versions of `{template}`?"),
    };
    if context.settings.dry_run || ct::confirmed(context, &question)? {
        return Ok(());
    }
    let text = format!("the versions of `{template}` stay");
    Err(CommandError::message(Kind::Unmet, text))
}

fn check_unused(store: &Store, version: &VersionRow) -> CommandResult {
    if version.kept || !version.tags.is_empty() {
        return Err(marked(version));
    }
    let Some(user) = store.db.user_of_version(&version.name)? else {
        return Ok(());
    };
    let text = format!("`{}` cannot be removed: {user}", version.name);
    Err(CommandError::message(Kind::Unmet, text).hint(format!(
        "move what uses it first: vzpkg rollback {0}, vzpkg ct relink; all versions: vzpkg remove-cache {0}",
        version.name.template
    )))
}

/// Somebody said that this version is to stay.
fn marked(version: &VersionRow) -> CommandError {
    let name = &version.name;
    match version.tags.first() {
        Some(tag) => {
            let text = format!("`{name}` has the tag `{tag}`");
            let hint = format!("vzpkg tag --remove {}:{tag}", name.template);
            CommandError::message(Kind::Unmet, text).hint(hint)
        }
        None => CommandError::message(Kind::Unmet, format!("`{name}` is kept"))
            .hint(format!("vzpkg unkeep {name}")),
    }
}

fn remove(context: &Context, store: &Store, version: &VersionRow) -> CommandResult {
    if context.settings.dry_run {
        context
            .printer
            .status(Tone::Plain, "Would remove", &version.name);
        return Ok(());
    }
    store.db.remove_version(&version.name)?;
    context.printer.status(Tone::Good, "Removed", &version.name);
    Ok(())
}
