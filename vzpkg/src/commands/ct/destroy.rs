//! `vzpkg ct destroy CT…`: removes containers with their private changes.

use super::{Context, stop};
use crate::cli::CtDestroy;
use crate::commands::for_each;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{containers, node};
use crate::output::Tone;
use std::io::{BufRead as _, Write as _};
use vzpkg_cache::store::GuardName;
use vzpkg_runtime::container::{self, ContainerError, RunState};

pub(super) fn run(context: &Context, arguments: &CtDestroy) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let runtime = containers::runtime(context)?;
    for_each(context, &arguments.names, |name| {
        let row = containers::row(&store, name)?;
        let running =
            containers::state(context, &store, &row.id, &runtime)?.state != RunState::Stopped;
        if running && !arguments.force {
            return Err(CommandError::message(
                Kind::Unmet,
                format!("container `{}` is running", row.id),
            )
            .hint(format!("stop it, or: vzpkg ct destroy --force {}", row.id)));
        }
        let paths = containers::paths(context, &store, &row.id);
        if context.settings.dry_run {
            context.printer.status(
                Tone::Plain,
                "Would remove",
                format_args!("{} with {}", row.id, paths.private.display()),
            );
            return Ok(());
        }
        if !confirmed(context, arguments.force, row.id.as_str()) {
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

/// Asks on a terminal; without one, or with `-y` or `--force`, does as told.
fn confirmed(context: &Context, force: bool, name: &str) -> bool {
    if force || context.settings.yes || !rustix::termios::isatty(std::io::stdin()) {
        return true;
    }
    let mut stderr = std::io::stderr();
    drop(
        write!(
            stderr,
            "Remove container `{name}` with all its private changes? [y/N] "
        )
        .and_then(|()| stderr.flush()),
    );
    let mut answer = String::new();
    drop(std::io::stdin().lock().read_line(&mut answer));
    matches!(answer.trim(), "y" | "Y" | "yes")
}
