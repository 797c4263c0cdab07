//! `vzpkg list`: templates with their newest version, or the packages of one.

use super::Context;
use crate::cli::List;
use crate::error::CommandResult;
use crate::ops::{names, node};
use crate::output::table::Table;
use crate::output::{clean, local_time};
use std::collections::BTreeMap;
use vzpkg_cache::store::{Store, TemplateRow};
use vzpkg_metadata::template::TemplateArea;
use vzpkg_metadata::{TemplateName, VersionName};

/// What is known about one template of the list.
struct Line {
    name: TemplateName,
    head: Option<VersionName>,
    versions: u64,
    built: Option<i64>,
    /// What was noted: tags, versions that are kept, holds.
    notes: Vec<String>,
    summary: String,
}

pub(super) fn run(context: &Context, arguments: &List) -> CommandResult {
    let area = node::templates(context)?;
    let store = node::store_for_reading(context)?;
    if arguments.packages {
        return packages(context, &area, arguments);
    }
    let mut lines = lines(&area, store.as_ref(), arguments)?;
    if !arguments.templates.is_empty() {
        let wanted = arguments
            .templates
            .iter()
            .map(|typed| names::template_name(store.as_ref(), &area, typed))
            .collect::<CommandResult<Vec<_>>>()?;
        lines.retain(|line| wanted.contains(&line.name));
    }
    if context.printer.is_json() {
        let document = |line: &Line| {
            serde_json::json!({
                "name": line.name, "head": line.head.as_ref().map(ToString::to_string), "versions": line.versions,
                "built": line.built, "notes": line.notes, "summary": line.summary,
            })
        };
        let templates: Vec<_> = lines.iter().map(document).collect();
        context
            .printer
            .json("templates", serde_json::json!({ "templates": templates }));
        return Ok(());
    }
    if lines.is_empty() {
        context.printer.note(nothing(&area, arguments)?);
        return Ok(());
    }
    let mut table = if arguments.with_summary {
        Table::with_header(["TEMPLATE", "SUMMARY"])
    } else {
        Table::with_header(["TEMPLATE", "HEAD", "VERSIONS", "BUILT", "NOTES"]).right(2)
    };
    for line in lines {
        if arguments.with_summary {
            table.row([line.name.to_string(), clean(&line.summary)]);
        } else {
            let head = line
                .head
                .map_or_else(|| "-".to_owned(), |head| format!("@{}", head.number));
            table.row([
                line.name.to_string(),
                head,
                line.versions.to_string(),
                line.built.map_or_else(String::new, local_time),
                line.notes.join(", "),
            ]);
        }
    }
    context.printer.result(table.render());
    Ok(())
}

/// Why there is nothing to list.
fn nothing(area: &TemplateArea, arguments: &List) -> CommandResult<String> {
    if area.list()?.is_empty() {
        return Ok(format!(
            "no templates below `{}`; the shipped ones come with the first verb run as root",
            area.path().display()
        ));
    }
    let text = match (arguments.cached, arguments.app) {
        (true, _) => "nothing is cached yet; a first version: vzpkg create-cache TEMPLATE",
        (false, true) => "there are no application templates",
        (false, false) => "nothing of that is there; all templates: vzpkg list",
    };
    Ok(text.to_owned())
}

fn lines(area: &TemplateArea, store: Option<&Store>, arguments: &List) -> CommandResult<Vec<Line>> {
    let mut rows: BTreeMap<TemplateName, Option<TemplateRow>> = BTreeMap::new();
    let mut summaries: BTreeMap<TemplateName, String> = BTreeMap::new();
    let url_map = area.url_map()?;
    for location in area.list()? {
        let name = location.name()?;
        // A template with a mistake in one of its files is listed all the same.
        let (summary, committed) = match area.load_at(&location, &url_map) {
            Ok(template) => (template.summary, template.committed),
            Err(error) => (format!("({error})"), false),
        };
        summaries.insert(name.clone(), summary);
        // Without a version there is nothing in one that is made by `ct commit`.
        if !committed {
            rows.insert(name, None);
        }
    }
    if let Some(store) = store {
        for row in store.db.templates()? {
            let shown = row.head.is_some() || rows.contains_key(&row.name);
            if shown || !summaries.contains_key(&row.name) {
                rows.insert(row.name.clone(), Some(row));
            }
        }
    }
    let mut lines = Vec::new();
    for (name, row) in rows {
        let application = name.as_str().contains('/');
        let head = row.as_ref().and_then(|row| row.head);
        if (arguments.os && application)
            || (arguments.app && !application)
            || (arguments.cached && head.is_none())
        {
            continue;
        }
        let head = head.map(|number| VersionName {
            template: name.clone(),
            number,
        });
        let built = match (&head, store) {
            (Some(head), Some(store)) => Some(store.db.version(head)?.created),
            _ => None,
        };
        let summary = summaries
            .remove(&name)
            .unwrap_or_else(|| "(its directory is gone)".to_owned());
        let notes = match store {
            Some(store) => notes(store, &name)?,
            None => Vec::new(),
        };
        lines.push(Line {
            notes,
            versions: row.map_or(0, |row| row.versions),
            name,
            head,
            built,
            summary,
        });
    }
    Ok(lines)
}

fn notes(store: &Store, template: &TemplateName) -> CommandResult<Vec<String>> {
    let rows = store.db.versions(template)?;
    let mut notes: Vec<String> = Vec::new();
    for row in &rows {
        let number = row.name.number;
        notes.extend(row.tags.iter().map(|tag| format!(":{tag} is @{number}")));
        if row.kept {
            notes.push(format!("@{number} kept"));
        }
    }
    let holds = store.db.holds(template)?;
    notes.extend(holds.iter().map(|hold| format!("{} held", hold.pattern)));
    Ok(notes)
}

fn packages(context: &Context, area: &TemplateArea, arguments: &List) -> CommandResult {
    let store = node::existing_store(context)?;
    let mut table = Table::with_header(["PACKAGE", "VERSION", "ARCH", "REASON"]);
    let mut documents = Vec::new();
    for typed in &arguments.templates {
        let version = names::version(&store, area, typed, None)?;
        let record = store
            .versions
            .read(&version.name.template, &version.digest)?;
        for package in &record.lock.packages {
            table.row([
                package.name.to_string(),
                package.version.clone(),
                package.arch.to_string(),
                package.reason.to_string(),
            ]);
            documents.push(serde_json::json!({
                "template_version": version.name.to_string(), "name": package.name, "version": package.version,
                "arch": package.arch, "sha256": package.sha256, "reason": package.reason,
            }));
        }
        for package in &record.lock.installed {
            let reason = "installed in a container";
            table.row([
                package.name.to_string(),
                package.version.clone(),
                package.arch.to_string(),
                reason.to_owned(),
            ]);
            documents.push(serde_json::json!({
                "template_version": version.name.to_string(), "name": package.name, "version": package.version,
                "arch": package.arch, "sha256": null, "reason": reason,
            }));
        }
    }
    if context.printer.is_json() {
        context
            .printer
            .json("packages", serde_json::json!({ "packages": documents }));
    } else {
        context.printer.result(table.render());
    }
    Ok(())
}
