//! `vzpkg mirror list`: all mirrors, a line each.

use crate::cli::MirrorList;
use crate::commands::Context;
use crate::error::CommandResult;
use crate::ops::mirrors;
use crate::output::local_time;
use crate::output::table::Table;
use vzpkg_metadata::ByteSize;

pub(super) fn run(context: &Context, _: &MirrorList) -> CommandResult {
    let mirrors = mirrors::open(context);
    let mut table = Table::with_header(["MIRROR", "PACKAGES", "SIZE", "CHECKED", "SNAPSHOTS"])
        .right(1)
        .right(2)
        .right(4);
    let mut documents = Vec::new();
    for name in mirrors.names()? {
        let info = mirrors.info(&name)?;
        let state = info.published.as_ref();
        table.row([
            name.to_string(),
            state.map_or_else(|| "-".to_owned(), |state| state.packages.to_string()),
            state.map_or_else(|| "-".to_owned(), |state| ByteSize(state.bytes).to_string()),
            info.checked.map_or_else(|| "never".to_owned(), local_time),
            info.snapshots.len().to_string(),
        ]);
        documents.push(serde_json::json!({
            "name": name, "published": state.map(|state| state.id), "packages": state.map(|state| state.packages),
            "bytes": state.map(|state| state.bytes), "checked": info.checked, "snapshots": info.snapshots.len(),
        }));
    }
    if context.printer.is_json() {
        let value = serde_json::json!({ "mirrors": documents });
        context.printer.json("mirrors", value);
    } else if table.is_empty() {
        let help = "there is no mirror yet; `vzpkg mirror add` makes one";
        context.printer.note(help);
    } else {
        context.printer.result(table.render());
    }
    Ok(())
}
