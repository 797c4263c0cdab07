//! `vzpkg mirror snapshot`, `publish`, `rollback`: which state of a mirror clients see.

use crate::cli::{MirrorPublish, MirrorRollback, MirrorSnapshot};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::mirrors;
use crate::output::Tone;
use vzpkg_metadata::ByteSize;
use vzpkg_repo_client::mirror::State;

pub(super) fn snapshot(context: &Context, arguments: &MirrorSnapshot) -> CommandResult {
    let mirrors = mirrors::open_for_writing(context)?;
    let name = mirrors::name(&arguments.name)?;
    let tag = arguments
        .tag
        .as_deref()
        .map(mirrors::snapshot)
        .transpose()?;
    if context.settings.dry_run {
        mirrors.info(&name)?;
        context.printer.status(
            Tone::Plain,
            "Would keep",
            format_args!("the newest state of {name}"),
        );
        return Ok(());
    }
    if arguments.remove {
        let tag =
            tag.ok_or_else(|| CommandError::message(Kind::Usage, "which snapshot: --as TAG"))?;
        mirrors.remove_snapshot(&name, &tag)?;
        context
            .printer
            .status(Tone::Good, "Removed", format_args!("snapshot {name}@{tag}"));
        return Ok(());
    }
    let (tag, state) = mirrors.snapshot(&name, tag)?;
    tell(context, "Kept", &format!("{name}@{tag}"), &state);
    Ok(())
}

pub(super) fn publish(context: &Context, arguments: &MirrorPublish) -> CommandResult {
    let mirrors = mirrors::open_for_writing(context)?;
    let of = mirrors::state_name(&arguments.state)?;
    let info = mirrors.info(&of.mirror)?;
    if let Some(snapshot) = &of.snapshot
        && !info.snapshots.contains_key(snapshot)
    {
        let text = format!("mirror `{}` has no snapshot `{snapshot}`", of.mirror);
        let hint = format!("vzpkg mirror info {}", of.mirror);
        return Err(CommandError::message(Kind::Unmet, text).hint(hint));
    }
    if context.settings.dry_run {
        context
            .printer
            .status(Tone::Plain, "Would publish", &arguments.state);
        return Ok(());
    }
    let state = mirrors.publish(&of.mirror, of.snapshot.as_ref())?;
    tell(context, "Published", &arguments.state, &state);
    if of.snapshot.is_some() {
        let text = format_args!(
            "syncs bring new states but publish none, until `vzpkg mirror publish {}`",
            of.mirror
        );
        context.printer.note(text);
    }
    Ok(())
}

pub(super) fn rollback(context: &Context, arguments: &MirrorRollback) -> CommandResult {
    let mirrors = mirrors::open_for_writing(context)?;
    let name = mirrors::name(&arguments.name)?;
    if context.settings.dry_run {
        mirrors.info(&name)?;
        let what = format_args!("what {name} published before");
        context.printer.status(Tone::Plain, "Would publish", what);
        return Ok(());
    }
    let state = mirrors.rollback(&name)?;
    tell(context, "Published", name.as_str(), &state);
    let text = "a sync publishes again when upstream has something newer than what was left";
    context.printer.note(text);
    Ok(())
}

fn tell(context: &Context, verb: &str, what: &str, state: &State) {
    let what = format!(
        "{what}: state {}, {} packages, {}",
        state.id.short(),
        state.packages,
        ByteSize(state.bytes)
    );
    context.printer.status(Tone::Good, verb, what);
}
