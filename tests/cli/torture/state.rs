//! What a site holds, to be put back before each fault and compared after it.

use crate::support::{Site, mounts_below};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A copy of a site's root.
pub(crate) struct Snapshot(PathBuf);

impl Snapshot {
    /// Of the root as it is, in place of an earlier one of this name.
    pub(crate) fn take(site: &Site, name: &str) -> Self {
        let place = site.path(name);
        if place.exists() {
            fs::remove_dir_all(&place).unwrap();
        }
        copy(&site.root(), &place);
        Self(place)
    }

    /// Makes the root as it was.
    pub(crate) fn put_back(&self, site: &Site) {
        fs::remove_dir_all(site.root()).unwrap();
        copy(&self.0, &site.root());
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// Everything below the store, private areas and mount points, by name: content is named by its hash. Guards stay, and
/// the directories of objects, of which there are 256 at most; what the clients of repositories keep, and the log of the
/// database, is theirs to make again.
pub(crate) fn names(site: &Site) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for part in ["store", "private", "root"] {
        collect(&site.root(), &site.root().join(part), &mut found);
    }
    found
}

fn collect(root: &Path, directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_owned();
        if name.starts_with("store/guards") || name.to_string_lossy().contains("state.db-") {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            collect(root, &path, found);
        }
        if name.parent() != Some(Path::new("store/objects")) {
            found.insert(without_number(&name));
        }
    }
}

/// An undo that could not be finished has used up its number.
fn without_number(name: &Path) -> PathBuf {
    let mut after_undo = false;
    let parts = name.components().map(|part| {
        let is_number = std::mem::replace(&mut after_undo, part.as_os_str() == "undo");
        let number = OsStr::new("N");
        if is_number { number } else { part.as_os_str() }
    });
    parts.collect()
}

/// Nothing is mounted and nothing runs.
pub(crate) fn assert_quiet(site: &Site, after: &str) {
    assert_eq!(mounts_below(&site.root()), Vec::<String>::new(), "{after}");
    let root = site.root().to_str().unwrap().to_owned();
    let lines = fs::read_dir("/proc").unwrap().flatten();
    let lines = lines.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    let running: Vec<String> = lines.filter(|line| line.contains(&root)).collect();
    assert!(running.is_empty(), "{after}: {running:?}");
}
