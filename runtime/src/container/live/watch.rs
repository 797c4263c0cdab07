//! Whether anything that a plan was made from has changed since: the private entries at the paths in which two versions
//! differ, by change time, and names that appeared at such a path.
//!
//! Made before the upper is scanned, compared while the container stands still. A directory of the upper that did not
//! change has no new names, so one look at each directory answers for all paths in it.

use super::stamp::Stamp;
use crate::container::UpperDir;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use vzpkg_metadata::RelPath;

/// The private entries that a plan depends on, as they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watch {
    watched: Watched,
}

/// What is compared; also what the helper is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watched {
    /// Entries that were there.
    entries: Vec<(Vec<u8>, Stamp)>,
    /// Directories that were there, each with the names in it that matter.
    directories: Vec<(Vec<u8>, Stamp, Vec<Vec<u8>>)>,
}

impl Watch {
    /// Looks at `paths`, those in which the version now and the version to come differ.
    ///
    /// # Errors
    /// What looking gave.
    pub fn new(upper: &UpperDir, paths: &BTreeSet<RelPath>) -> io::Result<Self> {
        let mut watch = Self::default();
        watch.add(upper, paths)?;
        Ok(watch)
    }

    /// Looks at more paths: those that the plan changes besides.
    ///
    /// # Errors
    /// What looking gave.
    pub fn add<'a>(
        &mut self,
        upper: &UpperDir,
        paths: impl IntoIterator<Item = &'a RelPath>,
    ) -> io::Result<()> {
        let mut entries: BTreeMap<Vec<u8>, Stamp> = self.watched.entries.drain(..).collect();
        let mut directories: BTreeMap<Vec<u8>, (Stamp, BTreeSet<Vec<u8>>)> = BTreeMap::new();
        for (path, stamp, names) in self.watched.directories.drain(..) {
            directories.insert(path, (stamp, names.into_iter().collect()));
        }
        for path in paths.into_iter().filter(|path| !path.is_root()) {
            for (directory, name) in steps(path) {
                let known = directory.as_bytes().to_vec();
                if !directories.contains_key(&known) {
                    let Some(stamp) = Stamp::of(upper, &directory)?.filter(Stamp::is_directory)
                    else {
                        break;
                    };
                    directories.insert(known.clone(), (stamp, BTreeSet::new()));
                }
                if let Some((_, names)) = directories.get_mut(&known) {
                    names.insert(name);
                }
            }
            if let Some(stamp) = Stamp::of(upper, path)? {
                entries.entry(path.as_bytes().to_vec()).or_insert(stamp);
            }
        }
        self.watched.entries = entries.into_iter().collect();
        let directories = directories.into_iter();
        self.watched.directories = directories
            .map(|(path, (stamp, names))| (path, stamp, names.into_iter().collect()))
            .collect();
        Ok(())
    }

    /// The first path that changed.
    ///
    /// # Errors
    /// What looking gave.
    pub fn changed(&self, upper: &UpperDir) -> io::Result<Option<RelPath>> {
        self.watched.changed(upper)
    }

    /// Takes the present change times, after hard links were made of the entries: that changes no more than those.
    /// Returns the first path of which something else changed.
    ///
    /// # Errors
    /// What looking gave.
    pub(super) fn renew(&mut self, upper: &UpperDir) -> io::Result<Option<RelPath>> {
        for (path, stamp) in &mut self.watched.entries {
            if stamp.is_directory() {
                continue;
            }
            let path = parse(path)?;
            match Stamp::of(upper, &path)? {
                Some(now) if now.is_same_but_change_time(stamp) => *stamp = now,
                _ => return Ok(Some(path)),
            }
        }
        Ok(None)
    }

    pub(super) const fn watched(&self) -> &Watched {
        &self.watched
    }
}

