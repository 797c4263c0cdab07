//! Moving a running container: plan and try again while it changes under the plan, services that are tied to the version
//! stopped and started, and what a person wants to know before and after.

use super::journal::{Journal, StoreObjects};
use super::readings::Readings;
use super::relink::{Direction, plan};
use super::{containers, node};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use vzpkg_cache::merge::MergeReport;
use vzpkg_cache::store::{ContainerRow, Follow, Store};
use vzpkg_cache::tree::diff::diff;
use vzpkg_metadata::{Digest, RelPath};
use vzpkg_runtime::HelperCommand;
use vzpkg_runtime::container::live::{self, LiveTarget, Manager, Moved, Process, Watch};
use vzpkg_runtime::container::{
    self, Config, ContainerPaths, Link, RelinkError, RelinkTools, RunState, StartSpec, UpperDir,
};
use vzpkg_runtime::oci::OciRuntime;

/// How often a plan is made again because the container changed what it was made from.
const ATTEMPTS: u32 = 8;

/// What is to be said about a running container besides the merge.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// How long it stood still; nothing in a plan.
    pub(crate) pause: Option<Duration>,
    /// Services that were stopped and started, or would be.
    pub(crate) restarted: Vec<String>,
    /// Processes that stand in the way; only in a plan.
    pub(crate) bound: Vec<Process>,
    /// Services and processes that use files of the version before which the new one changed.
    pub(crate) old: BTreeSet<String>,
    /// Why not every service that was stopped runs again, though the container has moved.
    pub(crate) failed: Option<CommandError>,
}

/// A running container on its way.
struct Journey<'a> {
    context: &'a Context,
    readings: &'a Readings<'a>,
    row: &'a ContainerRow,
    paths: &'a ContainerPaths,
    config: Config,
    runtime: &'a dyn OciRuntime,
    helper: HelperCommand,
    init: u32,
    /// Which way it goes.
    direction: Direction<'a>,
    /// The tree it goes to; none where that is not made yet.
    to: Option<Digest>,
    /// Stopped by us.
    stopped: Vec<String>,
}

/// Moves a running container to the tree `to`, unless nothing would come of it; with `--dry-run` only judges. Services
/// that tie it are stopped and started with `restart`; without it, they are what the refusal names.
///
/// # Errors
/// [`Kind::Unmet`] where the container is tied or cannot be merged. That services do not start again is in
/// [`Live::failed`], for it has moved then.
pub(crate) fn move_running(
    context: &Context,
    readings: &Readings<'_>,
    row: &ContainerRow,
    to: Digest,
    direction: Direction<'_>,
    (restart, init): (bool, u32),
    runtime: &dyn OciRuntime,
) -> CommandResult<Option<(MergeReport, Live)>> {
    let paths = containers::paths(context, readings.store, &row.id);
    let config = Config::of(&paths)?;
    let mut journey = Journey {
        context,
        readings,
        row,
        paths: &paths,
        config,
        runtime,
        helper: containers::helper(),
        init,
        direction,
        to: Some(to),
        stopped: Vec::new(),
    };
    let moved = journey.go(to, restart);
    // Whatever came of it.
    let started = journey.start_again();
    let mut moved = moved?;
    match &mut moved {
        Some((_, live)) => live.failed = started.err(),
        None => started?,
    }
    Ok(moved)
}

/// Fails where a container that runs could go to no other version, whatever that has in it.
///
/// # Errors
/// [`Kind::Unmet`] with what ties it.
pub(crate) fn would_be_tied(
    context: &Context,
    readings: &Readings<'_>,
    row: &ContainerRow,
    restart: bool,
    runtime: &dyn OciRuntime,
) -> CommandResult {
    let paths = containers::paths(context, readings.store, &row.id);
    let now = container::state(&paths, runtime)?;
    let (RunState::Running, Some(init)) = (now.state, now.pid) else {
        return Ok(());
    };
    let journey = Journey {
        context,
        readings,
        row,
        paths: &paths,
        config: Config::of(&paths)?,
        runtime,
        helper: containers::helper(),
        init,
        direction: Direction::Forward,
        to: None,
        stopped: Vec::new(),
    };
    let seen = live::census(&paths, init, &container::RelinkPlan::default())?;
    journey.may_stop(&bound_of(&seen), restart)
}

