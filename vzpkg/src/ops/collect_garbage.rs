//! Garbage collection over all crates: each says what it still uses, the store removes the rest.

use super::{containers, node};
use crate::commands::Context;
use crate::error::CommandResult;
use std::collections::BTreeSet;
use std::fs;
use vzpkg_cache::store::{GcMode, GcOptions, GcReport, GuardName, Retention, Store};
use vzpkg_metadata::{ContainerId, RootSet, durable};
use vzpkg_runtime::container;

/// Collects what no version, container, mount or build uses, and what killed commands left of private areas and of
/// what they tried out.
///
/// # Errors
/// No version and nothing that versions are made of was removed if a root cannot be read.
pub(crate) fn collect(context: &Context, store: &Store, mode: GcMode) -> CommandResult<GcReport> {
    let guard = node::guard_to_change(context, store, GuardName::Collect)?;
    // It was opened before the guard was waited for.
    store.check_database()?;
    let mut roots = RootSet::default();
    // Containers whose row is being changed: both sides of the relink are in use until the journal is cleared.
    for (_, entry) in store.db.journals()? {
        roots.trees.extend(super::journal::trees_of_journal(&entry));
    }
    let options = GcOptions {
        mode,
        keep: retention(context),
    };
    if mode == GcMode::Remove {
        for directory in [store.layout.private_areas(), store.layout.store()] {
            durable::sweep(&directory)?;
        }
        settle_or_sweep(context, store)?;
    }
    Ok(store.gc(guard.as_ref(), &roots, options)?)
}

/// Makes private areas durable whose `ct create` was killed, and removes what a power loss left of those whose row it took
/// as well.
fn settle_or_sweep(context: &Context, store: &Store) -> CommandResult {
    let known: BTreeSet<ContainerId> = store
        .db
        .containers()?
        .into_iter()
        .map(|row| row.id)
        .collect();
    let entries = fs::read_dir(store.layout.private_areas())
        .into_iter()
        .flatten();
    for entry in entries.flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let paths = containers::paths(context, store, &id);
        let known = known.contains(&id);
        if known && container::is_unsettled(&paths) {
            let _guard = node::guard(context, store, GuardName::Container(id))?;
            container::settle(&paths)?;
        } else if !known && container::is_remains(&paths) {
            let _guard = node::guard(context, store, GuardName::Container(id))?;
            container::discard(&paths)?;
        }
    }
    Ok(())
}

/// What the settings `keep-last` and `keep-days` ask for.
fn retention(context: &Context) -> Retention {
    const DAY: i64 = 24 * 60 * 60;
    let newest = context.settings.keep_last;
    match i64::from(context.settings.keep_days) {
        0 => Retention::newest(newest),
        days => Retention {
            newest,
            since: context.clock.now - days * DAY,
        },
    }
}
