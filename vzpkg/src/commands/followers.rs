//! `--containers` of `update` and `rollback`: the containers that follow a template are taken along in batches, until all
//! are moved or too many have failed.

use super::{Context, ct};
use crate::cli::FollowOptions;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::followers::{self, Way};
use crate::ops::readings::Readings;
use crate::ops::relink::Moved;
use crate::ops::{containers, names, node};
use crate::output::{Tone, counted};
use vzpkg_cache::store::{ContainerRow, Store, VersionRow};
use vzpkg_metadata::{ContainerId, TemplateName};

/// Names of containers that a hint has room for.
const NAMED: usize = 4;

/// After a template has moved without its containers: how many it has left behind, and what takes them along.
///
/// # Errors
/// What the database says.
pub(super) fn tell_left_behind(
    context: &Context,
    store: &Store,
    template: &TemplateName,
    way: Way,
) -> CommandResult {
    let head = names::head(store, template)?;
    let left = followers::of(store, &head, way)?.moving;
    if left.is_empty() {
        return Ok(());
    }
    let named = left.iter().take(NAMED).map(|row| row.id.to_string());
    let mut named = named.collect::<Vec<_>>().join(" ");
    if left.len() > NAMED {
        named.push_str(" …");
    }
    let verb = if left.len() == 1 { "follows" } else { "follow" };
    let count = counted(left.len(), "container");
    context.printer.note(format_args!(
        "{:>12} {count} {verb} it: vzpkg ct relink {named}",
        ""
    ));
    Ok(())
}

/// Moves everybody who follows the template of `target` to it, and says how it went. `undo` is the command that takes
/// template and containers back; where the template has not moved there is none, and each container has its own.
///
/// # Errors
/// The first failure of a container; the others were tried until the budget was spent. [`Kind::Interrupted`] where the
/// user wanted it to stop: those that were begun are moved.
pub(super) fn take_along(
    context: &Context,
    store: &Store,
    target: &VersionRow,
    way: Way,
    options: &FollowOptions,
    restart: bool,
    undo: Option<&str>,
) -> CommandResult {
    let found = followers::of(store, target, way)?;
    if found.pinned > 0 {
        let text = format_args!("{} pinned to a version stay where they are", found.pinned);
        context.printer.status(Tone::Plain, "Containers", text);
    }
    if context.settings.dry_run {
        return would_take(context, store, Some(target), &found.moving, restart);
    }
    let runtime = containers::runtime(context)?;
    let readings = Readings::new(store);
    let batches: Vec<&[ContainerRow]> = found.moving.chunks(options.batch.get()).collect();
    let mut tally = Tally::default();
    for (number, batch) in batches.iter().enumerate() {
        if node::check_interrupt(context).is_err() {
            tally.interrupted = true;
        }
        if tally.interrupted || tally.failures() > options.max_failures {
            break;
        }
        announce(context, number, batches.len(), batch);
        let moved = followers::move_batch(context, &readings, target, batch, restart, &runtime);
        for (id, moved) in moved {
            tally.note(context, target, &id, moved, undo.is_none());
        }
    }
    let released = if tally.moved > 0 {
        containers::release_versions(context, store, &runtime)
    } else {
        Ok(())
    };
    // What was moved is told with the way back, whatever else there is to tell.
    tally.summarize(context, target, found.moving.len());
    // The template has moved, whatever became of the containers.
    if let Some(undo) = undo {
        context.printer.undo(undo);
    }
    let Some(kind) = tally.kind() else {
        return released;
    };
    if let Err(error) = released {
        context.printer.error(&crate::output::render(&error));
    }
    Err(CommandError::silent(kind))
}

/// Which batch comes now, where there are several.
fn announce(context: &Context, number: usize, count: usize, batch: &[ContainerRow]) {
    if let (true, Some(first), Some(last)) = (count > 1, batch.first(), batch.last()) {
        let number = number.saturating_add(1);
        let what = format!("{number} of {count}: {} to {}", first.id, last.id);
        context.printer.status(Tone::Plain, "Batch", what);
    }
}

/// Says who would go along to a version that is not made yet.
///
/// # Errors
/// As [`would_take`].
pub(super) fn would_follow(
    context: &Context,
    store: &Store,
    template: &TemplateName,
    restart: bool,
) -> CommandResult {
    let moving = followers::all(store, template)?;
    would_take(context, store, None, &moving, restart)
}

