//! `vzpkg ct …`: containers. One verb per file.

mod create;
mod destroy;
mod exec;
mod info;
mod list;
mod relink;
mod start;
mod stop;

pub(super) use relink::{relink_one, rollback};

use super::Context;
use crate::cli::ContainerCommand;
use crate::error::CommandResult;

pub(super) fn run(context: &Context, command: ContainerCommand) -> CommandResult {
    match command {
        ContainerCommand::Create(arguments) => create::run(context, &arguments),
        ContainerCommand::Start(arguments) => start::run(context, &arguments),
        ContainerCommand::Stop(arguments) => stop::run(context, &arguments),
        ContainerCommand::Restart(arguments) => stop::restart(context, &arguments),
        ContainerCommand::Exec(arguments) => exec::run(context, &arguments),
        ContainerCommand::Enter(arguments) => exec::enter(context, &arguments),
        ContainerCommand::List(arguments) => list::run(context, &arguments),
        ContainerCommand::Info(arguments) => info::run(context, &arguments),
        ContainerCommand::Relink(arguments) => relink::run(context, &arguments),
        ContainerCommand::Rollback(arguments) => rollback(context, &arguments),
        ContainerCommand::Destroy(arguments) => destroy::run(context, &arguments),
    }
}
