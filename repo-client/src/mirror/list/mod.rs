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

mod entry;
mod reader;
mod writer;

pub(super) use entry::{Entry, Kind};
pub(super) use reader::{ListReader, entry_at};
pub(super) use writer::{ListWriter, Summary};

use vzpkg_metadata::Digest;

const FIRST_LINE: &str = "vzpkg mirror list 1";

/// A line holds two digests' worth of numbers, a path and three names.
const LINE_BYTES: u64 = 16 << 10;

/// The beginning of a digest, by which files are told apart in memory.
pub(super) fn beginning(digest: &Digest) -> u64 {
    let first = digest.as_bytes().first_chunk();
    first.map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::error::MirrorError;
    use std::fs;
    use std::path::{Path, PathBuf};
    use vzpkg_metadata::RelPath;

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
