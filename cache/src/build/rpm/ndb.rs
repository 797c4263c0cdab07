//! `Packages.db`, rpm's own plain database (SUSE): headers one after another, found through a table at the beginning.
//!
//! ```text
//! page 0…n   "RpmP", version, generation, number of table pages, next number …; then slots of 16 bytes:
//!            "Slot", number of the header (0: free), first block, count of blocks (16 bytes each)
//! a header   "BlbS", number, generation, length · bytes · padding · Adler-32 of all before, length, "BlbE"
//! ```
//!
//! All numbers are little endian. The format was held against a database of SLE 15.

use super::berkeley::Problem;

const MAGIC: u32 = u32::from_le_bytes(*b"RpmP");
const SLOT: u32 = u32::from_le_bytes(*b"Slot");
const HEAD: u32 = u32::from_le_bytes(*b"BlbS");
const TAIL: u32 = u32::from_le_bytes(*b"BlbE");

/// Bytes of a page of the table, of a slot, of a block, and of what stands before and behind a header.
const PAGE: usize = 4096;
const UNIT: usize = 16;
const TAIL_BYTES: usize = 12;

/// Slots of the first page that hold the description of the file instead.
const FIRST_SLOTS: usize = 2;

const DAMAGED: Problem = "it is no ndb database that can be understood";

/// Whether these bytes begin as a database.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    number(bytes, 0) == Some(MAGIC)
}

/// Calls `each` with every header, whole, and puts back what it changed.
pub(super) fn for_each_header(
    bytes: &mut [u8],
    each: &mut dyn FnMut(&mut [u8]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    if !is_one(bytes) || number(bytes, 4) != Some(0) {
        return Err(DAMAGED);
    }
    let pages = size(bytes, 12)?;
    let slots = pages
        .checked_mul(PAGE / UNIT)
        .filter(|slots| {
            slots
                .checked_mul(UNIT)
                .is_some_and(|end| end <= bytes.len())
        })
        .ok_or(DAMAGED)?;
    for slot in FIRST_SLOTS..slots {
        let at = slot * UNIT;
        if number(bytes, at) != Some(SLOT) {
            return Err(DAMAGED);
        }
        if number(bytes, at + 4) == Some(0) {
            continue;
        }
        let place = |field: usize| -> Result<usize, Problem> {
            size(bytes, at + field)?.checked_mul(UNIT).ok_or(DAMAGED)
        };
        let (start, length) = (place(8)?, place(12)?);
        let end = start.checked_add(length).ok_or(DAMAGED)?;
        let key = number(bytes, at + 4);
        let blob = bytes.get_mut(start..end).ok_or(DAMAGED)?;
        one(blob, key, each)?;
    }
    Ok(())
}

/// One header with what stands around it.
fn one(
    blob: &mut [u8],
    key: Option<u32>,
    each: &mut dyn FnMut(&mut [u8]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let tail = blob.len().checked_sub(TAIL_BYTES).ok_or(DAMAGED)?;
    let length = size(blob, 12)?;
    let end = UNIT
        .checked_add(length)
        .filter(|&end| end <= tail)
        .ok_or(DAMAGED)?;
    let is_whole = number(blob, 0) == Some(HEAD)
        && number(blob, 4) == key
        && number(blob, tail + 8) == Some(TAIL)
        && number(blob, tail) == Some(adler32(&blob[..tail]));
    if !is_whole {
        return Err(DAMAGED);
    }
    each(&mut blob[UNIT..end])?;
    let sum = adler32(&blob[..tail]);
    blob[tail..tail + 4].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn size(bytes: &[u8], at: usize) -> Result<usize, Problem> {
    let number = number(bytes, at).and_then(|number| usize::try_from(number).ok());
    number.ok_or(DAMAGED)
}

/// Adler-32 (RFC 1950).
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (mut low, mut high) = (1_u32, 0_u32);
    // So many sums stay below 2^32.
    for chunk in bytes.chunks(5_552) {
        for &byte in chunk {
            low += u32::from(byte);
            high += low;
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    high << 16 | low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of these headers; every other slot is free.
    fn database(headers: &[&[u8]]) -> Vec<u8> {
        let mut bytes = [MAGIC, 0, 7, 1, 9, 0, 0, 0].map(u32::to_le_bytes).concat();
        bytes.resize(PAGE, 0);
        for slot in FIRST_SLOTS..PAGE / UNIT {
            bytes[slot * UNIT..slot * UNIT + 4].copy_from_slice(&SLOT.to_le_bytes());
        }
        for (key, header) in (1_u32..).zip(headers) {
            let start = bytes.len();
            let length = u32::try_from(header.len()).unwrap();
            let mut blob = [HEAD, key, 1, length].map(u32::to_le_bytes).concat();
            blob.extend_from_slice(header);
            while !(blob.len() + TAIL_BYTES).is_multiple_of(UNIT) {
                blob.push(0);
            }
            let tail = [adler32(&blob), length, TAIL]
                .map(u32::to_le_bytes)
                .concat();
            blob.extend(tail);
            bytes.extend_from_slice(&blob);
            let blocks = [start / UNIT, blob.len() / UNIT].map(|it| u32::try_from(it).unwrap());
            let slot = [SLOT, key, blocks[0], blocks[1]]
                .map(u32::to_le_bytes)
                .concat();
            let at = (FIRST_SLOTS + usize::try_from(key).unwrap() * 2) * UNIT;
            bytes[at..at + UNIT].copy_from_slice(&slot);
        }
        bytes
    }

    fn headers(bytes: &mut [u8]) -> Result<Vec<Vec<u8>>, Problem> {
        let mut found = Vec::new();
        for_each_header(bytes, &mut |header| {
            found.push(header.to_vec());
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn sums_are_those_of_the_standard() {
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(adler32(&vec![255; 70_000]), {
            let low = 1 + 255 * 70_000_u64;
            let high: u64 = (1..=70_000_u64).map(|n| 1 + 255 * n).sum();
            u32::try_from(high % 65_521 * 65_536 + low % 65_521).unwrap()
        });
    }

    #[test]
    fn headers_are_found_and_changed_in_place() {
        let mut bytes = database(&[b"first header", b"the second one", b""]);
        assert_eq!(
            headers(&mut bytes).unwrap(),
            [&b"first header"[..], b"the second one", b""]
        );
        for_each_header(&mut bytes, &mut |header| {
            if let Some(first) = header.first_mut() {
                *first = b'X';
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(headers(&mut bytes).unwrap()[1], b"Xhe second one");
        assert!(is_one(&bytes) && !is_one(b"Rpm"));
    }

    #[test]
    fn damage_anywhere_is_refused_or_harmless() {
        let whole = database(&[b"a header of some length", b"another"]);
        let blobs = PAGE..whole.len();
        for at in (0..64)
            .chain((FIRST_SLOTS + 2) * UNIT..(FIRST_SLOTS + 6) * UNIT)
            .chain(blobs.clone())
        {
            for mask in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= mask;
                let found = headers(&mut bytes);
                // The length behind a header is not looked at.
                if let Ok(found) = found
                    && blobs.contains(&at)
                {
                    assert_eq!(found.len(), 2, "{at}");
                }
            }
        }
        for length in [0, 3, 40, PAGE - 1, PAGE, whole.len() - 1] {
            assert!(headers(&mut whole[..length].to_vec()).is_err(), "{length}");
        }
    }
}
