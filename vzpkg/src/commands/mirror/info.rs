//! `vzpkg mirror info NAME`: what a mirror mirrors, what it publishes, what it could go back to.

use crate::cli::MirrorInfo;
use crate::commands::Context;
use crate::error::CommandResult;
use crate::ops::mirrors;
use crate::output::table::Table;
use crate::output::{clean, counted, local_time};
use vzpkg_metadata::ByteSize;
use vzpkg_repo_client::mirror::{self, Part, Root, Selection, State, Upstream};
use vzpkg_repo_client::source::{BaseUrl, FileUrl};

pub(super) fn run(context: &Context, arguments: &MirrorInfo) -> CommandResult {
    let mirrors = mirrors::open(context);
    let info = mirrors.info(&mirrors::name(&arguments.name)?)?;
    if context.printer.is_json() {
        let value = document(&info);
        context.printer.json("mirror", value);
        return Ok(());
    }
    let mut table = Table::default();
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("Name", info.name.to_string());
    row("Directory", info.directory.display().to_string());
    for part in info.config.parts() {
        row("Upstream", upstream(part));
        row("Signed by", signers(part));
    }
    if !info.config.selection().is_everything() {
        row("Of it", selected(info.config.selection()));
    }
    let never = || "never".to_owned();
    row("Checked", info.checked.map_or_else(never, local_time));
    match &info.published {
        Some(state) => row("Published", shown(state)),
        None => row("Published", "nothing yet".to_owned()),
    }
    if let Some(newest) = info
        .newest
        .filter(|newest| Some(newest) != info.published.as_ref())
    {
        row("Newest", shown(&newest));
    }
    for root in info.published.iter().flat_map(|state| &state.roots) {
        let of = place_of(root);
        let until = root.valid_until.map(local_time);
        let until = until.map_or_else(String::new, |until| format!(", valid until {until}"));
        row("Dated", format!("{of}: {}{until}", local_time(root.date)));
    }
    for (name, snapshot) in &info.snapshots {
        let made = local_time(snapshot.at);
        row(
            "Snapshot",
            format!("{name}: state {}, made {made}", snapshot.state.short()),
        );
    }
    context.printer.result(table.render());
    Ok(())
}

/// What a root is of: `bookworm`, `extras/bookworm`, `extras`; empty for the only repository of a mirror, of yum.
pub(super) fn place_of(root: &Root) -> String {
    let of = format!("{}/{}", root.part, root.suite);
    of.trim_matches('/').to_owned()
}

fn shown(state: &State) -> String {
    format!(
        "state {}: {}, {}, judged {}",
        state.id.short(),
        counted(state.packages, "package"),
        ByteSize(state.bytes),
        local_time(state.judged)
    )
}

/// Addresses without credentials, and what is taken from there.
fn upstream(part: &Part) -> String {
    let shown =
        |url: &String| BaseUrl::parse(url).map_or_else(|_| clean(url), |url| url.to_string());
    let urls: Vec<String> = part.upstream.urls().map(shown).collect();
    let what = match &part.upstream {
        Upstream::Apt(apt) => {
            let archs: Vec<&str> = apt
                .architectures
                .iter()
                .map(vzpkg_metadata::Arch::as_str)
                .collect();
            let mut words = vec![
                apt.suites.join(","),
                apt.components.join(","),
                archs.join(","),
            ];
            words.extend(apt.sources.then(|| "sources".to_owned()));
            words.extend(apt.catalogs.then(|| "catalogs".to_owned()));
            words.extend(apt.contents.then(|| "contents".to_owned()));
            words.join(" ")
        }
        Upstream::Yum(yum) => {
            let shown = |url: &String| {
                FileUrl::parse(url).map_or_else(|_| clean(url), |url| url.to_string())
            };
            let lists: Vec<String> = yum.mirror_lists.iter().map(shown).collect();
            lists.join(" ")
        }
        Upstream::Folder(folder) => clean(&folder.path),
    };
    format!("{} {what}", urls.join(" ")).trim().to_owned()
}

/// What of it is brought here.
fn selected(selection: &Selection) -> String {
    let archs = selection.architectures.iter().map(ToString::to_string);
    let templates = selection.templates.iter().map(ToString::to_string);
    let lists = [
        ("packages", selection.packages.clone()),
        ("sections", selection.sections.clone()),
        ("architectures", archs.collect()),
        ("what is needed by", templates.collect::<Vec<_>>()),
    ];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let mut texts: Vec<String> = lists
        .map(|(what, list)| format!("{what} {}", list.join(", ")))
        .collect();
    texts.extend(selection.newest.map(|count| format!("newest {count}")));
    if selection.on_demand {
        texts.push("what is asked for".to_owned());
    }
    texts.join("; ")
}

fn signers(part: &Part) -> String {
    if part.trust.trusted {
        return "nobody (trusted as it is)".to_owned();
    }
    fingerprints(part).join(" or ")
}

fn fingerprints(part: &Part) -> Vec<String> {
    let keys = part.keys.iter().map(|pin| pin.fingerprint.to_string());
    keys.collect()
}

fn document(info: &mirror::MirrorInfo) -> serde_json::Value {
    let parts = info.config.parts().iter();
    let part = |part: &Part| {
        serde_json::json!({
            "directory": part.directory, "upstream": upstream(part), "signed_by": fingerprints(part), "trust": part.trust,
        })
    };
    serde_json::json!({
        "name": info.name, "directory": info.directory, "published": info.published, "newest": info.newest,
        "checked": info.checked, "pinned": info.pinned, "history": info.history, "snapshots": info.snapshots,
        "upstream": info.config.parts().iter().map(upstream).collect::<Vec<_>>(),
        "parts": parts.map(part).collect::<Vec<_>>(), "selection": info.config.selection(),
    })
}
