//! `vzpkg mirror gc`: removes states that nothing refers to.

use crate::cli::MirrorGc;
use crate::commands::Context;
use crate::error::CommandResult;
use crate::ops::mirrors;
use crate::output::{Tone, counted};

pub(super) fn run(context: &Context, _: &MirrorGc) -> CommandResult {
    let mirrors = mirrors::open_for_writing(context)?;
    let dry_run = context.settings.dry_run;
    let collected = mirrors.gc(dry_run)?;
    if context.printer.is_json() {
        let value = serde_json::json!({
            "dry_run": dry_run, "states": collected.states, "files": collected.files, "bytes": collected.bytes,
        });
        context.printer.json("mirror-gc", value);
        return Ok(());
    }
    let verb = if dry_run { "Would free" } else { "Freed" };
    let files = counted(collected.files, "file");
    let states = counted(collected.states, "state");
    let what = format_args!("{} in {files} of {states}", collected.bytes);
    context.printer.status(Tone::Good, verb, what);
    Ok(())
}
