//! `vzpkg ct start CT…`

use super::Context;
use crate::cli::CtStart;
use crate::commands::for_each;
use crate::error::CommandResult;
use crate::ops::{containers, node, relink, shape};
use crate::output::Tone;
use vzpkg_metadata::ContainerId;
use vzpkg_runtime::container::{Config, RunState};

pub(super) fn run(context: &Context, arguments: &CtStart) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let runtime = containers::runtime(context)?;
    for_each(context, &arguments.names, |name| {
        let row = containers::row(&store, name)?;
        if containers::state(context, &store, &row.id, &runtime)?.state == RunState::Running {
            if !context.settings.dry_run {
                relink::recover_if_cut_short(context, &store, &row.id)?;
            }
            already(context, &row.id);
            return Ok(());
        }
        if context.settings.dry_run {
            let paths = containers::paths(context, &store, &row.id);
            let mut config = Config::of(&paths)?;
            shape::surround(&mut config, &arguments.surroundings, &context.settings.root)?;
            context.printer.status(Tone::Plain, "Would start", &row.id);
            return Ok(());
        }
        let started =
            containers::start_unless_running(context, &store, &row.id, &runtime, |config| {
                shape::surround(config, &arguments.surroundings, &context.settings.root)
            })?;
        let Some(pid) = started else {
            already(context, &row.id);
            return Ok(());
        };
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

fn already(context: &Context, id: &ContainerId) {
    let printer = &context.printer;
    printer.status(Tone::Plain, "Running", format_args!("{id} already"));
}