/// Those that stand in the way.
fn bound_of(seen: &[Process]) -> Vec<Process> {
    seen.iter().filter(|one| one.is_bound()).cloned().collect()
}

impl Journey<'_> {
    fn go(&mut self, to: Digest, restart: bool) -> CommandResult<Option<(MergeReport, Live)>> {
        let (store, direction) = (self.readings.store, self.direction);
        let from = Link {
            tree: self.row.link,
            generation: self.row.generation,
        };
        let (tier, lower) = containers::lower(self.context, store, &to)?;
        let version = StartSpec {
            tier,
            lower,
            generation: from.generation + 1,
            shared: Some(containers::shared_mounts(self.context)),
        };
        let trees = self.readings.trees(&from.tree, &to)?;
        let differing: BTreeSet<RelPath> = diff(&trees.from, &trees.to)
            .into_iter()
            .map(|difference| difference.path)
            .collect();
        let judged = self.judged(&differing, from, direction)?;
        let mut why = None;
        for _ in 0..ATTEMPTS {
            node::check_interrupt(self.context)?;
            let upper =
                UpperDir::open(&self.paths.upper()).map_err(container::ContainerError::from)?;
            let watch = Watch::new(&upper, &judged).map_err(|error| self.unreadable(&error))?;
            let merged = plan(self.readings, self.row, self.paths, from, &trees, direction)?;
            super::relink::no_obstacle(&self.row.id, &merged.report)?;
            if direction.is_idle(&merged.plan) {
                return Ok(None);
            }
            let seen = live::census(self.paths, self.init, &merged.plan)?;
            let bound = bound_of(&seen);
            if self.context.settings.dry_run {
                self.may_stop(&bound, restart)?;
                let foreseen = self.foreseen(bound, &seen, &differing);
                return Ok(Some((merged.report, foreseen)));
            }
            if !bound.is_empty() {
                self.stop_services(&bound, restart)?;
                continue;
            }
            let (objects, journal) = (StoreObjects(store), Journal(&store.db));
            let tools = RelinkTools {
                objects: &objects,
                journal: &journal,
            };
            let target = self.target(&version);
            match live::relink_running(&target, from, to, &merged.plan, watch, &tools) {
                Ok(moved) => {
                    let live = self.outcome(&moved, &differing)?;
                    return Ok(Some((merged.report, live)));
                }
                Err(RelinkError::Bound { processes, .. }) => {
                    self.stop_services(&processes, restart)?;
                }
                Err(error @ RelinkError::Changed { .. }) => why = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(why.map_or_else(
            || self.tied(&[], "its services come back as fast as they are stopped"),
            CommandError::from,
        ))
    }

    /// Every path whose private entry the plan depends on.
    fn judged(
        &self,
        differing: &BTreeSet<RelPath>,
        from: Link,
        direction: Direction<'_>,
    ) -> CommandResult<BTreeSet<RelPath>> {
        let mut judged = differing.clone();
        match direction {
            Direction::Forward => {}
            Direction::Back => {
                let record = container::undo_record(self.paths, from)?;
                judged.extend(record.before.into_iter().map(|entry| entry.path));
            }
            Direction::Reset(_) => {
                let upper = UpperDir::open(&self.paths.upper());
                let upper = upper.and_then(|upper| upper.scan());
                let upper = upper.map_err(container::ContainerError::from)?;
                judged.extend(upper.entries.into_keys());
            }
        }
        Ok(judged)
    }

    fn target<'a>(&'a self, version: &'a StartSpec) -> LiveTarget<'a> {
        LiveTarget {
            paths: self.paths,
            config: &self.config,
            version,
            helper: &self.helper,
            runtime: self.runtime,
        }
    }

    fn unreadable(&self, error: &std::io::Error) -> CommandError {
        let what = format!("the private area of container `{}`: {error}", self.row.id);
        CommandError::message(Kind::Environment, what)
    }

    /// Whether the services of tied processes may be stopped: refused where one belongs to none, or without `restart`.
    fn may_stop(&self, bound: &[Process], restart: bool) -> CommandResult {
        if bound.is_empty() {
            return Ok(());
        }
        if !restart {
            return Err(self.tied(bound, "processes work in the version it stands on"));
        }
        let is_homeless = |process: &Process| live::service_of(self.init, process).is_none();
        if bound.iter().any(is_homeless) {
            return Err(self.tied(bound, "a process of no service is in the way"));
        }
        Ok(())
    }

    /// Stops the services of tied processes.
    fn stop_services(&mut self, bound: &[Process], restart: bool) -> CommandResult {
        self.may_stop(bound, restart)?;
        let services = self.services_of(bound);
        for service in &services {
            if !self.stopped.contains(service) {
                self.stopped.push(service.clone());
            }
        }
        // Before they are stopped: whoever comes after a crash starts them.
        remember(self.paths, &self.stopped)?;
        live::tell(
            self.paths,
            &self.config,
            self.runtime,
            self.manager(),
            "stop",
            &services,
        )?;
        Ok(())
    }

    /// The services that processes belong to, each once, sorted.
    fn services_of(&self, processes: &[Process]) -> Vec<String> {
        let services: BTreeSet<String> = processes
            .iter()
            .filter_map(|process| live::service_of(self.init, process))
            .collect();
        services.into_iter().collect()
    }

    fn manager(&self) -> Manager {
        live::manager(self.init)
    }

    /// Why it cannot be relinked while it runs, with everything that is in the way and what helps.
    fn tied(&self, bound: &[Process], why: &str) -> CommandError {
        let mut text = format!(
            "container `{}`: no {} while it runs: {why}",
            self.row.id,
            self.direction.verb()
        );
        for process in bound {
            let bonds: Vec<String> = process.bonds.iter().map(ToString::to_string).collect();
            let service = live::service_of(self.init, process);
            let service = service.unwrap_or_else(|| "no service".to_owned());
            text.push_str(&format!(
                "\n    {process} ({service}): {}",
                bonds.join(", ")
            ));
        }
        let homeless = bound
            .iter()
            .any(|process| live::service_of(self.init, process).is_none());
        let id = &self.row.id;
        let hint = if homeless {
            format!("end the processes of no service, or stop the container: vzpkg ct stop {id}")
        } else {
            format!("restart these services with it: {}", self.with_restart())
        };
        CommandError::message(Kind::Unmet, crate::output::clean(&text)).hint(hint)
    }

    /// The command that goes the same way and restarts services.
    fn with_restart(&self) -> String {
        let mut command = format!(
            "vzpkg ct {} --restart {}",
            self.direction.verb(),
            self.row.id
        );
        match (self.direction, self.to) {
            (Direction::Forward, Some(to)) => command.push_str(&self.unless_it_is_meant(&to)),
            (Direction::Reset(paths), _) => {
                for path in paths {
                    let path = crate::output::quoted(&format!("/{path}"));
                    command.push_str(&format!(" {path}"));
                }
            }
            (Direction::Forward, None) | (Direction::Back, _) => {}
        }
        command
    }

    /// ` --to N`, unless the container goes there without it.
    fn unless_it_is_meant(&self, to: &Digest) -> String {
        let (db, row) = (&self.readings.store.db, self.row);
        let head = db.head(&row.template).ok().flatten();
        if row.follow == Follow::Head && head.is_some_and(|head| head.digest == *to) {
            return String::new();
        }
        let versions = db.versions_with(to).unwrap_or_default();
        let names = versions.into_iter().map(|version| version.name);
        names
            .filter(|name| name.template == row.template)
            .map(|name| format!(" --to {}", name.number))
            .next_back()
            .unwrap_or_default()
    }

    /// What a plan says.
    fn foreseen(
        &self,
        bound: Vec<Process>,
        seen: &[Process],
        differing: &BTreeSet<RelPath>,
    ) -> Live {
        Live {
            restarted: self.services_of(&bound),
            bound,
            old: self.old(seen, differing),
            ..Live::default()
        }
    }

    /// What there is to say afterwards.
    fn outcome(&self, moved: &Moved, differing: &BTreeSet<RelPath>) -> CommandResult<Live> {
        let seen = live::census(self.paths, self.init, &container::RelinkPlan::default())?;
        Ok(Live {
            pause: Some(moved.pause),
            restarted: self.stopped.clone(),
            bound: Vec::new(),
            old: self.old(&seen, differing),
            failed: None,
        })
    }

    /// Services, or processes of none, that use a file of an earlier version of which there is another now.
    fn old(&self, seen: &[Process], differing: &BTreeSet<RelPath>) -> BTreeSet<String> {
        let is_other = |path: &String| {
            let path = path.trim_start_matches('/').trim_end_matches(" (deleted)");
            RelPath::parse(path.as_bytes()).is_ok_and(|path| differing.contains(&path))
        };
        seen.iter()
            .filter(|process| process.old.iter().any(is_other))
            .map(|process| {
                let service = live::service_of(self.init, process);
                service.unwrap_or_else(|| format!("process {process}"))
            })
            .filter(|service| !self.stopped.contains(service))
            .collect()
    }

    /// Starts what was stopped.
    fn start_again(&self) -> CommandResult {
        if self.stopped.is_empty() {
            return Ok(());
        }
        start(
            self.paths,
            &self.config,
            self.runtime,
            self.init,
            &self.stopped,
        )
    }
}

fn start(
    paths: &ContainerPaths,
    config: &Config,
    runtime: &dyn OciRuntime,
    init: u32,
    services: &[String],
) -> CommandResult {
    let manager = live::manager(init);
    if manager == Manager::Systemd {
        // Their units may be others now.
        live::tell(paths, config, runtime, manager, "daemon-reload", &[])?;
    }
    let started = live::tell(paths, config, runtime, manager, "start", services)?;
    drop(std::fs::remove_file(note(paths)));
    if started {
        return Ok(());
    }
    let what = format!(
        "container `{}`: not every service started again: {}",
        paths.id,
        services.join(" ")
    );
    let hint = format!(
        "vzpkg ct exec {} -- systemctl status {}",
        paths.id,
        services.join(" ")
    );
    Err(CommandError::message(Kind::Script, what).hint(hint))
}

/// Names the services to be started by whoever comes after a crash; gone with the run of the container.
fn note(paths: &ContainerPaths) -> PathBuf {
    paths.bundle.join("services-to-start")
}

fn remember(paths: &ContainerPaths, services: &[String]) -> CommandResult {
    let note = note(paths);
    let written = vzpkg_metadata::durable::write_file(&note, 0o600, services.join("\n").as_bytes());
    Ok(written?)
}

/// After a crash: finishes or undoes a live relink, starts the services that it had stopped, settles an earlier one.
///
/// # Errors
/// Where it cannot be finished.
pub(crate) fn recover(
    context: &Context,
    store: &Store,
    paths: &ContainerPaths,
    tools: &RelinkTools<'_>,
) -> CommandResult<container::Recovered> {
    let mut recovered = container::Recovered::Nothing;
    let unfinished = live::unfinished(&paths.id, tools)?;
    let services = vzpkg_metadata::durable::read_file(&note(paths), 1 << 16).ok();
    if unfinished.is_none() && services.is_none() && !live::is_unsettled(paths) {
        return Ok(recovered);
    }
    let runtime = containers::runtime(context)?;
    let config = Config::of(paths)?;
    let row = store.db.container(&paths.id)?;
    let (tree, generation) = unfinished.unwrap_or((row.link, row.generation));
    let (tier, lower) = containers::lower(context, store, &tree)?;
    let version = StartSpec {
        tier,
        lower,
        generation,
        shared: Some(containers::shared_mounts(context)),
    };
    let helper = containers::helper();
    let target = LiveTarget {
        paths,
        config: &config,
        version: &version,
        helper: &helper,
        runtime: &runtime,
    };
    if unfinished.is_some() {
        recovered = live::recover_live(&target, tools)?;
    }
    if let Some(services) = services
        && let Some(init) = container::state(paths, &runtime)?.pid
    {
        let services = String::from_utf8_lossy(&services);
        let services: Vec<String> = services.lines().map(str::to_owned).collect();
        start(paths, &config, &runtime, init, &services)?;
    }
    live::settle(&target)?;
    Ok(recovered)
}
