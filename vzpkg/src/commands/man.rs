//! `vzpkg man DIR`: a manual page for the command and for each verb, made from the same words as `--help`.

use super::Context;
use crate::cli::{Cli, Man};
use crate::error::{CommandError, CommandResult, Kind};
use crate::output::Tone;
use clap::CommandFactory as _;
use vzpkg_metadata::durable::FileError;

pub(super) fn run(context: &Context, arguments: &Man) -> CommandResult {
    let directory = &arguments.directory;
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
        .map_err(|source| {
            CommandError::new(
                Kind::Environment,
                FileError::on("write manual pages into", directory)(source),
            )
        })?;
    context.printer.status(
        Tone::Good,
        "Wrote",
        format_args!("manual pages into {}", directory.display()),
    );
    Ok(())
}
