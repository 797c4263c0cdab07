//! `vzpkg mirror verify [NAME…]`: hashes every file of what mirrors publish and keep.

use crate::cli::MirrorVerify;
use crate::commands::{Context, for_each};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::mirrors;
use crate::output::Tone;
use vzpkg_metadata::MirrorName;
use vzpkg_repo_client::mirror::Mirrors;

pub(super) fn run(context: &Context, arguments: &MirrorVerify) -> CommandResult {
    let mirrors = mirrors::open(context);
    let names = mirrors::chosen(&mirrors, &arguments.names)?;
    for_each(context, names, |name| verify(context, &mirrors, &name))
}

fn verify(context: &Context, mirrors: &Mirrors, name: &MirrorName) -> CommandResult {
    let verified = mirrors.verify(name)?;
    for damage in &verified.damaged {
        context.printer.warning(format_args!("{name}: {damage}"));
    }
    if !verified.damaged.is_empty() {
        let count = verified.damaged.len();
        let text = format!(
            "mirror `{name}`: {count} of {} files are damaged",
            verified.files
        );
        return Err(CommandError::message(Kind::Verification, text).hint(
            "remove the damaged files; the next sync that changes something fetches them again",
        ));
    }
    let what = format_args!("{name}: {} files are what was signed", verified.files);
    context.printer.status(Tone::Good, "Verified", what);
    Ok(())
}
