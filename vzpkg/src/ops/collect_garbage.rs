//! Garbage collection over all crates: each says what it still uses, the store removes the rest.

use super::{mirrors, node};
use crate::commands::Context;
use crate::error::CommandResult;
use vzpkg_cache::store::{GcMode, GcOptions, GcReport, GuardName, Retention, Store};
use vzpkg_metadata::{RootSet, durable};

/// Collects what no version, container, mount, build or mirror uses, and what killed commands left of private areas and of
/// what they tried out.
///
/// # Errors
/// Nothing was removed if a root cannot be read.
pub(crate) fn collect(context: &Context, store: &Store, mode: GcMode) -> CommandResult<GcReport> {
    let guard = node::guard(context, store, GuardName::Collect)?;
    let mut roots: RootSet = mirrors::roots(context)?;
    // Containers whose row is being changed: both sides of the relink are in use until the journal is cleared.
    for (_, entry) in store.db.journals()? {
        roots.trees.extend(super::relink::trees_of_journal(&entry));
    }
    let options = GcOptions {
        mode,
        keep: retention(context),
    };
    if mode == GcMode::Remove {
        for directory in [store.layout.private_areas(), store.layout.store()] {
            durable::sweep(&directory)?;
        }
    }
    Ok(store.gc(&guard, &roots, options)?)
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
