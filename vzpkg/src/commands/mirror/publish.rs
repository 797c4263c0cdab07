//! `vzpkg mirror snapshot`, `publish`, `rollback`: which state of a mirror clients see.

use crate::cli::{MirrorPublish, MirrorRollback, MirrorSnapshot};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::mirrors;
use crate::output::{Tone, counted};
use vzpkg_metadata::ByteSize;
use vzpkg_repo_client::mirror::{Mirrors, State};

pub(super) fn snapshot(context: &Context, arguments: &MirrorSnapshot) -> CommandResult {
    let mirrors = open(context)?;
    let name = mirrors::name(&arguments.name)?;
    let tag = arguments
        .tag
        .as_deref()
        .map(mirrors::snapshot)
        .transpose()?;
    if arguments.remove {
        let tag =
            tag.ok_or_else(|| CommandError::message(Kind::Usage, "which snapshot: --as TAG"))?;
        mirrors.remove_snapshot(&name, &tag)?;
        let (tone, verb) = done(context, "Removed", "Would remove");
        let what = format_args!("snapshot {name}@{tag}");
        context.printer.status(tone, verb, what);
        return Ok(());
    }
    let (tag, state) = mirrors.snapshot(&name, tag)?;
    let verb = done(context, "Kept", "Would keep");
    tell(context, verb, &format!("{name}@{tag}"), &state);
    Ok(())
}

pub(super) fn publish(context: &Context, arguments: &MirrorPublish) -> CommandResult {
    let mirrors = open(context)?;
    let of = mirrors::state_name(&arguments.state)?;
    let state = mirrors.publish(&of.mirror, of.snapshot.as_ref())?;
    let verb = done(context, "Published", "Would publish");
    tell(context, verb, &arguments.state, &state);
    if of.snapshot.is_some() && !context.settings.dry_run {
        let text = format_args!(
            "syncs bring new states but publish none, until `vzpkg mirror publish {}`",
            of.mirror
        );
        context.printer.note(text);
    }
    Ok(())
}

pub(super) fn rollback(context: &Context, arguments: &MirrorRollback) -> CommandResult {
    let mirrors = open(context)?;
    let name = mirrors::name(&arguments.name)?;
    let state = mirrors.rollback(&name)?;
    let verb = done(context, "Published", "Would publish");
    tell(context, verb, name.as_str(), &state);
    if !context.settings.dry_run {
        let text = "a sync publishes again when upstream has something newer than what was left";
        context.printer.note(text);
    }
    Ok(())
}

/// The mirrors; in a dry run they only say what they would do.
fn open(context: &Context) -> CommandResult<Mirrors> {
    let mirrors = mirrors::open_for_writing(context)?;
    Ok(if context.settings.dry_run {
        mirrors.for_trial()
    } else {
        mirrors
    })
}

/// How it is said that something was done, or would be.
const fn done(context: &Context, done: &'static str, would: &'static str) -> (Tone, &'static str) {
    if context.settings.dry_run {
        (Tone::Plain, would)
    } else {
        (Tone::Good, done)
    }
}

fn tell(context: &Context, (tone, verb): (Tone, &str), what: &str, state: &State) {
    let what = format!(
        "{what}: state {}, {}, {}",
        state.id.short(),
        counted(state.packages, "package"),
        ByteSize(state.bytes)
    );
    context.printer.status(tone, verb, what);
}
