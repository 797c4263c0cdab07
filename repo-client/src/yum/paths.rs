//! Which paths are asked for that no `primary.xml` lists: only for these is `filelists.xml` worth its size.

use crate::repository::Repository;
use std::collections::BTreeSet;
use vzpkg_metadata::Family;

/// Paths that a package of these repositories relates to and no package of them is known to own. Some are in
/// `filelists` of one of them, whichever asks.
pub(crate) fn missing_paths(repositories: &[Repository]) -> BTreeSet<String> {
    let indexes: Vec<_> = repositories
        .iter()
        .map(|repository| repository.index.as_index())
        .filter(|index| index.family() == Family::Rpm)
        .collect();
    let is_known = |path: &str| {
        indexes
            .iter()
            .any(|index| index.providers(path).next().is_some())
    };
    indexes
        .iter()
        .flat_map(|index| index.paths())
        .filter(|path| !is_listed_by_primary(path) && !is_known(path))
        .map(str::to_owned)
        .collect()
}

/// The paths that every generator lists in `primary.xml`: `filelists` cannot have one that primary has not.
fn is_listed_by_primary(path: &str) -> bool {
    path.starts_with("/etc/") || path.contains("bin/") || path == "/usr/lib/sendmail"
}
