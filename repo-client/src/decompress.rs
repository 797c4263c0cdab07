//! Decompression of metadata with a bound: the signed size where there is one. Progress or an end on every read.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use vzpkg_metadata::limits;

/// How a file is compressed, told by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
    Bzip2,
}

/// Why compressed metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// The stream is damaged or cut.
    #[error("the compressed data is damaged")]
    Damaged {
        /// What the decoder said.
        source: io::Error,
    },
    /// More comes out than was signed, or than the bound for files without a signed size.
    #[error("it unpacks to more than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// Less comes out than was signed.
    #[error("it unpacks to {found} bytes instead of {expected}")]
    Short {
        /// The signed size.
        expected: u64,
        /// What came out.
        found: u64,
    },
}

/// Memory that an xz decoder may take. `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// Window that a zstd decoder may take, as a power of two. `zstd --ultra -22 --long=27` needs 27.
const ZSTD_WINDOW: u32 = 27;

impl Compression {
    /// By the last extension of a name.
    pub(crate) fn of_name(name: &str) -> Self {
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("gz") => Self::Gzip,
            Some("xz") => Self::Xz,
            Some("zst") => Self::Zstd,
            Some("bz2") => Self::Bzip2,
            _ => Self::None,
        }
    }

    fn reader<'a>(self, input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        let input = BufReader::with_capacity(64 << 10, input);
        Ok(match self {
            Self::None => Box::new(input),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
            Self::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                Box::new(decoder)
            }
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        })
    }
}

/// Unpacks `input` piece by piece. `size` is the signed size of the result, to which it is held exactly; what breaks it
/// comes out of the reader as an I/O error, [told apart](told_apart) by its content.
///
/// # Errors
/// [`DecompressError::Damaged`] where the stream does not even begin.
pub(crate) fn stream<'a>(
    compression: Compression,
    input: impl Read + 'a,
    size: Option<u64>,
) -> Result<impl BufRead + 'a, DecompressError> {
    let damaged = |source| DecompressError::Damaged { source };
    let bounded = Bounded {
        reader: compression.reader(input).map_err(damaged)?,
        limit: size.unwrap_or(limits::INDEX_BYTES),
        exact: size.is_some(),
        found: 0,
    };
    Ok(BufReader::with_capacity(128 << 10, bounded))
}

/// What went wrong in a reader that [`stream`] made.
pub(crate) fn told_apart(error: io::Error) -> DecompressError {
    match error.downcast() {
        Ok(bound) => bound,
        Err(source) => DecompressError::Damaged { source },
    }
}

/// Bytes that [`beside`] unpacks before it hands them on, and how many such pieces may wait.
const PIECE: u64 = 256 << 10;
const WAITING: usize = 2;

/// Unpacks as [`stream`] does, on a thread of its own, while `scan` reads what came: of the two, the slower one is waited
/// for. Says what the unpacking came to, beside what the scanning did; `scan` sees a text that ends early where it failed.
pub(crate) fn beside<T>(
    compression: Compression,
    input: impl Read + Send,
    size: Option<u64>,
    scan: impl FnOnce(&mut dyn BufRead) -> T,
) -> (T, Result<(), DecompressError>) {
    thread::scope(|scope| {
        let (sender, coming) = mpsc::sync_channel(WAITING);
        let unpacking = scope.spawn(move || unpack(compression, input, size, &sender));
        let mut reader = Pieces {
            coming,
            piece: Vec::new(),
            passed: 0,
            ended: false,
        };
        let scanned = scan(&mut reader);
        // The receiver goes before the wait: a scanner that failed takes nothing more.
        drop(reader);
        let unpacked = unpacking
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (scanned, unpacked)
    })
}

/// Sends what comes out, and an empty piece at its end. Ends early where nobody takes it.
fn unpack(
    compression: Compression,
    input: impl Read,
    size: Option<u64>,
    pieces: &SyncSender<Vec<u8>>,
) -> Result<(), DecompressError> {
    let mut reader = stream(compression, input, size)?;
    loop {
        let mut piece = Vec::new();
        let read = (&mut reader).take(PIECE).read_to_end(&mut piece);
        let is_last = read.map_err(told_apart)? == 0;
        if pieces.send(piece).is_err() || is_last {
            return Ok(());
        }
    }
}

