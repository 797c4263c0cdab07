//! Where the new version's file is laid beside a private one, and where a private one is moved out of the way.

use super::draft::Draft;
use vzpkg_metadata::RelPath;

/// What the new version's file is called beside a private one.
pub(super) const NEW: &str = ".vzpkg-new";

/// What a private entry is called that hid a new type.
pub(super) const OLD: &str = ".vzpkg-old";

/// Directories whose programs read every name in them, so that one more would be taken for a setting or a package.
const FULL: [&str; 6] = [
    "etc/alternatives",
    "var/lib/dpkg",
    "var/lib/apt",
    "var/lib/rpm",
    "usr/lib/sysimage/rpm",
    "var/cache",
];

/// Whether something may be laid beside `path`.
pub(super) fn has_room(path: &RelPath) -> bool {
    let within = |directory: &&str| {
        directory
            .parse()
            .is_ok_and(|directory: RelPath| path.is_within(&directory))
    };
    !FULL.iter().any(within)
}

/// `NAME` with this ending; `None` where the name would be too long.
pub(super) fn name(path: &RelPath, ending: &str) -> Option<RelPath> {
    let mut name = path.file_name().to_vec();
    name.extend_from_slice(ending.as_bytes());
    path.parent()?.join(&name).ok()
}

/// [`name`], numbered where that is taken: what an earlier relink moved aside is not lost.
pub(super) fn free_name(draft: &Draft<'_>, path: &RelPath, ending: &str) -> Option<RelPath> {
    let plain = name(path, ending)?;
    if !draft.is_taken(&plain) {
        return Some(plain);
    }
    (1..1000)
        .filter_map(|number| name(path, &format!("{ending}.{number}")))
        .find(|candidate| !draft.is_taken(candidate))
}
