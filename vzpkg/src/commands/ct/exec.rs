//! `vzpkg ct exec CT COMMAND…` and `vzpkg ct enter CT`: the command's own exit code; 125, 126, 127 are ours, as podman's.

use super::Context;
use crate::cli::{CtEnter, CtExec};
use crate::error::{CommandError, CommandResult, Kind};
use crate::interrupt;
use crate::ops::{containers, node, relink, shape};
use crate::output::{Tone, clean};
use vzpkg_metadata::ContainerId;
use vzpkg_runtime::container::{self, Config, ContainerError, ContainerPaths, ExecSpec, RunState};
use vzpkg_runtime::oci::{OciError, RuntimeBinary};

pub(super) fn run(context: &Context, arguments: &CtExec) -> CommandResult {
    interrupt::pass_on();
    if arguments.detach {
        return Err(ours(no_detaching(&arguments.name)));
    }
    let prepared = prepare(context, &arguments.name).map_err(ours)?;
    let spec = ExecSpec {
        argv: arguments.command.clone(),
        environment: arguments
            .env
            .iter()
            .map(|pair| shape::variable(pair))
            .collect::<CommandResult<Vec<_>>>()
            .map_err(ours)?,
        cwd: arguments.workdir.clone(),
        user: arguments
            .user
            .as_deref()
            .map(|user| prepared.user(user))
            .transpose()
            .map_err(ours)?,
        terminal: arguments.tty
            || (rustix::termios::isatty(std::io::stdin())
                && rustix::termios::isatty(std::io::stdout())),
    };
    if context.settings.dry_run {
        return prepared
            .would_run(context, &spec.argv.join(" "))
            .map_err(ours);
    }
    node::check_interrupt(context)?;
    finish(container::exec(
        &prepared.paths,
        &prepared.config,
        &spec,
        &prepared.runtime,
    ))
}

pub(super) fn enter(context: &Context, arguments: &CtEnter) -> CommandResult {
    interrupt::pass_on();
    let prepared = prepare(context, &arguments.name).map_err(ours)?;
    if context.settings.dry_run {
        return prepared.would_run(context, "a shell").map_err(ours);
    }
    let terminal = rustix::termios::isatty(std::io::stdin());
    let shell = &context.environment;
    let terminal_name = shell.get("TERM").filter(|_| terminal);
    node::check_interrupt(context)?;
    finish(container::enter(
        &prepared.paths,
        &prepared.config,
        terminal_name,
        &prepared.runtime,
    ))
}

struct Prepared {
    paths: ContainerPaths,
    config: Config,
    runtime: RuntimeBinary,
}

impl Prepared {
    /// The ids of a user that is told by name or number.
    fn user(&self, text: &str) -> CommandResult<(u32, u32)> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let ids = match (user.parse(), group.map(str::parse)) {
            (Ok(uid), Some(Ok(gid))) => Some((uid, gid)),
            _ => container::ids_of(&self.paths, user, group, &self.runtime)?,
        };
        ids.ok_or_else(|| {
            let (id, text) = (&self.paths.id, clean(text));
            let what = format!("container `{id}` has no user `{text}`");
            let hint = format!("its users: vzpkg ct exec {id} cat /etc/passwd /etc/group");
            CommandError::message(Kind::Usage, what).hint(hint)
        })
    }

    /// Says what would run, if the container does.
    fn would_run(&self, context: &Context, what: &str) -> CommandResult {
        let id = &self.paths.id;
        if container::state(&self.paths, &self.runtime)?.state != RunState::Running {
            return Err(ContainerError::NotRunning(id.clone()).into());
        }
        let what = format_args!("{} in {id}", clean(what));
        context.printer.status(Tone::Plain, "Would run", what);
        Ok(())
    }
}

/// Reads what exec needs and lets go of the database before the command runs.
fn prepare(context: &Context, name: &str) -> CommandResult<Prepared> {
    let store = node::store_for_writing(context)?;
    let id: ContainerId = containers::row(&store, name)?.id;
    if !context.settings.dry_run {
        relink::recover_if_cut_short(context, &store, &id)?;
    }
    let paths = containers::paths(context, &store, &id);
    let config = Config::of(&paths)?;
    Ok(Prepared {
        paths,
        config,
        runtime: containers::runtime(context)?,
    })
}

fn finish(outcome: Result<u8, ContainerError>) -> CommandResult {
    match outcome {
        Ok(0) => Ok(()),
        Ok(code) => Err(CommandError::silent(Kind::Passed(code))),
        // It has the same standard error as we, and has said why there already.
        Err(ContainerError::Oci(OciError::Refused {
            program,
            verb: "exec",
            container,
            ..
        })) => {
            let text = format!(
                "`{} exec` could not run the command in container `{container}`; its words are above",
                program.display()
            );
            let kind = Kind::Passed(container::exec::code::OURS);
            Err(CommandError::message(kind, text))
        }
        Err(error) => {
            let kind = Kind::Passed(container::exec::exit_code(&error));
            Err(CommandError {
                kind,
                ..error.into()
            })
        }
    }
}

/// Failures of ours, not of the command, are told apart by their code.
fn ours(error: CommandError) -> CommandError {
    CommandError {
        kind: Kind::Passed(container::exec::code::OURS),
        ..error
    }
}

fn no_detaching(container: &str) -> CommandError {
    let text = "`ct exec` waits for its command; there is no `--detach`";
    let container = clean(container);
    CommandError::message(Kind::Usage, text).hint(format!(
        "a command that goes on by itself: vzpkg ct exec {container} sh -c 'setsid COMMAND >/dev/null 2>&1 </dev/null &'"
    ))
}
