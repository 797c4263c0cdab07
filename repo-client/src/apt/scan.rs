//! From a compressed `Packages` file to records: unpacked by one thread, scanned by another, a window at a time.
//!
//! Debian main is 50 MB unpacked; in one piece, five suites loaded at once would need 200 MB. Unpacking xz and building
//! the index take about as long as each other, so side by side they take half.

use crate::decompress::{self, Compression, DecompressError};
use crate::error::RepositoryProblem;
use std::io::Read;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use vzpkg_metadata::apt::packages::{self, PackagesError};
use vzpkg_metadata::apt::source_index::{self, SourceFile};
use vzpkg_metadata::index::IndexBuilder;
use vzpkg_metadata::limits;
use vzpkg_metadata::package::PackageRecord;

/// Bytes that are scanned at a time; the last paragraph of a window begins the next one.
const WINDOW: u64 = 256 << 10;

/// Windows that wait for the scanner.
const WAITING: usize = 2;

/// One compressed index.
#[derive(Debug)]
pub(crate) struct Packed<'a, R> {
    /// Below the suite, for messages and for the kind of compression.
    pub(crate) name: &'a str,
    /// The file; whoever opened it checks its hash at the end.
    pub(crate) file: R,
    /// Unpacked, where it is signed.
    pub(crate) size: Option<u64>,
}

/// Adds every package to `builder`.
pub(super) fn add_packages(
    packed: Packed<'_, impl Read + Send>,
    builder: &mut IndexBuilder,
) -> Result<(), RepositoryProblem> {
    each_package(packed, &mut |record| builder.add(record))
}

/// Hands every package to `visit`, in order.
pub(crate) fn each_package(
    packed: Packed<'_, impl Read + Send>,
    visit: &mut dyn FnMut(&PackageRecord<'_>),
) -> Result<(), RepositoryProblem> {
    each_window(packed, &mut |text| {
        let mut count: usize = 0;
        packages::scan(text, &mut |record| {
            visit(record);
            count = count.saturating_add(1);
        })?;
        Ok(count)
    })
}

/// Hands every file of every source package to `visit`, in order.
pub(crate) fn each_source(
    packed: Packed<'_, impl Read + Send>,
    visit: &mut dyn FnMut(&SourceFile<'_>),
) -> Result<(), RepositoryProblem> {
    each_window(packed, &mut |text| source_index::scan(text, visit))
}

/// Reads whole paragraphs; how many there were.
type ReadWindow<'a> = dyn FnMut(&str) -> Result<usize, PackagesError> + 'a;

/// Hands all of an index to `read`, piece by piece.
fn each_window(
    packed: Packed<'_, impl Read + Send>,
    read: &mut ReadWindow<'_>,
) -> Result<(), RepositoryProblem> {
    let name = packed.name;
    let file = || crate::source::shown(name);
    let (scanned, unpacked) = thread::scope(|scope| {
        let (sender, windows) = mpsc::sync_channel(WAITING);
        let unpacking = scope.spawn(move || unpack(packed, &sender));
        let scanned = scan(&windows, &file, read);
        // The receiver goes before the wait: a scanner that failed takes nothing more.
        drop(windows);
        let unpacked = unpacking
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (scanned, unpacked)
    });
    // A file that is cut or too long explains what a scanner finds wrong at its end.
    unpacked.map_err(|source| RepositoryProblem::Decompress {
        file: file(),
        source,
    })?;
    scanned
}

/// Cuts the unpacked text into windows of whole paragraphs. Ends early where nobody takes them.
fn unpack(
    packed: Packed<'_, impl Read>,
    windows: &SyncSender<Vec<u8>>,
) -> Result<(), DecompressError> {
    let compression = Compression::of_name(packed.name);
    let mut reader = decompress::stream(compression, packed.file, packed.size)?;
    let mut window = Vec::new();
    loop {
        let read = (&mut reader).take(WINDOW).read_to_end(&mut window);
        let read = read.map_err(decompress::told_apart)?;
        if read == 0 {
            // Nobody listening means that scanning failed, which is reported there.
            drop(windows.send(window));
            return Ok(());
        }
        let end = window.windows(2).rposition(|pair| pair == b"\n\n");
        if let Some(end) = end {
            let rest = window.split_off(end.saturating_add(2));
            if windows.send(std::mem::replace(&mut window, rest)).is_err() {
                return Ok(());
            }
        } else if window.len() as u64 > limits::CONTROL_BYTES {
            let limit = limits::CONTROL_BYTES;
            return Err(DecompressError::TooLarge { limit });
        }
    }
}

fn scan(
    windows: &Receiver<Vec<u8>>,
    file: &dyn Fn() -> String,
    read: &mut ReadWindow<'_>,
) -> Result<(), RepositoryProblem> {
    let mut before: usize = 0;
    for window in windows {
        let text = std::str::from_utf8(&window).map_err(|source| RepositoryProblem::NotText {
            file: file(),
            source,
        })?;
        let count = read(text).map_err(|source| RepositoryProblem::Packages {
            file: file(),
            source: source.counted_after(before),
        })?;
        before = before.saturating_add(count);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vzpkg_metadata::Family;
    use vzpkg_tests::apt_repo::compress;

    /// `count` packages with descriptions long enough for several windows.
    fn index(count: usize) -> String {
        let paragraphs = (0..count).map(|number| {
            let filler = "x".repeat(number % 7000);
            let digest = format!("{number:064x}");
            format!(
                "Package: p{number}\nVersion: 1\nArchitecture: all\nFilename: pool/p{number}.deb\nSize: 1\nSHA256: {digest}\nDescription: {filler}\n"
            )
        });
        paragraphs.collect::<Vec<_>>().join("\n")
    }

    fn build(text: &str, form: &str, size: Option<u64>) -> Result<IndexBuilder, RepositoryProblem> {
        let bytes = compress(text.as_bytes(), form);
        let mut builder = IndexBuilder::new(Family::Deb);
        let packed = Packed {
            name: &format!("Packages.{form}"),
            file: &*bytes,
            size,
        };
        add_packages(packed, &mut builder)?;
        Ok(builder)
    }

    #[test]
    fn windows_give_the_same_index_as_the_whole() {
        let text = index(4000);
        assert!(text.len() as u64 > 6 * WINDOW);
        let mut whole = IndexBuilder::new(Family::Deb);
        packages::scan(&text, &mut |record| whole.add(record)).unwrap();
        let whole = whole.finish().unwrap();
        for form in ["xz", "gz", "zst"] {
            let windows = build(&text, form, Some(text.len() as u64)).unwrap();
            assert_eq!(*windows.finish().unwrap(), *whole, "{form}");
        }
    }

    #[test]
    fn faults_in_a_later_window_name_the_package() {
        let text = index(1500).replace(
            "Version: 1\nArchitecture: all\nFilename: pool/p1400",
            "Filename: pool/p1400",
        );
        let error = build(&text, "gz", None).unwrap_err();
        let RepositoryProblem::Packages { source, .. } = error else {
            panic!("{error}");
        };
        assert!(
            source
                .to_string()
                .contains("package 1401 of the index (`p1400`)"),
            "{source}"
        );
    }

    #[test]
    fn a_wrong_size_is_told_before_what_it_cuts() {
        let text = index(1000);
        for (size, expected) in [(100_000, "unpacks to more than"), (1 << 30, "unpacks to")] {
            let error = build(&text, "xz", Some(size)).unwrap_err();
            let RepositoryProblem::Decompress { source, .. } = error else {
                panic!("{error}");
            };
            assert!(source.to_string().contains(expected), "{source}");
        }
    }
}