impl Watched {
    /// The first path that changed.
    pub(super) fn changed(&self, upper: &UpperDir) -> io::Result<Option<RelPath>> {
        for (path, stamp) in &self.entries {
            let path = parse(path)?;
            if stamp.is_directory() {
                // Judged below; what is done to other names in it does not matter.
                continue;
            }
            if Stamp::of(upper, &path)?.as_ref() != Some(stamp) {
                return Ok(Some(path));
            }
        }
        let known: BTreeMap<&[u8], &Stamp> = self
            .entries
            .iter()
            .map(|(path, stamp)| (path.as_slice(), stamp))
            .collect();
        for (directory, stamp, names) in &self.directories {
            let directory = parse(directory)?;
            match Stamp::of(upper, &directory)? {
                Some(now) if now == *stamp => continue,
                Some(now) if now.is_directory() && now.is_same_owner(stamp) => {}
                _ => return Ok(Some(directory)),
            }
            for name in names {
                let path = directory.join(name).map_err(io::Error::other)?;
                let now = Stamp::of(upper, &path)?;
                let before = known.get(path.as_bytes());
                let is_directory = now.as_ref().is_some_and(Stamp::is_directory);
                // A directory above a path is not an entry of its own: its names are looked at in their turn.
                let same = now.is_some() == before.is_some()
                    || (is_directory && self.has_directory(path.as_bytes()));
                if !same {
                    return Ok(Some(path));
                }
            }
        }
        Ok(None)
    }

    fn has_directory(&self, path: &[u8]) -> bool {
        self.directories
            .binary_search_by(|(known, _, _)| known.as_slice().cmp(path))
            .is_ok()
    }
}

/// Each directory above a path with the name that follows in it, the root first.
fn steps(path: &RelPath) -> Vec<(RelPath, Vec<u8>)> {
    let mut steps = Vec::new();
    let mut here = path.clone();
    while let Some(parent) = here.parent() {
        steps.push((parent.clone(), here.file_name().to_vec()));
        here = parent;
    }
    steps.reverse();
    steps
}

fn parse(path: &[u8]) -> io::Result<RelPath> {
    if path.is_empty() {
        return Ok(RelPath::root());
    }
    RelPath::parse(path).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    /// What somebody does to an upper.
    type Change = fn(&std::path::Path);

    fn paths(texts: &[&str]) -> BTreeSet<RelPath> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn changes_at_watched_paths_are_seen_and_others_are_not() {
        let changes: [(&str, Change); 7] = [
            ("etc/conf", |root| {
                fs::write(root.join("etc/conf"), "longer").unwrap();
            }),
            ("etc/conf", |root| {
                fs::remove_file(root.join("etc/conf")).unwrap();
            }),
            ("etc/conf", |root| {
                let mode = fs::Permissions::from_mode(0o600);
                fs::set_permissions(root.join("etc/conf"), mode).unwrap();
            }),
            ("etc/new", |root| {
                fs::write(root.join("etc/new"), "").unwrap();
            }),
            ("usr", |root| {
                fs::create_dir_all(root.join("usr/bin")).unwrap();
            }),
            ("", |root| fs::write(root.join("etc/other"), "x").unwrap()),
            ("", |root| fs::write(root.join("var"), "x").unwrap()),
        ];
        for (expected, change) in changes {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path();
            fs::create_dir(root.join("etc")).unwrap();
            fs::write(root.join("etc/conf"), "short").unwrap();
            let upper = UpperDir::open(root).unwrap();
            let wanted = paths(&["etc", "etc/conf", "etc/new", "usr/bin/tool"]);
            let watch = Watch::new(&upper, &wanted).unwrap();
            assert_eq!(watch.changed(&upper).unwrap(), None);
            // Change times are coarse: wait until they move on.
            let probe = root.join("probe");
            let before = fs::metadata(root.join("etc/conf")).unwrap();
            loop {
                use std::os::unix::fs::MetadataExt as _;
                fs::write(&probe, "x").unwrap();
                let now = fs::metadata(&probe).unwrap();
                fs::remove_file(&probe).unwrap();
                if (now.ctime(), now.ctime_nsec()) > (before.ctime(), before.ctime_nsec()) {
                    break;
                }
            }
            change(root);
            let changed = watch.changed(&upper).unwrap();
            let changed = changed.map(|path| path.to_string()).unwrap_or_default();
            assert_eq!(changed, expected);
        }
    }

    #[test]
    fn a_hard_link_changes_nothing_but_the_time() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::write(root.join("conf"), "a").unwrap();
        let upper = UpperDir::open(root).unwrap();
        let mut watch = Watch::new(&upper, &paths(&["conf"])).unwrap();
        fs::hard_link(root.join("conf"), root.join("kept")).unwrap();
        assert_eq!(watch.renew(&upper).unwrap(), None);
        assert_eq!(watch.changed(&upper).unwrap(), None);
        fs::write(root.join("conf"), "ab").unwrap();
        assert!(watch.renew(&upper).unwrap().is_some());
    }
}
