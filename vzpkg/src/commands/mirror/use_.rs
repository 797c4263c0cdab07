//! `vzpkg mirror use [--undo] NAME`: templates read a mirror instead of its upstream, or its upstream again.

use crate::cli::MirrorUse;
use crate::commands::Context;
use crate::error::CommandResult;
use crate::ops::mirror_lines::Mirror;
use crate::ops::{mirror_use, mirrors};
use crate::output::Tone;

pub(super) fn run(context: &Context, arguments: &MirrorUse) -> CommandResult {
    let mirrors = mirrors::open_for_writing(context)?;
    let name = mirrors::name(&arguments.name)?;
    let printer = context.printer;
    let would = context.settings.dry_run;
    if arguments.undo {
        let there_were = mirror_use::stop(context, &name)?;
        let again = format!("templates read the upstream of {name} again");
        let (tone, verb, what) = match (there_were, would) {
            (false, _) => {
                let what = format!("no template was made to use mirror {name}");
                (Tone::Plain, "Unchanged", what)
            }
            (true, false) => (Tone::Good, "Undone", again),
            (true, true) => (Tone::Plain, "Would undo", again),
        };
        printer.status(tone, verb, what);
        return Ok(());
    }
    let info = mirrors.info(&name)?;
    let (config, published) = (&info.config, info.directory.as_path());
    let used = mirror_use::start(context, &name, Mirror { config, published })?;
    for (written, place) in &used.lines {
        let verb = if would { "Would map" } else { "Mapped" };
        printer.status(Tone::Good, verb, format_args!("{written} {place}"));
    }
    for address in &used.fixed {
        printer.warning(format_args!(
            "`{address}` is written out in a template; `url.map` replaces only what begins with `$`"
        ));
    }
    let known = &config.selection().templates;
    let is_for = |name: &str| known.iter().any(|known| known.as_str() == name);
    for template in used
        .templates
        .iter()
        .filter(|name| !known.is_empty() && !is_for(name))
    {
        printer.warning(format_args!(
            "{template} reads it too, and what only that needs is not in it; mirror it as well: --for {template}"
        ));
    }
    let templates: Vec<&str> = used.templates.iter().map(String::as_str).collect();
    let verb = match (would, templates.len()) {
        (true, _) => "would read",
        (false, 1) => "reads",
        (false, _) => "read",
    };
    printer.note(format_args!(
        "{} {verb} mirror {name}",
        templates.join(", ")
    ));
    if !config.selection().is_everything() {
        printer
            .note("it holds a part of its upstream; a package that it has not cannot be installed");
    }
    if info.published.is_none() {
        printer.note(format_args!(
            "it publishes nothing yet: vzpkg mirror sync {name}"
        ));
    }
    if !would {
        printer.undo(format_args!("vzpkg mirror use --undo {name}"));
    }
    Ok(())
}
