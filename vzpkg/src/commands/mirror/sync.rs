//! `vzpkg mirror sync [NAME…]`: brings mirrors up to date, several at once.

use super::news;
use super::outcomes::Outcomes;
use crate::cli::MirrorSync;
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{mirror_import, mirrors};
use crate::output::{Tone, counted};
use crate::settings::rate;
use vzpkg_metadata::{ByteSize, MirrorName};
use vzpkg_repo_client::mirror::Synced;

pub(super) fn run(context: &Context, arguments: &MirrorSync) -> CommandResult {
    let mut context = context.clone();
    if let Some(typed) = &arguments.limit_rate {
        context.settings.bandwidth = rate(typed).ok_or_else(|| {
            let text = format!("`{typed}` is no rate");
            CommandError::message(Kind::Usage, text).hint("a rate is 800000, 500K or 10M")
        })?;
    }
    sync(&context, &arguments.names)
}

fn sync(context: &Context, typed: &[String]) -> CommandResult {
    let mirrors = mirrors::open_for_sync(context)?;
    let names = mirrors::chosen(&mirrors, typed)?;
    if names.is_empty() {
        let help = "there is no mirror yet; `vzpkg mirror add` makes one";
        context.printer.note(help);
    }
    let mut outcomes = Outcomes::new(context);
    let (mut folders, mut upstream) = (Vec::new(), Vec::new());
    for name in names {
        match mirrors.folder_of(&name) {
            Ok(Some((folder, _))) => folders.push((name, folder)),
            Ok(None) => upstream.push(name),
            Err(error) => outcomes.add(&name, Err(error.into())),
        }
    }
    if context.settings.dry_run {
        news::tell_all(context, &mirrors, &folders, &upstream, &mut outcomes);
        return outcomes.finish("mirror-news");
    }
    let mut ended = |name: &MirrorName, result: CommandResult<Synced>| {
        let told = result.map(|synced| {
            tell(context, name, &synced);
            document(name, &synced)
        });
        outcomes.add(name, told);
    };
    for (name, folder) in &folders {
        let imported = mirror_import::run(context, &mirrors, name, folder);
        ended(name, imported.map(|imported| imported.synced));
    }
    if !upstream.is_empty() {
        mirrors.sync(&upstream, &mut |name, result| {
            ended(name, result.map_err(CommandError::from));
        });
    }
    outcomes.finish("mirror-sync")
}

pub(super) fn tell(context: &Context, name: &MirrorName, synced: &Synced) {
    let state = &synced.state;
    if synced.changed {
        let what = format!(
            "{name}: {}, {}; {} with {} fetched",
            counted(state.packages, "package"),
            ByteSize(state.bytes),
            counted(synced.fetched.files, "file"),
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
