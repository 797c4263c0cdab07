//! The list of the files of one state: written and read as a stream, so that no repository is ever in memory.
//!
//! ```text
//! vzpkg mirror list 1
//! <sha256> <size> <m|d|r|s|D|R|S> <path>[\t<name>\t<version>\t<architecture>]
//! …
//! end <files> <packages> <bytes>
//! ```
//!
//! Metadata first, packages in the order of the indexes. A capital is a package that an index names and that was not
//! brought here. The digest of the list names the state.

use super::error::MirrorError;
use crate::verify::verify_file;
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use vzpkg_metadata::digest::Hasher;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::{Digest, RelPath};

const FIRST_LINE: &str = "vzpkg mirror list 1";

/// A line holds two digests' worth of numbers, a path and three names.
const LINE_BYTES: u64 = 16 << 10;

/// What a file is, which decides where its one copy lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A signed root or an index.
    Metadata,
    /// A Debian package.
    Deb,
    /// An rpm package.
    Rpm,
    /// A file of a Debian source package.
    Source,
}

impl Kind {
    const fn letter(self, brought: bool) -> &'static str {
        match (self, brought) {
            (Self::Metadata, _) => "m",
            (Self::Deb, true) => "d",
            (Self::Deb, false) => "D",
            (Self::Rpm, true) => "r",
            (Self::Rpm, false) => "R",
            (Self::Source, true) => "s",
            (Self::Source, false) => "S",
        }
    }

    fn of_letter(letter: &str) -> Option<(Self, bool)> {
        Some(match letter {
            "m" => (Self::Metadata, true),
            "d" => (Self::Deb, true),
            "D" => (Self::Deb, false),
            "r" => (Self::Rpm, true),
            "R" => (Self::Rpm, false),
            "s" => (Self::Source, true),
            "S" => (Self::Source, false),
            _ => return None,
        })
    }
}

/// One file of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its SHA-256.
    pub(super) digest: Digest,
    /// Its size in bytes.
    pub(super) size: u64,
    /// What it is.
    pub(super) kind: Kind,
    /// Where it lies below the published directory.
    pub(super) path: RelPath,
    /// Name, version and architecture of a package.
    pub(super) package: Option<[String; 3]>,
    /// Whether it is here, and not only named by an index.
    pub(super) brought: bool,
}

