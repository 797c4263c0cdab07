//! Containers that follow a template, taken along when its head moves: which ones, and a batch of them at the same time.

use super::relink::{self, Direction, Moved};
use super::{containers, node};
use crate::commands::Context;
use crate::error::CommandResult;
use vzpkg_cache::store::{ContainerRow, Follow, Store, VersionRow};
use vzpkg_metadata::{ContainerId, TemplateName};
use vzpkg_runtime::oci::RuntimeBinary;

/// Which way the head went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To a newer version: whoever is on an older one follows.
    Forward,
    /// Back to an older one: whoever is on a newer one follows.
    Back,
}

/// The containers of a template whose head moved.
#[derive(Debug)]
pub(crate) struct Followers {
    /// Those that are to be moved, by name.
    pub(crate) moving: Vec<ContainerRow>,
    /// How many would have to be, but are pinned to a version.
    pub(crate) pinned: usize,
}

/// Everybody who is to go to `target`.
///
/// # Errors
/// What the database says.
pub(crate) fn of(store: &Store, target: &VersionRow, way: Way) -> CommandResult<Followers> {
    let mut followers = Followers {
        moving: Vec::new(),
        pinned: 0,
    };
    let template = &target.name.template;
    for row in store.db.containers()? {
        if row.template != *template || row.link == target.digest {
            continue;
        }
        let versions = store.db.versions_with(&row.os_digest)?.into_iter();
        let numbers = versions.filter(|version| version.name.template == *template);
        let number = numbers.map(|version| version.name.number).max();
        let goes = match (way, number) {
            (Way::Forward, number) => number.is_none_or(|number| number < target.name.number),
            (Way::Back, number) => number.is_some_and(|number| number > target.name.number),
        };
        match (goes, row.follow) {
            (false, _) => {}
            (true, Follow::Head) => followers.moving.push(row),
            (true, Follow::Pinned) => followers.pinned += 1,
        }
    }
    Ok(followers)
}

/// Everybody who follows a template, wherever they are.
///
/// # Errors
/// What the database says.
pub(crate) fn all(store: &Store, template: &TemplateName) -> CommandResult<Vec<ContainerRow>> {
    let mut rows = store.db.containers()?;
    rows.retain(|row| row.template == *template && row.follow == Follow::Head);
    Ok(rows)
}

/// Moves containers to `target`, all at the same time. One that came from there goes back to what it was.
pub(crate) fn move_batch(
    context: &Context,
    target: &VersionRow,
    batch: &[ContainerRow],
    restart: bool,
    runtime: &RuntimeBinary,
) -> Vec<(ContainerId, CommandResult<Moved>)> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = batch
            .iter()
            .map(|row| scope.spawn(|| move_one(context, target, row, restart, runtime)))
            .collect();
        let moved = threads.into_iter().map(|thread| {
            let moved = thread.join();
            moved.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        batch.iter().map(|row| row.id.clone()).zip(moved).collect()
    })
}

fn move_one(
    context: &Context,
    target: &VersionRow,
    row: &ContainerRow,
    restart: bool,
    runtime: &RuntimeBinary,
) -> CommandResult<Moved> {
    node::check_interrupt(context)?;
    // A connection to the database belongs to one thread.
    let store = node::store_for_writing(context)?;
    let before = relink::link_before(context, &store, row);
    let direction = if before.is_ok_and(|before| before == target.digest) {
        Direction::Back
    } else {
        Direction::Forward
    };
    let row = containers::row(&store, row.id.as_str())?;
    let to = target.digest;
    relink::move_container(context, &store, &row, to, direction, restart, runtime)
}
