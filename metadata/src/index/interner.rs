//! Texts kept once, each with a number. The hash is fixed, because the table of names is written to the file as it is.

use super::tables::Texts;

/// Numbered texts with a table of open addressing over them.
#[derive(Debug, Default)]
pub(super) struct Interner {
    pub(super) texts: Texts,
    /// Empty or a power of two long, never more than three quarters full.
    slots: Vec<Slot>,
}

/// One place of the table. The hash lies beside the number, so that most comparisons look at nothing else.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: u32,
    /// Number + 1, or 0.
    number: u32,
}

impl Interner {
    /// The number of `text`, and whether it is new. `None` when 32 bits are used up.
    pub(super) fn intern(&mut self, text: &str) -> Option<(u32, bool)> {
        if self.texts.len() >= self.slots.len().div_euclid(4).saturating_mul(3) {
            self.grow();
        }
        let hash = text_hash(text.as_bytes());
        let mut place = slot_of(hash, self.slots.len());
        loop {
            let slot = self.slots.get(place)?;
            let Some(number) = slot.number.checked_sub(1) else {
                break;
            };
            if slot.hash == hash && self.texts.get(number) == text.as_bytes() {
                return Some((number, false));
            }
            place = place.wrapping_add(1) & self.slots.len().wrapping_sub(1);
        }
        let number = self.texts.push(text)?;
        *self.slots.get_mut(place)? = Slot {
            hash,
            number: number.checked_add(1)?,
        };
        Some((number, true))
    }

    /// The texts, and the table as the file has it: number + 1, or 0.
    pub(super) fn into_parts(self) -> (Texts, Vec<u32>) {
        let slots = self.slots.iter().map(|slot| slot.number).collect();
        (self.texts, slots)
    }

    fn grow(&mut self) {
        let length = self.slots.len().saturating_mul(2).max(1 << 10);
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); length]);
        for slot in old.into_iter().filter(|slot| slot.number != 0) {
            let mut place = slot_of(slot.hash, length);
            while self.slots.get(place).is_some_and(|taken| taken.number != 0) {
                place = place.wrapping_add(1) & length.wrapping_sub(1);
            }
            if let Some(free) = self.slots.get_mut(place) {
                *free = slot;
            }
        }
    }
}

/// Where the search for a text of this hash begins in a table of `length` slots, a power of two.
pub(super) const fn slot_of(hash: u32, length: usize) -> usize {
    hash as usize & length.wrapping_sub(1)
}

/// A fixed hash: eight bytes at a time, multiplied and folded. The file depends on it.
pub(super) fn text_hash(text: &[u8]) -> u32 {
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
    let hash = mix(mix(hash, u64::from_le_bytes(last)), FACTOR);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower half is the hash"
    )]
    let hash = hash as u32;
    hash
}
