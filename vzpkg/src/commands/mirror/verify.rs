//! `vzpkg mirror verify [--repair] [NAME…]`: hashes every file of what mirrors publish and keep.

use crate::cli::MirrorVerify;
use crate::commands::{Context, for_each};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::mirrors;
use crate::output::Tone;
use vzpkg_metadata::MirrorName;
use vzpkg_repo_client::mirror::{Repair, Verified};

pub(super) fn run(context: &Context, arguments: &MirrorVerify) -> CommandResult {
    let (mirrors, repair) = if arguments.repair && !context.settings.dry_run {
        (mirrors::open_for_writing(context)?, Repair::Fetch)
    } else {
        (mirrors::open(context), Repair::No)
    };
    let names = mirrors::chosen(&mirrors, &arguments.names)?;
    let mut documents = Vec::new();
    let ended = for_each(context, names, |name| {
        let verified = mirrors.verify(&name, repair)?;
        documents.push(document(&name, &verified));
        tell(context, &name, repair, &verified)
    });
    if context.printer.is_json() {
        let value = serde_json::json!({ "mirrors": documents });
        context.printer.json("mirror-verify", value);
    }
    ended
}

fn document(name: &MirrorName, verified: &Verified) -> serde_json::Value {
    serde_json::json!({
        "name": name, "files": verified.files, "damaged": verified.damaged, "repaired": verified.repaired,
        "failed": verified.failed,
    })
}

fn tell(
    context: &Context,
    name: &MirrorName,
    repair: Repair,
    verified: &Verified,
) -> CommandResult {
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
