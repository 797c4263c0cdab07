//! One verb per file: each calls `ops`, and the store where a row is all it takes, then prints. What joins several libraries is
//! in `ops`.

mod bisect;
mod build_job;
mod clean;
mod completions;
mod config;
mod create_cache;
mod ct;
mod diff;
mod doctor;
mod documents;
mod export;
mod fetch;
mod followers;
mod gc;
mod history;
mod hold;
mod info;
mod keep;
mod list;
mod lock;
mod man;
mod mirror;
mod new_template;
mod print_plan;
mod rebuild_database;
mod remove_cache;
mod rollback;
mod search;
mod status;
mod tag;
mod update;
mod update_metadata;
mod update_template;
mod verify;

pub(crate) use export::looks as export_looks;

use crate::cli::Command;
use crate::config::Environment;
use crate::error::{CommandError, CommandResult};
use crate::output::{Clock, Printer};
use crate::settings::Settings;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// What every command is given.
#[derive(Debug, Clone)]
pub struct Context {
    /// Every setting.
    pub settings: Settings,
    /// The one way to print.
    pub printer: Printer,
    /// The environment, read once.
    pub environment: Environment,
    /// The time this command has.
    pub clock: Clock,
    /// Becomes true when the user wants it to stop.
    pub interrupted: Arc<AtomicBool>,
    /// Where everything of this root lies that ends with the machine, once that was worked out.
    pub run_directory: Arc<OnceLock<PathBuf>>,
}

/// Runs one verb.
///
/// # Errors
/// [`CommandError`] with the exit code and what to print.
pub fn dispatch(context: &Context, command: Command) -> CommandResult {
    match command {
        Command::List(arguments) => list::run(context, &arguments),
        Command::Info(arguments) => info::run(context, &arguments),
        Command::Status(arguments) => status::run(context, &arguments),
        Command::Search(arguments) => search::run(context, &arguments),
        Command::NewTemplate(arguments) => new_template::run(context, &arguments),
        Command::UpdateMetadata(arguments) => update_metadata::run(context, &arguments),
        Command::CreateCache(arguments) => create_cache::run(context, &arguments),
        Command::Update(arguments) => update::run(context, &arguments),
        Command::RemoveCache(arguments) => remove_cache::run(context, &arguments),
        Command::Fetch(arguments) => fetch::run(context, &arguments),
        Command::Clean(arguments) => clean::run(context, &arguments),
        Command::History(arguments) => history::run(context, &arguments),
        Command::Diff(arguments) => diff::run(context, &arguments),
        Command::Lock(arguments) => lock::run(context, &arguments),
        Command::Rollback(arguments) => rollback::run(context, &arguments),
        Command::Bisect(arguments) => bisect::run(context, &arguments),
        Command::Hold(arguments) => hold::run(context, &arguments),
        Command::Unhold(arguments) => hold::release(context, &arguments),
        Command::Keep(arguments) => keep::run(context, &arguments, keep::Mark::Keep),
        Command::Unkeep(arguments) => keep::run(context, &arguments, keep::Mark::Release),
        Command::Tag(arguments) => tag::run(context, &arguments),
        Command::Verify(arguments) => verify::run(context, &arguments),
        Command::Gc(arguments) => gc::run(context, &arguments),
        Command::Export(arguments) => export::run(context, &arguments),
        Command::Ct(command) => ct::run(context, command),
        Command::Mirror(command) => mirror::run(context, command),
        Command::Doctor(arguments) => doctor::run(context, &arguments),
        Command::Config(arguments) => {
            config::run(context, &arguments);
            Ok(())
        }
        Command::Completions(arguments) => {
            completions::run(context, &arguments);
            Ok(())
        }
        Command::Man(arguments) => man::run(context, &arguments),
    }
}

/// Does `work` for each of several objects; goes on after a failure and ends with the first failure's code, the others
/// printed where they happened (DESIGN §11).
///
/// # Errors
/// The first failure.
pub(crate) fn for_each<T>(
    context: &Context,
    objects: impl IntoIterator<Item = T>,
    mut work: impl FnMut(T) -> CommandResult,
) -> CommandResult {
    let mut first: Option<CommandError> = None;
    for object in objects {
        let Err(error) = work(object) else { continue };
        if !error.silent {
            context.printer.error(&crate::output::render(&error));
        }
        let stop = error.kind == crate::error::Kind::Interrupted;
        first.get_or_insert(error);
        if stop {
            break;
        }
    }
    first.map_or(Ok(()), |error| Err(CommandError::silent(error.kind)))
}
