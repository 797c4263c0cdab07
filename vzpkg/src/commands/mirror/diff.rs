//! `vzpkg mirror diff A B`: which packages differ between two states of mirrors.

use crate::cli::MirrorDiff;
use crate::commands::Context;
use crate::error::CommandResult;
use crate::ops::mirrors;
use crate::output::clean;
use crate::output::table::Table;

pub(super) fn run(context: &Context, arguments: &MirrorDiff) -> CommandResult {
    let mirrors = mirrors::open(context);
    let (from, to) = (
        mirrors::state_name(&arguments.from)?,
        mirrors::state_name(&arguments.to)?,
    );
    let changes = mirrors.diff(&from, &to)?;
    if context.printer.is_json() {
        let document = |change: &vzpkg_repo_client::mirror::Change| {
            serde_json::json!({
                "name": change.name, "arch": change.arch, "before": change.before, "after": change.after,
            })
        };
        let changes: Vec<_> = changes.iter().map(document).collect();
        let value = serde_json::json!({ "changes": changes });
        context.printer.json("mirror-diff", value);
        return Ok(());
    }
    if changes.is_empty() {
        context.printer.note("both offer the same packages");
        return Ok(());
    }
    let mut table = Table::with_header(["PACKAGE", "ARCH", "BEFORE", "AFTER"]);
    let versions = |versions: &[String]| match versions {
        [] => "-".to_owned(),
        versions => clean(&versions.join(" ")),
    };
    for change in &changes {
        table.row([
            clean(&change.name),
            clean(&change.arch),
            versions(&change.before),
            versions(&change.after),
        ]);
    }
    context.printer.result(table.render());
    Ok(())
}
