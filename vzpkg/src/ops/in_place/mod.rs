//! `--in-place`: a running container gets the packages of another version from its own package manager, with this node's
//! files, and stays linked where it is. For what no relink can do: rpm's database changed in the container, or packages
//! that do not fit together from outside.
//!
//! ```text
//! ask     what the container has                                           ask
//! judge   what was done between the two versions and it lacks              judge
//! files   the packages by hash: those that are here, else fetched          files
//! run     handed in, installed, removed what was dropped, looked at        inside
//! ```

mod ask;
mod files;
mod inside;
mod judge;

use super::{containers, node, relink};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use inside::Inside;
use judge::{Judged, Present};
use std::collections::BTreeSet;
use vzpkg_cache::merge::ReportLine;
use vzpkg_cache::store::{GuardName, Store, VersionRecord, VersionRow};
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::template::TemplateArea;
use vzpkg_metadata::transaction::{Action, PackageRef, Step, Transaction};
use vzpkg_metadata::{ByteSize, ContainerId, VersionName};
use vzpkg_runtime::container::{self, Config, ContainerError, RunState};
use vzpkg_runtime::oci::OciRuntime;

/// What was done in a container, or would be.
#[derive(Debug)]
pub(crate) struct InPlace {
    /// The version that it stays on.
    pub(crate) on: VersionName,
    /// What its package manager did.
    pub(crate) transaction: Transaction,
    /// What it has otherwise and keeps.
    pub(crate) kept: Vec<ReportLine>,
    /// What had to be fetched, or would have to be.
    pub(crate) download: ByteSize,
    /// Whether something that an earlier run had begun was left to finish.
    pub(crate) unfinished: bool,
}

impl InPlace {
    /// Whether there was nothing to do.
    pub(crate) const fn is_idle(&self) -> bool {
        self.transaction.steps.is_empty() && !self.unfinished
    }
}

/// Has the package manager of a running container bring it to the packages of `target`; with `--dry-run` only asks it.
/// The container is held throughout.
///
/// # Errors
/// [`Kind::Unmet`] where it does not run, and where the packages of `target` are not known or nowhere; [`Kind::Script`]
/// where its package manager fails.
pub(crate) fn update(
    context: &Context,
    store: &Store,
    area: &TemplateArea,
    id: &ContainerId,
    target: &VersionRow,
    runtime: &dyn OciRuntime,
) -> CommandResult<InPlace> {
    let _guard = node::guard_to_change(context, store, GuardName::Container(id.clone()))?;
    if !context.settings.dry_run {
        relink::recover(context, store, id)?;
    }
    let row = store.db.container(id)?;
    let paths = containers::paths(context, store, id);
    if container::state(&paths, runtime)?.state != RunState::Running {
        return Err(ContainerError::NotRunning(id.clone()).into());
    }
    let from = store.versions.read(&row.template, &row.os_digest)?;
    let to = store.versions.read(&row.template, &target.digest)?;
    check_known(&from.lock, &to)?;
    let config = Config::of(&paths)?;
    let inside = Inside {
        paths: &paths,
        config: &config,
        runtime,
        family: to.lock.family,
        arch: &to.lock.arch,
    };
    let present = inside.packages()?;
    let Judged { transaction, kept } = judge::judge(&from.lock, &to.lock, &present);
    let every = super::build_version::Files::All;
    let done = InPlace {
        on: from.name(),
        download: super::build_version::to_download(store, &transaction, every),
        unfinished: present.iter().any(|package| !package.whole),
        transaction,
        kept,
    };
    if !context.settings.dry_run && !done.is_idle() {
        let files = files::fetch(context, store, area, &to, &done.transaction)?;
        let worked = carry_out(context, &inside, &from.lock, &done.transaction, &files);
        let cleared = inside.clear();
        worked.and(cleared)?;
    }
    Ok(done)
}

/// A version with packages of which nobody has the files cannot be made elsewhere.
fn check_known(from: &Lock, to: &VersionRecord) -> CommandResult {
    let mut unknown = to.lock.installed.difference(&from.installed);
    let Some(package) = unknown.next() else {
        return Ok(());
    };
    let text = format!(
        "{} was committed from a container that had installed {package} itself, and its file is nowhere",
        to.name()
    );
    Err(CommandError::message(Kind::Unmet, text)
        .hint("install it in the container, or relink to that version"))
}

fn carry_out(
    context: &Context,
    inside: &Inside<'_>,
    from: &Lock,
    transaction: &Transaction,
    files: &inside::Files,
) -> CommandResult {
    inside.clear()?;
    for (sha256, path) in files {
        node::check_interrupt(context)?;
        inside.hand_in(sha256, path)?;
    }
    node::check_interrupt(context)?;
    let before: BTreeSet<&str> = from.packages.iter().map(|of| of.name.as_str()).collect();
    // What comes beside a package of its name does not take its place: a kernel, or one of another architecture.
    let is_beside =
        |step: &Step| step.action == Action::Install && before.contains(step.package.name.as_str());
    let packages = |beside: bool| -> Vec<&PackageRef> {
        let steps = transaction.incoming();
        let steps = steps.filter(|step| is_beside(step) == beside);
        steps.map(|step| &step.package).collect()
    };
    inside.install(&packages(false), &packages(true))?;
    // What comes may have taken some of it away.
    let dropped = transaction.removed().map(|step| &step.package);
    let now = inside.packages()?;
    let dropped: Vec<&PackageRef> = dropped.filter(|package| has(&now, package)).collect();
    inside.remove(&dropped)?;
    inside.check()?;
    check_done(inside, transaction)
}

fn has(present: &[Present], package: &PackageRef) -> bool {
    let (name, arch) = (package.name.as_str(), package.arch.as_str());
    present.iter().any(|of| of.is(name, &package.version, arch))
}

/// A package manager that ended well may have done something else.
fn check_done(inside: &Inside<'_>, transaction: &Transaction) -> CommandResult {
    let now = inside.packages()?;
    let mut missing = transaction.incoming().map(|step| &step.package);
    match missing.find(|package| !has(&now, package)) {
        None => Ok(()),
        Some(package) => {
            let id = &inside.paths.id;
            let text = format!("{package} is not in container `{id}` after all");
            Err(CommandError::message(Kind::Script, text)
                .hint(format!("look into it: vzpkg ct enter {id}")))
        }
    }
}
