//! rpm keeps one binary database: it cannot be merged from outside. A container that changed its packages is brought
//! forward by its own package manager (`--in-place`).

use super::draft::Draft;
use super::judge::differ;
use super::{MergeError, Obstacle};
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::NodeKind;
use vzpkg_runtime::container::UpperKind;

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
    for (path, entry) in upper.below(directory) {
        match entry.kind {
            UpperKind::Directory { .. } => {}
            _ if is_transient(path) => draft.take(path),
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
