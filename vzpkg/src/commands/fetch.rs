//! `vzpkg fetch T…`: downloads what a build or update would need, without building.

use super::{Context, for_each};
use crate::cli::Fetch;
use crate::error::CommandResult;
use crate::ops::build_version::{self, Files};
use crate::ops::plan::{self, Goal};
use crate::ops::{node, refresh_index};
use crate::output::progress::Progress;
use crate::output::{Tone, counted};
use std::sync::Arc;

pub(super) fn run(context: &Context, arguments: &Fetch) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let progress = Arc::new(Progress::new(&context.settings, context.printer));
    let client = refresh_index::client(context, &progress);
    for_each(context, &arguments.templates, |typed| {
        let (name, location) = node::locate(&area, typed)?;
        let template = node::load(&area, &location)?;
        let base = match store.db.head(&name)? {
            Some(head) => Some(store.versions.read(&name, &head.digest)?),
            None => None,
        };
        let repositories = refresh_index::load(&client, &template)?;
        let goal = base.as_ref().map_or(Goal::Bootstrap, Goal::Update);
        let transaction = plan::transaction(context, Some(&store), &template, &repositories, goal)?;
        let wanted = build_version::wanted(&store, &repositories, &transaction, Files::All);
        if context.settings.dry_run {
            context.printer.status(
                Tone::Plain,
                "Would fetch",
                format_args!("{} for {name}", counted(wanted.len(), "package")),
            );
            return Ok(());
        }
        client.fetch(&wanted)?;
        context
            .printer
            .status(Tone::Good, "Fetched", format_args!("everything for {name}"));
        Ok(())
    })
}
