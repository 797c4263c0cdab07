//! `vzpkg hold T PATTERN…` and `vzpkg unhold T PATTERN…`: packages that an update leaves at their version.

use super::{Context, for_each};
use crate::cli::{Hold as Arguments, Unhold};
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{held_back, names, node};
use crate::output::table::Table;
use crate::output::{Tone, clean, day_of, end_of_day, nearest};
use vzpkg_cache::store::{Hold, Store};
use vzpkg_metadata::{PackagePattern, TemplateName};

pub(super) fn run(context: &Context, arguments: &Arguments) -> CommandResult {
    let area = node::templates(context)?;
    if arguments.patterns.is_empty() {
        let store = node::existing_store(context)?;
        let template = names::template_name(Some(&store), &area, &arguments.template)?;
        return print(context, &store, &template);
    }
    let store = node::store_for_writing(context)?;
    let template = names::template_name(Some(&store), &area, &arguments.template)?;
    let until = match &arguments.until {
        Some(text) => Some(last_day(context, text)?),
        None => None,
    };
    for_each(context, &arguments.patterns, |text| {
        let hold = Hold {
            pattern: text.parse()?,
            until,
            reason: arguments.reason.clone().unwrap_or_default(),
            since: context.clock.now,
        };
        warn_if_it_holds_nothing(context, &store, &template, &hold.pattern)?;
        let what = format!("{} of {template}{}", hold.pattern, held_back::terms(&hold));
        if context.settings.dry_run {
            context.printer.status(Tone::Plain, "Would hold", what);
            return Ok(());
        }
        let mut before = store.db.holds(&template)?;
        before.retain(|other| other.pattern == hold.pattern);
        store.db.hold(&template, &hold)?;
        context.printer.status(Tone::Good, "Held", what);
        context.printer.undo(match before.first() {
            Some(before) => command(&template, before),
            None => format!("vzpkg unhold {template} '{}'", hold.pattern),
        });
        Ok(())
    })
}

pub(super) fn release(context: &Context, arguments: &Unhold) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let template = names::template_name(Some(&store), &area, &arguments.template)?;
    for_each(context, &arguments.patterns, |text| {
        let pattern: PackagePattern = text.parse()?;
        let holds = store.db.holds(&template)?;
        let Some(hold) = holds.iter().find(|hold| hold.pattern == pattern) else {
            return Err(unknown(&template, &pattern, &holds));
        };
        let what = format!("{pattern} of {template}");
        if context.settings.dry_run {
            context.printer.status(Tone::Plain, "Would let go", what);
            return Ok(());
        }
        store.db.unhold(&template, &pattern)?;
        context.printer.status(Tone::Good, "Let go", what);
        context.printer.undo(command(&template, hold));
        Ok(())
    })
}

fn unknown(template: &TemplateName, pattern: &PackagePattern, holds: &[Hold]) -> CommandError {
    let text = format!("`{template}` has no hold on `{pattern}`");
    let error = CommandError::message(Kind::Unmet, text);
    let patterns: Vec<&str> = holds.iter().map(|hold| hold.pattern.as_str()).collect();
    match nearest::of(pattern.as_str(), patterns.iter().copied()) {
        Some(near) => error.hint(format!("did you mean '{near}'?")),
        None if patterns.is_empty() => error.hint("it has none at all"),
        None => error.hint(format!("it has holds on {}", patterns.join(", "))),
    }
}

/// The command that makes this hold.
fn command(template: &TemplateName, hold: &Hold) -> String {
    let mut text = format!("vzpkg hold {template} '{}'", hold.pattern);
    if let Some(until) = hold.until {
        text.push_str(&format!(" --until {}", day_of(until - 1)));
    }
    if !hold.reason.is_empty() {
        let quoted = clean(&hold.reason).replace('\'', "'\\''");
        text.push_str(&format!(" --reason '{quoted}'"));
    }
    text
}

/// The first second after the day that `text` names.
fn last_day(context: &Context, text: &str) -> CommandResult<i64> {
    let end = end_of_day(text).ok_or_else(|| {
        CommandError::message(Kind::Usage, format!("`{text}` is no date"))
            .hint("write the last day of the hold: --until 2026-12-31")
    })?;
    if end <= context.clock.now {
        let text = format!("`{text}` is over: such a hold would hold nothing");
        return Err(CommandError::message(Kind::Usage, text));
    }
    Ok(end)
}

/// A hold on what is not there is allowed, for it may come; but it may be a mistake in typing as well.
fn warn_if_it_holds_nothing(
    context: &Context,
    store: &Store,
    template: &TemplateName,
    pattern: &PackagePattern,
) -> CommandResult {
    let Some(head) = store.db.head(template)? else {
        return Ok(());
    };
    let record = store.versions.read(template, &head.digest)?;
    let packages = &record.lock.packages;
    if packages
        .iter()
        .any(|package| pattern.matches(&package.name))
    {
        return Ok(());
    }
    let names = packages.iter().map(|package| package.name.as_str());
    let near = nearest::of(pattern.as_str(), names)
        .map_or_else(String::new, |near| format!("; did you mean {near}?"));
    let text = format!("no package of {} is called `{pattern}`{near}", head.name);
    context.printer.warning(text);
    Ok(())
}

fn print(context: &Context, store: &Store, template: &TemplateName) -> CommandResult {
    let holds = store.db.holds(template)?;
    let now = context.clock.now;
    if context.printer.is_json() {
        let documents: Vec<_> = holds
            .iter()
            .map(|hold| held_back::document(hold, now))
            .collect();
        let holds = serde_json::json!({ "template": template, "holds": documents });
        context.printer.json("holds", holds);
        return Ok(());
    }
    if holds.is_empty() {
        context
            .printer
            .note(format_args!("no package of {template} is held"));
        return Ok(());
    }
    let mut table = Table::with_header(["PATTERN", "UNTIL", "REASON"]);
    for hold in &holds {
        let until = hold
            .until
            .map_or_else(String::new, |until| day_of(until - 1));
        let over = if hold.is_active(now) { "" } else { " (over)" };
        let reason = clean(&hold.reason);
        table.row([hold.pattern.to_string(), format!("{until}{over}"), reason]);
    }
    context.printer.result(table.render());
    Ok(())
}
