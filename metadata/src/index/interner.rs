//! Texts kept once, each with a number. The hash is fixed, because the table of names is written to the file as it is.

use super::tables::Piece;

/// Texts in one blob with a table of open addressing over them.
#[derive(Debug, Default)]
pub(super) struct Interner {
    pub(super) pieces: Vec<Piece>,
    /// Of each text, so that growing and most comparisons need not look at the blob.
    hashes: Vec<u64>,
    /// Number + 1, or 0; empty or a power of two long, never more than half full.
    pub(super) slots: Vec<u32>,
}

impl Interner {
    /// The number of `text`, and whether it is new. `None` when 32 bits are used up.
    pub(super) fn intern(&mut self, blob: &mut Vec<u8>, text: &str) -> Option<(u32, bool)> {
        if self.pieces.len() >= self.slots.len() / 2 {
            self.grow();
        }
        let hash = text_hash(text.as_bytes());
        let mut slot = slot_of(hash, self.slots.len());
        loop {
            let number = *self.slots.get(slot)?;
            let Some(number) = number.checked_sub(1) else {
                break;
            };
            if self.hashes.get(number as usize) == Some(&hash)
                && piece(blob, self.pieces.get(number as usize).copied()?) == Some(text.as_bytes())
            {
                return Some((number, false));
            }
            slot = slot.wrapping_add(1) & self.slots.len().wrapping_sub(1);
        }
        let number = u32::try_from(self.pieces.len()).ok()?;
        self.pieces.push(push(blob, text)?);
        self.hashes.push(hash);
        *self.slots.get_mut(slot)? = number.checked_add(1)?;
        Some((number, true))
    }

    fn grow(&mut self) {
        let length = self.slots.len().saturating_mul(2).max(1 << 14);
        self.slots = vec![0; length];
        for (number, &hash) in (1_u32..).zip(&self.hashes) {
            let mut slot = slot_of(hash, length);
            while self.slots.get(slot).is_some_and(|&taken| taken != 0) {
                slot = slot.wrapping_add(1) & length.wrapping_sub(1);
            }
            if let Some(free) = self.slots.get_mut(slot) {
                *free = number;
            }
        }
    }
}

/// Appends `text` to the blob; `None` when the blob is full.
pub(super) fn push(blob: &mut Vec<u8>, text: &str) -> Option<Piece> {
    let start = u32::try_from(blob.len()).ok()?;
    let length = u32::try_from(text.len()).ok()?;
    start.checked_add(length)?;
    blob.extend_from_slice(text.as_bytes());
    Some(Piece { start, length })
}

fn piece(blob: &[u8], piece: Piece) -> Option<&[u8]> {
    let end = piece.start.checked_add(piece.length)?;
    blob.get(piece.start as usize..end as usize)
}

/// Where the search for a text of this hash begins in a table of `length` slots, a power of two.
pub(super) const fn slot_of(hash: u64, length: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "masked to the table")]
    let hash = hash as usize;
    hash & length.wrapping_sub(1)
}

/// A fixed hash: eight bytes at a time, multiplied and folded. The file depends on it.
pub(super) fn text_hash(text: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word).wrapping_mul(u128::from(FACTOR));
        #[expect(clippy::cast_possible_truncation, reason = "both halves are folded")]
        let folded = (product as u64) ^ ((product >> 64) as u64);
        folded
    };
    let mut hash = FACTOR ^ text.len() as u64;
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word)).wrapping_add(FACTOR);
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    mix(mix(hash, u64::from_le_bytes(last)), FACTOR)
}
