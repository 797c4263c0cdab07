//! `vzpkg new-template NAME`: a template directory to start from, which builds as it is.

use super::Context;
use crate::cli::{Like, NewTemplate};
use crate::error::CommandResult;
use crate::ops::node;
use crate::output::Tone;
use vzpkg_metadata::TemplateName;
use vzpkg_metadata::template::{Flavour, Skeleton};

pub(super) fn run(context: &Context, arguments: &NewTemplate) -> CommandResult {
    let _store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let name = TemplateName::from_user(&arguments.template)?;
    let skeleton = Skeleton {
        name: name.clone(),
        flavour: flavour(arguments),
    };
    if context.settings.dry_run {
        let place = area.skeleton_directory(&skeleton)?;
        let place = format_args!("{}", place.display());
        context.printer.status(Tone::Plain, "Would write", place);
        return Ok(());
    }
    let written = area.write_skeleton(&skeleton)?;
    context
        .printer
        .status(Tone::Good, "Wrote", format_args!("{}", written.display()));
    context
        .printer
        .note("        edit `packages` and `repositories` there, then:");
    context
        .printer
        .note(format_args!("        vzpkg create-cache {name}"));
    Ok(())
}

/// The distribution a new base starts from: the one asked for, else the one its name begins with.
fn flavour(arguments: &NewTemplate) -> Flavour {
    let centos = match arguments.like {
        Some(like) => like == Like::Centos,
        None => arguments.template.starts_with("centos"),
    };
    if centos {
        Flavour::Centos
    } else {
        Flavour::Debian
    }
}
