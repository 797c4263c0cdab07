//! `vzpkg update [T|CT…]`: new versions of templates beside the old ones; containers to the newest version.

use super::{Context, create_cache, ct, for_each};
use crate::cli::Update;
use crate::error::CommandResult;
use crate::ops::build_version::{self, Files, Order};
use crate::ops::names::{self, Object};
use crate::ops::plan::{self, Goal};
use crate::ops::{containers, held_back, node, refresh_index, rolled_back};
use crate::output::Tone;
use crate::output::progress::Progress;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use vzpkg_cache::store::{GuardName, Published, Store, VersionRow, VersionState};
use vzpkg_metadata::TemplateName;
use vzpkg_metadata::template::TemplateArea;

pub(super) fn run(context: &Context, arguments: &Update) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let objects: Vec<Object> = if arguments.objects.is_empty() {
        let templates = store
            .db
            .templates()?
            .into_iter()
            .filter(|row| row.head.is_some());
        templates.map(|row| Object::Template(row.name)).collect()
    } else {
        arguments
            .objects
            .iter()
            .map(|typed| names::object(&store, &area, typed))
            .collect::<CommandResult<_>>()?
    };
    if objects.is_empty() {
        context
            .printer
            .note("no template has a version yet; build one: vzpkg create-cache TEMPLATE");
    }
    for_each(context, objects, |object| match object {
        Object::Template(template) => update_template(context, &store, &area, &template, arguments),
        Object::Container(id) => {
            let row = store.db.container(&id)?;
            let head = names::head(&store, &row.template)?;
            ct::relink_one(context, &store, &row, &head, &containers::runtime(context)?)
        }
    })
}

fn update_template(
    context: &Context,
    store: &Store,
    area: &TemplateArea,
    name: &TemplateName,
    arguments: &Update,
) -> CommandResult {
    let started = Instant::now();
    let _guard = if context.settings.dry_run {
        None
    } else {
        Some(node::guard(
            context,
            store,
            GuardName::Template(name.clone()),
        )?)
    };
    let (_, location) = node::locate(area, name.as_str())?;
    let template = node::load(area, &location)?;
    let head = names::head(store, name)?;
    let base = store.versions.read(name, &head.digest)?;
    let progress = Arc::new(Progress::new(&context.settings, context.printer));
    let client = refresh_index::client(context, &progress);
    progress.stage("Reading", None);
    let repositories = refresh_index::load(&client, &template)?;
    progress.stage("Resolving", None);
    let goal = if arguments.rebuild {
        Goal::Bootstrap
    } else {
        Goal::Update(&base)
    };
    let transaction = plan::transaction(context, Some(store), &template, &repositories, goal)?;
    progress.end_stage();
    let held = held_back::find(
        &store.db.holds(name)?,
        &base.lock,
        &repositories,
        context.clock.now,
    );
    for held in &held {
        context.printer.status(Tone::Plain, "Held back", held);
    }
    if transaction.is_empty() {
        context.printer.status(
            Tone::Plain,
            "Unchanged",
            format_args!("{} is up to date", head.name),
        );
        return Ok(());
    }
    let on = (!arguments.rebuild).then_some(&base);
    let result = rolled_back::lock_after(&template, on, &transaction);
    if let Some(bad) = rolled_back::find(store, &template, &result)? {
        return leave_or_take_again(context, store, &head, &bad, arguments.again);
    }
    let files = if arguments.rebuild {
        Files::AsNeeded
    } else {
        Files::All
    };
    let download = build_version::to_download(store, &transaction, files);
    let changes = super::history::changes(&transaction);
    context.printer.status(
        Tone::Plain,
        "Resolved",
        format_args!("{name}: {changes} ({download} to download)"),
    );
    if context.settings.dry_run {
        create_cache::print_plan(context, &template, &transaction, download, &held);
        return Ok(());
    }
    let order = Order {
        template: &template,
        repositories: &repositories,
        base: on.map(|base| base.as_base()),
        parent: Some(base.digest),
        transaction: &transaction,
        epoch: build_version::epoch(context, &repositories),
        ids: &BTreeMap::new(),
        threads: arguments.threads.unwrap_or(context.settings.threads),
        why: if arguments.rebuild {
            "update --rebuild"
        } else {
            "update"
        },
    };
    let published = build_version::build(context, store, &client, &progress, &order)?;
    create_cache::announce(context, &published, started);
    if matches!(published, Published::New(_)) {
        let before = head.name.number;
        context
            .printer
            .undo(format_args!("vzpkg rollback {name} --to {before}"));
    }
    Ok(())
}

/// What an update would make is there and was rolled back: it is left alone, or made the head again.
fn leave_or_take_again(
    context: &Context,
    store: &Store,
    head: &VersionRow,
    bad: &VersionRow,
    again: bool,
) -> CommandResult {
    let template = &bad.name.template;
    if !again {
        let why = rolled_back::describe(bad);
        let what = format!("{template}: nothing to do, an update would make {why}");
        context.printer.status(Tone::Plain, "Unchanged", what);
        let hint = format!("take it all the same: vzpkg update {template} --again");
        context.printer.note(format_args!("{:>12} {hint}", ""));
        return Ok(());
    }
    let moved = format!(
        "{template} from @{} to @{} again",
        head.name.number, bad.name.number
    );
    if context.settings.dry_run {
        context.printer.status(Tone::Plain, "Would move", moved);
        return Ok(());
    }
    store.db.set_state(&bad.name, &VersionState::Good)?;
    store.db.set_head(&bad.name)?;
    context.printer.status(Tone::Good, "Moved", moved);
    context.printer.undo(format_args!(
        "vzpkg rollback {template} --to {}",
        head.name.number
    ));
    Ok(())
}
