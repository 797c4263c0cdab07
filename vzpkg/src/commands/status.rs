//! `vzpkg status [T…]`: exit 10 when an update would change something.

use super::{Context, create_cache, for_each};
use crate::cli::Status;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::build_version::{self, Files};
use crate::ops::plan::{self, Goal};
use crate::ops::{held_back, names, node, refresh_index, rolled_back};
use crate::output::progress::Progress;
use crate::output::table::Table;
use std::sync::Arc;

pub(super) fn run(context: &Context, arguments: &Status) -> CommandResult {
    let store = node::existing_store(context)?;
    let area = node::templates(context)?;
    let locations = create_cache::named_or_cached(&store, &area, &arguments.templates)?;
    let progress = Arc::new(Progress::new(&context.settings, context.printer));
    let client = refresh_index::client(context, &progress);
    let mut table = Table::with_header(["TEMPLATE", "HEAD", "UPDATE", "DOWNLOAD"]).right(3);
    let mut documents = Vec::new();
    let mut available = false;
    for_each(context, locations, |location| {
        let template = node::load(&area, &location)?;
        let head = names::head(&store, &template.name)?;
        let base = store.versions.read(&template.name, &head.digest)?;
        let repositories = refresh_index::load(&client, &template)?;
        let transaction = plan::transaction(
            context,
            Some(&store),
            &template,
            &repositories,
            Goal::Update(&base),
        )?;
        let holds = store.db.holds(&template.name)?;
        let now = context.clock.now;
        let held = held_back::find(&holds, &base.lock, &repositories, now);
        let result = rolled_back::lock_after(&template, Some(&base), &transaction);
        let bad = if transaction.is_empty() {
            None
        } else {
            rolled_back::find(&store, &template, &result)?
        };
        available |= !transaction.is_empty() && bad.is_none();
        let mut changes = match &bad {
            _ if transaction.is_empty() => "up to date".to_owned(),
            Some(bad) => format!("nothing to do: {}", rolled_back::describe(bad)),
            None => super::history::changes(&transaction),
        };
        if !held.is_empty() {
            changes.push_str(&format!(", {} held back", held.len()));
        }
        table.row([
            template.name.to_string(),
            format!("@{}", head.name.number),
            changes,
            build_version::to_download(&store, &transaction, Files::All).to_string(),
        ]);
        let held: Vec<_> = held.iter().map(|held| held.document(now)).collect();
        documents.push(serde_json::json!({
            "template": template.name, "head": head.name.number, "transaction": transaction, "held_back": held,
            "rolled_back": bad.map(|bad| bad.name.to_string()),
        }));
        Ok(())
    })?;
    if context.printer.is_json() {
        context
            .printer
            .json("status", serde_json::json!({ "templates": documents }));
    } else if !table.is_empty() {
        context.printer.result(table.render());
    }
    if available {
        Err(CommandError::silent(Kind::UpdatesAvailable))
    } else {
        Ok(())
    }
}
