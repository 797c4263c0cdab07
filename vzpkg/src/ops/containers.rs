//! Containers of this node: joins the rows of the database with the runtime, which knows no store.

use super::journal::StoreObjects;
use super::{node, node_files};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use vzpkg_cache::changes::{self, ChangesInput, PrivateChange};
use vzpkg_cache::store::{ContainerRow, GuardName, Store};
use vzpkg_metadata::template::Template;
use vzpkg_metadata::{ContainerId, Digest, RelPath};
use vzpkg_runtime::HelperCommand;
use vzpkg_runtime::container::{
    self, Ahead, Config, ContainerError, ContainerPaths, ContainerState, NodeFile, RunState,
    Staged, StartSpec, UpperDir, UserNamespace,
};
use vzpkg_runtime::oci::{OciRuntime, RuntimeBinary};
use vzpkg_runtime::rootfs::{self, Lower, Tier};

/// How sandbox and container helpers are started: this program run again.
pub(crate) fn helper() -> HelperCommand {
    HelperCommand::new("/proc/self/exe", [crate::HELPER_VERB])
}

/// Where a container lies.
pub(crate) fn paths(context: &Context, store: &Store, id: &ContainerId) -> ContainerPaths {
    ContainerPaths {
        id: id.clone(),
        private: store.layout.private_area(id),
        root: store.layout.mount_point(id),
        bundle: run_directory(context).join("ct").join(id.as_str()),
    }
}

/// Where everything of this root lies that ends with the machine: its own, for two roots may have a container of one name.
/// Worked out once: a list asks for each of its containers.
fn run_directory(context: &Context) -> &Path {
    context.run_directory.get_or_init(|| {
        let mark = container::root_mark(&node::layout(context).private_areas());
        context.settings.run_directory.join(mark)
    })
}

/// The OCI runtime: the one of the settings, else the first that works here.
///
/// # Errors
/// [`Kind::Environment`] where none works.
pub(crate) fn runtime(context: &Context) -> CommandResult<RuntimeBinary> {
    let named = context.settings.runtime.as_deref().map(Path::new);
    let state = run_directory(context).join("oci");
    // Which runtime works is the same for all roots.
    let memory = &context.settings.run_directory;
    Ok(RuntimeBinary::find(named, &state, memory)?)
}

/// The row of a container.
///
/// # Errors
/// [`Kind::Unmet`] with the names there are.
pub(crate) fn row(store: &Store, typed: &str) -> CommandResult<ContainerRow> {
    let id: ContainerId = typed.parse()?;
    if let Some(row) = store.db.find_container(&id)? {
        return Ok(row);
    }
    let rows = store.db.containers()?;
    let names: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
    let error = CommandError::message(Kind::Unmet, format!("there is no container `{id}`"));
    Err(if names.is_empty() {
        error.hint("create one: vzpkg ct create NAME --template TEMPLATE")
    } else {
        error.hint(format!("there are: {}", names.join(", ")))
    })
}

/// Whether a container runs.
///
/// # Errors
/// [`Kind::Environment`] where the OCI runtime cannot be asked.
pub(crate) fn state(
    context: &Context,
    store: &Store,
    id: &ContainerId,
    runtime: &dyn OciRuntime,
) -> CommandResult<ContainerState> {
    Ok(container::state(&paths(context, store, id), runtime)?)
}

/// How versions are mounted here, as found out once after the machine was started.
///
/// # Errors
/// [`Kind::Environment`] where the store takes no scratch directory.
pub(crate) fn tier(context: &Context, store: &Store) -> CommandResult<Tier> {
    let probe = rootfs::probe_once(&store.layout.store(), &context.settings.run_directory)?;
    Ok(probe.best())
}

/// The version with digest `tree` as the runtime mounts it; a copy as plain files is made where the kernel needs one.
///
/// # Errors
/// [`Kind::Environment`] where the probe or the copy fails.
pub(crate) fn lower(
    context: &Context,
    store: &Store,
    tree: &Digest,
) -> CommandResult<(Tier, Lower)> {
    let tier = tier(context, store)?;
    Ok((tier, store.lower(tree, tier)?))
}

/// The ids of a container, as its row has them.
pub(crate) const fn user_namespace(row: &ContainerRow) -> UserNamespace {
    match row.first_uid {
        0 => UserNamespace::Host,
        first_id => UserNamespace::Private { first_id },
    }
}

/// Makes the private area of a container beside its place, with this configuration, linked to the tree of its row.
///
/// # Errors
/// What the store or the file system says; the row stays.
pub(crate) fn stage(
    context: &Context,
    store: &Store,
    template: &Template,
    row: &ContainerRow,
    config: &Config,
) -> CommandResult<Staged> {
    let machine_id = node_files::new_machine_id()?;
    let files: Vec<NodeFile> = node_files::of(template, &config.hostname, Some(&machine_id))
        .into_iter()
        .map(|file| NodeFile {
            path: RelPath::parse(file.path.as_bytes()).unwrap_or_default(),
            mode: file.mode,
            content: file.content,
        })
        .collect();
    let root = store.images.root(&row.link)?;
    let paths = paths(context, store, &row.id);
    Ok(container::stage(&paths, config, &root, &files)?)
}