/// Says who would go along, and who could not.
///
/// # Errors
/// The first that could not, as when they are taken along.
fn would_take(
    context: &Context,
    store: &Store,
    target: Option<&VersionRow>,
    moving: &[ContainerRow],
    restart: bool,
) -> CommandResult {
    if moving.is_empty() {
        let what = "no containers";
        context.printer.status(Tone::Plain, "Would take", what);
        return Ok(());
    }
    let runtime = containers::runtime(context)?;
    let readings = Readings::new(store);
    let judged = followers::would_move(context, &readings, target, moving, restart, &runtime);
    let (mut going, mut failing, mut first) = (Vec::new(), Vec::new(), None);
    for (row, judged) in moving.iter().zip(judged) {
        match judged {
            Ok(()) => going.push(row.id.as_str()),
            Err(error) if error.kind == Kind::Interrupted => return Err(error),
            Err(error) => {
                context.printer.error(&crate::output::render(&error));
                failing.push(row.id.as_str());
                first.get_or_insert(error.kind);
            }
        }
    }
    let Some(kind) = first else {
        let count = counted(going.len(), "container");
        let what = format_args!("{count}: {}", going.join(" "));
        context.printer.status(Tone::Plain, "Would take", what);
        return Ok(());
    };
    let what = format!(
        "{} of {} containers: {}; {} would fail: {}",
        going.len(),
        moving.len(),
        going.join(" "),
        failing.len(),
        failing.join(" ")
    );
    context.printer.status(Tone::Warning, "Would take", what);
    Err(CommandError::silent(kind))
}

/// How it went so far.
#[derive(Debug, Default)]
struct Tally {
    moved: usize,
    failed: Vec<String>,
    /// Those that were moved, and of which not every service runs again.
    halting: Vec<String>,
    /// The class of the first failure.
    first: Option<Kind>,
    /// Whether the user wants no more of it.
    interrupted: bool,
}

impl Tally {
    /// Tells what became of one container, with its own way back if there is none for all.
    fn note(
        &mut self,
        context: &Context,
        target: &VersionRow,
        id: &ContainerId,
        moved: CommandResult<Option<Moved>>,
        own_undo: bool,
    ) {
        match moved {
            Ok(moved) => {
                self.moved = self.moved.saturating_add(1);
                let Some(moved) = moved else { return };
                ct::tell_moved(context, id, &target.name, &moved);
                if own_undo {
                    let undo = format_args!("vzpkg ct rollback {id}");
                    context.printer.undo(undo);
                }
                if let Err(error) = moved.outcome() {
                    context.printer.error(&crate::output::render(&error));
                    self.halting.push(id.to_string());
                    self.first.get_or_insert(error.kind);
                }
            }
            // It stays where it was.
            Err(error) if error.kind == Kind::Interrupted => self.interrupted = true,
            Err(error) => {
                context.printer.error(&crate::output::render(&error));
                self.failed.push(id.to_string());
                self.first.get_or_insert(error.kind);
            }
        }
    }

    /// How many were not moved, or not without harm.
    const fn failures(&self) -> usize {
        self.failed.len().saturating_add(self.halting.len())
    }

    /// The class that the command fails with, if it does.
    fn kind(&self) -> Option<Kind> {
        if self.interrupted {
            return Some(Kind::Interrupted);
        }
        self.first
    }

    fn summarize(&self, context: &Context, target: &VersionRow, total: usize) {
        let tone = if self.kind().is_none() {
            Tone::Good
        } else {
            Tone::Warning
        };
        let what = format!(
            "{} of {total} containers to {}{}",
            self.moved,
            target.name,
            self.rest(total)
        );
        context.printer.status(tone, "Moved", what);
    }

    /// Who was not moved, and why.
    fn rest(&self, total: usize) -> String {
        let mut rest = String::new();
        if !self.failed.is_empty() {
            let names = self.failed.join(" ");
            rest = format!("; {} failed: {names}", self.failed.len());
        }
        if !self.halting.is_empty() {
            let names = self.halting.join(" ");
            rest.push_str(&format!("; without all of their services: {names}"));
        }
        let done = self.moved.saturating_add(self.failed.len());
        let untried = total.saturating_sub(done);
        if untried > 0 {
            let why = if self.interrupted {
                "interrupted"
            } else {
                "--max-failures"
            };
            rest.push_str(&format!("; {untried} were not tried ({why})"));
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_not_begun_when_it_was_interrupted_has_not_failed() {
        let interrupted = Tally {
            moved: 4,
            interrupted: true,
            ..Tally::default()
        };
        assert_eq!(interrupted.rest(10), "; 6 were not tried (interrupted)");
        assert_eq!(interrupted.kind(), Some(Kind::Interrupted));
        let failed = Tally {
            moved: 1,
            failed: vec!["b".to_owned(), "c".to_owned()],
            first: Some(Kind::Unmet),
            ..Tally::default()
        };
        assert_eq!(
            failed.rest(5),
            "; 2 failed: b c; 2 were not tried (--max-failures)"
        );
        assert_eq!(failed.kind(), Some(Kind::Unmet));
        assert_eq!(Tally::default().rest(0), "");
    }

    #[test]
    fn whoever_was_moved_without_its_services_counts_as_moved_and_as_a_failure() {
        let halting = Tally {
            moved: 2,
            halting: vec!["b".to_owned()],
            first: Some(Kind::Script),
            ..Tally::default()
        };
        assert_eq!(halting.rest(2), "; without all of their services: b");
        assert_eq!(
            (halting.failures(), halting.kind()),
            (1, Some(Kind::Script))
        );
    }
}
