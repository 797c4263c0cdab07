//! A list that is read as a stream, or at one place. Not trusted: it lies on a disk for years.

use super::{Entry, FIRST_LINE, LINE_BYTES};
use crate::mirror::error::MirrorError;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::FileError;

/// Reads a list; ends with an error where the list does.
#[derive(Debug)]
pub(in crate::mirror) struct ListReader {
    file: BufReader<File>,
    path: PathBuf,
    read: u64,
    /// Where the next line begins.
    at: u64,
    done: bool,
}

/// The file whose line begins at this place of a list.
pub(in crate::mirror) fn entry_at(path: &Path, at: u64) -> Result<Option<Entry>, MirrorError> {
    let mut reader = ListReader::open(path)?;
    let sought = reader.file.seek(SeekFrom::Start(at));
    sought.map_err(FileError::on("read", path))?;
    Ok(Entry::parse(&reader.line()?))
}

impl ListReader {
    pub(in crate::mirror) fn open(path: &Path) -> Result<Self, MirrorError> {
        let file = File::open(path).map_err(FileError::on("read", path))?;
        let mut reader = Self {
            file: BufReader::with_capacity(256 << 10, file),
            path: path.to_owned(),
            read: 0,
            at: 0,
            done: false,
        };
        if reader.line()? == FIRST_LINE {
            Ok(reader)
        } else {
            Err(reader.damaged("its first line is none of ours"))
        }
    }

    /// Every file of a list with the place of its line, for [`entry_at`].
    pub(in crate::mirror) fn places(
        path: &Path,
        visit: &mut dyn FnMut(u64, &Entry),
    ) -> Result<(), MirrorError> {
        let mut reader = Self::open(path)?;
        loop {
            let at = reader.at;
            match reader.entry()? {
                Some(entry) => visit(at, &entry),
                None => return Ok(()),
            }
        }
    }

    fn line(&mut self) -> Result<String, MirrorError> {
        let mut line = String::new();
        let mut bounded = (&mut self.file).take(LINE_BYTES);
        let read = bounded.read_line(&mut line);
        let read = read.map_err(FileError::on("read", &self.path))?;
        self.at = self.at.saturating_add(read as u64);
        match line.strip_suffix('\n') {
            Some(line) => Ok(line.to_owned()),
            None => Err(self.damaged("it is cut")),
        }
    }

    fn damaged(&self, problem: &str) -> MirrorError {
        MirrorError::Damaged {
            path: self.path.clone(),
            problem: problem.to_owned(),
        }
    }

    fn entry(&mut self) -> Result<Option<Entry>, MirrorError> {
        let line = self.line()?;
        if let Some(end) = line.strip_prefix("end ") {
            let files = end.split(' ').next().and_then(|files| files.parse().ok());
            return if files == Some(self.read) {
                Ok(None)
            } else {
                Err(self.damaged("it has more or fewer lines than it says"))
            };
        }
        self.read = self.read.saturating_add(1);
        let entry = Entry::parse(&line).ok_or_else(|| self.damaged(&format!("line `{line}`")))?;
        Ok(Some(entry))
    }
}

impl Iterator for ListReader {
    type Item = Result<Entry, MirrorError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let entry = self.entry().transpose();
        self.done = !matches!(entry, Some(Ok(_)));
        entry
    }
}
