//! A copy of a container: its link, its configuration and its private changes, but an identity of its own.

use super::{containers, node, node_files, relink, rename};
use crate::commands::Context;
use crate::error::CommandResult;
use std::collections::BTreeMap;
use std::fs::Metadata;
use vzpkg_cache::store::{ContainerRow, Store};
use vzpkg_cache::tree::normalize::{self, Why};
use vzpkg_metadata::{ContainerId, RelPath};
use vzpkg_runtime::container::{
    self, Config, ContainerError, ContainerPaths, PrivateSource as _, Treatment, UpperDir,
};
use vzpkg_runtime::oci::OciRuntime;

/// Where dbus keeps its copy of the machine id.
const DBUS_ID: &str = "var/lib/dbus/machine-id";

/// A file of a host name is no longer than this; a longer one is the container's own.
const NODE_FILE_BYTES: u64 = 64 << 10;

/// Copies the stopped container of `row` to the new name `to`. With `--dry-run` only says whether it could.
///
/// # Errors
/// [`crate::error::Kind::Unmet`] where it runs or the name is taken.
pub(crate) fn clone(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
    to: &ContainerId,
    hostname: Option<&str>,
    runtime: &dyn OciRuntime,
) -> CommandResult {
    rename::is_free(context, store, &node::templates(context)?, to)?;
    let _guards = rename::both(context, store, &row.id, to)?;
    if !context.settings.dry_run {
        relink::recover(context, store, &row.id)?;
        rename::make_free(context, store, to)?;
    }
    rename::stopped(context, store, &row.id, runtime)?;
    if context.settings.dry_run {
        return Ok(());
    }
    let row = store.db.container(&row.id)?;
    let wanted = ContainerRow {
        id: to.clone(),
        generation: 1,
        created: context.clock.now,
        ..row.clone()
    };
    let made = if row.first_uid == 0 {
        store.db.insert_container(&wanted)?;
        wanted
    } else {
        store.db.insert_container_with_ids(&wanted)?
    };
    let copied = copy(context, store, &row, &made, hostname, runtime);
    copied.inspect_err(|_| drop(store.db.remove_container(to)))
}

fn copy(
    context: &Context,
    store: &Store,
    row: &ContainerRow,
    made: &ContainerRow,
    hostname: Option<&str>,
    runtime: &dyn OciRuntime,
) -> CommandResult {
    let (from, to) = (
        containers::paths(context, store, &row.id),
        containers::paths(context, store, &made.id),
    );
    let old = Config::of(&from)?;
    let config = Config {
        id: made.id.clone(),
        created: made.created,
        hostname: match hostname {
            Some(hostname) => hostname.to_owned(),
            None if old.hostname == row.id.as_str() => made.id.to_string(),
            None => old.hostname.clone(),
        },
        user_namespace: containers::user_namespace(made),
        ..old.clone()
    };
    let fills = fills(&from, &old.hostname, &config.hostname)?;
    let treat = |path: &RelPath, metadata: &Metadata| treat(&fills, path, metadata);
    Ok(container::duplicate(&from, &to, &config, &treat, runtime)?)
}

/// The files that tell who a container is, as the copy gets them: a new machine id; its host name where the container
/// had not changed that itself.
fn fills(
    from: &ContainerPaths,
    before: &str,
    now: &str,
) -> CommandResult<BTreeMap<RelPath, Vec<u8>>> {
    let upper = UpperDir::open(&from.upper()).map_err(ContainerError::from)?;
    let machine_id = node_files::new_machine_id()?;
    let names = node_files::names(before)
        .into_iter()
        .zip(node_files::names(now));
    let mut fills = BTreeMap::new();
    for (old, new) in names {
        let Ok(path) = RelPath::parse(old.path.as_bytes()) else {
            continue;
        };
        let there = upper.read(&path, NODE_FILE_BYTES);
        if there.is_ok_and(|there| there == old.content) {
            fills.insert(path, new.content);
        }
    }
    let path = RelPath::parse(b"etc/machine-id").unwrap_or_default();
    fills.insert(path, format!("{machine_id}\n").into_bytes());
    Ok(fills)
}

fn treat(fills: &BTreeMap<RelPath, Vec<u8>>, path: &RelPath, metadata: &Metadata) -> Treatment {
    if metadata.is_file()
        && let Some(bytes) = fills.get(path)
    {
        return Treatment::Fill(bytes.clone());
    }
    // Keys and seeds are made at its first start.
    let identity = matches!(
        normalize::why_of(path, metadata.is_dir()),
        Some(Why::PrivateKey | Why::Random)
    );
    let dbus = metadata.is_file() && path.as_bytes() == DBUS_ID.as_bytes();
    if identity || dbus {
        Treatment::Leave
    } else {
        Treatment::Copy
    }
}
