//! `vzpkg status [T…]`: what an update would change; exit 10 when that is something. Named templates are told in detail.

use super::{Context, create_cache, for_each, history, print_plan};
use crate::cli::Status;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::outlook::{self, Outlook};
use crate::ops::{node, refresh_index, rolled_back};
use crate::output::progress::Progress;
use crate::output::table::Table;
use std::sync::Arc;

pub(super) fn run(context: &Context, arguments: &Status) -> CommandResult {
    let store = node::existing_store(context)?;
    let area = node::templates(context)?;
    let names = create_cache::named_or_cached(&store, &arguments.templates)?;
    let progress = Arc::new(Progress::new(&context.settings, context.printer));
    let client = refresh_index::client(context, &progress);
    let mut found = Vec::new();
    let outcome = for_each(context, names, |name| {
        let (_, location) = node::locate(&area, &name)?;
        found.push(outlook::of(context, &store, &area, &location, &client)?);
        Ok(())
    });
    progress.end_stage();
    if context.printer.is_json() {
        let now = context.clock.now;
        let documents: Vec<_> = found.iter().map(|found| document(found, now)).collect();
        let documents = serde_json::json!({ "templates": documents });
        context.printer.json("status", documents);
    } else if !found.is_empty() {
        context.printer.result(summary(&found).render());
        let in_detail = !arguments.templates.is_empty() || context.printer.is_verbose();
        for found in found.iter().filter(|_| in_detail) {
            print_details(context, found);
        }
    }
    outcome?;
    if found.iter().any(Outlook::changes) {
        Err(CommandError::silent(Kind::UpdatesAvailable))
    } else {
        Ok(())
    }
}

/// A line for each template.
fn summary(found: &[Outlook]) -> Table {
    let header = ["TEMPLATE", "HEAD", "UPDATE", "SECURITY", "DOWNLOAD"];
    let mut table = Table::with_header(header).right(3).right(4);
    for found in found {
        let mut changes = match &found.rolled_back {
            Some(bad) => format!("nothing to do: {}", rolled_back::describe(bad)),
            None if found.changes() => history::changes(&found.decision.transaction),
            None => "up to date".to_owned(),
        };
        let held = found.decision.held.len();
        if held > 0 {
            changes.push_str(&format!(", {held} held back"));
        }
        let security = found.security.as_ref();
        let security = security.map_or_else(|| "?".to_owned(), |list| list.len().to_string());
        table.row([
            found.head.name.template.to_string(),
            format!("@{}", found.head.name.number),
            changes,
            security,
            found.download.to_string(),
        ]);
    }
    table
}

/// Every step, with a mark on what is about security; what is held and why; who is at it already.
fn print_details(context: &Context, found: &Outlook) {
    let printer = context.printer;
    let name = &found.head.name.template;
    if found.changes() {
        printer.result(format!("\n{name} would change:"));
        let table = print_plan::table(&found.decision.transaction, |step| {
            let is_security = found.is_security(step.package.name.as_str());
            let mark = if is_security { ", security" } else { "" };
            format!("{}{mark}", step.reason)
        });
        printer.result(table.render());
    }
    if !found.decision.held.is_empty() {
        printer.result(format!("\n{name} is held back:"));
    }
    for held in &found.decision.held {
        let is_security = found.is_security(held.name.as_str());
        let mark = if is_security { " (security)" } else { "" };
        printer.result(format!("  {held}{mark}"));
    }
    if let Some(holder) = &found.busy {
        printer.result(format!("\n{name} is in use by {holder}"));
    }
}

fn document(found: &Outlook, now: i64) -> serde_json::Value {
    let held: Vec<_> = found
        .decision
        .held
        .iter()
        .map(|held| {
            let mut document = held.document(now);
            document["security"] = found.is_security(held.name.as_str()).into();
            document
        })
        .collect();
    let security = found.security.as_ref().map(|targets| {
        let targets = targets.iter();
        let package =
            |target: &vzpkg_resolver::Target| serde_json::json!({ "package": target.name, "version": target.version });
        targets.map(package).collect::<Vec<_>>()
    });
    let busy = found.busy.as_ref();
    let busy =
        busy.map(|holder| serde_json::json!({ "pid": holder.pid, "command": holder.command }));
    serde_json::json!({
        "template": found.head.name.template,
        "head": found.head.name.number,
        "changes": found.changes(),
        "transaction": found.decision.transaction,
        "download": found.download,
        "held_back": held,
        "rolled_back": found.rolled_back.as_ref().map(|bad| bad.name.to_string()),
        "security": security,
        "busy": busy,
    })
}
