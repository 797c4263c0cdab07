//! `vzpkg ct exec CT COMMAND…` and `vzpkg ct enter CT`: the command's own exit code; 125, 126, 127 are ours, as podman's.

use super::Context;
use crate::cli::{CtEnter, CtExec};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{containers, node, relink, shape};
use crate::output::{Tone, clean};
use vzpkg_metadata::ContainerId;
use vzpkg_runtime::container::{self, Config, ContainerError, ContainerPaths, ExecSpec, RunState};
use vzpkg_runtime::oci::RuntimeBinary;

pub(super) fn run(context: &Context, arguments: &CtExec) -> CommandResult {
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
            .map(user)
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
    finish(container::exec(
        &prepared.paths,
        &prepared.config,
        &spec,
        &prepared.runtime,
    ))
}

pub(super) fn enter(context: &Context, arguments: &CtEnter) -> CommandResult {
    let prepared = prepare(context, &arguments.name).map_err(ours)?;
    if context.settings.dry_run {
        return prepared.would_run(context, "a shell").map_err(ours);
    }
    let terminal = rustix::termios::isatty(std::io::stdin());
    let shell = &context.environment;
    let terminal_name = shell.get("TERM").filter(|_| terminal);
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

fn user(text: &str) -> CommandResult<(u32, u32)> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    match (uid.parse(), gid.parse()) {
        (Ok(uid), Ok(gid)) => Ok((uid, gid)),
        _ => Err(CommandError::message(
            Kind::Usage,
            format!("`{text}` is neither UID nor UID:GID"),
        )
        .hint("for a name, ask the container: vzpkg ct exec CT id -u NAME")),
    }
}
