//! `vzpkg status [T…]`: exit 10 when an update would change something.

use super::{Context, create_cache, for_each};
use crate::cli::Status;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::build_version::{self, Files};
use crate::ops::plan::{self, Goal};
use crate::ops::{names, node, refresh_index};
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
        available |= !transaction.is_empty();
        let changes = if transaction.is_empty() {
            "up to date".to_owned()
        } else {
            super::history::changes(&transaction)
        };
        table.row([
            template.name.to_string(),
            format!("@{}", head.name.number),
            changes,
            build_version::to_download(&store, &transaction, Files::All).to_string(),
        ]);
        documents.push(serde_json::json!({ "template": template.name, "head": head.name.number, "transaction": transaction }));
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
