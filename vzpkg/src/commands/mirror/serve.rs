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
    check_address(&arguments.listen)?;
    if context.settings.dry_run {
        let names: Vec<String> = mirrors::open(context)
            .names()?
            .iter()
            .map(ToString::to_string)
            .collect();
        let what = format_args!("http://{}/ with {}", arguments.listen, names.join(", "));
        context.printer.status(Tone::Plain, "Would serve", what);
        return Ok(());
    }
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

/// Refuses what the system could not even try to listen on.
fn check_address(text: &str) -> CommandResult {
    let port = text.rsplit_once(':').map(|(_, port)| port);
    if port.is_some_and(|port| port.parse::<u16>().is_ok()) {
        return Ok(());
    }
    let what = format!("`{text}` is no address with a port");
    Err(CommandError::message(Kind::Usage, what).hint("as in: --listen 127.0.0.1:8080"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port() {
        for good in ["127.0.0.1:8080", "[::1]:0", "localhost:80"] {
            check_address(good).unwrap();
        }
        for bad in ["18190", "127.0.0.1", "127.0.0.1:", "127.0.0.1:80800", ""] {
            let error = check_address(bad).unwrap_err();
            assert_eq!(error.kind, Kind::Usage, "{bad}");
        }
    }
}
