//! `vzpkg clean`: removes downloads and metadata that can be fetched again.

use super::Context;
use crate::cli::Clean;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{mirrors, node};
use crate::output::Tone;
use std::path::Path;
use vzpkg_metadata::ByteSize;
use vzpkg_metadata::durable::FileError;

pub(super) fn run(context: &Context, arguments: &Clean) -> CommandResult {
    let store = node::store_for_writing(context)?;
    let packages = arguments.all || arguments.packages || !arguments.metadata;
    let metadata = arguments.all || arguments.metadata;
    if packages {
        let mirrored = mirrors::roots(context)?.downloads;
        let stays = |name: &str| {
            let digest = name
                .split('.')
                .next()
                .and_then(|digest| digest.parse().ok());
            digest.is_some_and(|digest| mirrored.contains(&digest))
        };
        empty(context, &store.layout.packages(), "packages", &stays)?;
    }
    if metadata {
        // Forgetting how new the repositories were seen would let a mirror replay old states.
        let stays = |name: &str| name.starts_with("newest-seen");
        empty(context, &store.layout.index(), "metadata", &stays)?;
    }
    Ok(())
}

/// Removes everything in a directory but what `stays`, by its name.
fn empty(
    context: &Context,
    directory: &Path,
    what: &str,
    stays: &dyn Fn(&str) -> bool,
) -> CommandResult {
    let failed = |operation, path: &Path| {
        let path = path.to_owned();
        move |source| CommandError::new(Kind::Environment, FileError::on(operation, path)(source))
    };
    let mut bytes = 0;
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("list", directory)(error)),
    };
    for entry in entries {
        let path = entry.map_err(failed("list", directory))?.path();
        if path
            .file_name()
            .is_some_and(|name| stays(&name.to_string_lossy()))
        {
            continue;
        }
        bytes += size_of(&path);
        if context.settings.dry_run {
            continue;
        }
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(failed("remove", &path))?;
    }
    let verb = if context.settings.dry_run {
        "Would free"
    } else {
        "Freed"
    };
    context.printer.status(
        Tone::Good,
        verb,
        format_args!("{} of {what}", ByteSize(bytes)),
    );
    Ok(())
}

fn size_of(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| size_of(&entry.path()))
        .sum()
}
