//! The published form of a state: a directory of hard links, laid out as upstream lays it out, and the link to it.
//!
//! ```text
//! trees/<state>.<n>      files of the state
//! trees/<state>.<n>+     … and files of the state before that have no successor at their path
//! published              → one of them
//! ```
//!
//! A tree is made beside the published one, synced as a whole, and becomes visible by one rename. Old indexes under
//! their hashes and old packages are in the new tree too: a client that read the old signed file before the rename finds
//! all that it names after it. The trees before are then removed; open files stay readable.

use super::error::MirrorError;
use super::layout::{Home, Layout};
use super::list::{Entry, ListReader};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use vzpkg_metadata::Digest;
use vzpkg_metadata::durable::{self, FileError, STAGING_PREFIX};

/// The state that the link names; `None` before the first publication.
pub(super) fn published(home: &Home) -> Result<Option<Digest>, MirrorError> {
    let path = home.published();
    let target = match fs::read_link(&path) {
        Ok(target) => target,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(_) => {
            let problem = "no symbolic link";
            return Err(MirrorError::Foreign { path, problem });
        }
    };
    let name = target
        .to_str()
        .and_then(|target| target.strip_prefix("trees/"));
    let state = name.and_then(|name| name.split_once('.')?.0.parse().ok());
    let problem = "a link to somewhere else";
    let state = state.ok_or(MirrorError::Foreign { path, problem })?;
    Ok(Some(state))
}

/// Publishes `state` in place of what is published now, whose files stay within reach where `carry` says so.
pub(super) fn publish(
    layout: &Layout,
    home: &Home,
    state: &Digest,
    carry: Option<Digest>,
) -> Result<(), MirrorError> {
    let trees = home.trees();
    durable::create_directories(&trees, 0o755)?;
    let carry = carry.filter(|old| old != state);
    let tree = new_directory(&trees, state, carry.is_some())?;
    fill(layout, home, state, carry, &tree)?;
    // One step for the tree, the files it links to and the list it was made from.
    File::open(&trees)
        .and_then(|directory| Ok(rustix::fs::syncfs(directory)?))
        .map_err(FileError::on("sync", &trees))?;
    let name = tree.file_name().unwrap_or_default();
    let link = home.directory.join(format!("{STAGING_PREFIX}published"));
    durable::remove_unsynced(&link)?;
    symlink(Path::new("trees").join(name), &link).map_err(FileError::on("create", &link))?;
    durable::publish(&link, &home.published())?;
    sweep(home)
}

/// Whether the published tree has files of the state before.
pub(super) fn carries(home: &Home) -> bool {
    let target = fs::read_link(home.published()).ok();
    let target = target.as_deref().and_then(Path::to_str);
    target.is_some_and(|target| target.ends_with('+'))
}

