//! `vzpkg rollback TEMPLATE|CT`: back to an earlier version.

use super::{Context, ct, followers};
use crate::cli::{CtRollback, Rollback};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::followers::Way;
use crate::ops::names::{self, Object};
use crate::ops::node;
use crate::output::Tone;
use vzpkg_cache::store::{GuardName, Store, VersionRow, VersionState};
use vzpkg_metadata::template::TemplateArea;
use vzpkg_metadata::{TemplateName, VersionNumber};

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
                    to: arguments.to.clone(),
                    restart: arguments.restart,
                },
            )
        }
        Object::Template(template) => {
            roll_template_back(context, &store, &template, arguments, &area)
        }
    }
}

fn roll_template_back(
    context: &Context,
    store: &Store,
    template: &TemplateName,
    arguments: &Rollback,
    area: &TemplateArea,
) -> CommandResult {
    let _guard = node::guard_to_change(context, store, GuardName::Template(template.clone()))?;
    let head = names::head(store, template)?;
    let target = match &arguments.to {
        Some(text) => names::version_of(store, area, template, text)?,
        None => good_one_before(store, template, &head)?,
    };
    let (from, to) = (head.name.number, target.name.number);
    if from == to {
        return Err(CommandError::message(
            Kind::Unmet,
            format!("`{template}` is at @{to} already"),
        ));
    }
    let moved = format!("{template} from @{from} to @{to}");
    let way = if to < from { Way::Back } else { Way::Forward };
    if context.settings.dry_run {
        context.printer.status(
            Tone::Plain,
            "Would move",
            format_args!("the head of {moved}"),
        );
        return follow(context, store, &target, way, from, arguments);
    }
    let reason = arguments.reason.clone().unwrap_or_default();
    store.db.roll_back(&target.name, &reason)?;
    let verb = if to < from { "Rolled back" } else { "Moved" };
    context.printer.status(Tone::Good, verb, moved);
    if !arguments.follow.containers {
        let undo = format_args!("vzpkg rollback {template} --to {from}");
        context.printer.undo(undo);
    }
    follow(context, store, &target, way, from, arguments)
}

/// Takes the containers along, if that is asked for.
fn follow(
    context: &Context,
    store: &Store,
    target: &VersionRow,
    way: Way,
    from: VersionNumber,
    arguments: &Rollback,
) -> CommandResult {
    if !arguments.follow.containers {
        return Ok(());
    }
    let template = &target.name.template;
    let undo = format!("vzpkg rollback {template} --to {from} --containers");
    let (options, restart) = (&arguments.follow, arguments.restart);
    let undo = Some(undo.as_str());
    followers::take_along(context, store, target, way, options, restart, undo)
}

/// The newest good version before the head.
fn good_one_before(
    store: &Store,
    template: &TemplateName,
    head: &VersionRow,
) -> CommandResult<VersionRow> {
    let rows = store.db.versions(template)?;
    let before = |row: &VersionRow| row.name.number < head.name.number;
    rows.into_iter()
        .rfind(|row| before(row) && row.state == VersionState::Good)
        .ok_or_else(|| {
            let text = format!(
                "`{template}` has no good version before @{}",
                head.name.number
            );
            CommandError::message(Kind::Unmet, text).hint(format!(
                "vzpkg history {template} shows all; a bad one is taken if it is named: --to N"
            ))
        })
}
