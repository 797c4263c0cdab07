//! `vzpkg ct …`: containers. One verb per file.

mod commit;
mod create;
mod destroy;
mod diff;
mod exec;
mod in_place;
mod info;
mod list;
mod logs;
mod pin;
mod relink;
mod rename;
mod reset;
mod set;
mod start;
mod stop;
mod stored_journal;
mod top;

pub(super) use in_place::one as in_place;
pub(super) use info::document;
pub(super) use relink::{rollback, tell_moved, to_head};

use super::Context;
use crate::cli::ContainerCommand;
use crate::error::CommandResult;
use crate::ops::node;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
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
        ContainerCommand::Relink(arguments) if arguments.in_place => {
            in_place::run(context, &arguments)
        }
        ContainerCommand::Relink(arguments) => relink::run(context, &arguments),
        ContainerCommand::Rollback(arguments) => rollback(context, &arguments),
        ContainerCommand::Destroy(arguments) => destroy::run(context, &arguments),
    }
}

/// Between two looks at whether the user wants to stop instead of answering.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Asks on a terminal; without one, or with `-y`, does as told.
///
/// # Errors
/// [`crate::error::Kind::Interrupted`] where a signal comes instead of an answer.
pub(super) fn confirmed(context: &Context, question: &str) -> CommandResult<bool> {
    let stdin = std::io::stdin();
    if context.settings.yes || !rustix::termios::isatty(&stdin) {
        return Ok(true);
    }
    let mut stderr = std::io::stderr();
    drop(write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush()));
    // Reading a line would go on after a signal, and take an answer that is meant for somebody else.
    while !matches!(
        poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&PAUSE)),
        Ok(1..)
    ) {
        node::check_interrupt(context)?;
    }
    let mut answer = String::new();
    drop(stdin.lock().read_line(&mut answer));
    node::check_interrupt(context)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
