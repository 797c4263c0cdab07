//! `vzpkg diff A B`: packages, then what deserves a look, then sizes; with `--files` every changed name, with
//! `--changelogs` what the packages say of their changes.

use super::Context;
use crate::cli::Diff;
use crate::error::CommandResult;
use crate::ops::{names, node};
use crate::output::comparison;
use vzpkg_cache::compare::{Changelogs, compare};

pub(super) fn run(context: &Context, arguments: &Diff) -> CommandResult {
    let store = node::existing_store(context)?;
    let area = node::templates(context)?;
    let from = names::version(&store, &area, &arguments.from, None)?;
    let to = names::version(&store, &area, &arguments.to, Some(&from.name.template))?;
    let old = store.versions.read(&from.name.template, &from.digest)?;
    let new = store.versions.read(&to.name.template, &to.digest)?;
    let changelogs = if arguments.changelogs {
        Changelogs::Read
    } else {
        Changelogs::Skip
    };
    let found = compare(&store, &old, &new, changelogs)?;
    if context.printer.is_json() {
        let files = arguments.files.then_some(&found.files);
        context.printer.json("diff", serde_json::json!({
            "from": from.name.to_string(), "to": to.name.to_string(), "packages": found.packages,
            "privileges": found.privileges, "services": found.services, "accounts": found.accounts,
            "listening": found.listening, "sizes": found.sizes, "changed_files": found.files.len(), "files": files,
            "changelogs": arguments.changelogs.then_some(&found.changelogs),
        }));
        return Ok(());
    }
    let titles = comparison::Titles {
        from: &from,
        to: &to,
    };
    let paint = |tone, text: &str| context.printer.paint(tone, text);
    let text = comparison::render(&titles, &found, arguments.files, &paint);
    context.printer.result(text);
    if found.accounts.is_none() {
        context.printer.warning(
            "accounts, what listens and changelogs were not compared: only root may read them",
        );
    }
    Ok(())
}
