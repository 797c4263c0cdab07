//! The command: arguments, settings, progress, output, exit codes. The only crate that prints, reads the environment or
//! the clock and picks exit codes; it joins the libraries, which do not know each other.
//!
//! [`run`] is the program: words → [`cli`] → [`settings`] → one of [`commands`], which calls [`ops`] and prints what it
//! returns. Library errors become exit codes and hints in [`error`], and nowhere else.
#![forbid(unsafe_code)]
#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "text for people is put together once and read"
)]

pub mod cli;
pub mod commands;
pub mod config;
pub mod error;
mod interrupt;
pub mod ops;
pub mod output;
pub mod settings;

use clap::Parser as _;
use error::{CommandError, CommandResult, Kind};
use interrupt::First;
use output::{Clock, Printer};
use settings::Settings;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

/// The hidden first argument that makes this program the helper process of a sandbox or container.
pub const HELPER_VERB: &str = "__helper";

/// Runs the command line and returns its exit code. The first argument is the program's own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = arguments.into_iter().collect();
    if words.get(1).is_some_and(|word| word == HELPER_VERB) {
        return vzpkg_runtime::helper_main();
    }
    let cli = match cli::Cli::try_parse_from(cli::spelling::join(words)) {
        Ok(cli) => cli,
        Err(help) => {
            let done = if help.use_stderr() {
                Err(CommandError::silent(Kind::Usage))
            } else {
                Ok(())
            };
            return end(Printer::plain(), done, help.print());
        }
    };
    let environment = config::Environment::of_this_process();
    let settings = match Settings::resolve(&cli.global, &environment) {
        Ok(settings) => settings,
        Err(error) => return fail(Printer::plain(), &CommandError::from(error)),
    };
    let printer = Printer::new(&settings);
    start_log(&settings);
    let context = commands::Context {
        printer,
        environment,
        clock: Clock::system(),
        interrupted: interrupt::watch(First::of(&cli.command)),
        run_directory: std::sync::Arc::default(),
        settings,
    };
    let done = commands::dispatch(&context, cli.command);
    end(printer, done, Ok(()))
}

/// The exit code of what was done. A result that did not arrive is a failure, unless there was another one before.
fn end(printer: Printer, done: CommandResult, written: io::Result<()>) -> ExitCode {
    let Err(lost) = printer.check(written) else {
        return done.map_or_else(|error| fail(printer, &error), |()| ExitCode::SUCCESS);
    };
    let lost = fail(printer, &CommandError::new(Kind::Environment, lost));
    match done {
        Err(error) if error.kind != Kind::UpdatesAvailable => fail(printer, &error),
        _ => lost,
    }
}

fn fail(printer: Printer, error: &CommandError) -> ExitCode {
    if !error.silent {
        printer.error(&output::render(error));
    }
    error.kind.into()
}

/// `-vv` shows decisions, `-vvv` loops. Of our own crates only: what libraries log may hold passwords of addresses.
fn start_log(settings: &Settings) {
    let level = match settings.verbosity {
        output::Verbosity::Verbose(2) => "vzpkg=debug",
        output::Verbosity::Verbose(level) if level > 2 => "vzpkg=trace",
        _ => return,
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(io::stderr)
        .with_ansi(settings.color_err)
        .init();
}

/// The text of `docs/commands.md`: the help of every verb. A test compares it with the file.
pub fn commands_document() -> String {
    use clap::CommandFactory as _;
    let mut text =
        String::from("# Commands\n\nMade from the program's own help; `--help` prints the same.\n");
    let mut command = cli::Cli::command().term_width(100);
    command.build();
    document(&mut text, command, "");
    text
}

fn document(text: &mut String, mut command: clap::Command, parents: &str) {
    let name = format!("{parents}{}", command.get_name());
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let help = command.render_long_help().to_string();
    text.push_str(&format!(
        "\n## {name}\n\n```text\n{}\n```\n",
        help.trim_end()
    ));
    let below: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    for command in below {
        document(text, command, &format!("{name} "));
    }
}
