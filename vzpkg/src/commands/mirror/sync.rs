//! `vzpkg mirror sync [NAME…]`: brings mirrors up to date, several at once.

use crate::cli::MirrorSync;
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::mirrors;
use crate::output::{Tone, render};
use vzpkg_metadata::{ByteSize, MirrorName};
use vzpkg_repo_client::mirror::Synced;

pub(super) fn run(context: &Context, arguments: &MirrorSync) -> CommandResult {
    let mirrors = mirrors::open_for_writing(context)?;
    let names = mirrors::chosen(&mirrors, &arguments.names)?;
    if names.is_empty() {
        let help = "there is no mirror yet; `vzpkg mirror add` makes one";
        context.printer.note(help);
        return Ok(());
    }
    if context.settings.dry_run {
        for name in &names {
            context.printer.status(Tone::Plain, "Would sync", name);
        }
        return Ok(());
    }
    let mut documents = Vec::new();
    let mut first: Option<Kind> = None;
    mirrors.sync(&names, &mut |name, result| match result {
        Ok(synced) => {
            tell(context, name, &synced);
            documents.push(document(name, &synced));
        }
        Err(error) => {
            let error = CommandError::from(error);
            context
                .printer
                .error(&format!("mirror `{name}`: {}", render(&error)));
            first.get_or_insert(error.kind);
        }
    });
    if context.printer.is_json() {
        let value = serde_json::json!({ "mirrors": documents });
        context.printer.json("mirror-sync", value);
    }
    first.map_or(Ok(()), |kind| Err(CommandError::silent(kind)))
}

fn tell(context: &Context, name: &MirrorName, synced: &Synced) {
    let state = &synced.state;
    if synced.changed {
        let what = format!(
            "{name}: {} packages, {}; {} files with {} fetched",
            state.packages,
            ByteSize(state.bytes),
            synced.fetched.files,
            ByteSize(synced.fetched.bytes),
        );
        context.printer.status(Tone::Good, "Synced", what);
    } else {
        let what = format_args!("{name}: nothing new");
        context.printer.status(Tone::Good, "Checked", what);
    }
    if !synced.published {
        let text =
            format_args!("mirror {name} still publishes an earlier state, as it was told to");
        context.printer.note(text);
    }
}

fn document(name: &MirrorName, synced: &Synced) -> serde_json::Value {
    serde_json::json!({
        "name": name, "state": synced.state.id, "changed": synced.changed, "published": synced.published,
        "packages": synced.state.packages, "bytes": synced.state.bytes,
        "fetched_files": synced.fetched.files, "fetched_bytes": synced.fetched.bytes,
    })
}
