//! A payload without the contents of its files, which are objects: what must be kept to make the very same stream again.
//!
//! Names, order, hard links and padding stay byte for byte as the package has them, so nothing here knows cpio. It is
//! control data of the manifest, compressed:
//!
//! ```text
//! u32 number of cuts, then per cut: u64 position in the rest, 32 bytes sha256, u64 size of what was cut out
//! the rest
//! ```
//!
//! Numbers are little-endian.

use std::io::{self, Read as _, Write};
use vzpkg_metadata::Digest;

/// The most that is kept of one package: 300,000 files with long names. What has more is installed as it came.
const MOST_BYTES: usize = 48 << 20;

const LEVEL: i32 = 3;

/// A stream with holes, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Skeleton {
    rest: Vec<u8>,
    cuts: Vec<Cut>,
    too_large: bool,
}

/// A hole, and what belongs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    position: usize,
    digest: Digest,
    size: u64,
}

/// Bytes of an encoded cut.
const CUT: usize = 48;

impl Skeleton {
    /// Bytes that stay.
    pub(super) fn literal(&mut self, bytes: &[u8]) {
        if self.rest.len() + self.cuts.len() * CUT + bytes.len() > MOST_BYTES {
            self.too_large = true;
        } else {
            self.rest.extend_from_slice(bytes);
        }
    }

    /// Bytes that are an object.
    pub(super) fn content(&mut self, digest: Digest, size: u64) {
        if !self.too_large {
            self.cuts.push(Cut {
                position: self.rest.len(),
                digest,
                size,
            });
        }
    }

    /// Its compressed form; `None` for one that is too large to keep.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        if self.too_large {
            return None;
        }
        let mut bytes = u32::try_from(self.cuts.len()).ok()?.to_le_bytes().to_vec();
        for cut in &self.cuts {
            bytes.extend((cut.position as u64).to_le_bytes());
            bytes.extend(cut.digest.as_bytes());
            bytes.extend(cut.size.to_le_bytes());
        }
        bytes.extend(&self.rest);
        zstd::bulk::compress(&bytes, LEVEL).ok()
    }

    /// Reads what [`Self::encode`] wrote; `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut plain = Vec::new();
        let limit = MOST_BYTES as u64 + 1024;
        let decoder = zstd::Decoder::new(bytes).ok()?;
        decoder.take(limit + 1).read_to_end(&mut plain).ok()?;
        if plain.len() as u64 > limit {
            return None;
        }
        let (count, plain) = plain.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (cuts, rest) = plain.split_at_checked(count.checked_mul(CUT)?)?;
        let cuts: Vec<Cut> = cuts.chunks_exact(CUT).filter_map(Cut::decode).collect();
        let sorted = cuts.is_sorted_by_key(|cut| cut.position);
        let inside = cuts.last().is_none_or(|cut| cut.position <= rest.len());
        (cuts.len() == count && sorted && inside).then(|| Self {
            rest: rest.to_vec(),
            cuts,
            too_large: false,
        })
    }

    /// Writes the stream; `content` writes what was cut out.
    ///
    /// # Errors
    /// What writing says, or `content`.
    pub(crate) fn expand<W: Write, E: From<io::Error>>(
        &self,
        out: &mut W,
        mut content: impl FnMut(&Digest, u64, &mut W) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = 0;
        for cut in &self.cuts {
            out.write_all(self.rest.get(from..cut.position).unwrap_or_default())?;
            content(&cut.digest, cut.size, out)?;
            from = cut.position;
        }
        out.write_all(self.rest.get(from..).unwrap_or_default())?;
        Ok(())
    }
}

impl Cut {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (position, bytes) = bytes.split_first_chunk::<8>()?;
        let (digest, bytes) = bytes.split_first_chunk::<32>()?;
        let (size, _) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            position: usize::try_from(u64::from_le_bytes(*position)).ok()?,
            digest: Digest::from_bytes(*digest),
            size: u64::from_le_bytes(*size),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Skeleton {
        let mut skeleton = Skeleton::default();
        skeleton.literal(b"one");
        skeleton.content(Digest::of(b"A"), 1);
        skeleton.content(Digest::of(b"B"), 1);
        skeleton.literal(b"two");
        skeleton
    }

    fn expanded(skeleton: &Skeleton) -> Vec<u8> {
        let mut out = Vec::new();
        let put = |digest: &Digest, _size: u64, out: &mut Vec<u8>| {
            let known = [b"A", b"B"].into_iter().find(|b| Digest::of(*b) == *digest);
            out.write_all(known.ok_or(io::ErrorKind::NotFound)?)
        };
        skeleton.expand(&mut out, put).unwrap();
        out
    }

    #[test]
    fn a_skeleton_gives_its_stream_back() {
        let kept = Skeleton::decode(&sample().encode().unwrap()).unwrap();
        assert_eq!(kept, sample());
        assert_eq!(expanded(&kept), b"oneABtwo");
    }

    #[test]
    fn damaged_skeletons_are_none_and_never_a_panic() {
        let good = sample().encode().unwrap();
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                drop(Skeleton::decode(&bad));
            }
            assert_eq!(Skeleton::decode(&good[..at]), None, "{at}");
        }
        let plain = |count: u32, position: u64| {
            let mut bytes = count.to_le_bytes().to_vec();
            bytes.extend(position.to_le_bytes());
            bytes.extend([0; 40]);
            bytes.extend(b"rest");
            Skeleton::decode(&zstd::bulk::compress(&bytes, LEVEL).unwrap())
        };
        assert!(plain(1, 4).is_some());
        assert_eq!(plain(1, 5), None);
        assert_eq!(plain(2, 0), None);
        assert_eq!(plain(u32::MAX, 0), None);
        let bomb = zstd::bulk::compress(&vec![0; MOST_BYTES + 2048], LEVEL).unwrap();
        assert_eq!(Skeleton::decode(&bomb), None);
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let mut skeleton = Skeleton::default();
        skeleton.literal(&vec![0; MOST_BYTES]);
        assert!(skeleton.encode().is_some());
        skeleton.literal(b"!");
        assert_eq!(skeleton.encode(), None);
    }
}
