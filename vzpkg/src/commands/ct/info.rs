//! `vzpkg ct info CT`

use super::{Context, list};
use crate::cli::CtInfo;
use crate::error::CommandResult;
use crate::ops::{containers, node, shape};
use crate::output::{clean, duration, local_time};
use std::path::Path;
use vzpkg_cache::store::ContainerRow;
use vzpkg_metadata::ByteSize;
use vzpkg_runtime::container::{Config, ContainerPaths, ContainerState};

pub(super) fn run(context: &Context, arguments: &CtInfo) -> CommandResult {
    let found = find(context, &arguments.name)?;
    if context.printer.is_json() {
        context.printer.json("container", found.document());
        return Ok(());
    }
    let text: Vec<String> = found
        .lines()
        .iter()
        .map(|(label, value)| format!("{label:<13} {value}"))
        .collect();
    context.printer.result(text.join("\n"));
    Ok(())
}

/// What is known of a container, as `ct info` has it in JSON.
///
/// # Errors
/// Where there is none of this name.
pub(in crate::commands) fn document(
    context: &Context,
    name: &str,
) -> CommandResult<serde_json::Value> {
    Ok(find(context, name)?.document())
}

fn find(context: &Context, name: &str) -> CommandResult<Found> {
    let store = node::existing_store(context)?;
    let row = containers::row(&store, name)?;
    let runtime = containers::runtime(context).ok();
    let state =
        runtime.and_then(|runtime| containers::state(context, &store, &row.id, &runtime).ok());
    let paths = containers::paths(context, &store, &row.id);
    Ok(Found {
        version: list::version(&store, &row),
        // Only root may read it.
        config: Config::of(&paths).ok(),
        row,
        state,
        paths,
    })
}

/// What was found of one container.
struct Found {
    row: ContainerRow,
    version: String,
    state: Option<ContainerState>,
    paths: ContainerPaths,
    config: Option<Config>,
}

impl Found {
    fn document(&self) -> serde_json::Value {
        let mut document = list::document(&self.row, &self.version, self.state.as_ref());
        let config = self.config.as_ref();
        document["private_area"] = serde_json::json!(self.paths.private);
        document["private_bytes"] = serde_json::json!(private_size(&self.paths.upper()));
        document["limits"] = serde_json::json!(config.map(|config| &config.limits));
        document["environment"] = serde_json::json!(config.map(|config| &config.environment));
        document["mounts"] = serde_json::json!(config.map(|config| &config.binds));
        document["network"] = serde_json::json!(config.map(|config| config.network));
        document
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let Self {
            row,
            version,
            state,
            paths,
            config,
        } = self;
        let user_ids = if row.first_uid == 0 {
            "the host's".to_owned()
        } else {
            format!("{} to {}", row.first_uid, u64::from(row.first_uid) + 65_535)
        };
        let mut lines = vec![
            ("name", row.id.to_string()),
            ("state", list::shown(state.as_ref()).to_owned()),
            ("version", format!("{version} ({})", list::follow(row))),
            ("digest", row.link.to_string()),
            ("created", local_time(row.created)),
            ("private area", paths.private.display().to_string()),
            ("private size", private_size(&paths.upper()).to_string()),
            ("user ids", user_ids),
        ];
        if let Some(state) = state {
            lines.extend(state.pid.map(|pid| ("pid", pid.to_string())));
            lines.extend(state.uptime.map(|uptime| ("up", duration(uptime))));
        }
        if let Some(config) = config {
            lines.push(("network", shape::network(config.network).to_owned()));
            let limits = shape::limits_of(config).into_iter();
            lines.extend(limits.filter(|(_, limit)| limit != "max"));
            let variables = config.environment.iter();
            lines.extend(variables.map(|(name, value)| ("env", clean(&format!("{name}={value}")))));
            let binds = config.binds.iter();
            lines.extend(binds.map(|bind| ("mount", clean(&shape::shown(bind)))));
        }
        lines
    }
}

/// The bytes on disk of everything below `directory`.
fn private_size(directory: &Path) -> ByteSize {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = directory.symlink_metadata() else {
        return ByteSize(0);
    };
    let own = ByteSize(metadata.blocks() * 512);
    if !metadata.is_dir() {
        return own;
    }
    let below = std::fs::read_dir(directory).into_iter().flatten().flatten();
    std::iter::once(own)
        .chain(below.map(|entry| private_size(&entry.path())))
        .sum()
}
