//! `vzpkg diff A B`: packages, then what deserves a look: new setuid files; with `--files` every changed name.

use super::Context;
use crate::cli::Diff;
use crate::error::CommandResult;
use crate::ops::{names, node};
use crate::output::clean;
use crate::output::table::Table;
use std::collections::BTreeMap;
use vzpkg_cache::tree::diff::{Change, Difference, diff};
use vzpkg_metadata::lock::{Lock, LockedPackage};
use vzpkg_metadata::version;

pub(super) fn run(context: &Context, arguments: &Diff) -> CommandResult {
    let store = node::existing_store(context)?;
    let area = node::templates(context)?;
    let from = names::version(&store, &area, &arguments.from, None)?;
    let to = names::version(&store, &area, &arguments.to, Some(&from.name.template))?;
    let old = store.versions.read(&from.name.template, &from.digest)?;
    let new = store.versions.read(&to.name.template, &to.digest)?;
    let packages = packages(&old.lock, &new.lock);
    let files = diff(
        &store.images.read(&from.digest)?,
        &store.images.read(&to.digest)?,
    );
    let setuid: Vec<&Difference> = files
        .iter()
        .filter(|difference| is_new_setuid(&difference.change))
        .collect();
    if context.printer.is_json() {
        let rows: Vec<_> = packages.iter().map(|row| serde_json::json!({ "change": row.sign, "package": row.name, "from": row.from, "to": row.to })).collect();
        let changed = if arguments.files {
            serde_json::json!(files)
        } else {
            serde_json::Value::Null
        };
        context.printer.json("diff", serde_json::json!({
            "from": from.name.to_string(), "to": to.name.to_string(), "packages": rows,
            "changed_files": files.len(), "files": changed,
            "new_setuid": setuid.iter().map(|difference| difference.path.to_string()).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    let mut table = Table::with_header(["", "PACKAGE", "FROM", "TO"]);
    for row in &packages {
        table.row([
            row.sign.to_owned(),
            row.name.clone(),
            row.from.clone(),
            row.to.clone(),
        ]);
    }
    let mut text = if table.is_empty() {
        "no package differs\n".to_owned()
    } else {
        table.render()
    };
    for difference in &setuid {
        text.push_str(&format!(
            "new setuid file: /{}\n",
            clean(&difference.path.to_string())
        ));
    }
    if arguments.files {
        for difference in &files {
            text.push_str(&format!(
                "{} /{}\n",
                letter(&difference.change),
                clean(&difference.path.to_string())
            ));
        }
    } else {
        text.push_str(&format!(
            "{} names differ; --files lists them\n",
            files.len()
        ));
    }
    context.printer.result(text);
    Ok(())
}

/// One package that differs.
struct Row {
    sign: &'static str,
    name: String,
    from: String,
    to: String,
}

fn packages(old: &Lock, new: &Lock) -> Vec<Row> {
    let by_name = |lock: &Lock| -> BTreeMap<String, String> {
        let entry = |package: &LockedPackage| {
            (
                format!("{}.{}", package.name, package.arch),
                package.version.clone(),
            )
        };
        lock.packages.iter().map(entry).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let row = |name: &String| {
        let (from, to) = (before.get(name), after.get(name));
        let sign = match (from, to) {
            (Some(from), Some(to)) if from == to => return None,
            (Some(from), Some(to)) if version::compare(new.family, from, to).is_gt() => "<",
            (Some(_), Some(_)) => "~",
            (None, _) => "+",
            (_, None) => "-",
        };
        let text = |version: Option<&String>| version.cloned().unwrap_or_default();
        Some(Row {
            sign,
            name: name.clone(),
            from: text(from),
            to: text(to),
        })
    };
    names.into_iter().filter_map(row).collect()
}

const fn is_new_setuid(change: &Change) -> bool {
    matches!(
        change,
        Change::Added { setuid: true } | Change::Changed { setuid: true, .. }
    )
}

const fn letter(change: &Change) -> &'static str {
    match change {
        Change::Added { .. } => "+",
        Change::Removed => "-",
        Change::Changed { .. } => "~",
    }
}