impl Entry {
    /// The path for messages; paths of a list are text.
    pub(super) fn shown(&self) -> String {
        crate::source::shown(&String::from_utf8_lossy(self.path.as_bytes()))
    }
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary {
    /// Names the state.
    pub(super) id: Digest,
    pub(super) files: u64,
    pub(super) packages: u64,
    pub(super) bytes: u64,
}

/// A list that is being written.
#[derive(Debug)]
pub(super) struct ListWriter {
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
    pub(super) fn new(directory: &Path) -> Result<Self, FileError> {
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
    pub(super) fn add(&mut self, entry: &Entry) -> Result<(), MirrorError> {
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
        let (kind, size) = (entry.kind.letter(entry.brought), entry.size);
        let mut line = format!("{} {size} {kind} {path}", entry.digest);
        if let Some(names) = &entry.package {
            self.packages = self.packages.saturating_add(u64::from(entry.brought));
            for name in names {
                line.push('\t');
                line.push_str(name);
            }
        }
        if line.contains('\n') || line.len() as u64 >= LINE_BYTES {
            let problem = format!("`{}` is no name of a file", entry.shown());
            return Err(MirrorError::Config(problem));
        }
        self.files = self.files.saturating_add(1);
        if entry.brought {
            self.bytes = self.bytes.saturating_add(size);
        }
        Ok(self.line(&line)?)
    }

    /// The metadata that was added so far.
    pub(super) fn metadata(&self) -> &[Entry] {
        &self.metadata
    }

    fn line(&mut self, line: &str) -> Result<(), FileError> {
        self.hasher.update(line.as_bytes());
        self.hasher.update(b"\n");
        writeln!(self.file, "{line}").map_err(FileError::on("write", &self.staging))
    }

    /// Ends the list and puts it in place under the digest of its content. Not synced: that is one step for all files.
    pub(super) fn finish(
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

pub(super) fn beginning(digest: &Digest) -> u64 {
    let first = digest.as_bytes().first_chunk();
    first.map_or(0, |first| u64::from_be_bytes(*first))
}

/// Reads a list; ends with an error where the list does.
#[derive(Debug)]
pub(super) struct ListReader {
    file: BufReader<File>,
    path: PathBuf,
    read: u64,
    /// Where the next line begins.
    at: u64,
    done: bool,
}

/// The file whose line begins at this place of a list.
pub(super) fn entry_at(path: &Path, at: u64) -> Result<Option<Entry>, MirrorError> {
    let mut reader = ListReader::open(path)?;
    let sought = reader.file.seek(SeekFrom::Start(at));
    sought.map_err(FileError::on("read", path))?;
    Ok(parse(&reader.line()?))
}

impl ListReader {
    pub(super) fn open(path: &Path) -> Result<Self, MirrorError> {
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
    pub(super) fn places(
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
        use std::io::Read as _;
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
        let entry = parse(&line).ok_or_else(|| self.damaged(&format!("line `{line}`")))?;
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

fn parse(line: &str) -> Option<Entry> {
    let mut words = line.splitn(4, ' ');
    let digest = words.next()?.parse().ok()?;
    let size = words.next()?.parse().ok()?;
    let (kind, brought) = Kind::of_letter(words.next()?)?;
    let mut fields = words.next()?.split('\t');
    let path = RelPath::parse(fields.next()?.as_bytes()).ok()?;
    let names: Vec<String> = fields.map(str::to_owned).collect();
    let package = match names.len() {
        0 => None,
        _ => Some(names.try_into().ok()?),
    };
    (!path.is_root()).then_some(Entry {
        digest,
        size,
        kind,
        path,
        package,
        brought,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, content: &[u8]) -> Entry {
        Entry {
            digest: Digest::of(content),
            size: content.len() as u64,
            kind: Kind::Deb,
            path: RelPath::parse(path.as_bytes()).unwrap(),
            package: Some(["a b".into(), "1".into(), "all".into()]),
            brought: true,
        }
    }

    fn write(directory: &Path, entries: &[Entry]) -> (PathBuf, Summary) {
        let mut writer = ListWriter::new(directory).unwrap();
        for entry in entries {
            writer.add(entry).unwrap();
        }
        let place = |id: &Digest| directory.join(id.to_string());
        let summary = writer.finish(place).unwrap();
        (place(&summary.id), summary)
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_names_a_file_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut entries = [
            entry("pool/a b.deb", b"one"),
            entry("pool/c.deb", b"two"),
            entry("pool/d.deb", b"three"),
        ];
        entries[2].brought = false;
        let mut written = entries.to_vec();
        written.push(entries[0].clone());
        let (path, summary) = write(directory.path(), &written);
        let read: Vec<Entry> = ListReader::open(&path)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(read, entries);
        assert_eq!((summary.files, summary.packages, summary.bytes), (3, 2, 6));
        assert_eq!(summary.id, Digest::of(&fs::read(&path).unwrap()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_path_that_is_two_files_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ListWriter::new(directory.path()).unwrap();
        writer.add(&entry("pool/a", b"one")).unwrap();
        let error = writer.add(&entry("pool/a", b"two")).unwrap_err();
        assert!(
            matches!(error, MirrorError::Contradiction { .. }),
            "{error}"
        );
        drop(writer);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_cut_list_is_an_error_wherever_it_is_cut() {
        let directory = tempfile::tempdir().unwrap();
        let (path, _) = write(directory.path(), &[entry("pool/a", b"1"), entry("b", b"2")]);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let read = ListReader::open(&path);
            let all: Result<Vec<Entry>, MirrorError> = read.and_then(Iterator::collect);
            assert!(all.is_err(), "{length}");
        }
    }
}
