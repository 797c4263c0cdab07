//! `vzpkg doctor --rebuild`: the database from the store, and from what can be read of a damaged one.

use super::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::node;
use crate::output::Tone;
use vzpkg_cache::store::{self, RebuildReport, Store};

pub(super) fn run(context: &Context) -> CommandResult {
    if context.settings.dry_run {
        return Err(CommandError::message(
            Kind::Usage,
            "`doctor --rebuild` has no dry run; it keeps a damaged database beside the new one",
        ));
    }
    node::require_root()?;
    let (store, report) = store::rebuild(&context.settings.root, context.clock.now)?;
    let lost = lost_containers(&store)?;
    if context.printer.is_json() {
        print_json(context, &report, &lost);
    } else {
        print(context, &report);
    }
    for name in &lost {
        context.printer.warning(format_args!(
            "container `{name}` has a private area, but the database does not know it any more"
        ));
    }
    Ok(())
}

fn print(context: &Context, report: &RebuildReport) {
    let printer = context.printer;
    for name in &report.restored {
        printer.status(Tone::Good, "Restored", name);
    }
    for (name, why) in &report.skipped {
        printer.status(Tone::Warning, "Left out", format_args!("{name}: {why}"));
    }
    for (path, problem) in &report.unreadable {
        let what = format!("the record {}: {problem}", path.display());
        printer.status(Tone::Warning, "Left out", what);
    }
    for salvaged in report
        .salvaged
        .iter()
        .filter(|salvaged| salvaged.rows > 0 || salvaged.cut)
    {
        let cut = if salvaged.cut {
            ", the rest is lost"
        } else {
            ""
        };
        let what = format!("{} {}{cut}", salvaged.rows, salvaged.what);
        printer.status(Tone::Plain, "Taken over", what);
    }
    match &report.damaged {
        Some(path) => {
            let what = format!("the damaged database as {}", path.display());
            printer.status(Tone::Plain, "Kept", what);
        }
        None if report.restored.is_empty() && report.unreadable.is_empty() => {
            printer.status(
                Tone::Good,
                "Sound",
                "the database; nothing was missing in it",
            );
        }
        None => {}
    }
}

fn print_json(context: &Context, report: &RebuildReport, lost: &[String]) {
    let restored: Vec<String> = report.restored.iter().map(ToString::to_string).collect();
    let skipped = report.skipped.iter();
    let skipped: Vec<_> = skipped
        .map(|(name, why)| serde_json::json!({ "version": name.to_string(), "why": why }))
        .collect();
    let unreadable = report.unreadable.iter();
    let unreadable: Vec<_> = unreadable
        .map(|(path, why)| serde_json::json!({ "path": path.display().to_string(), "why": why }))
        .collect();
    let salvaged = report.salvaged.iter();
    let salvaged: Vec<_> = salvaged
        .map(|kind| serde_json::json!({ "what": kind.what, "rows": kind.rows, "cut": kind.cut }))
        .collect();
    context.printer.json("rebuild", serde_json::json!({
        "restored": restored, "left_out": skipped, "damaged_records": unreadable, "taken_over": salvaged,
        "damaged": report.damaged.as_ref().map(|path| path.display().to_string()), "lost_containers": lost,
    }));
}

/// Private areas without a row.
fn lost_containers(store: &Store) -> CommandResult<Vec<String>> {
    let rows = store.db.containers()?;
    let entries = std::fs::read_dir(store.layout.private_areas());
    let names = entries.into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names
        .filter(|name| rows.iter().all(|row| row.id.as_str() != name))
        .collect())
}