/// Paths in a container, as typed: `/etc/motd` or `etc/motd`.
///
/// # Errors
/// [`Kind::Usage`] for one that leads out.
pub(crate) fn inner_paths(typed: &[String]) -> CommandResult<Vec<RelPath>> {
    let parse = |text: &String| {
        let inner = text.trim_matches('/');
        if inner.is_empty() && text.starts_with('/') {
            return Ok(RelPath::root());
        }
        RelPath::parse(inner.as_bytes()).map_err(|_no_path| {
            let what = format!("`{}` is no path in a container", crate::output::clean(text));
            CommandError::message(Kind::Usage, what)
        })
    };
    typed.iter().map(parse).collect()
}

/// What a container has changed.
///
/// # Errors
/// Where its private area or its version cannot be read.
pub(crate) fn changes(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
) -> CommandResult<Vec<PrivateChange>> {
    let tree = store.images.read(&row.link)?;
    let private = UpperDir::open(&paths(context, store, &row.id).upper());
    let private = private.map_err(ContainerError::from)?;
    let upper = private.scan().map_err(ContainerError::from)?;
    let version = store.versions.read(&row.template, &row.os_digest)?;
    Ok(changes::changes(&ChangesInput {
        family: version.lock.family,
        tree: &tree,
        upper: &upper,
        private: &private,
        objects: &StoreObjects(store),
    })?)
}

/// Starts a container and returns the host's pid of its init. An interrupted relink is finished first. `shape` changes
/// its configuration for this run.
///
/// # Errors
/// What the store, the mount or the OCI runtime says.
pub(crate) fn start(
    context: &Context,
    store: &Store,
    id: &ContainerId,
    runtime: &dyn OciRuntime,
    shape: impl FnOnce(&mut Config) -> CommandResult,
) -> CommandResult<u32> {
    let _guard = node::guard(context, store, GuardName::Container(id.clone()))?;
    super::relink::recover(context, store, id)?;
    let row = store.db.container(id)?;
    let mut config = Config::of(&paths(context, store, id))?;
    shape(&mut config)?;
    run(context, store, &row, &config, runtime, None, &|| ())
}

/// As [`start`]; `None` for one that somebody else has started meanwhile.
///
/// # Errors
/// As [`start`].
pub(crate) fn start_unless_running(
    context: &Context,
    store: &Store,
    id: &ContainerId,
    runtime: &dyn OciRuntime,
    shape: impl FnOnce(&mut Config) -> CommandResult,
) -> CommandResult<Option<u32>> {
    let started = start(context, store, id, runtime, shape);
    match started {
        Err(_) if state(context, store, id, runtime)?.state == RunState::Running => Ok(None),
        started => started.map(Some),
    }
}

/// Starts the container of `row`, which nothing was left half done of, with the runtime that was begun while it was made,
/// if there is one; `meanwhile` is called while the runtime is at work. The caller holds its guard.
///
/// # Errors
/// As [`start`].
pub(crate) fn run(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
    config: &Config,
    runtime: &dyn OciRuntime,
    ahead: Option<Ahead<'_>>,
    meanwhile: &(dyn Fn() + Sync),
) -> CommandResult<u32> {
    let (tier, lower) = lower(context, store, &row.link)?;
    let spec = StartSpec {
        tier,
        lower,
        generation: row.generation,
        shared: Some(shared_mounts(context)),
    };
    let paths = paths(context, store, &row.id);
    let started = match ahead {
        Some(ahead) => container::start_new(ahead, &paths, config, &spec, runtime, meanwhile),
        None => container::start_beside(&paths, config, &spec, runtime, meanwhile),
    };
    if let Err(ContainerError::Mount { .. }) = &started {
        // The kernel may have changed its mind since it was asked.
        rootfs::forget_probe(&store.layout.store(), &context.settings.run_directory);
    }
    Ok(started?)
}

/// Unmounts the node's one mount of every version that no running container is linked to.
///
/// # Errors
/// [`Kind::Environment`] where the kernel or the OCI runtime refuses.
pub(crate) fn release_versions(
    context: &Context,
    store: &Store,
    runtime: &dyn OciRuntime,
) -> CommandResult {
    let mut keep = BTreeSet::new();
    for row in store.db.containers()? {
        let state = match container::state(&paths(context, store, &row.id), runtime) {
            // Somebody else has destroyed it meanwhile.
            Err(ContainerError::Unknown(_)) => RunState::Stopped,
            state => state?.state,
        };
        if state != RunState::Stopped {
            keep.insert(row.link);
        }
    }
    rootfs::sweep(&shared_mounts(context), &keep)?;
    Ok(())
}

/// Where the one mount of each version lies. Its files are those of this root: another one may let go of its own.
pub(crate) fn shared_mounts(context: &Context) -> PathBuf {
    run_directory(context).join("versions")
}
