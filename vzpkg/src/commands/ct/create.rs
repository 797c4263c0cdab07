//! `vzpkg ct create CT --template T`: a private area and a link; milliseconds, and a few KiB.

use super::Context;
use crate::cli::{CtCreate, UserNamespace};
use crate::error::CommandResult;
use crate::ops::{containers, names, node, rename, shape};
use crate::output::Tone;
use std::thread;
use vzpkg_cache::store::{ContainerRow, Follow, GuardName, Store, VersionRow};
use vzpkg_metadata::name::Which;
use vzpkg_metadata::template::TemplateArea;
use vzpkg_metadata::{ContainerId, VersionReference};
use vzpkg_runtime::container::{self, Config, Network, Placed};

pub(super) fn run(context: &Context, arguments: &CtCreate) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let area = node::templates(context)?;
    let id: ContainerId = arguments.name.parse()?;
    rename::is_free(context, &store, &area, &id)?;
    if arguments.user_namespace == UserNamespace::Host {
        context
            .printer
            .warning("root in this container is root on the host (--user-namespace host)");
    }
    let version = names::version(&store, &area, &arguments.template, None)?;
    let wanted = wanted(context, &id, arguments)?;
    if context.settings.dry_run {
        context.printer.status(
            Tone::Plain,
            "Would create",
            format_args!("{id} on {}", version.name),
        );
        return Ok(());
    }
    let _guard = node::guard(context, &store, GuardName::Container(id.clone()))?;
    let job = Job {
        context,
        store: &store,
        area: &area,
        version: &version,
        arguments,
        wanted: &wanted,
    };
    let started = if arguments.start {
        Some(job.create_and_start()?)
    } else {
        job.create(|| Ok(()))?.placed.settle()?;
        None
    };
    context.printer.status(
        Tone::Good,
        "Created",
        format_args!("{id} on {}", version.name),
    );
    // It is there whatever comes of its start.
    let force = if matches!(started, Some(Ok(_))) {
        "--force "
    } else {
        ""
    };
    let undo = format_args!("vzpkg ct destroy {force}{id}");
    context.printer.undo(undo);
    match started {
        Some(pid) => {
            let text = format!("{id}, init is pid {}", pid?);
            context.printer.status(Tone::Good, "Started", text);
        }
        None => context
            .printer
            .note(format_args!("   start it: vzpkg ct start {id}")),
    }
    Ok(())
}

/// The configuration that was asked for, but for its ids, which are not known yet.
fn wanted(context: &Context, id: &ContainerId, arguments: &CtCreate) -> CommandResult<Config> {
    let users = container::UserNamespace::Host;
    let mut config = Config::new(id.clone(), context.clock.now, users);
    config.network = Network::Host;
    if let Some(hostname) = &arguments.hostname {
        config.hostname.clone_from(hostname);
    }
    shape::limit(&mut config, &arguments.limits)?;
    shape::surround(&mut config, &arguments.surroundings, &context.settings.root)?;
    Ok(config)
}

/// A container that may be used, and is not durable before it has settled.
struct Made {
    row: ContainerRow,
    config: Config,
    placed: Placed,
}

/// What is to be made. The caller holds the container's guard.
struct Job<'a> {
    context: &'a Context,
    store: &'a Store,
    area: &'a TemplateArea,
    version: &'a VersionRow,
    arguments: &'a CtCreate,
    wanted: &'a Config,
}

impl Job<'_> {
    /// The OCI runtime loads while the container is made, and the disk is waited for while it starts. The inner result is
    /// that of the start: the container is there whatever that is.
    fn create_and_start(&self) -> CommandResult<CommandResult<u32>> {
        let (context, store) = (self.context, self.store);
        let runtime = containers::runtime(context)?;
        let paths = containers::paths(context, store, &self.wanted.id);
        thread::scope(|scope| {
            let mut ahead = None;
            let made = self.create(|| {
                ahead = container::Ahead::begin_new(scope, &paths, &runtime)?;
                Ok(())
            });
            let made = match made {
                Ok(made) => made,
                Err(error) => {
                    // Without it nothing was begun, and a container of this name may be another's.
                    if let Some(ahead) = ahead {
                        ahead.give_up();
                        drop(container::clear(&paths, &runtime));
                    }
                    return Err(error);
                }
            };
            let (row, config, placed) = (&made.row, &made.config, made.placed);
            let meanwhile = || placed.begin();
            let started = containers::run(context, store, row, config, &runtime, ahead, &meanwhile);
            placed.settle()?;
            Ok(started)
        })
    }

    /// The row reserves the ids, then the private area is filled and put in its place; the disk is waited for at the end. A
    /// row whose private area never was is what a kill in between leaves: the next `ct create` of that name starts over.
    /// `reserved` is called when there is a row.
    fn create(&self, reserved: impl FnOnce() -> CommandResult) -> CommandResult<Made> {
        let (context, store) = (self.context, self.store);
        let id = &self.wanted.id;
        rename::make_free(context, store, id)?;
        let row = new_row(context, id, self.version, self.arguments)?;
        let own_ids = self.arguments.user_namespace == UserNamespace::Private;
        let (row, unsynced) = store.db.insert_container_unsynced(&row, own_ids)?;
        let config = Config {
            user_namespace: containers::user_namespace(&row),
            ..self.wanted.clone()
        };
        let place = || {
            reserved()?;
            let name = self.version.name.template.as_str();
            let (_, location) = node::locate(self.area, name)?;
            let template = node::load(self.area, &location)?;
            let staged = containers::stage(context, store, &template, &row, &config)?;
            Ok(staged.put_in_place(|| unsynced.sync())?)
        };
        match place() {
            Ok(placed) => Ok(Made {
                row,
                config,
                placed,
            }),
            Err(error) => {
                drop(store.db.remove_container(id));
                Err(error)
            }
        }
    }
}

fn new_row(
    context: &Context,
    id: &ContainerId,
    version: &VersionRow,
    arguments: &CtCreate,
) -> CommandResult<ContainerRow> {
    let reference: VersionReference = arguments.template.parse()?;
    let pinned = reference.which != Which::Head;
    Ok(ContainerRow {
        id: id.clone(),
        template: version.name.template.clone(),
        link: version.digest,
        generation: 1,
        os_digest: version.digest,
        follow: if pinned { Follow::Pinned } else { Follow::Head },
        applications: Vec::new(),
        packages: Vec::new(),
        first_uid: 0,
        created: context.clock.now,
    })
}
