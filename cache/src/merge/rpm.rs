//! rpm keeps one binary database: it cannot be merged from outside. A container that changed its packages is brought
//! forward by its own package manager (`--in-place`). One that only imported keys, or had rpm write the same packages
//! anew, gets the new version's database, and is told which keys it has to import again.

use super::draft::Draft;
use super::judge::differ;
use super::{Decision, MergeError, Obstacle, RECORD_BYTES};
use crate::build::rpm::keys;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::NodeKind;
use vzpkg_runtime::container::{UpperEntry, UpperKind};

/// Where rpm keeps its database, old and new.
const DATABASES: [&str; 2] = ["var/lib/rpm", "usr/lib/sysimage/rpm"];

/// Files of an open Berkeley database, and locks: made again by whoever opens it, and no part of it.
fn is_transient(path: &RelPath) -> bool {
    let name = path.file_name();
    name.starts_with(b"__db.")
        || name.starts_with(b".")
        || name.ends_with(b"-shm")
        || name.ends_with(b"-wal")
}

/// A log of SQLite that is not in the database yet: packages may have changed in it alone.
fn is_open_log(path: &RelPath, entry: &UpperEntry) -> bool {
    path.file_name().ends_with(b"-wal")
        && !matches!(
            entry.kind,
            UpperKind::File { size: 0 } | UpperKind::Whiteout
        )
}

/// Objects where the container's database is not the old version's, and drops private copies that are.
pub(super) fn check(draft: &mut Draft<'_>) -> Result<(), MergeError> {
    for database in DATABASES {
        let Ok(directory) = database.parse::<RelPath>() else {
            continue;
        };
        let views = draft.views();
        let mut paths = views
            .base
            .below(&directory)
            .chain(views.target.below(&directory));
        if !paths.any(|(path, _)| differ(views.base.node(path), views.target.node(path))) {
            // Both versions have the same packages: whatever the container did to its own still holds.
            for (path, _) in draft.upper().below(&directory) {
                draft.settle(path);
            }
            continue;
        }
        check_one(draft, &directory)?;
    }
    Ok(())
}

fn check_one(draft: &mut Draft<'_>, directory: &RelPath) -> Result<(), MergeError> {
    let upper = draft.upper();
    if let Some(keys) = imported_keys(draft, directory)? {
        for (path, entry) in upper.below(directory) {
            if !matches!(entry.kind, UpperKind::Directory { .. }) {
                draft.take(path);
            }
        }
        if !keys.is_empty() {
            draft.say(directory, Decision::KeysGone { keys });
        }
        return Ok(());
    }
    for (path, entry) in upper.below(directory) {
        match entry.kind {
            UpperKind::Directory { .. } => {}
            _ if is_transient(path) && !is_open_log(path, entry) => draft.take(path),
            UpperKind::File { size } => {
                let old = draft.old(path).map(|node| node.kind.clone());
                let unchanged = match old {
                    Some(NodeKind::File { digest, size: of }) if of == size => {
                        draft.private_digest(path)? == digest
                    }
                    _ => false,
                };
                if unchanged {
                    draft.take(path);
                } else {
                    draft.settle(path);
                    draft.object_to(Obstacle::Database {
                        path: path.to_string(),
                    });
                }
            }
            _ => draft.object_to(Obstacle::Database {
                path: path.to_string(),
            }),
        }
    }
    Ok(())
}

/// The keys that the container imported; `None` where it changed anything else of its database, or may have.
fn imported_keys(
    draft: &Draft<'_>,
    directory: &RelPath,
) -> Result<Option<Vec<String>>, MergeError> {
    if hides_the_version(draft, directory) {
        return Ok(None);
    }
    let mut keys = Vec::new();
    for (path, entry) in draft.upper().below(directory) {
        let known = match entry.kind {
            UpperKind::Directory { opaque } => !opaque,
            _ if is_transient(path) => !is_open_log(path, entry),
            UpperKind::File { size } => match added_keys(draft, directory, path, size)? {
                Some(added) => {
                    keys.extend(added);
                    true
                }
                None => false,
            },
            _ => false,
        };
        if !known {
            return Ok(None);
        }
    }
    Ok(Some(keys))
}

/// Whether a directory above the database shows nothing of the version: then private files are all there is of it, and
/// the version's does not show where these go.
fn hides_the_version(draft: &Draft<'_>, directory: &RelPath) -> bool {
    let mut above = Some(directory.clone());
    while let Some(path) = above {
        let entry = draft.private(&path);
        if entry.is_some_and(|entry| entry.kind != (UpperKind::Directory { opaque: false })) {
            return true;
        }
        above = path.parent();
    }
    false
}

/// The keys that a private file of the database has and the old version's has not. None in a file that rpm makes from the
/// headers; `None` where more changed than keys.
fn added_keys(
    draft: &Draft<'_>,
    directory: &RelPath,
    path: &RelPath,
    size: u64,
) -> Result<Option<Vec<String>>, MergeError> {
    let old = draft.old(path);
    let Some(NodeKind::File { size: of, digest }) = old.map(|node| &node.kind) else {
        return Ok(None);
    };
    // Opened and left as it was.
    if *of == size && draft.private_digest(path)? == *digest {
        return Ok(Some(Vec::new()));
    }
    if path.parent().as_ref() != Some(directory) || size.max(*of) > RECORD_BYTES {
        return Ok(None);
    }
    if !keys::holds_headers(path.file_name()) {
        return Ok(Some(Vec::new()));
    }
    let (before, now) = (draft.read_node(path, old)?, draft.read_private(path)?);
    Ok(keys::added(path.file_name(), before, now))
}
