//! `vzpkg rollback TEMPLATE|CT`: back to an earlier version.

use super::{Context, ct};
use crate::cli::{CtRollback, Rollback};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::names::{self, Object};
use crate::ops::node;
use crate::output::Tone;
use vzpkg_cache::store::{GuardName, Store, VersionRow, VersionState};
use vzpkg_metadata::TemplateName;

pub(super) fn run(context: &Context, arguments: &Rollback) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    match names::object(&store, &area, &arguments.object)? {
        Object::Container(id) => {
            drop(store);
            ct::rollback(
                context,
                &CtRollback {
                    name: id.to_string(),
                    to: arguments.to,
                },
            )
        }
        Object::Template(template) => roll_template_back(context, &store, &template, arguments),
    }
}

fn roll_template_back(
    context: &Context,
    store: &Store,
    template: &TemplateName,
    arguments: &Rollback,
) -> CommandResult {
    let _guard = node::guard(context, store, GuardName::Template(template.clone()))?;
    let head = names::head(store, template)?;
    let target = target(store, template, &head, arguments.to)?;
    let reason = arguments.reason.clone().unwrap_or_default();
    if context.settings.dry_run {
        context.printer.status(
            Tone::Plain,
            "Would move",
            format_args!(
                "the head of {template} from @{} to @{}",
                head.name.number, target.name.number
            ),
        );
        return Ok(());
    }
    store.db.roll_back(&target.name, &reason)?;
    context.printer.status(
        Tone::Good,
        "Rolled back",
        format_args!(
            "{template} from @{} to @{}",
            head.name.number, target.name.number
        ),
    );
    context.printer.note(format_args!(
        "        undo: vzpkg rollback {template} --to {}",
        head.name.number
    ));
    Ok(())
}

/// The version asked for, or the newest good one before the head.
fn target(
    store: &Store,
    template: &TemplateName,
    head: &VersionRow,
    to: Option<u64>,
) -> CommandResult<VersionRow> {
    let mut rows = store.db.versions(template)?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.name.number));
    if let Some(number) = to {
        let number = names::number(number)?;
        if number == head.name.number {
            return Err(CommandError::message(
                Kind::Unmet,
                format!("`{template}` is at @{number} already"),
            ));
        }
        let known: Vec<String> = rows
            .iter()
            .map(|row| format!("@{}", row.name.number))
            .collect();
        return rows
            .into_iter()
            .find(|row| row.name.number == number)
            .ok_or_else(|| {
                CommandError::message(
                    Kind::Unmet,
                    format!(
                        "`{template}` has no version @{number}, only {}",
                        known.join(" ")
                    ),
                )
            });
    }
    rows.into_iter()
        .find(|row| row.name.number < head.name.number && row.state == VersionState::Good)
        .ok_or_else(|| {
            CommandError::message(
                Kind::Unmet,
                format!(
                    "`{template}` has no good version before @{}",
                    head.name.number
                ),
            )
            .hint(format!("vzpkg history {template}"))
        })
}