/// What another thread unpacks.
struct Pieces {
    coming: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    passed: usize,
    ended: bool,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut piece = self.fill_buf()?;
        let read = piece.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.passed >= self.piece.len() && !self.ended {
            // A sender that goes without an end has failed, and says so itself.
            let next = self.coming.recv();
            self.piece = next.map_err(|_gone| io::Error::from(ErrorKind::UnexpectedEof))?;
            self.passed = 0;
            self.ended = self.piece.is_empty();
        }
        Ok(self.piece.get(self.passed..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.passed = self.passed.saturating_add(count);
    }
}

/// Hands out at most `limit` bytes, and exactly as many if that is the signed size.
struct Bounded<'a> {
    reader: Box<dyn Read + 'a>,
    limit: u64,
    exact: bool,
    found: u64,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.found = self.found.saturating_add(read as u64);
        let (limit, found) = (self.limit, self.found);
        if found > limit {
            return Err(io::Error::other(DecompressError::TooLarge { limit }));
        }
        if read == 0 && !buffer.is_empty() && self.exact && found < limit {
            let expected = limit;
            return Err(io::Error::other(DecompressError::Short { expected, found }));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vzpkg_tests::apt_repo::compress;

    const ALL: [&str; 4] = ["", "gz", "xz", "zst"];

    fn unpack(kind: &str, bytes: &[u8], size: Option<u64>) -> Result<Vec<u8>, DecompressError> {
        let mut output = Vec::new();
        stream(Compression::of_name(&format!("x.{kind}")), bytes, size)?
            .read_to_end(&mut output)
            .map_err(told_apart)?;
        Ok(output)
    }

    #[test]
    fn every_compression_gives_back_what_went_in() {
        let text = "Package: a\n".repeat(10_000).into_bytes();
        for kind in ALL {
            let packed = compress(&text, kind);
            assert_eq!(
                unpack(kind, &packed, Some(text.len() as u64)).unwrap(),
                text
            );
            assert_eq!(unpack(kind, &packed, None).unwrap(), text);
        }
    }

    #[test]
    fn unpacking_beside_gives_the_same_and_says_what_is_wrong() {
        let text = "Package: a\n".repeat(100_000).into_bytes();
        for kind in ALL {
            let packed = compress(&text, kind);
            let beside = |packed: &[u8], size| {
                let compression = Compression::of_name(&format!("x.{kind}"));
                beside(compression, packed, size, |reader| {
                    let mut output = Vec::new();
                    reader.read_to_end(&mut output).map(|_| output)
                })
            };
            let (read, unpacked) = beside(&packed, Some(text.len() as u64));
            assert_eq!(read.unwrap(), text, "{kind}");
            unpacked.unwrap();
            let (read, unpacked) = beside(&packed, Some(1 << 19));
            assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof);
            assert!(matches!(unpacked, Err(DecompressError::TooLarge { .. })));
            let (read, unpacked) = beside(&packed[..packed.len() / 2], Some(text.len() as u64));
            assert!(read.is_err() && unpacked.is_err(), "{kind}");
        }
    }

    #[test]
    fn unpacking_ends_when_nobody_reads() {
        let packed = compress(&vec![0; 16 << 20], "gz");
        let (first, unpacked) = beside(Compression::Gzip, &*packed, None, |reader| {
            reader.fill_buf().map(<[u8]>::len)
        });
        assert_eq!(first.unwrap() as u64, PIECE);
        unpacked.unwrap();
    }

    #[test]
    fn bomb_xz_is_cut_at_the_signed_size() {
        let bomb = vec![0_u8; 64 << 20];
        for kind in ["gz", "xz", "zst"] {
            let packed = compress(&bomb, kind);
            assert!(packed.len() < 1 << 20);
            assert!(matches!(
                unpack(kind, &packed, Some(1000)),
                Err(DecompressError::TooLarge { limit: 1000 })
            ));
        }
    }

    #[test]
    fn truncated_data_is_an_error() {
        let text = "Package: a\n".repeat(10_000).into_bytes();
        for kind in ["gz", "xz", "zst"] {
            let packed = compress(&text, kind);
            let cut = &packed[..packed.len() - 4];
            assert!(unpack(kind, cut, None).is_err(), "{kind}");
        }
        assert!(matches!(
            unpack("", &text, Some(1 << 20)),
            Err(DecompressError::Short { .. })
        ));
    }
}
