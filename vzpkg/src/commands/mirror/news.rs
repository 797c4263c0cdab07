//! `vzpkg mirror sync --dry-run`: what upstream has that is not here. Nothing is written.

use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::output::{Tone, local_time, render};
use std::path::Path;
use vzpkg_metadata::MirrorName;
use vzpkg_repo_client::mirror::{Mirrors, News, Root};

pub(super) fn run(context: &Context, mirrors: &Mirrors, names: Vec<MirrorName>) -> CommandResult {
    let mut documents = Vec::new();
    let mut first: Option<Kind> = None;
    let mut ended = |name: &MirrorName, result: CommandResult<Vec<News>>| match result {
        Ok(news) => {
            tell(context, name, &news);
            documents.push(document(name, &news));
        }
        Err(error) => {
            let text = format!("mirror `{name}`: {}", render(&error));
            context.printer.error(&text);
            first.get_or_insert(error.kind);
        }
    };
    let mut upstream = Vec::new();
    for name in names {
        match mirrors.folder_of(&name) {
            Ok(Some((folder, _))) => would_import(context, &name, &folder),
            Ok(None) => upstream.push(name),
            Err(error) => ended(&name, Err(error.into())),
        }
    }
    if !upstream.is_empty() {
        mirrors.news(&upstream, &mut |name, result| {
            ended(name, result.map_err(CommandError::from));
        });
    }
    if context.printer.is_json() {
        let value = serde_json::json!({ "mirrors": documents });
        context.printer.json("mirror-news", value);
    }
    first.map_or(Ok(()), |kind| Err(CommandError::silent(kind)))
}

fn would_import(context: &Context, name: &MirrorName, folder: &Path) {
    let what = format_args!("{name} from {}", folder.display());
    context.printer.status(Tone::Plain, "Would import", what);
}

fn tell(context: &Context, name: &MirrorName, news: &[News]) {
    if news.is_empty() {
        let what = format_args!("{name}: nothing new");
        context.printer.status(Tone::Good, "Checked", what);
    }
    for News { root, known } in news {
        let here = match known {
            Some(known) => format!("here: of {}", local_time(known.date)),
            None => "not here yet".to_owned(),
        };
        let of = local_time(root.date);
        let what = format!("{name}: {} of {of} ({here})", shown(root));
        context.printer.status(Tone::Plain, "Would sync", what);
    }
}

/// What a root is of, as users name it.
fn shown(root: &Root) -> String {
    let of = format!("{}/{}", root.part, root.suite);
    match of.trim_matches('/') {
        "" => "the repository".to_owned(),
        of => of.to_owned(),
    }
}

fn document(name: &MirrorName, news: &[News]) -> serde_json::Value {
    let one = |News { root, known }: &News| {
        serde_json::json!({
            "directory": root.part, "suite": root.suite, "date": root.date,
            "known": known.as_ref().map(|known| known.date),
        })
    };
    serde_json::json!({ "name": name, "news": news.iter().map(one).collect::<Vec<_>>() })
}
