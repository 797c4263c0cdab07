//! `vzpkg completions SHELL`: the completion script of a shell on stdout.

use super::Context;
use crate::cli::{Cli, Completions};
use clap::CommandFactory as _;

pub(super) fn run(context: &Context, arguments: &Completions) {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "vzpkg", &mut script);
    context.printer.result(String::from_utf8_lossy(&script));
}
