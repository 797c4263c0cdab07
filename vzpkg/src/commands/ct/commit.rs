//! `vzpkg ct commit CT --as TEMPLATE`: what a container has changed becomes a version that others are made from.

use super::Context;
use super::diff;
use crate::cli::CtCommit;
use crate::error::CommandResult;
use crate::ops::commit::{self, Outcome};
use crate::ops::{containers, node};
use crate::output::table::Table;
use crate::output::{Tone, counted};
use std::collections::BTreeMap;
use vzpkg_cache::changes::Class;
use vzpkg_cache::store::Published;
use vzpkg_metadata::{ContainerId, TemplateName};

pub(super) fn run(context: &Context, arguments: &CtCommit) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let row = containers::row(&store, &arguments.name)?;
    let typed = TemplateName::from_user(&arguments.template)?;
    let runtime = containers::runtime(context)?;
    let outcome = commit::commit(context, &store, &area, &row, &typed, &runtime)?;
    if context.printer.is_json() {
        let document = document(&row.id, &outcome);
        context.printer.json("commit", document);
        return Ok(());
    }
    let counts = counts(&outcome);
    let Some(published) = &outcome.published else {
        print(context, &outcome);
        let what = format_args!("{} to {}: {counts}", row.id, outcome.template);
        context.printer.status(Tone::Plain, "Would commit", what);
        return Ok(());
    };
    let record = published.record();
    let name = record.name();
    if matches!(published, Published::Unchanged(_)) {
        let what = format_args!("{} equals {name}; no new version", row.id);
        context.printer.status(Tone::Plain, "Unchanged", what);
        return Ok(());
    }
    let what = format!(
        "{} to {name}: {counts}, tree {}",
        row.id,
        record.digest.short()
    );
    context.printer.status(Tone::Good, "Committed", what);
    if let Some(first) = record.lock.installed.first() {
        let note = format!(
            "{:>12} it has {} of which no file is known here ({}, …): it is updated inside a container and \
             committed again",
            "",
            counted(record.lock.installed.len(), "package"),
            first.name
        );
        context.printer.note(note);
    }
    let create = format!("vzpkg ct create CT --template {}", outcome.template);
    context.printer.note(format_args!("   use it: {create}"));
    context
        .printer
        .undo(format_args!("vzpkg remove-cache {name}"));
    Ok(())
}

/// `12 changes; left out: 3 state, 1 log`
fn counts(outcome: &Outcome) -> String {
    let mut text = counted(outcome.taken.len(), "change");
    let mut left: BTreeMap<Class, usize> = BTreeMap::new();
    for change in &outcome.left {
        *left.entry(change.class).or_default() += 1;
    }
    let left: Vec<String> = left
        .into_iter()
        .map(|(class, count)| format!("{count} {class}"))
        .collect();
    if !left.is_empty() {
        text.push_str(&format!("; left out: {}", left.join(", ")));
    }
    text
}

/// Every change, with whether it goes in.
fn print(context: &Context, outcome: &Outcome) {
    let mut table = Table::with_header(["", "", "KIND", "PATH"]);
    let taken = outcome.taken.iter().map(|change| ("in", change));
    let left = outcome.left.iter().map(|change| ("out", change));
    for (way, change) in taken.chain(left) {
        table.row([
            way.to_owned(),
            diff::letter(&change.change).to_owned(),
            change.class.to_string(),
            crate::output::clean(&format!("/{}", change.path)),
        ]);
    }
    context.printer.result(table.render());
}

fn document(container: &ContainerId, outcome: &Outcome) -> serde_json::Value {
    let record = outcome.published.as_ref().map(Published::record);
    let new = outcome.published.as_ref();
    let installed = record.map(|record| record.lock.installed.iter());
    let installed =
        installed.map(|installed| installed.map(ToString::to_string).collect::<Vec<_>>());
    serde_json::json!({
        "container": container,
        "template": outcome.template,
        "version": record.map(|record| record.name().to_string()),
        "digest": record.map(|record| record.digest),
        "new": new.map(|published| matches!(published, Published::New(_))),
        "taken": outcome.taken.iter().map(diff::document).collect::<Vec<_>>(),
        "left_out": outcome.left.iter().map(diff::document).collect::<Vec<_>>(),
        "packages_of_unknown_origin": installed,
    })
}
