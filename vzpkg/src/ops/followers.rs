//! Containers that follow a template, taken along when its head moves: which ones, and a batch of them at the same time.

use super::journal::{Journal, StoreObjects};
use super::readings::Readings;
use super::relink::{self, Begun, Destination, Moved};
use super::{node, relink_live};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult};
use std::collections::BTreeMap;
use vzpkg_cache::store::{ContainerRow, Follow, Store, VersionRow};
use vzpkg_metadata::{ContainerId, TemplateName};
use vzpkg_runtime::container::{self, RelinkTools};
use vzpkg_runtime::oci::RuntimeBinary;

/// How many stopped containers are moved with one wait for the disk. Each is held by two descriptors, of which a process
/// may have 1,024.
const TOGETHER: usize = 200;

/// How many running containers are moved at the same time: each stands still for it.
const ALONE: usize = 4;

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
    // A template has a tree once.
    let versions = store.db.versions(template)?.into_iter();
    let numbers: BTreeMap<_, _> = versions
        .map(|version| (version.digest, version.name.number))
        .collect();
    for row in store.db.containers()? {
        if row.template != *template || row.link == target.digest {
            continue;
        }
        let number = numbers.get(&row.os_digest).copied();
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

/// Moves containers to `target`, all at the same time. One that came from there goes back to what it was; nothing is said
/// of one that an interrupted command had already sent there.
pub(crate) fn move_batch(
    context: &Context,
    readings: &Readings<'_>,
    target: &VersionRow,
    batch: &[ContainerRow],
    restart: bool,
    runtime: &RuntimeBinary,
) -> Vec<(ContainerId, CommandResult<Option<Moved>>)> {
    let groups = batch.chunks(TOGETHER);
    groups
        .flat_map(|group| move_group(context, readings, target, group, restart, runtime))
        .collect()
}

/// What would come of taking each of these along, in their order: nothing is moved, and nothing said of those that would
/// be. Without a `target`, to a version that is not made yet, of which only what ties a container to any is known.
pub(crate) fn would_move(
    context: &Context,
    readings: &Readings<'_>,
    target: Option<&VersionRow>,
    moving: &[ContainerRow],
    restart: bool,
    runtime: &RuntimeBinary,
) -> Vec<CommandResult> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    map(moving, threads, |row| {
        node::check_interrupt(context)?;
        // Where it goes from there is known when that is finished.
        if relink::between(readings.store, &row.id)?.is_some() {
            return Ok(());
        }
        match target {
            Some(target) => move_one(context, readings, target, row, restart, runtime).map(drop),
            None => relink_live::would_be_tied(context, readings, row, restart, runtime),
        }
    })
}

/// Those that are stopped share what is waited for; those that run are moved one by one, some at a time.
fn move_group(
    context: &Context,
    readings: &Readings<'_>,
    target: &VersionRow,
    group: &[ContainerRow],
    restart: bool,
    runtime: &RuntimeBinary,
) -> Vec<(ContainerId, CommandResult<Option<Moved>>)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let begun = map(group, threads, |row| {
        begin(context, readings, target, row, runtime)
    });
    let (mut moved, mut running) = (BTreeMap::new(), Vec::new());
    let (mut prepared, mut held) = (Vec::new(), Vec::new());
    for (row, begun) in group.iter().zip(begun) {
        match begun {
            Ok(Begun::Stopped(one)) => {
                let (one, moved, guard) = *one;
                prepared.push(one);
                held.push((moved, guard));
            }
            Ok(Begun::There) => drop(moved.insert(row.id.clone(), Ok(None))),
            Ok(Begun::Running) => running.push(row),
            Err(error) => drop(moved.insert(row.id.clone(), Err(error))),
        }
    }
    let store = readings.store;
    let (objects, journal) = (StoreObjects(store), Journal(&store.db));
    let tools = RelinkTools {
        objects: &objects,
        journal: &journal,
    };
    let relinked = container::relink_prepared(prepared, &tools);
    for ((id, link), (one, _guard)) in relinked.into_iter().zip(held) {
        let one = link.map(|_| Some(one));
        moved.insert(id, one.map_err(CommandError::from));
    }
    let alone = map(&running, ALONE, |row| {
        move_one(context, readings, target, row, restart, runtime)
    });
    moved.extend(running.iter().map(|row| row.id.clone()).zip(alone));
    // In the order of their names, as they came.
    moved.into_iter().collect()
}

/// Calls `work` for each of `all` with some threads; the results are in their order.
fn map<T: Sync, R: Send>(all: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let share = all.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = all
            .chunks(share)
            .map(|share| scope.spawn(|| share.iter().map(&work).collect::<Vec<R>>()))
            .collect();
        let results = threads.into_iter().flat_map(|thread| {
            let results = thread.join();
            results.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        results.collect()
    })
}

fn begin(
    context: &Context,
    readings: &Readings<'_>,
    target: &VersionRow,
    row: &ContainerRow,
    runtime: &RuntimeBinary,
) -> CommandResult<Begun> {
    node::check_interrupt(context)?;
    let along = Destination::Along(target.digest);
    relink::begin(context, readings, &row.id, along, runtime)
}

fn move_one(
    context: &Context,
    readings: &Readings<'_>,
    target: &VersionRow,
    row: &ContainerRow,
    restart: bool,
    runtime: &RuntimeBinary,
) -> CommandResult<Option<Moved>> {
    let along = Destination::Along(target.digest);
    relink::move_one(context, readings, &row.id, along, restart, runtime)
}
