//! `vzpkg ct …`: containers. One verb per file.

mod commit;
mod create;
mod destroy;
mod diff;
mod exec;
mod info;
mod list;
mod logs;
mod relink;
mod rename;
mod reset;
mod set;
mod start;
mod stop;
mod top;

pub(super) use relink::{relink_one, rollback, tell_moved};

use super::Context;
use crate::cli::ContainerCommand;
use crate::error::CommandResult;
use std::io::{BufRead as _, Write as _};

pub(super) fn run(context: &Context, command: ContainerCommand) -> CommandResult {
    match command {
        ContainerCommand::Create(arguments) => create::run(context, &arguments),
        ContainerCommand::Start(arguments) => start::run(context, &arguments),
        ContainerCommand::Stop(arguments) => stop::run(context, &arguments),
        ContainerCommand::Restart(arguments) => stop::restart(context, &arguments),
        ContainerCommand::Exec(arguments) => exec::run(context, &arguments),
        ContainerCommand::Enter(arguments) => exec::enter(context, &arguments),
        ContainerCommand::Top(arguments) => top::run(context, &arguments),
        ContainerCommand::Logs(arguments) => logs::run(context, &arguments),
        ContainerCommand::Diff(arguments) => diff::run(context, &arguments),
        ContainerCommand::Reset(arguments) => reset::run(context, &arguments),
        ContainerCommand::Commit(arguments) => commit::run(context, &arguments),
        ContainerCommand::Clone(arguments) => rename::clone(context, &arguments),
        ContainerCommand::Rename(arguments) => rename::run(context, &arguments),
        ContainerCommand::Set(arguments) => set::run(context, &arguments),
        ContainerCommand::List(arguments) => list::run(context, &arguments),
        ContainerCommand::Info(arguments) => info::run(context, &arguments),
        ContainerCommand::Relink(arguments) => relink::run(context, &arguments),
        ContainerCommand::Rollback(arguments) => rollback(context, &arguments),
        ContainerCommand::Destroy(arguments) => destroy::run(context, &arguments),
    }
}

/// Asks on a terminal; without one, or with `-y`, does as told.
fn confirmed(context: &Context, question: &str) -> bool {
    if context.settings.yes || !rustix::termios::isatty(std::io::stdin()) {
        return true;
    }
    let mut stderr = std::io::stderr();
    drop(write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush()));
    let mut answer = String::new();
    drop(std::io::stdin().lock().read_line(&mut answer));
    matches!(answer.trim(), "y" | "Y" | "yes")
}
