//! `vzpkg history TEMPLATE`: its versions, newest first.

use super::Context;
use crate::cli::History;
use crate::error::CommandResult;
use crate::ops::{names, node};
use crate::output::table::Table;
use crate::output::{Tone, clean, local_time};
use vzpkg_cache::store::{Store, VersionRow, VersionState};
use vzpkg_metadata::ByteSize;

pub(super) fn run(context: &Context, arguments: &History) -> CommandResult {
    let store = node::existing_store(context)?;
    let area = node::templates(context)?;
    let template = names::template_name(Some(&store), &area, &arguments.template)?;
    let mut rows = store.db.versions(&template)?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.name.number));
    let head = names::head(&store, &template)?.name.number;
    if context.printer.is_json() {
        let versions: Vec<_> = rows
            .iter()
            .map(|row| document(&store, row, row.name.number == head))
            .collect();
        context.printer.json(
            "history",
            serde_json::json!({ "template": template, "versions": versions }),
        );
        return Ok(());
    }
    let mut table = Table::with_header([
        "VERSION", "", "BUILT", "PACKAGES", "CHANGES", "DIGEST", "NOTE",
    ])
    .right(3);
    for row in &rows {
        let record = store.versions.read(&template, &row.digest).ok();
        let packages = record.as_ref().map_or_else(
            || "?".into(),
            |record| record.lock.packages.len().to_string(),
        );
        let changes = record
            .as_ref()
            .map_or_else(String::new, |record| changes(&record.transaction));
        let mark = if row.name.number == head {
            context.printer.paint(Tone::Good, "head")
        } else {
            String::new()
        };
        let digest = if context.printer.is_verbose() {
            row.digest.to_string()
        } else {
            row.digest.short()
        };
        table.row([
            row.name.to_string(),
            mark,
            local_time(row.created),
            packages,
            changes,
            digest,
            note(row),
        ]);
    }
    context.printer.result(table.render());
    Ok(())
}

/// `+3 -1 ~12`: installed, removed, changed.
pub(super) fn changes(transaction: &vzpkg_metadata::transaction::Transaction) -> String {
    use vzpkg_metadata::transaction::Action;
    let count = |wanted: fn(&Action) -> bool| {
        transaction
            .steps
            .iter()
            .filter(|step| wanted(&step.action))
            .count()
    };
    let installed = count(|action| matches!(action, Action::Install));
    let removed = count(|action| matches!(action, Action::Remove));
    let changed =
        count(|action| matches!(action, Action::Upgrade { .. } | Action::Downgrade { .. }));
    let part = |sign: char, count: usize| (count > 0).then(|| format!("{sign}{count}"));
    [part('+', installed), part('-', removed), part('~', changed)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

fn note(row: &VersionRow) -> String {
    let bad = match &row.state {
        VersionState::Good => None,
        VersionState::Bad(reason) if reason.is_empty() => Some("bad".to_owned()),
        VersionState::Bad(reason) => Some(format!("bad: {}", clean(reason))),
    };
    let kept = row.kept.then(|| "kept".to_owned());
    bad.into_iter()
        .chain(kept)
        .chain(row.tags.iter().map(|tag| format!(":{tag}")))
        .collect::<Vec<_>>()
        .join(", ")
}

fn document(store: &Store, row: &VersionRow, head: bool) -> serde_json::Value {
    let record = store.versions.read(&row.name.template, &row.digest).ok();
    let size: Option<ByteSize> = record.as_ref().map(|record| {
        record
            .lock
            .packages
            .iter()
            .map(|package| package.size)
            .sum()
    });
    serde_json::json!({
        "version": row.name.to_string(),
        "number": row.name.number,
        "head": head,
        "digest": row.digest,
        "parent": row.parent,
        "created": row.created,
        "state": match &row.state { VersionState::Good => "good", VersionState::Bad(_) => "bad" },
        "reason": match &row.state { VersionState::Good => None, VersionState::Bad(reason) => Some(reason) },
        "kept": row.kept,
        "tags": row.tags,
        "who": record.as_ref().map(|record| &record.who),
        "why": record.as_ref().map(|record| &record.why),
        "packages": record.as_ref().map(|record| record.lock.packages.len()),
        "package_bytes": size,
        "transaction": record.as_ref().map(|record| &record.transaction),
    })
}
