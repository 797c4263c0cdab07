//! `vzpkg create-cache T…`: the first version of templates.

use super::build_job::Job;
use super::documents::Documents;
use super::{Context, for_each, print_plan};
use crate::cli::CreateCache;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::as_of::{self, Judged};
use crate::ops::{commit, node, refresh_index};
use crate::output::progress::Progress;
use crate::output::{Tone, counted, duration};
use std::sync::Arc;
use std::time::Instant;
use vzpkg_cache::store::{GuardName, Published, Store, VersionRecord, VersionRow};
use vzpkg_metadata::ByteSize;
use vzpkg_metadata::durable;
use vzpkg_metadata::limits;
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::template::{Template, TemplateArea, TemplateLocation};

pub(super) fn run(context: &Context, arguments: &CreateCache) -> CommandResult {
    let area = node::templates(context)?;
    let store = if context.settings.dry_run {
        node::store_for_reading(context)?
    } else {
        Some(node::store_for_writing(context)?)
    };
    let names = if arguments.templates.is_empty() {
        let found = uncached(store.as_ref(), &area)?;
        if found.is_empty() {
            let text = "the default set of every OS template has a version; name what to build";
            context.printer.note(text);
        }
        found
    } else {
        arguments.templates.clone()
    };
    let lock = arguments.lock.as_deref().map(read_lock).transpose()?;
    if lock.is_some() && names.len() != 1 {
        return Err(CommandError::message(
            Kind::Usage,
            "`--lock` builds exactly one template; name it",
        ));
    }
    let threads = arguments
        .threads
        .unwrap_or_else(|| context.settings.threads());
    let moment = arguments.as_of.as_deref().map(as_of::moment).transpose()?;
    let several = names.len() > 1;
    let documents = Documents::new(context, arguments.templates.len());
    let done = for_each(context, names, |name| {
        let work = || {
            let (_, location) = node::locate(&area, &name)?;
            refuse_application(&location)?;
            let mut template = node::load(&area, &location)?;
            let past = moment.as_ref();
            let past = past.map(|moment| as_of::apply(context, &mut template, moment));
            let how = How {
                documents: &documents,
                lock: lock.as_ref(),
                past: past.transpose()?.unwrap_or_default(),
                threads,
            };
            create(context, store.as_ref(), &template, how)
        };
        work().map_err(|error| if several { error.about(&name) } else { error })
    });
    documents.finish(schema(context));
    done
}

/// What the documents of verbs that build are: plans in a dry run, else versions.
pub(super) const fn schema(context: &Context) -> &'static str {
    if context.settings.dry_run {
        "plan"
    } else {
        "version"
    }
}

/// What an application adds to an OS template is not built yet.
fn refuse_application(location: &TemplateLocation) -> CommandResult {
    if location.application().is_none() {
        return Ok(());
    }
    let (name, os) = (location.name()?, location.base().name()?);
    let text = format!("`{name}` is an application template, and applications are not built yet");
    Err(CommandError::message(Kind::Unmet, text).hint(format!(
        "its packages can be those of a set of the OS template: vzpkg new-template {os}-SET"
    )))
}

/// The lock in a file.
///
/// # Errors
/// [`Kind::Usage`] for a file that is none.
pub(super) fn read_lock(path: &std::path::Path) -> CommandResult<Lock> {
    let bytes = durable::read_file(path, limits::LOCK_BYTES)?;
    Ok(String::from_utf8_lossy(&bytes).parse()?)
}

/// How one template is built.
struct How<'a> {
    /// Where is told what became of it.
    documents: &'a Documents<'a>,
    lock: Option<&'a Lock>,
    /// Past states that its repositories were put back to.
    past: Judged,
    threads: usize,
}

fn create(
    context: &Context,
    store: Option<&Store>,
    template: &Template,
    how: How<'_>,
) -> CommandResult {
    let started = Instant::now();
    let (documents, replays) = (how.documents, how.lock.is_some());
    let head = || store.map_or(Ok(None), |store| store.db.head(&template.name));
    if let (Some(store), Some(head), false) = (store, head()?, replays) {
        return tell_present(documents, store, template, &head);
    }
    commit::refuse_to_build(template)?;
    let guard = GuardName::Template(template.name.clone());
    let _guard = match store {
        Some(store) => node::guard_to_change(context, store, guard)?,
        None => None,
    };
    // Whoever was waited for may have built it.
    let before = head()?;
    if let (Some(store), Some(head), false) = (store, &before, replays) {
        return tell_present(documents, store, template, head);
    }
    if let Some(published) = build(context, store, template, how)? {
        announce(documents, &published, started);
        tell_head(context, before.as_ref(), &published);
    }
    Ok(())
}

