//! `vzpkg mirror …`: local mirrors. One verb per file.

mod add;
mod diff;
mod gc;
mod import;
mod info;
mod list;
mod news;
mod outcomes;
mod publish;
mod remove;
mod serve;
mod sync;
mod use_;
mod verify;

use super::Context;
use crate::cli::MirrorCommand;
use crate::error::CommandResult;

pub(super) fn run(context: &Context, command: MirrorCommand) -> CommandResult {
    match command {
        MirrorCommand::Add(arguments) => add::run(context, &arguments),
        MirrorCommand::Import(arguments) => import::run(context, &arguments),
        MirrorCommand::Sync(arguments) => sync::run(context, &arguments),
        MirrorCommand::List(arguments) => list::run(context, &arguments),
        MirrorCommand::Info(arguments) => info::run(context, &arguments),
        MirrorCommand::Snapshot(arguments) => publish::snapshot(context, &arguments),
        MirrorCommand::Publish(arguments) => publish::publish(context, &arguments),
        MirrorCommand::Rollback(arguments) => publish::rollback(context, &arguments),
        MirrorCommand::Use(arguments) => use_::run(context, &arguments),
        MirrorCommand::Diff(arguments) => diff::run(context, &arguments),
        MirrorCommand::Verify(arguments) => verify::run(context, &arguments),
        MirrorCommand::Gc(arguments) => gc::run(context, &arguments),
        MirrorCommand::Serve(arguments) => serve::run(context, &arguments),
        MirrorCommand::Remove(arguments) => remove::run(context, &arguments),
    }
}
