//! Decompression of metadata with a bound: the signed size where there is one. Progress or an end on every read.

use std::io::{self, BufRead, BufReader, Read};
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
