//! `vzpkg ct set CT`: another shape for a container; limits at once, everything else with its next start.

use super::Context;
use crate::cli::CtSet;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{containers, node, relink, shape};
use crate::output::{Tone, quoted};
use vzpkg_cache::store::GuardName;
use vzpkg_runtime::container::{self, Changed, Config};

pub(super) fn run(context: &Context, arguments: &CtSet) -> CommandResult {
    if arguments.is_empty() {
        let text = "nothing is said of what to change";
        return Err(CommandError::message(Kind::Usage, text)
            .hint("as in: vzpkg ct set CT --memory 1G; all options: vzpkg ct set --help"));
    }
    let store = node::store_for_writing(context)?;
    let row = containers::row(&store, &arguments.name)?;
    let runtime = containers::runtime(context)?;
    let guard = GuardName::Container(row.id.clone());
    let _guard = node::guard_to_change(context, &store, guard)?;
    if !context.settings.dry_run {
        relink::recover(context, &store, &row.id)?;
    }
    let paths = containers::paths(context, &store, &row.id);
    let old = Config::of(&paths)?;
    let new = changed(context, &old, arguments)?;
    let changes = changes(&old, &new);
    if changes.is_empty() {
        context.printer.status(
            Tone::Plain,
            "Unchanged",
            format_args!("{} is so already", row.id),
        );
        return Ok(());
    }
    let said: Vec<&str> = changes.iter().map(|change| change.said.as_str()).collect();
    let said = format!("{}: {}", row.id, said.join(", "));
    if context.settings.dry_run {
        context.printer.status(Tone::Plain, "Would change", said);
        return Ok(());
    }
    let done = container::set(&paths, &new, &runtime)?;
    context.printer.status(Tone::Good, "Changed", said);
    let waits = changes.iter().any(|change| !change.at_once);
    if done == Changed::Running && waits {
        let note = "what is no limit holds from its next start on";
        context.printer.note(format_args!(
            "{:>12} {note}: vzpkg ct restart {}",
            "", row.id
        ));
    }
    let back: Vec<&str> = changes.iter().map(|change| change.back.as_str()).collect();
    let undo = format_args!("vzpkg ct set {} {}", row.id, back.join(" "));
    context.printer.undo(undo);
    Ok(())
}

fn changed(context: &Context, old: &Config, arguments: &CtSet) -> CommandResult<Config> {
    let mut new = old.clone();
    shape::limit(&mut new, &arguments.limits)?;
    for name in &arguments.unset_env {
        if new.environment.remove(name).is_none() {
            let text = format!("`{name}` is no variable of container `{}`", old.id);
            return Err(CommandError::message(Kind::Unmet, text));
        }
    }
    for target in &arguments.unmount {
        let place = shape::place(target)?;
        let before = new.binds.len();
        new.binds.retain(|bind| bind.target != place);
        if new.binds.len() == before {
            let text = format!(
                "nothing of this node shows at `{target}` of container `{}`",
                old.id
            );
            return Err(CommandError::message(Kind::Unmet, text));
        }
    }
    shape::surround(&mut new, &arguments.surroundings, &context.settings.root)?;
    Ok(new)
}

/// One thing that changes.
struct Change {
    said: String,
    /// The options that take it back.
    back: String,
    at_once: bool,
}

fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    let limits = shape::limits_of(old).into_iter().zip(shape::limits_of(new));
    for ((option, old), (_, new)) in limits.filter(|((_, old), (_, new))| old != new) {
        changes.push(Change {
            said: format!("{option} {new} instead of {old}"),
            back: format!("--{option} {old}"),
            at_once: true,
        });
    }
    let names = old.environment.keys().chain(new.environment.keys());
    for name in names.collect::<std::collections::BTreeSet<_>>() {
        let (old, new) = (old.environment.get(name), new.environment.get(name));
        if old != new {
            let back = match old {
                Some(value) => format!("--env {}", quoted(&format!("{name}={value}"))),
                None => format!("--unset-env {}", quoted(name)),
            };
            let said = match new {
                Some(value) => format!("{name}={value}"),
                None => format!("no {name}"),
            };
            changes.push(later(said, back));
        }
    }
    for bind in new.binds.iter().filter(|bind| !old.binds.contains(bind)) {
        let before = old.binds.iter().find(|other| other.target == bind.target);
        let back = before.map_or_else(
            || format!("--unmount {}", quoted(&bind.target.display().to_string())),
            |before| format!("--mount {}", quoted(&shape::shown(before))),
        );
        changes.push(later(shape::shown(bind), back));
    }
    for bind in &old.binds {
        if !new.binds.iter().any(|other| other.target == bind.target) {
            let back = format!("--mount {}", quoted(&shape::shown(bind)));
            changes.push(later(format!("nothing at {}", bind.target.display()), back));
        }
    }
    if old.network != new.network {
        let word = shape::network;
        let said = format!("network {}", word(new.network));
        changes.push(later(said, format!("--net {}", word(old.network))));
    }
    changes
}

fn later(said: String, back: String) -> Change {
    Change {
        said,
        back,
        at_once: false,
    }
}
