//! `vzpkg ct info CT`

use super::{Context, list};
use crate::cli::CtInfo;
use crate::error::CommandResult;
use crate::ops::{containers, node, shape};
use crate::output::{clean, duration, local_time};
use std::path::Path;
use vzpkg_metadata::ByteSize;
use vzpkg_runtime::container::Config;

pub(super) fn run(context: &Context, arguments: &CtInfo) -> CommandResult {
    let store = node::existing_store(context)?;
    let row = containers::row(&store, &arguments.name)?;
    let runtime = containers::runtime(context).ok();
    let state =
        runtime.and_then(|runtime| containers::state(context, &store, &row.id, &runtime).ok());
    let paths = containers::paths(context, &store, &row.id);
    // Only root may read it.
    let config = Config::of(&paths).ok();
    if context.printer.is_json() {
        let mut document = list::document(&row, &list::version(&store, &row), state.as_ref());
        document["limits"] = serde_json::json!(config.as_ref().map(|config| &config.limits));
        document["environment"] =
            serde_json::json!(config.as_ref().map(|config| &config.environment));
        document["mounts"] = serde_json::json!(config.as_ref().map(|config| &config.binds));
        document["network"] = serde_json::json!(config.as_ref().map(|config| config.network));
        context.printer.json("container", document);
        return Ok(());
    }
    let mut lines = vec![
        ("name", row.id.to_string()),
        ("state", list::shown(state.as_ref()).to_owned()),
        (
            "version",
            format!("{} ({})", list::version(&store, &row), list::follow(&row)),
        ),
        ("digest", row.link.to_string()),
        ("created", local_time(row.created)),
        ("private area", paths.private.display().to_string()),
        ("private size", private_size(&paths.upper()).to_string()),
        (
            "user ids",
            if row.first_uid == 0 {
                "the host's".to_owned()
            } else {
                format!("{} to {}", row.first_uid, u64::from(row.first_uid) + 65_535)
            },
        ),
    ];
    if let Some(state) = state {
        lines.extend(state.pid.map(|pid| ("pid", pid.to_string())));
        lines.extend(state.uptime.map(|uptime| ("up", duration(uptime))));
    }
    if let Some(config) = &config {
        lines.push(("network", shape::network(config.network).to_owned()));
        let limits = shape::limits_of(config).into_iter();
        lines.extend(limits.filter(|(_, limit)| limit != "max"));
        let variables = config.environment.iter();
        lines.extend(variables.map(|(name, value)| ("env", clean(&format!("{name}={value}")))));
        lines.extend(
            config
                .binds
                .iter()
                .map(|bind| ("mount", clean(&shape::shown(bind)))),
        );
    }
    let text: Vec<String> = lines
        .iter()
        .map(|(label, value)| format!("{label:<13} {value}"))
        .collect();
    context.printer.result(text.join("\n"));
    Ok(())
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