/// The version that was made or found; none of a dry run.
fn build(
    context: &Context,
    store: Option<&Store>,
    template: &Template,
    how: How<'_>,
) -> CommandResult<Option<Published>> {
    let progress = Arc::new(Progress::new(&context.settings, context.printer));
    let client = refresh_index::client_of_past(context, &progress, how.past);
    progress.stage("Reading", None);
    progress.advance(0, "repository metadata");
    let repositories = refresh_index::load(&client, template)?;
    progress.stage("Resolving", None);
    let job = Job {
        context,
        documents: how.documents,
        store,
        template,
        client: &client,
        progress: &progress,
        repositories: &repositories,
        threads: how.threads,
    };
    match how.lock {
        Some(lock) => job.replay(lock),
        None => job.bootstrap(),
    }
}

/// There is a version, so nothing is done.
fn tell_present(
    documents: &Documents<'_>,
    store: &Store,
    template: &Template,
    head: &VersionRow,
) -> CommandResult {
    let (context, name) = (documents.context, &head.name);
    let what = format_args!("{name} is built");
    context.printer.status(Tone::Plain, "Present", what);
    let next = format_args!("{:>12} the next one: vzpkg update {}", "", template.name);
    context.printer.note(next);
    if context.settings.dry_run {
        let nothing = print_plan::nothing(template.family);
        let download = ByteSize::default();
        print_plan::print(documents, template, &nothing, download, &[]);
    } else if context.printer.is_json() {
        let record = store.versions.read(&name.template, &head.digest)?;
        documents.add(|| document(&record, false));
    }
    Ok(())
}

/// How the head goes back to what it was `before`, or that it stayed there.
fn tell_head(context: &Context, before: Option<&VersionRow>, published: &Published) {
    let printer = context.printer;
    let made = published.record().name();
    let template = &made.template;
    let before = before.map(|head| head.name.number);
    match (published, before) {
        (Published::New(_), None) => printer.undo(format_args!("vzpkg remove-cache {made}")),
        (Published::New(_), Some(before)) => {
            printer.undo(format_args!("vzpkg rollback {template} --to {before}"));
        }
        (Published::Unchanged(_), Some(before)) if before != made.number => {
            let to = made.number;
            let hint = format!("`vzpkg rollback {template} --to {to}` makes {made} the head");
            printer.note(format_args!(
                "{:>12} the head stays {template}@{before}; {hint}",
                ""
            ));
        }
        (Published::Unchanged(_), _) => {}
    }
}

/// `Built debian-13-x86_64@1, 110 packages, in 4.1 s`, and how to use it.
pub(super) fn announce(documents: &Documents<'_>, published: &Published, started: Instant) {
    let context = documents.context;
    let record = published.record();
    match published {
        Published::New(_) => {
            let what = format!(
                "{}: {}, in {}, tree {}",
                record.name(),
                counted(record.lock.packages.len(), "package"),
                duration(started.elapsed()),
                record.digest.short()
            );
            context.printer.status(Tone::Good, "Built", what);
        }
        Published::Unchanged(_) => {
            context.printer.status(
                Tone::Plain,
                "Unchanged",
                format_args!("the build equals {}; no new version", record.name()),
            );
        }
    }
    if context.printer.is_verbose() {
        let timings: Vec<String> = record
            .timings
            .iter()
            .map(|timing| format!("{} {} ms", timing.step, timing.milliseconds))
            .collect();
        context
            .printer
            .status(Tone::Plain, "Timing", timings.join(", "));
    }
    documents.add(|| document(record, matches!(published, Published::New(_))));
}

/// A version as the result of a build, which may have found it there.
pub(super) fn document(record: &VersionRecord, new: bool) -> serde_json::Value {
    serde_json::json!({
        "version": record.name().to_string(), "digest": record.digest, "new": new,
        "packages": record.lock.packages.len(), "timings": record.timings,
    })
}

/// The OS templates, in their default sets, that have no version yet.
fn uncached(store: Option<&Store>, area: &TemplateArea) -> CommandResult<Vec<String>> {
    let mut found = Vec::new();
    for location in area.list()?.into_iter().filter(TemplateLocation::is_base) {
        let name = location.name()?;
        let head = match store {
            Some(store) => store.db.head(&name)?,
            None => None,
        };
        if head.is_none() {
            found.push(name.to_string());
        }
    }
    Ok(found)
}

/// What was named; without names every template that has a version which packages can bring forward. Whether they are
/// known is for the work on each of them to find, so that one that is not does not keep the others.
///
/// # Errors
/// Where the database cannot be read.
pub(super) fn named_or_cached(store: &Store, typed: &[String]) -> CommandResult<Vec<String>> {
    if !typed.is_empty() {
        return Ok(typed.to_vec());
    }
    let rows = store.db.templates()?.into_iter();
    let names = rows.filter(|row| row.head.is_some()).map(|row| row.name);
    // One whose record cannot be read fails where it is worked on.
    Ok(names
        .filter(|name| commit::is_brought_forward(store, name).unwrap_or(true))
        .map(|name| name.to_string())
        .collect())
}