/// Paths of the published state that are not the one copy of their file: somebody changed the tree.
pub(super) fn astray(layout: &Layout, home: &Home) -> Result<Vec<String>, MirrorError> {
    let Some(state) = published(home)? else {
        return Ok(Vec::new());
    };
    let tree = fs::canonicalize(home.published());
    let tree = tree.map_err(FileError::on("read", home.published()))?;
    let identity = |path: &Path| {
        let metadata = fs::symlink_metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let mut astray = Vec::new();
    for entry in ListReader::open(&home.list(&state))? {
        let entry = entry?;
        if !entry.brought {
            continue;
        }
        let stored = identity(&layout.file(entry.kind, &entry.digest));
        // What is gone from under its hash is told there.
        if stored.is_some() && identity(&tree.join(entry.path.as_path())) != stored {
            astray.push(entry.shown());
        }
    }
    Ok(astray)
}

/// An empty directory of a name that is not in use.
fn new_directory(trees: &Path, state: &Digest, carries: bool) -> Result<PathBuf, FileError> {
    let end = if carries { "+" } else { "" };
    let mut number: u64 = 0;
    loop {
        let path = trees.join(format!("{state}.{number}{end}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                number = number.saturating_add(1);
            }
            Err(error) => return Err(FileError::on("create", path)(error)),
        }
    }
}

fn fill(
    layout: &Layout,
    home: &Home,
    state: &Digest,
    carry: Option<Digest>,
    tree: &Path,
) -> Result<(), MirrorError> {
    let mut maker = Maker {
        layout,
        tree,
        made: PathBuf::new(),
    };
    for entry in ListReader::open(&home.list(state))? {
        let entry = entry?;
        if !entry.brought {
            continue;
        }
        maker.check(&entry)?;
        maker.link(&entry).map_err(|source| MirrorError::Path {
            path: entry.shown(),
            source,
        })?;
    }
    let old = carry.map(|old| ListReader::open(&home.list(&old)));
    for entry in old.transpose()?.into_iter().flatten() {
        let entry = entry?;
        if !entry.brought || maker.check(&entry).is_err() {
            continue;
        }
        match maker.link(&entry) {
            Ok(()) => {}
            // The new state has another file there, or a directory.
            Err(error) if is_taken(&error) => {}
            Err(source) => {
                let path = entry.shown();
                return Err(MirrorError::Path { path, source });
            }
        }
    }
    Ok(())
}

/// Lays metadata alone out in a new directory, as a published tree would have it.
pub(super) fn lay_metadata<'a>(
    layout: &Layout,
    directory: &Path,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<(), MirrorError> {
    durable::create_directories(directory, 0o755)?;
    let mut maker = Maker {
        layout,
        tree: directory,
        made: PathBuf::new(),
    };
    for entry in entries {
        maker.check(entry)?;
        match maker.link(entry) {
            // Another process lays out the same.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            linked => linked.map_err(|source| MirrorError::Path {
                path: entry.shown(),
                source,
            })?,
        }
    }
    Ok(())
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory | ErrorKind::IsADirectory
    )
}

/// Makes links in a directory that nobody else writes.
struct Maker<'a> {
    layout: &'a Layout,
    tree: &'a Path,
    /// The directory that was made last.
    made: PathBuf,
}

impl Maker<'_> {
    /// That the one copy is a whole file of ours: its content was hashed before the list was written.
    fn check(&self, entry: &Entry) -> Result<(), MirrorError> {
        let path = self.layout.file(entry.kind, &entry.digest);
        check_file(&path, entry.size).map_err(|error| match error {
            None => MirrorError::Missing {
                path: entry.shown(),
                digest: entry.digest,
            },
            Some(problem) => MirrorError::Foreign { path, problem },
        })
    }

    fn link(&mut self, entry: &Entry) -> io::Result<()> {
        let target = self.tree.join(entry.path.as_path());
        let parent = target.parent().unwrap_or(self.tree);
        if parent != self.made {
            fs::create_dir_all(parent)?;
            self.made = parent.to_owned();
        }
        fs::hard_link(self.layout.file(entry.kind, &entry.digest), target)
    }
}

/// Whether `path` is a regular file of `size` bytes that only root or this user may write; `None` where it is not there
/// or is not whole.
pub(super) fn check_file(path: &Path, size: u64) -> Result<(), Option<&'static str>> {
    let metadata = fs::symlink_metadata(path).ok().ok_or(None)?;
    if !metadata.is_file() {
        return Err(Some("no regular file"));
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.mode() & 0o022 != 0 || (metadata.uid() != 0 && metadata.uid() != user) {
        return Err(Some("a file that others may write"));
    }
    if metadata.len() == size {
        Ok(())
    } else {
        Err(None)
    }
}

/// Removes every tree but the published one, and what a kill left.
pub(super) fn sweep(home: &Home) -> Result<(), MirrorError> {
    let current = fs::read_link(home.published()).ok();
    let current = current.as_deref().and_then(Path::file_name);
    let entries = match fs::read_dir(home.trees()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::on("list", home.trees())(error).into()),
    };
    for entry in entries.flatten() {
        if Some(entry.file_name().as_os_str()) != current {
            let path = entry.path();
            // Never follows a link, and what is linked stays under its hash.
            fs::remove_dir_all(&path).map_err(FileError::on("remove", &path))?;
        }
    }
    Ok(())
}
