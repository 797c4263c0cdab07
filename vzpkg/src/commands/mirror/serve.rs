//! `vzpkg mirror serve`: a web server for what mirrors publish.

use crate::cli::MirrorServe;
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::mirrors;
use crate::output::{Tone, span};

pub(super) fn run(context: &Context, arguments: &MirrorServe) -> CommandResult {
    let max_age = span(&arguments.max_age).ok_or_else(|| {
        let text = format!("`{}` is no duration", arguments.max_age);
        CommandError::message(Kind::Usage, text).hint("a duration is 90s, 10m or 1h30m")
    })?;
    let mirrors = if arguments.on_demand {
        mirrors::open_for_sync(context)?
    } else {
        mirrors::open(context)
    };
    let mut server = mirrors.listen(&arguments.listen)?;
    if arguments.on_demand {
        server = server.on_demand(max_age);
    }
    let address = server.address()?;
    let names: Vec<String> = mirrors.names()?.iter().map(ToString::to_string).collect();
    let what = format_args!(
        "http://{address}/NAME/ with NAME one of: {}",
        names.join(", ")
    );
    context.printer.status(Tone::Good, "Serving", what);
    Ok(server.run()?)
}
