//! A list that is written as its files become known.

use super::{Entry, FIRST_LINE, Kind, LINE_BYTES, beginning};
use crate::mirror::error::MirrorError;
use crate::verify::verify_file;
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use vzpkg_metadata::Digest;
use vzpkg_metadata::digest::Hasher;
use vzpkg_metadata::durable::{self, FileError};

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mirror) struct Summary {
    /// Names the state.
    pub(in crate::mirror) id: Digest,
    pub(in crate::mirror) files: u64,
    pub(in crate::mirror) packages: u64,
    pub(in crate::mirror) bytes: u64,
}

/// A list that is being written.
#[derive(Debug)]
pub(in crate::mirror) struct ListWriter {
    file: BufWriter<File>,
    staging: PathBuf,
    hasher: Hasher,
    /// Beginnings of the digests of path and content: an index of another architecture names the same packages.
    seen: BTreeMap<u64, u64>,
    /// Metadata so far.
    metadata: Vec<Entry>,
    files: u64,
    packages: u64,
    bytes: u64,
}

impl ListWriter {
    /// Begins a list that will lie in `directory`.
    pub(in crate::mirror) fn new(directory: &Path) -> Result<Self, FileError> {
        let (staging, file) = durable::stage(&directory.join("list"), 0o644)?;
        let mut writer = Self {
            file: BufWriter::with_capacity(256 << 10, file),
            staging,
            hasher: Hasher::new(),
            seen: BTreeMap::new(),
            metadata: Vec::new(),
            files: 0,
            packages: 0,
            bytes: 0,
        };
        writer.line(FIRST_LINE)?;
        Ok(writer)
    }

    /// Adds a file; one that is in the list already is not added again.
    pub(in crate::mirror) fn add(&mut self, entry: &Entry) -> Result<(), MirrorError> {
        let Ok(path) = std::str::from_utf8(entry.path.as_bytes()) else {
            let problem = format!("`{}` is no text", entry.shown());
            return Err(MirrorError::Config(problem));
        };
        let key = beginning(&Digest::of(path.as_bytes()));
        match self.seen.entry(key) {
            btree_map::Entry::Occupied(known) if *known.get() == beginning(&entry.digest) => {
                return Ok(());
            }
            btree_map::Entry::Occupied(_) => {
                let path = entry.shown();
                return Err(MirrorError::Contradiction { path });
            }
            btree_map::Entry::Vacant(new) => {
                new.insert(beginning(&entry.digest));
            }
        }
        if entry.kind == Kind::Metadata {
            self.metadata.push(entry.clone());
        }
        let line = entry.line(path);
        if line.contains('\n') || line.len() as u64 >= LINE_BYTES {
            let problem = format!("`{}` is no name of a file", entry.shown());
            return Err(MirrorError::Config(problem));
        }
        self.files = self.files.saturating_add(1);
        if entry.package.is_some() {
            self.packages = self.packages.saturating_add(u64::from(entry.brought));
        }
        if entry.brought {
            self.bytes = self.bytes.saturating_add(entry.size);
        }
        Ok(self.line(&line)?)
    }

    /// The metadata that was added so far.
    pub(in crate::mirror) fn metadata(&self) -> &[Entry] {
        &self.metadata
    }

    fn line(&mut self, line: &str) -> Result<(), FileError> {
        self.hasher.update(line.as_bytes());
        self.hasher.update(b"\n");
        writeln!(self.file, "{line}").map_err(FileError::on("write", &self.staging))
    }

    /// Ends the list and puts it in place under the digest of its content. Not synced: that is one step for all files.
    pub(in crate::mirror) fn finish(
        mut self,
        place: impl Fn(&Digest) -> PathBuf,
    ) -> Result<Summary, FileError> {
        let end = format!("end {} {} {}", self.files, self.packages, self.bytes);
        self.line(&end)?;
        let flushed = self.file.flush();
        flushed.map_err(FileError::on("write", &self.staging))?;
        let hasher = std::mem::replace(&mut self.hasher, Hasher::new());
        let length = hasher.length();
        let id = hasher.finish();
        let target = place(&id);
        // A list that is there and whole is synced already; a new copy would not be.
        if verify_file(&target, &id, length).is_err() {
            durable::put_in_place_unsynced(&self.staging, &target)?;
        }
        Ok(Summary {
            id,
            files: self.files,
            packages: self.packages,
            bytes: self.bytes,
        })
    }
}

impl Drop for ListWriter {
    fn drop(&mut self) {
        // Gone already where the list was finished.
        drop(fs::remove_file(&self.staging));
    }
}
