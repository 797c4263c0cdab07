//! `vzpkg mirror serve`: a web server for what mirrors publish.

use crate::cli::MirrorServe;
use crate::commands::Context;
use crate::error::CommandResult;
use crate::ops::mirrors;
use crate::output::Tone;

pub(super) fn run(context: &Context, arguments: &MirrorServe) -> CommandResult {
    let mirrors = mirrors::open(context);
    let server = mirrors.listen(&arguments.listen)?;
    let address = server.address()?;
    let names: Vec<String> = mirrors.names()?.iter().map(ToString::to_string).collect();
    let what = format_args!(
        "http://{address}/NAME/ with NAME one of: {}",
        names.join(", ")
    );
    context.printer.status(Tone::Good, "Serving", what);
    Ok(server.run()?)
}
