//! `vzpkg update-metadata [T…]`: asks the repositories now.

use super::{Context, for_each};
use crate::cli::UpdateMetadata;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{node, refresh_index};
use crate::output::progress::Progress;
use crate::output::{Tone, counted};
use std::sync::Arc;

pub(super) fn run(context: &Context, arguments: &UpdateMetadata) -> CommandResult {
    if context.settings.offline {
        return Err(CommandError::message(
            Kind::Usage,
            "`update-metadata` asks the network; `--offline` forbids it",
        ));
    }
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let names = super::create_cache::named_or_cached(&store, &arguments.templates)?;
    let mut asked = Context {
        settings: context.settings.clone(),
        environment: context.environment.clone(),
        interrupted: Arc::clone(&context.interrupted),
        run_directory: Arc::clone(&context.run_directory),
        ..*context
    };
    asked.settings.refresh = true;
    let progress = Arc::new(Progress::new(&context.settings, context.printer));
    let client = refresh_index::client(&asked, &progress);
    for_each(context, names, |name| {
        let (_, location) = node::locate(&area, &name)?;
        let template = node::load(&area, &location)?;
        if context.settings.dry_run {
            for line in &template.repositories {
                let what = format_args!("{} {}", template.name, line.id());
                context.printer.status(Tone::Plain, "Would ask", what);
            }
            return Ok(());
        }
        let repositories = refresh_index::load(&client, &template)?;
        for repository in &repositories {
            let packages = counted(repository.index.as_index().len(), "package");
            context.printer.status(
                Tone::Good,
                "Fresh",
                format_args!("{} {}: {packages}", template.name, repository.id),
            );
        }
        Ok(())
    })
}
