//! `--in-place` of `vzpkg ct relink` and `vzpkg update CT`: the container's own package manager brings it to the packages of
//! a version, and the container stays on the one it is on.

use super::{Context, pin, relink};
use crate::cli::CtRelink;
use crate::commands::documents::Documents;
use crate::commands::{for_each, print_plan};
use crate::error::CommandResult;
use crate::ops::in_place::{self, InPlace};
use crate::ops::{containers, names, node};
use crate::output::{Tone, clean};
use vzpkg_cache::store::{ContainerRow, Follow, Store, VersionRow};
use vzpkg_metadata::ContainerId;
use vzpkg_metadata::template::TemplateArea;

/// `vzpkg ct relink CT… --in-place`
pub(super) fn run(context: &Context, arguments: &CtRelink) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let documents = Documents::new(context, arguments.names.len());
    let done = for_each(context, &arguments.names, |name| {
        let row = containers::row(&store, name)?;
        let to = arguments.to.as_deref();
        one(context, &store, &area, &row, to, &documents)
    });
    documents.finish("in-place");
    done
}

/// One container, to the version `to`; else to the head of its template, unless it is pinned to a version.
///
/// # Errors
/// As [`in_place::update`].
pub(in crate::commands) fn one(
    context: &Context,
    store: &Store,
    area: &TemplateArea,
    row: &ContainerRow,
    to: Option<&str>,
    documents: &Documents<'_>,
) -> CommandResult {
    let target = match to {
        Some(text) => names::version_of(store, area, &row.template, text)?,
        None if row.follow == Follow::Pinned => return pin::stays(context, store, &row.id),
        None => names::head(store, &row.template)?,
    };
    if relink::would_finish(context, store, &row.id)? {
        return Ok(());
    }
    let runtime = containers::runtime(context)?;
    let done = in_place::update(context, store, area, &row.id, &target, &runtime)?;
    documents.add(|| {
        serde_json::json!({
            "container": row.id, "template": row.template, "on": done.on.number, "to": target.name.number,
            "transaction": done.transaction, "kept": done.kept, "download": done.download,
        })
    });
    tell(context, &row.id, &target, &done);
    Ok(())
}

fn tell(context: &Context, id: &ContainerId, target: &VersionRow, done: &InPlace) {
    let printer = &context.printer;
    let (to, on) = (&target.name, &done.on);
    let aside = |line: String| printer.note(format_args!("{:>12} {}", "", clean(&line)));
    if done.is_idle() {
        let what = format_args!("{id} has the packages of {to} already; it stays on {on}");
        printer.status(Tone::Plain, "Unchanged", what);
    } else if context.settings.dry_run {
        if !printer.is_json() {
            let table = print_plan::table(&done.transaction, |step| step.reason.to_string());
            printer.result(table.render());
        }
        let what = format_args!("{id} in place to the packages of {to}; it would stay on {on}");
        printer.status(Tone::Plain, "Would update", what);
        aside(format!(
            "{} to download; nothing was changed",
            done.download
        ));
    } else {
        let what = format_args!("{id} in place to the packages of {to}; it stays on {on}");
        printer.status(Tone::Good, "Updated", what);
        aside(format!(
            "no command takes all of this back: vzpkg ct reset {id} PATH shows files of {on} again, but leaves what \
             scripts of the packages did to data"
        ));
    }
    for line in &done.kept {
        aside(line.to_string());
    }
}
