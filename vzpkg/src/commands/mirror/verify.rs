//! `vzpkg mirror verify [--repair] [NAME…]`: hashes every file of what mirrors publish and keep.

use crate::cli::MirrorVerify;
use crate::commands::{Context, for_each};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::mirrors;
use crate::output::Tone;
use vzpkg_metadata::MirrorName;
use vzpkg_repo_client::mirror::{Mirrors, Repair};

pub(super) fn run(context: &Context, arguments: &MirrorVerify) -> CommandResult {
    let (mirrors, repair) = if arguments.repair && !context.settings.dry_run {
        (mirrors::open_for_writing(context)?, Repair::Fetch)
    } else {
        (mirrors::open(context), Repair::No)
    };
    let names = mirrors::chosen(&mirrors, &arguments.names)?;
    for_each(context, names, |name| {
        verify(context, &mirrors, &name, repair)
    })
}

fn verify(
    context: &Context,
    mirrors: &Mirrors,
    name: &MirrorName,
    repair: Repair,
) -> CommandResult {
    let verified = mirrors.verify(name, repair)?;
    for damage in &verified.damaged {
        context.printer.warning(format_args!("{name}: {damage}"));
    }
    for failure in &verified.failed {
        context.printer.warning(format_args!("{name}: {failure}"));
    }
    let (count, files) = (verified.damaged.len(), verified.files);
    if verified.repaired > 0 {
        let what = format_args!("{name}: {} damaged files", verified.repaired);
        context.printer.status(Tone::Good, "Repaired", what);
    }
    if verified.repaired < count as u64 {
        let text = format!("mirror `{name}`: {count} damaged files, {files} in all");
        let hint = match repair {
            Repair::No => format!("vzpkg mirror verify --repair {name} fetches them again"),
            Repair::Fetch => format!(
                "what upstream has no more is replaced with the next state: vzpkg mirror sync {name}"
            ),
        };
        return Err(CommandError::message(Kind::Verification, text).hint(hint));
    }
    if count == 0 {
        let what = format_args!("{name}: {files} files are what was signed");
        context.printer.status(Tone::Good, "Verified", what);
    }
    Ok(())
}
