//! `vzpkg search TEMPLATE WORD…`: packages whose name or summary holds every word.

use super::Context;
use crate::cli::Search;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{node, refresh_index};
use crate::output::clean;
use crate::output::progress::Progress;
use crate::output::table::Table;
use std::collections::BTreeMap;
use std::sync::Arc;
use vzpkg_metadata::version;

/// What is printed of one package.
struct Hit {
    version: String,
    repository: String,
    summary: String,
}

pub(super) fn run(context: &Context, arguments: &Search) -> CommandResult {
    let area = node::templates(context)?;
    let (_, location) = node::locate(&area, &arguments.template)?;
    let template = node::load(&area, &location)?;
    let progress = Arc::new(Progress::new(&context.settings, context.printer));
    let repositories = refresh_index::load(&refresh_index::client(context, &progress), &template)?;
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    let mut hits: BTreeMap<String, Hit> = BTreeMap::new();
    for repository in &repositories {
        let index = repository.index.as_index();
        for package in index.search(&words) {
            let newer = hits.get(package.name()).is_none_or(|hit| {
                version::compare(template.family, package.version(), &hit.version).is_gt()
            });
            if newer {
                let hit = Hit {
                    version: package.version().to_owned(),
                    repository: repository.id.to_string(),
                    summary: clean(package.summary()),
                };
                hits.insert(package.name().to_owned(), hit);
            }
        }
    }
    if context.printer.is_json() {
        let packages: Vec<_> = hits.iter().map(|(name, hit)| serde_json::json!({ "name": name, "version": hit.version, "repository": hit.repository, "summary": hit.summary })).collect();
        context.printer.json(
            "search",
            serde_json::json!({ "template": template.name, "packages": packages }),
        );
    } else if !hits.is_empty() {
        let mut table = Table::with_header(["PACKAGE", "VERSION", "REPOSITORY", "SUMMARY"]);
        for (name, hit) in &hits {
            table.row([
                name.clone(),
                hit.version.clone(),
                hit.repository.clone(),
                hit.summary.clone(),
            ]);
        }
        context.printer.result(table.render());
    }
    if hits.is_empty() {
        let text = format!(
            "no package of `{}` has {:?} in its name or summary",
            template.name,
            arguments.words.join(" ")
        );
        return Err(CommandError::message(Kind::Unmet, text));
    }
    Ok(())
}
