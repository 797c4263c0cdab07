//! Writing an undo record: what stands in the upper at every path that a list of edits will change.

use super::link::Link;
use super::objects::PrivateSource as _;
use super::relink::{RelinkError, RelinkPlan};
use super::undo::{Before, UndoEntry, UndoRecord, slot};
use super::upper_dir::UpperDir;
use super::{ContainerPaths, UpperEdit, UpperKind, beneath};
use rustix::fs::{AtFlags, CWD, OFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use vzpkg_metadata::Digest;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::tree::{Node, NodeKind};

/// A record names each changed path once; 64 MB is half a million of them.
const RECORD_BYTES: u64 = 64 << 20;

/// Contents that a merge made are record files: users, package states.
const BLOB_BYTES: u64 = 256 << 20;

fn record_file(undo: &Path) -> PathBuf {
    undo.join("record.json")
}

fn blob_file(undo: &Path, digest: &Digest) -> PathBuf {
    undo.join("blobs").join(digest.to_string())
}

/// Keeps aside what `plan` replaces and writes the record; [`settle`] or [`sync`] makes that durable. Returns the record
/// and its digest.
pub(super) fn keep(
    paths: &ContainerPaths,
    from: Link,
    to: Link,
    plan: &RelinkPlan,
) -> Result<(UndoRecord, Digest), RelinkError> {
    let undo = paths.undo(from.generation);
    remove_all(&undo)?;
    durable::create_directories(&undo, 0o700)?;
    if !plan.edits.is_empty() {
        durable::create_directories(&undo.join("old"), 0o700)?;
        durable::create_directories(&undo.join("blobs"), 0o700)?;
    }
    for (digest, bytes) in &plan.blobs {
        let path = blob_file(&undo, digest);
        fs::write(&path, bytes).map_err(FileError::on("write", path))?;
    }
    let upper = UpperDir::open(&paths.upper())?;
    let mut before = BTreeMap::new();
    for edit in &plan.edits {
        if matches!(edit, UpperEdit::MoveAside { .. }) || before.contains_key(edit.path()) {
            continue;
        }
        let number = u32::try_from(before.len()).unwrap_or(u32::MAX);
        let found = keep_one(&upper, edit, &undo, number).map_err(|source| RelinkError::Edit {
            operation: "keep a copy of",
            path: edit.path().clone(),
            source,
        })?;
        before.insert(edit.path().clone(), found);
    }
    let record = UndoRecord {
        from,
        to,
        edits: plan.edits.clone(),
        before: before
            .into_iter()
            .map(|(path, before)| UndoEntry { path, before })
            .collect(),
    };
    let path = record_file(&undo);
    let bytes = serde_json::to_vec(&record).map_err(|source| RelinkError::Record {
        path: path.clone(),
        source,
    })?;
    // Whoever reads it knows its digest, or that everything was synced.
    fs::write(&path, &bytes).map_err(FileError::on("write", path))?;
    Ok((record, Digest::of(&bytes)))
}

/// Makes the record of one relink durable.
pub(super) fn settle(
    paths: &ContainerPaths,
    generation: u64,
    record: &UndoRecord,
) -> Result<(), RelinkError> {
    if !record.edits.is_empty() {
        return sync([paths.private.as_path()]);
    }
    let undo = paths.undo(generation);
    durable::OpenTree::open(&undo)?.sync()?;
    durable::sync_parent(&undo)?;
    Ok(durable::sync_parent(&paths.undo_area())?)
}

fn keep_one(upper: &UpperDir, edit: &UpperEdit, undo: &Path, number: u32) -> io::Result<Before> {
    let path = edit.path();
    let Some(entry) = upper.entry(path)? else {
        return Ok(Before::Nothing);
    };
    let meta = entry.meta;
    let kind = match entry.kind {
        UpperKind::Whiteout => return Ok(Before::Whiteout),
        UpperKind::Directory { opaque } => return Ok(Before::Directory { meta, opaque }),
        UpperKind::File { size } => NodeKind::File {
            digest: upper.digest(path)?,
            size,
        },
        UpperKind::Symlink { target } => NodeKind::Symlink { target },
        UpperKind::Special => NodeKind::Fifo,
    };
    let node = Node { meta, kind };
    if matches!(edit, UpperEdit::SetMeta { .. } | UpperEdit::Keep { .. }) {
        // The file stays, so a name of it here would change with it.
        return Ok(Before::Changed { node });
    }
    let parent = path.parent().unwrap_or_default();
    let parent = beneath::open(upper.root(), &parent, OFlags::PATH | OFlags::DIRECTORY)?;
    let copy = slot(undo, number);
    rustix::fs::linkat(parent, path.file_name(), CWD, copy, AtFlags::empty())?;
    Ok(Before::Kept { slot: number, node })
}

/// Reads the record of the relink from `generation`, with the digest of its bytes.
pub(super) fn read(
    paths: &ContainerPaths,
    generation: u64,
) -> Result<(UndoRecord, Digest), RelinkError> {
    let path = record_file(&paths.undo(generation));
    let bytes = durable::read_file(&path, RECORD_BYTES)?;
    let record =
        serde_json::from_slice(&bytes).map_err(|source| RelinkError::Record { path, source })?;
    Ok((record, Digest::of(&bytes)))
}

/// The contents that the merge of a record made.
pub(super) fn blobs(
    paths: &ContainerPaths,
    generation: u64,
) -> Result<BTreeMap<Digest, Vec<u8>>, RelinkError> {
    let directory = paths.undo(generation).join("blobs");
    let mut blobs = BTreeMap::new();
    if !directory.exists() {
        return Ok(blobs);
    }
    let read = |error| FileError::on("read", &directory)(error);
    for entry in fs::read_dir(&directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        let bytes = durable::read_file(&entry.path(), BLOB_BYTES)?;
        blobs.insert(Digest::of(&bytes), bytes);
    }
    Ok(blobs)
}

/// Opens a file that a relink kept aside or made: what a later merge compares with.
pub(super) fn open_kept(
    paths: &ContainerPaths,
    record: &UndoRecord,
    digest: &Digest,
) -> io::Result<fs::File> {
    let undo = paths.undo(record.from.generation);
    let kept = record.before.iter().find_map(|entry| match &entry.before {
        Before::Kept { slot, node } => match node.kind {
            NodeKind::File { digest: of, .. } if of == *digest => Some(*slot),
            _ => None,
        },
        _ => None,
    });
    let path = kept.map_or_else(|| blob_file(&undo, digest), |number| slot(&undo, number));
    fs::File::open(path)
}

/// Removes every undo directory but that of `generation`.
pub(super) fn forget_others(paths: &ContainerPaths, generation: u64) -> Result<(), RelinkError> {
    let area = paths.undo_area();
    let read = |error| FileError::on("read", &area)(error);
    for entry in fs::read_dir(&area).map_err(read)? {
        let entry = entry.map_err(read)?;
        if entry.file_name().to_str() != Some(generation.to_string().as_str()) {
            remove_all(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a directory if it is there.
pub(super) fn remove_all(path: &Path) -> Result<(), RelinkError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::on("remove", path)(error).into())
        }
        _ => Ok(()),
    }
}

/// Everything below these private areas reaches the disk: one wait for each file system that they lie on.
pub(super) fn sync<'a>(areas: impl IntoIterator<Item = &'a Path>) -> Result<(), RelinkError> {
    let mut synced = BTreeSet::new();
    for private in areas {
        let mut sync = || {
            let area = fs::File::open(private)?;
            if synced.insert(area.metadata()?.dev()) {
                rustix::fs::syncfs(&area)?;
            }
            Ok(())
        };
        sync().map_err(FileError::on("sync", private))?;
    }
    Ok(())
}
