//! `vzpkg tag VERSION NAME`: a name besides the number, which may move from version to version.

use super::Context;
use crate::cli::Tag;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{names, node};
use crate::output::Tone;
use vzpkg_cache::store::VersionRow;
use vzpkg_metadata::name::Which;
use vzpkg_metadata::{TagName, VersionReference};

pub(super) fn run(context: &Context, arguments: &Tag) -> CommandResult {
    match (&arguments.version, &arguments.name, &arguments.remove) {
        (Some(version), Some(name), None) => set(context, version, &name.parse()?),
        (None, None, Some(tag)) => remove(context, tag),
        _ => Err(CommandError::message(
            Kind::Usage,
            "write `vzpkg tag VERSION NAME` or `vzpkg tag --remove TEMPLATE:NAME`",
        )),
    }
}

fn set(context: &Context, version: &str, tag: &TagName) -> CommandResult {
    if tag.as_str().eq_ignore_ascii_case("head") {
        let text = format!("`{tag}` is no tag: the head of a template is what `rollback` moves");
        return Err(CommandError::message(Kind::Usage, text)
            .hint("make a version the head: vzpkg rollback TEMPLATE --to N"));
    }
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let version = names::version(&store, &area, version, None)?;
    let template = &version.name.template;
    let before: Option<VersionRow> = store.db.tagged(template, tag)?;
    let what = format!("{template}:{tag} is @{}", version.name.number);
    if before.as_ref().is_some_and(|row| row.name == version.name) {
        context.printer.status(Tone::Plain, "Unchanged", what);
        return Ok(());
    }
    if context.settings.dry_run {
        context.printer.status(Tone::Plain, "Would tag", what);
        return Ok(());
    }
    store.db.tag(&version.name, tag)?;
    if let Some(before) = before {
        let was = format!("{what}; it was @{}", before.name.number);
        context.printer.status(Tone::Good, "Tagged", was);
        context
            .printer
            .undo(format_args!("vzpkg tag {} {tag}", before.name));
    } else {
        context.printer.status(Tone::Good, "Tagged", what);
        context
            .printer
            .undo(format_args!("vzpkg tag --remove {template}:{tag}"));
    }
    Ok(())
}

fn remove(context: &Context, text: &str) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let reference: VersionReference = text.parse()?;
    let Which::Tag(tag) = &reference.which else {
        let text = format!("`{text}` names no tag");
        return Err(CommandError::message(Kind::Usage, text).hint("write TEMPLATE:NAME"));
    };
    let version = names::version(&store, &area, text, None)?;
    let what = format!("the tag {tag} of {}", version.name);
    if context.settings.dry_run {
        context.printer.status(Tone::Plain, "Would remove", what);
        return Ok(());
    }
    store.db.untag(&version.name.template, tag)?;
    context.printer.status(Tone::Good, "Removed", what);
    context
        .printer
        .undo(format_args!("vzpkg tag {} {tag}", version.name));
    Ok(())
}
