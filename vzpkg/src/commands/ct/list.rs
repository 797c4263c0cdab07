//! `vzpkg ct list`: every container with its state and version.

use super::Context;
use crate::cli::CtList;
use crate::error::CommandResult;
use crate::ops::{containers, node};
use crate::output::Tone;
use crate::output::table::Table;
use std::collections::BTreeMap;
use vzpkg_cache::store::{ContainerRow, Follow, Store};
use vzpkg_runtime::container::{ContainerState, RunState};

pub(super) fn run(context: &Context, arguments: &CtList) -> CommandResult {
    let store = match node::store_for_reading(context)? {
        Some(store) => store,
        None if arguments.names.is_empty() => {
            print(context, &[], &Table::default());
            return Ok(());
        }
        // Whoever is named is not there.
        None => return node::existing_store(context).map(drop),
    };
    let mut rows = store.db.containers()?;
    if !arguments.names.is_empty() {
        for name in &arguments.names {
            containers::row(&store, name)?;
        }
        rows.retain(|row| arguments.names.iter().any(|name| name == row.id.as_str()));
    }
    // Whoever may not ask the runtime still sees the containers.
    let runtime = if rows.is_empty() {
        None
    } else {
        containers::runtime(context).ok()
    };
    let state = |row: &ContainerRow| {
        let runtime = runtime.as_ref()?;
        containers::state(context, &store, &row.id, runtime).ok()
    };
    // Few versions for many containers.
    let mut versions = BTreeMap::new();
    let mut version = |row: &ContainerRow| {
        let key = (row.template.clone(), row.os_digest);
        let name = versions.entry(key);
        name.or_insert_with(|| version(&store, row)).clone()
    };
    let mut documents = Vec::new();
    let mut table = Table::with_header(["CONTAINER", "STATE", "PID", "VERSION", "LINK"]).right(2);
    for row in &rows {
        let (state, version) = (state(row), version(row));
        documents.push(document(row, &version, state.as_ref()));
        let pid = state
            .as_ref()
            .and_then(|state| state.pid)
            .map_or_else(String::new, |pid| pid.to_string());
        let shown = shown(state.as_ref());
        let shown = if shown == "running" {
            context.printer.paint(Tone::Good, shown)
        } else {
            shown.to_owned()
        };
        table.row([
            row.id.to_string(),
            shown,
            pid,
            version,
            follow(row).to_owned(),
        ]);
    }
    print(context, &documents, &table);
    Ok(())
}

fn print(context: &Context, documents: &[serde_json::Value], table: &Table) {
    if context.printer.is_json() {
        let list = serde_json::json!({ "containers": documents });
        context.printer.json("containers", list);
    } else if table.is_empty() {
        context
            .printer
            .note("no containers; create one: vzpkg ct create NAME --template TEMPLATE");
    } else {
        context.printer.result(table.render());
    }
}

/// The word for a state; `unknown` for callers who may not ask.
pub(super) fn shown(state: Option<&ContainerState>) -> &'static str {
    match state.map(|state| state.state) {
        Some(RunState::Running) => "running",
        Some(RunState::Paused) => "paused",
        Some(RunState::Created) => "created",
        Some(RunState::Stopped) => "stopped",
        None => "unknown",
    }
}

/// The name of the version a container is linked to, or the digest where its template forgot it.
pub(super) fn version(store: &Store, row: &ContainerRow) -> String {
    let versions = store.db.versions_with(&row.os_digest).unwrap_or_default();
    let same = versions
        .iter()
        .filter(|version| version.name.template == row.template);
    same.map(|version| version.name.to_string())
        .next_back()
        .unwrap_or_else(|| row.os_digest.short())
}

pub(super) fn follow(row: &ContainerRow) -> &'static str {
    match row.follow {
        Follow::Head => "follows",
        Follow::Pinned => "pinned",
    }
}

pub(super) fn document(
    row: &ContainerRow,
    version: &str,
    state: Option<&ContainerState>,
) -> serde_json::Value {
    serde_json::json!({
        "name": row.id,
        "state": shown(state),
        "pid": state.and_then(|state| state.pid),
        "uptime_seconds": state.and_then(|state| state.uptime).map(|uptime| uptime.as_secs()),
        "template": row.template,
        "version": version,
        "digest": row.link,
        "generation": row.generation,
        "follows": row.follow == Follow::Head,
        "first_uid": row.first_uid,
        "created": row.created,
    })
}
