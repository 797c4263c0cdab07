//! `vzpkg ct reset CT [PATH…]`: private changes go, the version shows again.

use super::{Context, relink};
use crate::cli::CtReset;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::relink::{self as moving, Destination};
use crate::ops::{containers, node};
use crate::output::{Tone, clean, counted};

pub(super) fn run(context: &Context, arguments: &CtReset) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let row = containers::row(&store, &arguments.name)?;
    let paths = containers::inner_paths(&arguments.paths)?;
    let runtime = containers::runtime(context)?;
    let question = format!("Take all private changes of container `{}` away?", row.id);
    let whole = paths.is_empty() && !context.settings.dry_run;
    if whole && !super::confirmed(context, &question)? {
        let text = format!("container `{}` stays as it is", row.id);
        return Err(CommandError::message(Kind::Unmet, text));
    }
    if relink::would_finish(context, &store, &row.id)? {
        return Ok(());
    }
    let (reset, restart) = (Destination::Reset(&paths), arguments.restart);
    let moved = moving::move_container(context, &store, &row.id, reset, restart, &runtime)?;
    let Some(moved) = moved else {
        let what = format_args!("{} has nothing private that would go", row.id);
        context.printer.status(Tone::Plain, "Unchanged", what);
        return Ok(());
    };
    let count = counted(moved.report.lines.len(), "private change");
    let what = format!("{}: {count}{}", row.id, relink::pause(&moved));
    if context.settings.dry_run {
        context.printer.status(Tone::Plain, "Would reset", what);
        for line in &moved.report.lines {
            let path = clean(&line.subject);
            context.printer.note(format_args!("{:>12} /{path}", ""));
        }
        relink::report_live_of(context, &moved);
        return Ok(());
    }
    context.printer.status(Tone::Good, "Reset", what);
    relink::report(context, &moved);
    let undo = format_args!("vzpkg ct rollback {}", row.id);
    context.printer.undo(undo);
    moved.outcome()
}
