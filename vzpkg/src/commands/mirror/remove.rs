//! `vzpkg mirror remove NAME…`: removes mirrors with their states and snapshots.

use crate::cli::MirrorRemove;
use crate::commands::{Context, for_each};
use crate::error::CommandResult;
use crate::ops::{mirror_use, mirrors};
use crate::output::Tone;

pub(super) fn run(context: &Context, arguments: &MirrorRemove) -> CommandResult {
    let mirrors = mirrors::open_for_writing(context)?;
    for_each(context, &arguments.names, |typed| {
        let name = mirrors::name(typed)?;
        // Says which name is none, also when nothing is to be changed.
        mirrors.info(&name)?;
        if context.settings.dry_run {
            context
                .printer
                .status(Tone::Plain, "Would remove", format_args!("mirror {name}"));
            return Ok(());
        }
        // Templates that read it would find nothing.
        if mirror_use::stop(context, &name)? {
            let what = format_args!("templates read the upstream of {name} again");
            context.printer.status(Tone::Good, "Undone", what);
        }
        mirrors.remove(&name)?;
        context
            .printer
            .status(Tone::Good, "Removed", format_args!("mirror {name}"));
        let next = "removes packages that no other mirror names: vzpkg clean";
        context.printer.note(format_args!("{:>12} {next}", ""));
        Ok(())
    })
}
