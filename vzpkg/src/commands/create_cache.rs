//! `vzpkg create-cache T…`: the first version of templates.

use super::build_job::Job;
use super::{Context, for_each};
use crate::cli::CreateCache;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::as_of::{self, Judged};
use crate::ops::{commit, node, refresh_index};
use crate::output::progress::Progress;
use crate::output::{Tone, duration};
use std::sync::Arc;
use std::time::Instant;
use vzpkg_cache::store::{GuardName, Published, Store};
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
    let locations = match (&store, arguments.templates.is_empty()) {
        (store, true) => uncached(store.as_ref(), &area)?,
        (_, false) => arguments
            .templates
            .iter()
            .map(|typed| Ok(node::locate(&area, typed)?.1))
            .collect::<CommandResult<_>>()?,
    };
    let lock = arguments.lock.as_deref().map(read_lock).transpose()?;
    if lock.is_some() && locations.len() != 1 {
        return Err(CommandError::message(
            Kind::Usage,
            "`--lock` builds exactly one template; name it",
        ));
    }
    let threads = arguments
        .threads
        .unwrap_or_else(|| context.settings.threads());
    let moment = arguments.as_of.as_deref().map(as_of::moment).transpose()?;
    for_each(context, locations, |location| {
        let mut template = node::load(&area, &location)?;
        let past = moment.as_ref();
        let past = past.map(|moment| as_of::apply(context, &mut template, moment));
        let how = How {
            lock: lock.as_ref(),
            past: past.transpose()?.unwrap_or_default(),
            threads,
        };
        create(context, store.as_ref(), &template, how)
    })
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
    let How {
        lock,
        past,
        threads,
    } = how;
    let started = Instant::now();
    if let Some(store) = store
        && let Some(head) = store.db.head(&template.name)?
        && lock.is_none()
    {
        context.printer.status(
            Tone::Plain,
            "Present",
            format_args!(
                "{} is built; `vzpkg update {}` makes the next",
                head.name, template.name
            ),
        );
        return Ok(());
    }
    commit::refuse_to_build(template)?;
    let guard = GuardName::Template(template.name.clone());
    let _guard = match store {
        Some(store) => node::guard_to_change(context, store, guard)?,
        None => None,
    };
    let progress = Arc::new(Progress::new(&context.settings, context.printer));
    let client = refresh_index::client_of_past(context, &progress, past);
    progress.stage("Reading", None);
    progress.advance(0, "repository metadata");
    let repositories = refresh_index::load(&client, template)?;
    progress.stage("Resolving", None);
    let job = Job {
        context,
        store,
        template,
        client: &client,
        progress: &progress,
        repositories: &repositories,
        threads,
    };
    let published = match lock {
        Some(lock) => job.replay(lock)?,
        None => job.bootstrap()?,
    };
    if let Some(published) = published {
        announce(context, &published, started);
        if matches!(published, Published::New(_)) {
            let undo = format!("vzpkg remove-cache {}", published.record().name());
            context.printer.undo(undo);
        }
    }
    Ok(())
}

/// `Built debian-13-x86_64@1, 110 packages, in 4.1 s`, and how to use it.
pub(super) fn announce(context: &Context, published: &Published, started: Instant) {
    let record = published.record();
    match published {
        Published::New(_) => {
            let what = format!(
                "{}: {} packages, in {}, tree {}",
                record.name(),
                record.lock.packages.len(),
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
    if context.printer.is_json() {
        context.printer.json("version", serde_json::json!({
            "version": record.name().to_string(), "digest": record.digest, "new": matches!(published, Published::New(_)),
            "packages": record.lock.packages.len(), "timings": record.timings,
        }));
    }
}

/// OS templates that have no version yet.
fn uncached(store: Option<&Store>, area: &TemplateArea) -> CommandResult<Vec<TemplateLocation>> {
    let mut found = Vec::new();
    for location in area.list()? {
        let built = match store {
            Some(store) => store.db.head(&location.name()?)?.is_some(),
            None => false,
        };
        if location.is_base() && !built {
            found.push(location);
        }
    }
    Ok(found)
}

/// The named templates; without names every OS template that has a version.
///
/// # Errors
/// Unknown names.
pub(super) fn named_or_cached(
    store: &Store,
    area: &TemplateArea,
    typed: &[String],
) -> CommandResult<Vec<TemplateLocation>> {
    if !typed.is_empty() {
        return typed
            .iter()
            .map(|typed| Ok(node::locate(area, typed)?.1))
            .collect();
    }
    let rows = store.db.templates()?.into_iter();
    let names = rows.filter(|row| row.head.is_some()).map(|row| row.name);
    let mut found = Vec::new();
    for name in names {
        if commit::is_brought_forward(store, &name)? {
            found.push(area.resolve(&name)?);
        }
    }
    Ok(found)
}
