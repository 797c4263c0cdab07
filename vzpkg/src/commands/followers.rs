//! `--containers` of `update` and `rollback`: the containers that follow a template are taken along in batches, until all
//! are moved or too many have failed.

use super::{Context, ct};
use crate::cli::FollowOptions;
use crate::error::{CommandError, CommandResult};
use crate::ops::followers::{self, Way};
use crate::ops::readings::Readings;
use crate::ops::{containers, node};
use crate::output::Tone;
use vzpkg_cache::store::{ContainerRow, Store, VersionRow};
use vzpkg_metadata::TemplateName;

/// Moves everybody who follows the template of `target` to it, and says how it went. `undo` is the command that takes
/// template and containers back.
///
/// # Errors
/// The first failure of a container; the others were tried until the budget was spent.
pub(super) fn take_along(
    context: &Context,
    store: &Store,
    target: &VersionRow,
    way: Way,
    options: &FollowOptions,
    restart: bool,
    undo: &str,
) -> CommandResult {
    let found = followers::of(store, target, way)?;
    if found.pinned > 0 {
        let text = format_args!("{} pinned to a version stay where they are", found.pinned);
        context.printer.status(Tone::Plain, "Containers", text);
    }
    if context.settings.dry_run {
        would_take(context, &found.moving);
        return Ok(());
    }
    let runtime = containers::runtime(context)?;
    let batches: Vec<&[ContainerRow]> = found.moving.chunks(options.batch.get()).collect();
    let readings = Readings::new(store);
    let mut tally = Tally::default();
    for (number, batch) in batches.iter().enumerate() {
        node::check_interrupt(context)?;
        let (first, last) = (batch.first(), batch.last());
        if let (true, Some(first), Some(last)) = (batches.len() > 1, first, last) {
            let what = format!(
                "{} of {}: {} to {}",
                number + 1,
                batches.len(),
                first.id,
                last.id
            );
            context.printer.status(Tone::Plain, "Batch", what);
        }
        for (id, moved) in
            followers::move_batch(context, &readings, target, batch, restart, &runtime)
        {
            match moved {
                Ok(moved) => {
                    tally.moved += 1;
                    if let Some(moved) = moved {
                        ct::tell_moved(context, &id, &target.name, &moved);
                    }
                }
                Err(error) => {
                    context.printer.error(&crate::output::render(&error));
                    tally.failed.push(id.to_string());
                    tally.first.get_or_insert(error);
                }
            }
        }
        if tally.failed.len() > options.max_failures {
            break;
        }
    }
    let total = found.moving.len();
    if tally.moved > 0 {
        containers::release_versions(context, store, &runtime)?;
    }
    tally.summarize(context, target, total);
    if tally.moved > 0 {
        context.printer.undo(undo);
    }
    match tally.first {
        None => Ok(()),
        Some(error) => Err(CommandError::silent(error.kind)),
    }
}

/// Says who would go along to a version that is not made yet.
///
/// # Errors
/// What the database says.
pub(super) fn would_follow(
    context: &Context,
    store: &Store,
    template: &TemplateName,
) -> CommandResult {
    would_take(context, &followers::all(store, template)?);
    Ok(())
}

fn would_take(context: &Context, moving: &[ContainerRow]) {
    let names: Vec<&str> = moving.iter().map(|row| row.id.as_str()).collect();
    let what = if names.is_empty() {
        "no containers".to_owned()
    } else {
        format!("{} containers: {}", names.len(), names.join(" "))
    };
    context.printer.status(Tone::Plain, "Would take", what);
}

/// How it went so far.
#[derive(Debug, Default)]
struct Tally {
    moved: usize,
    failed: Vec<String>,
    first: Option<CommandError>,
}

impl Tally {
    fn summarize(&self, context: &Context, target: &VersionRow, total: usize) {
        let untried = total.saturating_sub(self.moved + self.failed.len());
        let mut what = format!("{} of {total} containers to {}", self.moved, target.name);
        if !self.failed.is_empty() {
            what.push_str(&format!(
                "; {} failed: {}",
                self.failed.len(),
                self.failed.join(" ")
            ));
        }
        if untried > 0 {
            what.push_str(&format!("; {untried} were not tried (--max-failures)"));
        }
        let tone = if self.failed.is_empty() {
            Tone::Good
        } else {
            Tone::Warning
        };
        context.printer.status(tone, "Moved", what);
    }
}
