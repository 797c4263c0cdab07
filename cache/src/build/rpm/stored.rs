//! Compressed streams that compress nothing: `.xz` and `.zst` have a way to hold bytes as they are, and zlib reads what
//! is no gzip as it is. So a payload whose header says `xz` can be handed to rpm without its time going into decoding.
//!
//! No crate writes these: an encoder of level 0 still searches for matches, a hundred times the cost of a copy.

use crate::import::rpm::Wrapping;
use flate2::Crc;
use std::io::{self, Write};

/// What one chunk of LZMA2 or block of zstd holds here; LZMA2 has no larger one.
const CHUNK: usize = 64 << 10;

/// Writes one stream; nothing of it is complete before [`Self::finish`].
#[derive(Debug)]
pub(super) struct Stored<W: Write> {
    out: W,
    wrapping: Wrapping,
    chunk: Vec<u8>,
    /// Bytes that went in, chunk by chunk.
    length: u64,
    chunks: u64,
}

impl<W: Write> Stored<W> {
    pub(super) fn begin(mut out: W, wrapping: Wrapping) -> io::Result<Self> {
        match wrapping {
            Wrapping::Plain => {}
            Wrapping::Xz => {
                out.write_all(b"\xfd7zXZ\0")?;
                out.write_all(&checked(&XZ_FLAGS, Order::ContentFirst))?;
                out.write_all(&checked(&XZ_BLOCK, Order::ContentFirst))?;
            }
            // A frame of unknown length, no checksum, with a window of 128 KiB.
            Wrapping::Zstd => out.write_all(&[0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3])?,
        }
        Ok(Self {
            out,
            wrapping,
            chunk: Vec::with_capacity(CHUNK),
            length: 0,
            chunks: 0,
        })
    }

    fn put_chunk(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        match self.wrapping {
            Wrapping::Plain => {}
            Wrapping::Xz => {
                // An uncompressed chunk; the first one resets the dictionary. The size is one less, big-endian.
                let kind = if self.chunks == 0 { 1 } else { 2 };
                let size = u16::try_from(self.chunk.len() - 1).unwrap_or(u16::MAX);
                let [high, low] = size.to_be_bytes();
                self.out.write_all(&[kind, high, low])?;
            }
            Wrapping::Zstd => self.put_zstd_header(self.chunk.len())?,
        }
        self.out.write_all(&self.chunk)?;
        self.length += self.chunk.len() as u64;
        self.chunks += 1;
        self.chunk.clear();
        Ok(())
    }

    /// The header of a raw block, which is the last one if it is empty.
    fn put_zstd_header(&mut self, length: usize) -> io::Result<()> {
        let size = u32::try_from(length).unwrap_or_default();
        let bytes = (size << 3 | u32::from(size == 0)).to_le_bytes();
        self.out.write_all(&bytes[..3])
    }

    /// Ends the stream and gives back where it went.
    ///
    /// # Errors
    /// What writing says.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.put_chunk()?;
        match self.wrapping {
            Wrapping::Plain => {}
            Wrapping::Xz => self.end_xz()?,
            Wrapping::Zstd => self.put_zstd_header(0)?,
        }
        Ok(self.out)
    }

    fn end_xz(&mut self) -> io::Result<()> {
        let block = XZ_BLOCK.len() as u64 + 4;
        let unpadded = block + self.length + 3 * self.chunks + 1;
        // The end of LZMA2, then padding to four bytes.
        self.out.write_all(&[0])?;
        self.out.write_all(padding(unpadded))?;
        let mut index = vec![0, 1];
        put_number(&mut index, unpadded);
        put_number(&mut index, self.length);
        index.extend(padding(index.len() as u64));
        let index = checked(&index, Order::ContentFirst);
        self.out.write_all(&index)?;
        let size = u32::try_from(index.len() / 4 - 1).unwrap_or_default();
        let mut footer = size.to_le_bytes().to_vec();
        footer.extend(XZ_FLAGS);
        self.out.write_all(&checked(&footer, Order::CrcFirst))?;
        self.out.write_all(b"YZ")
    }
}

impl<W: Write> Write for Stored<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk
            .extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if self.chunk.len() == CHUNK {
            self.put_chunk()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// No check of the content: package file and objects were verified.
const XZ_FLAGS: [u8; 2] = [0, 0];

/// A block header: its size in words less one, no sizes, filter LZMA2 with a dictionary of 8 MiB, padding.
const XZ_BLOCK: [u8; 8] = [2, 0, 0x21, 1, 0x16, 0, 0, 0];

#[derive(Clone, Copy)]
enum Order {
    ContentFirst,
    CrcFirst,
}

/// Bytes and their CRC32.
fn checked(bytes: &[u8], order: Order) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(bytes);
    let sum = crc.sum().to_le_bytes();
    match order {
        Order::ContentFirst => [bytes, &sum].concat(),
        Order::CrcFirst => [&sum, bytes].concat(),
    }
}

fn padding(length: u64) -> &'static [u8] {
    const ZEROS: [u8; 3] = [0; 3];
    let missing = usize::try_from((4 - length % 4) % 4).unwrap_or_default();
    ZEROS.get(..missing).unwrap_or_default()
}

/// Seven bits at a time, the lowest first.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn stored(wrapping: Wrapping, content: &[u8]) -> Vec<u8> {
        let mut stream = Stored::begin(Vec::new(), wrapping).unwrap();
        // In pieces, as files come.
        for piece in content.chunks(70_001) {
            stream.write_all(piece).unwrap();
        }
        stream.finish().unwrap()
    }

    #[test]
    fn every_decoder_gives_the_content_back() {
        let long: Vec<u8> = (0..300_000_u32)
            .map(|i| (i.wrapping_mul(i) >> 7).to_le_bytes()[0])
            .collect();
        for length in [0, 1, 2, 3, 4, CHUNK - 1, CHUNK, CHUNK + 1, long.len()] {
            let content = &long[..length];
            assert_eq!(stored(Wrapping::Plain, content), content);
            let xz = stored(Wrapping::Xz, content);
            let mut out = Vec::new();
            let mut decoder = liblzma::read::XzDecoder::new(&xz[..]);
            decoder.read_to_end(&mut out).unwrap();
            assert!(out == content && decoder.total_in() == xz.len() as u64);
            let zstd = stored(Wrapping::Zstd, content);
            assert!(zstd::decode_all(&zstd[..]).unwrap() == content, "{length}");
        }
    }
}
