//! `ct commit`: a version of a template of its own from a stopped container.

use super::{containers, names, node, relink};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use vzpkg_cache::changes::{Change, PrivateChange};
use vzpkg_cache::commit::{self, Source, belongs};
use vzpkg_cache::store::{ContainerRow, GuardName, Published, Store, VersionDraft, VersionRecord};
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::template::{Template, TemplateArea};
use vzpkg_metadata::transaction::Transaction;
use vzpkg_metadata::{Digest, TemplateName};
use vzpkg_runtime::container::{self, RunState};
use vzpkg_runtime::oci::OciRuntime;

/// What came of a commit, or would.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The template.
    pub(crate) template: TemplateName,
    /// What goes in.
    pub(crate) taken: Vec<PrivateChange>,
    /// What stays the container's.
    pub(crate) left: Vec<PrivateChange>,
    /// The version; none of a dry run.
    pub(crate) published: Option<Published>,
}

/// Makes the next version of the template `typed` from the container of `row`; with `--dry-run` only says what would go
/// in.
///
/// # Errors
/// [`Kind::Usage`] for a name that is no such template's; [`Kind::Unmet`] where the container runs or has changed nothing
/// that belongs into a version.
pub(crate) fn commit(
    context: &Context,
    store: &Store,
    area: &TemplateArea,
    row: &ContainerRow,
    typed: &TemplateName,
    runtime: &dyn OciRuntime,
) -> CommandResult<Outcome> {
    let (_, from) = node::locate(area, row.template.as_str())?;
    let location = area.committed_location(&from, typed)?;
    let template = location.name()?;
    no_container(store, &template)?;
    let dry_run = context.settings.dry_run;
    let _template = node::guard_to_change(context, store, GuardName::Template(template.clone()))?;
    let _container = node::guard_to_change(context, store, GuardName::Container(row.id.clone()))?;
    if !dry_run {
        relink::recover(context, store, &row.id)?;
    }
    let row = store.db.container(&row.id)?;
    stopped(context, store, &row, runtime)?;
    let changes = containers::changes(context, store, &row)?;
    let changed = changes.iter().filter(|one| one.change != Change::Same);
    let (taken, left): (Vec<_>, Vec<_>) = changed.cloned().partition(belongs);
    if taken.is_empty() {
        let text = format!(
            "container `{}` has changed nothing that belongs into a version",
            row.id
        );
        let hint = format!("vzpkg ct diff {} shows what is its own", row.id);
        return Err(CommandError::message(Kind::Unmet, text).hint(hint));
    }
    let mut outcome = Outcome {
        template,
        taken,
        left,
        published: None,
    };
    if dry_run {
        return Ok(outcome);
    }
    let version = store.versions.read(&row.template, &row.os_digest)?;
    let upper = containers::paths(context, store, &row.id).upper();
    let tree = store.images.read(&row.link)?;
    let source = Source {
        store,
        tree: &tree,
        lock: &version.lock,
        digest: row.link,
        upper: &upper,
        changes: &changes,
    };
    let epoch = context
        .settings
        .source_date_epoch
        .unwrap_or(context.clock.now);
    let made = commit::commit(&source, epoch, context.settings.threads())?;
    node::check_interrupt(context)?;
    // A template that has no version yet is shown by nobody.
    let origin = format!("Committed from container {} on {}", row.id, version.name());
    area.write_committed(&location, &from, &origin)?;
    let loaded = node::load(area, &location)?;
    store.db.reserve(&outcome.template, &made.lock.ids)?;
    let draft = draft(context, store, &row, &loaded, made.digest, made.lock)?;
    outcome.published = Some(store.publish(draft)?);
    Ok(outcome)
}

fn draft(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
    template: &Template,
    digest: Digest,
    lock: Lock,
) -> CommandResult<VersionDraft> {
    let head = store.db.head(&template.name)?;
    Ok(VersionDraft {
        template: template.name.clone(),
        digest,
        parent: Some(head.map_or(row.link, |head| head.digest)),
        transaction: Transaction {
            family: lock.family,
            steps: Vec::new(),
        },
        lock,
        template_digest: template.digest(),
        created: context.clock.now,
        who: node::who(context),
        why: format!("ct commit {}", row.id),
        timings: Vec::new(),
    })
}

/// A container may not have a template's name, nor a template a container's.
fn no_container(store: &Store, template: &TemplateName) -> CommandResult {
    let rows = store.db.containers()?;
    if rows.iter().any(|row| row.id.as_str() == template.as_str()) {
        let text = format!("`{template}` is the name of a container; a template may not have it");
        return Err(CommandError::message(Kind::Usage, text));
    }
    Ok(())
}

/// What a running container writes meanwhile would be half in the version.
fn stopped(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
    runtime: &dyn OciRuntime,
) -> CommandResult {
    let paths = containers::paths(context, store, &row.id);
    if container::state(&paths, runtime)?.state == RunState::Stopped {
        return Ok(());
    }
    let text = format!(
        "container `{}` is running; only a stopped one is committed",
        row.id
    );
    Err(CommandError::message(Kind::Unmet, text).hint(format!(
        "stop it first: vzpkg ct stop {0}; or take a copy that stays stopped: vzpkg ct clone",
        row.id
    )))
}

/// Why a version cannot be brought forward by packages, if it cannot: it has some of which nobody knows the file.
pub(crate) fn why_not_updated(version: &VersionRecord) -> Option<CommandError> {
    let installed = &version.lock.installed;
    let first = installed.first()?;
    let more = match installed.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let name = version.name();
    let text = format!(
        "{name} was committed from a container that had installed {}{more} itself, from where this node does not know",
        first.name
    );
    let template = &name.template;
    Some(CommandError::message(Kind::Unmet, text).hint(format!(
        "update it inside and commit again: vzpkg ct create CT --template {template} --start; its own package manager; \
         vzpkg ct stop CT; vzpkg ct commit CT --as {template}"
    )))
}

/// Refuses to build a template from packages that holds what was committed from containers.
///
/// # Errors
/// [`Kind::Unmet`]
pub(crate) fn refuse_to_build(template: &Template) -> CommandResult {
    if !template.committed {
        return Ok(());
    }
    let name = &template.name;
    let text = format!(
        "versions of `{name}` are committed from containers; from packages alone it would be without what these changed"
    );
    Err(CommandError::message(Kind::Unmet, text).hint(how_to_commit(name)))
}

/// How a version comes into being that no packages make.
pub(crate) fn how_to_commit(template: &TemplateName) -> String {
    format!("make one: vzpkg ct commit CT --as {template}")
}

/// Whether packages can bring a template forward, so that it is among those that are updated without being named.
///
/// # Errors
/// Where the record of its head cannot be read.
pub(crate) fn is_brought_forward(store: &Store, name: &TemplateName) -> CommandResult<bool> {
    let head = names::head(store, name)?;
    let version = store.versions.read(name, &head.digest)?;
    Ok(version.lock.installed.is_empty())
}
