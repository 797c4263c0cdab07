//! `vzpkg ct destroy CT…`: removes containers with their private changes.

use super::{Context, stop};
use crate::cli::CtDestroy;
use crate::commands::for_each;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{containers, node, rename};
use crate::output::Tone;
use vzpkg_cache::store::GuardName;
use vzpkg_runtime::container::{self, ContainerError, RunState};

pub(super) fn run(context: &Context, arguments: &CtDestroy) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let runtime = containers::runtime(context)?;
    for_each(context, &arguments.names, |name| {
        let row = containers::row(&store, name)?;
        let paths = containers::paths(context, &store, &row.id);
        if !context.settings.dry_run {
            let guard = GuardName::Container(row.id.clone());
            let _guard = node::guard(context, &store, guard)?;
            rename::finish(context, &store, &row.id)?;
        }
        let running = match container::state(&paths, &runtime) {
            // Its private area was never finished: only a row is to be removed.
            Err(ContainerError::Unknown(_)) => false,
            state => state?.state != RunState::Stopped,
        };
        if running && !arguments.force {
            return Err(CommandError::message(
                Kind::Unmet,
                format!("container `{}` is running", row.id),
            )
            .hint(format!("stop it, or: vzpkg ct destroy --force {}", row.id)));
        }
        if context.settings.dry_run {
            context.printer.status(
                Tone::Plain,
                "Would remove",
                format_args!("{} with {}", row.id, paths.private.display()),
            );
            return Ok(());
        }
        let question = format!(
            "Remove container `{}` with all its private changes?",
            row.id
        );
        if !arguments.force && !super::confirmed(context, &question)? {
            return Err(CommandError::message(
                Kind::Unmet,
                format!("container `{}` stays", row.id),
            ));
        }
        if running {
            stop::stop(context, &store, &row.id, 10, &runtime)?;
        }
        let _guard = node::guard(context, &store, GuardName::Container(row.id.clone()))?;
        // The row last: while it is there, this verb can be called again. One that was killed has left no private area.
        match container::destroy(&paths, &runtime) {
            Ok(()) | Err(ContainerError::Unknown(_)) => {}
            Err(error) => return Err(error.into()),
        }
        store.db.remove_container(&row.id)?;
        context.printer.status(Tone::Good, "Destroyed", &row.id);
        Ok(())
    })
}
