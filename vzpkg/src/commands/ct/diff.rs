//! `vzpkg ct diff CT [PATH…]`: what a container has changed, and what kind of thing each change is.

use super::Context;
use crate::cli::CtDiff;
use crate::error::CommandResult;
use crate::ops::{containers, node};
use crate::output::table::Table;
use crate::output::{clean, counted};
use vzpkg_cache::changes::{Change, PrivateChange};
use vzpkg_cache::tree::diff::Aspect;
use vzpkg_metadata::{ByteSize, RelPath};

pub(super) fn run(context: &Context, arguments: &CtDiff) -> CommandResult {
    node::require_root_to_look()?;
    let store = node::existing_store(context)?;
    let row = containers::row(&store, &arguments.name)?;
    let paths = containers::inner_paths(&arguments.paths)?;
    let all = containers::changes(context, &store, &row)?;
    let asked = |change: &&PrivateChange| {
        let within = |path: &RelPath| change.path.is_within(path);
        (arguments.all || change.change != Change::Same)
            && (paths.is_empty() || paths.iter().any(within))
    };
    let found: Vec<PrivateChange> = all.iter().filter(asked).cloned().collect();
    if context.printer.is_json() {
        let list: Vec<_> = found.iter().map(document).collect();
        let document = serde_json::json!({ "container": row.id, "changes": list });
        context.printer.json("changes", document);
        return Ok(());
    }
    let mut table = Table::with_header(["", "KIND", "PATH", "WHAT"]);
    for change in &found {
        table.row([
            letter(&change.change).to_owned(),
            change.class.to_string(),
            clean(&format!("/{}", change.path)),
            what(change),
        ]);
    }
    for path in &paths {
        say_if_nothing(context, path, &all, &found);
    }
    if found.is_empty() {
        if paths.is_empty() {
            let what = format_args!("{} has changed nothing", row.id);
            context.printer.note(what);
        }
        return Ok(());
    }
    context.printer.result(table.render());
    let bytes: ByteSize = found.iter().map(|change| ByteSize(change.size)).sum();
    let count = counted(found.len(), "private change");
    context.printer.note(format_args!("{count}, {bytes}"));
    Ok(())
}

/// Says of a path that was asked for that it shows nothing, and why.
fn say_if_nothing(
    context: &Context,
    path: &RelPath,
    all: &[PrivateChange],
    shown: &[PrivateChange],
) {
    let within = |change: &PrivateChange| change.path.is_within(path);
    if shown.iter().any(within) {
        return;
    }
    let how = if all.iter().any(within) {
        "other than the version's (--all shows the copies)"
    } else {
        "private"
    };
    let what = clean(&format!("nothing at or below `/{path}` is {how}"));
    context.printer.note(what);
}

pub(super) const fn letter(change: &Change) -> &'static str {
    match change {
        Change::Added => "A",
        Change::Changed { .. } => "C",
        Change::Replaced => "R",
        Change::Removed => "D",
        Change::Same => "=",
    }
}

fn what(change: &PrivateChange) -> String {
    let mut words: Vec<String> = match &change.change {
        Change::Changed { aspects } => aspects
            .iter()
            .map(|aspect| word(*aspect).to_owned())
            .collect(),
        Change::Replaced => vec!["hides what the version has in it".to_owned()],
        _ => Vec::new(),
    };
    words.extend(
        change
            .package
            .as_ref()
            .map(|package| format!("of {}", clean(package))),
    );
    words.join(", ")
}

const fn word(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Type => "type",
        Aspect::Content => "content",
        Aspect::Mode => "mode",
        Aspect::Owner => "owner",
        Aspect::Attributes => "attributes",
        Aspect::Time => "time",
        Aspect::Links => "links",
    }
}

/// One change in JSON.
pub(super) fn document(change: &PrivateChange) -> serde_json::Value {
    let mut document = serde_json::json!({
        "path": format!("/{}", change.path),
        "class": change.class,
        "package": change.package,
        "size": change.size,
    });
    let how = serde_json::to_value(&change.change).unwrap_or_default();
    if let (Some(document), serde_json::Value::Object(how)) = (document.as_object_mut(), how) {
        document.extend(how);
    }
    document
}
