//! `vzpkg ct start CT…`

use super::Context;
use crate::cli::CtStart;
use crate::commands::for_each;
use crate::error::CommandResult;
use crate::ops::{containers, node, shape};
use crate::output::Tone;
use vzpkg_runtime::container::{Config, ContainerError, RunState};

pub(super) fn run(context: &Context, arguments: &CtStart) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let runtime = containers::runtime(context)?;
    for_each(context, &arguments.names, |name| {
        let row = containers::row(&store, name)?;
        if containers::state(context, &store, &row.id, &runtime)?.state == RunState::Running {
            context
                .printer
                .status(Tone::Plain, "Running", format_args!("{} already", row.id));
            return Ok(());
        }
        if context.settings.dry_run {
            let paths = containers::paths(context, &store, &row.id);
            let mut config = Config::read(&paths.config()).map_err(ContainerError::from)?;
            shape::surround(&mut config, &arguments.surroundings, &context.settings.root)?;
            context.printer.status(Tone::Plain, "Would start", &row.id);
            return Ok(());
        }
        let pid = containers::start(context, &store, &row.id, &runtime, |config| {
            shape::surround(config, &arguments.surroundings, &context.settings.root)
        })?;
        context.printer.status(
            Tone::Good,
            "Started",
            format_args!("{}, init is pid {pid}", row.id),
        );
        context
            .printer
            .undo(format_args!("vzpkg ct stop {}", row.id));
        Ok(())
    })
}
