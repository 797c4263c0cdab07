//! `vzpkg keep VERSION…` and `vzpkg unkeep VERSION…`: whether gc may take versions.

use super::{Context, for_each};
use crate::cli::Keep;
use crate::error::CommandResult;
use crate::ops::{names, node};
use crate::output::Tone;

/// What is said of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// gc leaves them.
    Keep,
    /// gc may take them.
    Release,
}

pub(super) fn run(context: &Context, arguments: &Keep, mark: Mark) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let (verb, opposite) = match mark {
        Mark::Keep => ("Kept", "unkeep"),
        Mark::Release => ("Released", "keep"),
    };
    let kept = mark == Mark::Keep;
    for_each(context, &arguments.versions, |text| {
        let version = names::version(&store, &area, text, None)?;
        if version.kept == kept {
            let as_it_is = format!("{} is {}kept", version.name, if kept { "" } else { "not " });
            context.printer.status(Tone::Plain, "Unchanged", as_it_is);
        } else if context.settings.dry_run {
            let what = format!("{} as {}kept", version.name, if kept { "" } else { "not " });
            context.printer.status(Tone::Plain, "Would mark", what);
        } else {
            store.db.set_kept(&version.name, kept)?;
            context.printer.status(Tone::Good, verb, &version.name);
            context
                .printer
                .undo(format_args!("vzpkg {opposite} {}", version.name));
        }
        Ok(())
    })
}
