//! Which paths are state: a container's own data, which no version change may touch.

use super::MergeError;
use super::draft::Draft;
use std::collections::BTreeSet;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::{NodeKind, Tree};

/// Directories whose content is state where no package owns it.
const PLACES: [&str; 5] = ["var/lib", "var/spool", "srv", "home", "root"];

/// Below them, what package managers and their scripts keep about the packages of a version: it belongs to the version.
const MANAGERS: [&str; 14] = [
    "var/lib/apt",
    "var/lib/aptitude",
    "var/lib/dnf",
    "var/lib/dpkg",
    "var/lib/pam",
    "var/lib/python",
    "var/lib/rpm",
    "var/lib/shells.state",
    "var/lib/systemd/catalog",
    "var/lib/systemd/deb-systemd-helper-enabled",
    "var/lib/systemd/deb-systemd-helper-masked",
    "var/lib/systemd/deb-systemd-user-helper-enabled",
    "var/lib/ucf",
    "var/lib/yum",
];

/// Keys and identities, wherever they lie.
const OWN: [&str; 4] = [
    "etc/machine-id",
    "var/lib/dbus/machine-id",
    "etc/ssl/private",
    "etc/pki/tls/private",
];

fn within_any(path: &RelPath, places: &[&str]) -> bool {
    places.iter().any(|place| {
        place
            .parse()
            .is_ok_and(|place: RelPath| path.is_within(&place) && *path != place)
            || path.as_bytes() == place.as_bytes() && !PLACES.contains(place)
    })
}

/// Whether `path` is state if no package owns it.
pub(crate) fn is_place(path: &RelPath) -> bool {
    let host_key = path
        .as_bytes()
        .strip_prefix(b"etc/ssh/")
        .is_some_and(|name| name.starts_with(b"ssh_host_"));
    host_key || within_any(path, &OWN) || within_any(path, &PLACES) && !within_any(path, &MANAGERS)
}

/// Whether package managers keep `path` about the packages that are there.
pub(crate) fn is_managers(path: &RelPath) -> bool {
    within_any(path, &MANAGERS)
}

/// What belongs together with a state file: one directory of a place, such as `var/lib/postgresql`.
pub(super) fn unit(path: &RelPath) -> RelPath {
    let place = PLACES
        .iter()
        .filter_map(|place| place.parse::<RelPath>().ok())
        .find(|place| path.is_within(place));
    let mut unit = place.unwrap_or_default();
    let depth = unit.components().count();
    if let Some(next) = path.components().nth(depth)
        && let Ok(longer) = unit.join(next)
    {
        unit = longer;
    }
    unit
}

/// The paths that packages own, of both versions; read only when the first possible state file is met.
#[derive(Debug, Default)]
pub(super) struct Owned {
    paths: Option<BTreeSet<RelPath>>,
}

impl Owned {
    /// Whether `path` is state.
    pub(super) fn is_state(
        &mut self,
        draft: &Draft<'_>,
        path: &RelPath,
    ) -> Result<bool, MergeError> {
        if !is_place(path) {
            return Ok(false);
        }
        if self.paths.is_none() {
            self.paths = Some(owned(draft)?);
        }
        Ok(self
            .paths
            .as_ref()
            .is_some_and(|paths| !paths.contains(path)))
    }
}

/// What dpkg's lists name in either version. rpm's database cannot be read from here: nothing is known to be owned.
fn owned(draft: &Draft<'_>) -> Result<BTreeSet<RelPath>, MergeError> {
    let mut paths = BTreeSet::new();
    for tree in [&*draft.views().base, &*draft.views().target] {
        let Ok(directory) = "var/lib/dpkg/info".parse() else {
            continue;
        };
        for (path, _) in tree.below(&directory) {
            if path.as_bytes().ends_with(b".list") {
                let bytes = draft.read_node(path, tree.node(path))?;
                paths.extend(listed(tree, &bytes));
            }
        }
    }
    Ok(paths)
}

/// The paths of a dpkg list, as the tree has them: `/lib/x` is `usr/lib/x` where `/lib` is a link.
pub(crate) fn listed(tree: &Tree, list: &[u8]) -> Vec<RelPath> {
    list.split(|&byte| byte == b'\n')
        .filter_map(|line| RelPath::parse_member(line).ok())
        .filter(|path| !path.is_root())
        .map(|path| through_merged_usr(tree, path))
        .collect()
}

fn through_merged_usr(tree: &Tree, path: RelPath) -> RelPath {
    let bytes = path.as_bytes();
    let first = bytes.split(|&byte| byte == b'/').next().unwrap_or_default();
    if first.len() == bytes.len() {
        return path;
    }
    let Ok(top) = RelPath::parse(first) else {
        return path;
    };
    match tree.node(&top).map(|node| &node.kind) {
        Some(NodeKind::Symlink { target }) => {
            let rest = bytes.get(first.len()..).unwrap_or_default();
            let whole = [target.strip_prefix(b"/").unwrap_or(target), rest].concat();
            RelPath::parse(&whole).unwrap_or(path)
        }
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_one_directory_of_a_place() {
        for (path, expected) in [
            ("var/lib/postgresql/17/main/base/1", "var/lib/postgresql"),
            ("srv/www", "srv/www"),
            ("root/.ssh/authorized_keys", "root/.ssh"),
            ("etc/machine-id", "etc"),
        ] {
            assert_eq!(unit(&path.parse().unwrap()).to_string(), expected);
        }
    }

    #[test]
    fn state_is_what_the_design_says() {
        for (path, state) in [
            ("var/lib/postgresql/17/main/PG_VERSION", true),
            ("var/spool/cron/crontabs/root", true),
            ("home/joe/.bashrc", true),
            ("root/.ssh/authorized_keys", true),
            ("etc/ssh/ssh_host_ed25519_key", true),
            ("etc/machine-id", true),
            ("etc/ssl/private/ssl-cert-snakeoil.key", true),
            ("var/lib", false),
            ("home", false),
            ("var/lib/dpkg/status", false),
            ("var/lib/rpm/Packages", false),
            ("var/libx/f", false),
            ("etc/ssh/sshd_config", false),
            ("usr/bin/sh", false),
        ] {
            assert_eq!(is_place(&path.parse().unwrap()), state, "{path}");
        }
    }
}
