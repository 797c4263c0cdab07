//! The `xz2` that `debpkg` asks for: the same API, served by `liblzma`, with a bound on the memory of a decoder.
//!
//! `xz2` links `lzma-sys` and `rpm` links `liblzma-sys`; both claim `links = "lzma"`, so Cargo refuses the pair. Put in
//! with `[patch.crates-io]` in the workspace manifest. Not for use by our own code, which calls `liblzma` directly.

pub use liblzma::*;

/// Decoders that read from a stream.
pub mod read {
    use liblzma::stream::{CONCATENATED, Stream};
    use std::io::{self, Read};

    /// Memory that a decoder may ask for. `xz -9` asks for 65 MiB; what a file claims may be 4 GiB.
    const MEMORY: u64 = 256 << 20;

    /// What a stream of one or more compressed parts holds.
    pub struct XzDecoder<R: Read>(io::Result<liblzma::read::XzDecoder<R>>);

    impl<R: Read> std::fmt::Debug for XzDecoder<R> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("XzDecoder").finish_non_exhaustive()
        }
    }

    impl<R: Read> XzDecoder<R> {
        /// Opens xz and lzma. What goes wrong is said by the first read.
        pub fn new_multi_decoder(stream: R) -> Self {
            let decoder = Stream::new_auto_decoder(MEMORY, CONCATENATED);
            let opened =
                decoder.map(|decoder| liblzma::read::XzDecoder::new_stream(stream, decoder));
            Self(opened.map_err(io::Error::from))
        }
    }

    impl<R: Read> Read for XzDecoder<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match &mut self.0 {
                Ok(decoder) => decoder.read(buffer),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    /// As xz has it; a bit at a time, for a few bytes.
    fn crc32(bytes: &[u8]) -> u32 {
        let step = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        !bytes.iter().fold(!0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc))
        })
    }

    /// What it holds, or why not.
    fn read(stream: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        super::read::XzDecoder::new_multi_decoder(stream).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn a_window_of_gigabytes_is_refused_and_the_largest_honest_one_is_not() {
        let mut encoder = super::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(b"hello").unwrap();
        let mut stream = encoder.finish().unwrap();
        // Behind the head of the stream: size and flags of the block header, the filter, its size, its dictionary.
        assert_eq!(&stream[14..16], [0x21, 1]);
        for (dictionary, is_read) in [(28_u8, true), (40, false)] {
            stream[16] = dictionary;
            let crc = crc32(&stream[12..20]).to_le_bytes();
            stream[20..24].copy_from_slice(&crc);
            let found = read(&stream);
            assert_eq!(found.is_ok(), is_read, "{dictionary}: {found:?}");
        }
    }
}
