//! `vzpkg lock VERSION`: its lock on stdout, to keep, compare and build from.

use super::Context;
use crate::cli::LockShow;
use crate::error::CommandResult;
use crate::ops::{names, node};

pub(super) fn run(context: &Context, arguments: &LockShow) -> CommandResult {
    let store = node::existing_store(context)?;
    let area = node::templates(context)?;
    let row = names::version(&store, &area, &arguments.version, None)?;
    let record = store.versions.read(&row.name.template, &row.digest)?;
    if context.printer.is_json() {
        let lock = record.lock.to_string();
        context.printer.json("lock", serde_json::json!({ "version": row.name.to_string(), "digest": row.digest, "lock": lock }));
    } else {
        context.printer.result(record.lock.to_string());
    }
    Ok(())
}
