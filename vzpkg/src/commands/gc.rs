//! `vzpkg gc`: removes what no version and no container uses, and says how much that is.

use super::Context;
use crate::cli::Gc;
use crate::error::CommandResult;
use crate::ops::{collect_garbage, node};
use crate::output::Tone;
use crate::output::table::Table;
use vzpkg_cache::store::{GcMode, GcReport};

pub(super) fn run(context: &Context, _: &Gc) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let mode = if context.settings.dry_run {
        GcMode::DryRun
    } else {
        GcMode::Remove
    };
    let report = collect_garbage::collect(context, &store, mode)?;
    if context.printer.is_json() {
        let versions: Vec<_> = report
            .trees
            .iter()
            .map(|tree| {
                let names: Vec<String> = tree.versions.iter().map(ToString::to_string).collect();
                serde_json::json!({ "digest": tree.digest, "bytes": tree.bytes, "names": names })
            })
            .collect();
        context.printer.json("gc", serde_json::json!({
            "dry_run": context.settings.dry_run, "versions": versions, "objects": report.objects,
            "object_bytes": report.object_bytes, "manifests": report.manifests, "manifest_bytes": report.manifest_bytes,
            "image_bytes": report.image_bytes, "bytes": report.bytes(), "dead_builds": report.dead_builds, "kept_objects": report.kept_objects,
        }));
        return Ok(());
    }
    let verb = if context.settings.dry_run {
        context.printer.result(plan(&report));
        "Would free"
    } else {
        tell_removed(context, &report);
        "Freed"
    };
    let what = format!(
        "{}: {} in {} objects, {} in {} package manifests, {} in images, {} dead builds; {} objects stay",
        report.bytes(),
        report.object_bytes,
        report.objects,
        report.manifest_bytes,
        report.manifests,
        report.image_bytes,
        report.dead_builds,
        report.kept_objects
    );
    context.printer.status(Tone::Good, verb, what);
    Ok(())
}

/// A line for each version that a collection has removed.
pub(super) fn tell_removed(context: &Context, report: &GcReport) {
    for version in report.trees.iter().flat_map(|tree| &tree.versions) {
        context.printer.status(Tone::Good, "Removed", version);
    }
}

/// What goes, version by version: the bytes that only this one has.
fn plan(report: &GcReport) -> String {
    let mut table = Table::with_header(["VERSION", "FREES"]).right(1);
    for tree in &report.trees {
        let names: Vec<String> = tree.versions.iter().map(ToString::to_string).collect();
        let names = if names.is_empty() {
            format!("left over, tree {}", tree.digest.short())
        } else {
            names.join(", ")
        };
        table.row([names, tree.bytes.to_string()]);
    }
    if table.is_empty() {
        String::new()
    } else {
        table.render()
    }
}
