//! `vzpkg clean`: removes downloads and metadata that can be fetched again.
//!
//! Packages go while nobody builds and no mirror is synced, for both count on what they have downloaded; they are waited
//! for. Metadata that somebody brings up to date just now stays.

use super::Context;
use crate::cli::Clean;
use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::{mirrors, node};
use crate::output::Tone;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use vzpkg_cache::store::Store;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::guard::{Attempt, FileGuard, Share};
use vzpkg_metadata::{ByteSize, Digest};

pub(super) fn run(context: &Context, arguments: &Clean) -> CommandResult {
    let store = node::store_for_writing(context)?;
    if arguments.all || arguments.packages || !arguments.metadata {
        packages(context, &store)?;
    }
    if arguments.all || arguments.metadata {
        // Forgetting how new the repositories were seen would let a mirror replay old states.
        let stays = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("newest-seen")
        };
        empty(context, &store.layout.index(), "metadata", &stays)?;
    }
    Ok(())
}

fn packages(context: &Context, store: &Store) -> CommandResult {
    let mirrors = mirrors::open(context);
    // Who only looks is a reader, and readers never wait.
    let (mirrored, _guards) = if context.settings.dry_run {
        (mirrors.packages()?, None)
    } else {
        let templates = node::guard_templates(context, store)?;
        let (mirrored, guard) = mirrors.packages_guarded()?;
        (mirrored, Some((templates, guard)))
    };
    let stays = |path: &Path| digest_in(path).is_some_and(|digest| mirrored.contains(&digest));
    empty(context, &store.layout.packages(), "packages", &stays)
}

/// The digest that a package file is named by.
fn digest_in(path: &Path) -> Option<Digest> {
    let name = path.file_name()?.to_str()?;
    name.split('.').next()?.parse().ok()
}

/// Something that may be removed.
enum Free {
    /// By nobody else meanwhile: the guard of an index's directory, where there is one.
    Ours(Option<FileGuard>),
    /// A process brings it up to date just now.
    InUse,
}

fn free(directory: &Path) -> Free {
    let Ok(file) = File::open(directory.join("lock")) else {
        return Free::Ours(None);
    };
    match FileGuard::attempt(file, Share::Exclusive) {
        Ok(Attempt::Held(guard)) => Free::Ours(Some(guard)),
        _ => Free::InUse,
    }
}

/// Removes everything in a directory but what `stays`.
fn empty(
    context: &Context,
    directory: &Path,
    what: &str,
    stays: &dyn Fn(&Path) -> bool,
) -> CommandResult {
    let failed = |operation, path: &Path| {
        let path = path.to_owned();
        move |source| CommandError::new(Kind::Environment, FileError::on(operation, path)(source))
    };
    let mut bytes = 0_u64;
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("list", directory)(error)),
    };
    for entry in entries {
        let path = entry.map_err(failed("list", directory))?.path();
        if stays(&path) {
            continue;
        }
        let Free::Ours(_guard) = free(&path) else {
            continue;
        };
        bytes = bytes.saturating_add(size_of(&path));
        if context.settings.dry_run {
            continue;
        }
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
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
    fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| size_of(&entry.path()))
        .sum()
}
