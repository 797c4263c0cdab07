//! Mirrors of this node: opened with this run's settings, and what they keep from being removed.

use super::mirror_choice::Resolver;
use super::{node, refresh_index};
use crate::commands::Context;
use crate::error::CommandResult;
use crate::output::progress::Progress;
use std::sync::Arc;
use vzpkg_metadata::{MirrorName, SnapshotName};
use vzpkg_repo_client::mirror::{Mirrors, StateName};

/// The mirrors, for any verb.
pub(crate) fn open(context: &Context) -> Mirrors {
    let progress = Arc::new(Progress::new(&context.settings, context.printer));
    let client = refresh_index::client(context, &progress);
    client.mirrors(node::layout(context).mirrors())
}

/// The mirrors, for a verb that changes some.
///
/// # Errors
/// [`crate::error::Kind::Environment`] without root.
pub(crate) fn open_for_writing(context: &Context) -> CommandResult<Mirrors> {
    node::require_root()?;
    Ok(open(context))
}

/// The mirrors, for a sync, which may have to know what templates need.
///
/// # Errors
/// As [`open_for_writing`].
pub(crate) fn open_for_sync(context: &Context) -> CommandResult<Mirrors> {
    let context = context.clone();
    Ok(open_for_writing(&context)?.with_chooser(Arc::new(Resolver { context })))
}

/// A mirror's name as a user typed it.
///
/// # Errors
/// [`crate::error::Kind::Usage`] for what is no name.
pub(crate) fn name(typed: &str) -> CommandResult<MirrorName> {
    Ok(typed.parse::<MirrorName>()?)
}

/// The mirrors that a user named, or all.
///
/// # Errors
/// [`crate::error::Kind::Usage`] for what is no name.
pub(crate) fn chosen(mirrors: &Mirrors, typed: &[String]) -> CommandResult<Vec<MirrorName>> {
    if typed.is_empty() {
        return Ok(mirrors.names()?);
    }
    typed.iter().map(|typed| name(typed)).collect()
}

/// A snapshot's name as a user typed it.
///
/// # Errors
/// [`crate::error::Kind::Usage`] for what is no name.
pub(crate) fn snapshot(typed: &str) -> CommandResult<SnapshotName> {
    Ok(typed.parse::<SnapshotName>()?)
}

/// `NAME` or `NAME@SNAPSHOT`.
///
/// # Errors
/// [`crate::error::Kind::Usage`] for what is neither.
pub(crate) fn state_name(typed: &str) -> CommandResult<StateName> {
    let (mirror, tag) = match typed.split_once('@') {
        Some((mirror, tag)) => (mirror, Some(tag)),
        None => (typed, None),
    };
    Ok(StateName {
        mirror: name(mirror)?,
        snapshot: tag.map(snapshot).transpose()?,
    })
}
