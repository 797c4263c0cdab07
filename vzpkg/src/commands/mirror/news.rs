//! `vzpkg mirror sync --dry-run`: what upstream has that is not here. Nothing is written.

use super::info::place_of;
use super::outcomes::Outcomes;
use crate::commands::Context;
use crate::error::CommandError;
use crate::output::{Tone, local_time};
use std::path::PathBuf;
use vzpkg_metadata::MirrorName;
use vzpkg_repo_client::mirror::{Mirrors, News};

pub(super) fn tell_all(
    context: &Context,
    mirrors: &Mirrors,
    folders: &[(MirrorName, PathBuf)],
    upstream: &[MirrorName],
    outcomes: &mut Outcomes<'_>,
) {
    for (name, folder) in folders {
        let what = format_args!("{name} from {}", folder.display());
        context.printer.status(Tone::Plain, "Would import", what);
        let document = serde_json::json!({ "name": name, "folder": folder });
        outcomes.add(name, Ok(document));
    }
    if !upstream.is_empty() {
        mirrors.news(upstream, &mut |name, result| {
            let told = result.map(|news| {
                tell(context, name, &news);
                document(name, &news)
            });
            outcomes.add(name, told.map_err(CommandError::from));
        });
    }
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
        let suite = match place_of(root) {
            suite if suite.is_empty() => "the repository".to_owned(),
            suite => suite,
        };
        let what = format!("{name}: {suite} of {of} ({here})");
        context.printer.status(Tone::Plain, "Would sync", what);
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
