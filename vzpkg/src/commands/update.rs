//! `vzpkg update [T|CT…]`: new versions of templates beside the old ones; containers to the newest version.

use super::{Context, create_cache, ct, for_each};
use crate::cli::Update;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::build_version::{self, Files, Order};
use crate::ops::names::{self, Object};
use crate::ops::plan::{self, Goal};
use crate::ops::{containers, node, refresh_index};
use crate::output::Tone;
use crate::output::progress::Progress;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use vzpkg_cache::store::{GuardName, Published, Store, VersionRecord, VersionState};
use vzpkg_metadata::TemplateName;
use vzpkg_metadata::template::{Template, TemplateArea};
use vzpkg_metadata::transaction::Transaction;

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
    if transaction.is_empty() {
        context.printer.status(
            Tone::Plain,
            "Unchanged",
            format_args!("{} is up to date", head.name),
        );
        return Ok(());
    }
    if let Some(bad) = known_bad(store, &base, &template, &transaction)? {
        let what = format!("{name}: the update would make {bad} again, which was marked bad");
        return Err(CommandError::message(Kind::Unmet, what).hint(format!(
            "use it all the same: vzpkg rollback {name} --to {}",
            bad.number
        )));
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
        create_cache::print_plan(context, &template, &transaction, download);
        return Ok(());
    }
    let order = Order {
        template: &template,
        repositories: &repositories,
        base: (!arguments.rebuild).then(|| base.as_base()),
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
        context
            .printer
            .note(format_args!("        undo: vzpkg rollback {name}"));
    }
    Ok(())
}

/// A version marked bad that has exactly the packages this transaction would make.
fn known_bad(
    store: &Store,
    base: &VersionRecord,
    template: &Template,
    transaction: &Transaction,
) -> CommandResult<Option<vzpkg_metadata::VersionName>> {
    let packages = base.lock.after(transaction).packages;
    for row in store.db.versions(&base.template)? {
        if matches!(row.state, VersionState::Bad(_)) {
            let record = store.versions.read(&base.template, &row.digest)?;
            let same = record
                .lock
                .packages
                .iter()
                .map(|package| package.sha256)
                .eq(packages.iter().map(|package| package.sha256));
            if same && record.template_digest == template.digest() {
                return Ok(Some(row.name));
            }
        }
    }
    Ok(None)
}
