//! The compressed part of an rpm package: opened by what its first bytes are, bounded by what the package may hold.

use std::io::{self, BufRead as _, BufReader, Read};

/// Memory an xz payload may ask for. `xz -9` asks for 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// The log of the largest zstd window: 128 MiB, what `zstd --ultra --long=27` asks for.
const ZSTD_WINDOW: u32 = 27;

/// How a payload is compressed, as its first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Xz,
    Zstd,
    Bzip2,
    Lzma,
    None,
}

impl Compression {
    fn of(start: &[u8]) -> Self {
        let known: [(&[u8], Self); 5] = [
            (&[0x1f, 0x8b], Self::Gzip),
            (b"\xfd7zXZ\0", Self::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Self::Zstd),
            (b"BZh", Self::Bzip2),
            (&[0x5d, 0, 0], Self::Lzma),
        ];
        let found = known.iter().find(|(magic, _)| start.starts_with(magic));
        found.map_or(Self::None, |(_, compression)| *compression)
    }
}

/// Opens a payload. The header's claim about compression is not asked: the stream says it itself.
///
/// # Errors
/// What reading or the decoder says.
pub(super) fn open<'a>(
    file: impl Read + 'a,
    limit: u64,
) -> io::Result<(Compression, Bounded<Box<dyn Read + 'a>>)> {
    let mut stream = BufReader::with_capacity(256 << 10, file);
    let compression = Compression::of(stream.fill_buf()?);
    let inner: Box<dyn Read + 'a> = match compression {
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stream)),
        Compression::Xz => {
            let decoder = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(stream, decoder))
        }
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(stream)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(stream)),
        Compression::Lzma => {
            let decoder = liblzma::stream::Stream::new_lzma_decoder(XZ_MEMORY)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(stream, decoder))
        }
        Compression::None => Box::new(stream),
    };
    let stream = Bounded {
        inner,
        left: limit,
        exceeded: false,
    };
    Ok((compression, stream))
}

/// A stream that fails, rather than ends, when it yields more than it may.
pub(super) struct Bounded<R> {
    inner: R,
    left: u64,
    exceeded: bool,
}

impl<R> Bounded<R> {
    /// Whether the limit was the reason of a failure.
    pub(super) const fn is_exceeded(&self) -> bool {
        self.exceeded
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if let Some(left) = self.left.checked_sub(read as u64) {
            self.left = left;
            Ok(read)
        } else {
            self.exceeded = true;
            Err(io::ErrorKind::FileTooLarge.into())
        }
    }
}
