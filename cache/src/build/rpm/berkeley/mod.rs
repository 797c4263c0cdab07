//! Berkeley DB files as rpm up to 4.16 writes them: enough of their format to find the headers in `Packages`, to change
//! a number in one, and to zero every byte that carries nothing.
//!
//! Two databases with the same content differ in the identity of the file and in what memory happened to hold where a
//! page has no data. Hash and B-tree files of Berkeley DB 4 and 5, little endian, are understood; anything else is an
//! error.

use super::headers::Header;
use std::ops::Range;

/// Bytes of the header of a page.
const PAGE_HEADER: usize = 26;

/// Bytes of the largest metadata structure; the rest of its page is unused.
const META: usize = 512;

const HASH_MAGIC: u32 = 0x0006_1561;
const BTREE_MAGIC: u32 = 0x0005_3162;

/// Where the identity of the file is in its first page, and how long.
const IDENTITY: Range<usize> = 52..72;

/// Page types.
mod page_type {
    pub(super) const UNUSED: u8 = 0;
    pub(super) const HASH_UNSORTED: u8 = 2;
    pub(super) const BTREE_INTERNAL: u8 = 3;
    pub(super) const RECNO_INTERNAL: u8 = 4;
    pub(super) const BTREE_LEAF: u8 = 5;
    pub(super) const RECNO_LEAF: u8 = 6;
    pub(super) const OVERFLOW: u8 = 7;
    pub(super) const HASH_META: u8 = 8;
    pub(super) const BTREE_META: u8 = 9;
    pub(super) const DUPLICATE_LEAF: u8 = 12;
    pub(super) const HASH: u8 = 13;
}

/// Item types of hash pages and of B-tree pages.
const HASH_DATA: u8 = 1;
const HASH_OFF_PAGE: u8 = 3;
const HASH_OFF_DUPLICATES: u8 = 4;
const TREE_DATA: u8 = 1;

/// What is wrong with a file.
pub(super) type Problem = &'static str;

const DAMAGED: Problem = "it is no Berkeley DB that can be understood";

/// A database in memory.
pub(super) struct Database<'a> {
    bytes: &'a mut [u8],
    page_size: usize,
}

impl<'a> Database<'a> {
    /// Whether these bytes begin as a database.
    pub(super) fn is_one(bytes: &[u8]) -> bool {
        matches!(number(bytes, 12), Ok(HASH_MAGIC | BTREE_MAGIC))
    }

    /// Checks what every page must have.
    pub(super) fn open(bytes: &'a mut [u8]) -> Result<Self, Problem> {
        let page_size = usize::try_from(number(bytes, 20)?).map_err(|_large| DAMAGED)?;
        let sane = (512..=65_536).contains(&page_size) && page_size.is_power_of_two();
        if !Self::is_one(bytes) || !sane || !bytes.len().is_multiple_of(page_size) {
            return Err(DAMAGED);
        }
        Ok(Self { bytes, page_size })
    }

    fn pages(&self) -> usize {
        self.bytes.len() / self.page_size
    }

    fn page(&self, index: usize) -> Result<&[u8], Problem> {
        let start = index.checked_mul(self.page_size).ok_or(DAMAGED)?;
        self.bytes.get(start..start + self.page_size).ok_or(DAMAGED)
    }

    /// Calls `each` with every header of a hash database, whole, and puts back what it changed. The counter that rpm
    /// keeps beside the headers is not one.
    pub(super) fn for_each_header(
        &mut self,
        mut each: impl FnMut(&mut Vec<u8>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        for index in 0..self.pages() {
            let page = self.page(index)?;
            let kind = byte(page, 25)?;
            if kind != page_type::HASH && kind != page_type::HASH_UNSORTED {
                continue;
            }
            let items = hash_items(page)?;
            // Keys and values take turns.
            let values: Vec<Range<usize>> = items.into_iter().skip(1).step_by(2).collect();
            for item in values {
                let pieces = self.pieces(index, &item)?;
                let mut value = Vec::new();
                for piece in &pieces {
                    value.extend_from_slice(self.bytes.get(piece.clone()).ok_or(DAMAGED)?);
                }
                // The counter under key 0 is four bytes.
                if Header(&value).identity().is_none() {
                    continue;
                }
                let length = value.len();
                each(&mut value)?;
                if value.len() != length {
                    return Err("a header changed its length");
                }
                let mut rest = value.as_slice();
                for piece in pieces {
                    let (now, next) = rest.split_at_checked(piece.len()).ok_or(DAMAGED)?;
                    self.bytes
                        .get_mut(piece)
                        .ok_or(DAMAGED)?
                        .copy_from_slice(now);
                    rest = next;
                }
            }
        }
        Ok(())
    }

    /// Where the bytes of a value lie in the file, in order.
    fn pieces(&self, page: usize, item: &Range<usize>) -> Result<Vec<Range<usize>>, Problem> {
        let content = self.page(page)?;
        match byte(content, item.start)? {
            HASH_DATA => {
                let base = page * self.page_size;
                Ok(one(base + item.start + 1..base + item.end))
            }
            HASH_OFF_PAGE => self.chain(number(content, item.start + 4)?),
            // rpm stores no duplicates in `Packages`.
            _ => Err(DAMAGED),
        }
    }

    fn chain(&self, first: u32) -> Result<Vec<Range<usize>>, Problem> {
        let mut pieces = Vec::new();
        let mut next = first;
        while next != 0 {
            let index = usize::try_from(next).map_err(|_large| DAMAGED)?;
            let page = self.page(index)?;
            if byte(page, 25)? != page_type::OVERFLOW || pieces.len() > self.pages() {
                return Err(DAMAGED);
            }
            let length = usize::from(half(page, 22)?);
            if PAGE_HEADER + length > self.page_size {
                return Err(DAMAGED);
            }
            let start = index * self.page_size + PAGE_HEADER;
            pieces.push(start..start + length);
            next = number(page, 16)?;
        }
        Ok(pieces)
    }

    /// Gives the file the identity `name` stands for and zeroes everything that carries nothing.
    pub(super) fn clean(&mut self, identity: &[u8; 32]) -> Result<(), Problem> {
        for index in 0..self.pages() {
            let used = used(self.page(index)?)?;
            let start = index * self.page_size;
            let page = self
                .bytes
                .get_mut(start..start + self.page_size)
                .ok_or(DAMAGED)?;
            let kind = byte(page, 25)?;
            zero_but(page, used)?;
            if matches!(kind, page_type::HASH_META | page_type::BTREE_META) {
                let from = identity.get(..IDENTITY.len()).ok_or(DAMAGED)?;
                page.get_mut(IDENTITY).ok_or(DAMAGED)?.copy_from_slice(from);
            }
        }
        Ok(())
    }
}

/// The parts of a page that carry something; may overlap, in any order.
fn used(page: &[u8]) -> Result<Vec<Range<usize>>, Problem> {
    let entries = usize::from(half(page, 20)?);
    let index = 0..PAGE_HEADER + 2 * entries;
    match byte(page, 25)? {
        page_type::UNUSED => Ok(one(0..PAGE_HEADER)),
        page_type::HASH_META | page_type::BTREE_META => Ok(one(0..META)),
        page_type::OVERFLOW => Ok(one(0..PAGE_HEADER + usize::from(half(page, 22)?))),
        page_type::HASH | page_type::HASH_UNSORTED => {
            let mut used = vec![index];
            for item in hash_items(page)? {
                match byte(page, item.start)? {
                    // Three bytes between type and page number are padding.
                    HASH_OFF_PAGE | HASH_OFF_DUPLICATES => {
                        used.push(item.start..item.start + 1);
                        used.push(item.start + 4..item.end);
                    }
                    _ => used.push(item),
                }
            }
            Ok(used)
        }
        kind @ (page_type::BTREE_LEAF
        | page_type::RECNO_LEAF
        | page_type::DUPLICATE_LEAF
        | page_type::BTREE_INTERNAL
        | page_type::RECNO_INTERNAL) => tree_items(page, entries, index, kind),
        _ => Err(DAMAGED),
    }
}

fn tree_items(
    page: &[u8],
    entries: usize,
    index: Range<usize>,
    kind: u8,
) -> Result<Vec<Range<usize>>, Problem> {
    let mut used = vec![index];
    for entry in 0..entries {
        let start = usize::from(half(page, PAGE_HEADER + 2 * entry)?);
        let length = usize::from(half(page, start)?);
        // The highest bit marks a deleted item that is still counted.
        let is_data = byte(page, start + 2)? & 0x7f == TREE_DATA;
        match kind {
            page_type::RECNO_INTERNAL => used.push(start..start + 8),
            page_type::BTREE_INTERNAL => {
                used.push(start..start + 3);
                used.push(start + 4..start + 12 + length);
            }
            _ if is_data => used.push(start..start + 3 + length),
            // A reference to other pages: two unused bytes, the type, one more, then two numbers.
            _ => {
                used.push(start + 2..start + 3);
                used.push(start + 4..start + 12);
            }
        }
    }
    Ok(used)
}

/// The items of a hash page: they fill it from its end, in order, without gaps.
fn hash_items(page: &[u8]) -> Result<Vec<Range<usize>>, Problem> {
    let entries = usize::from(half(page, 20)?);
    let mut end = page.len();
    (0..entries)
        .map(|entry| {
            let start = usize::from(half(page, PAGE_HEADER + 2 * entry)?);
            if start >= end || start < PAGE_HEADER {
                return Err(DAMAGED);
            }
            let item = start..end;
            end = start;
            Ok(item)
        })
        .collect()
}

fn one(range: Range<usize>) -> Vec<Range<usize>> {
    std::iter::once(range).collect()
}

fn zero_but(page: &mut [u8], mut used: Vec<Range<usize>>) -> Result<(), Problem> {
    used.sort_by_key(|range| range.start);
    let mut position = 0;
    for range in used {
        if range.end > page.len() {
            return Err(DAMAGED);
        }
        if range.start > position {
            page.get_mut(position..range.start).ok_or(DAMAGED)?.fill(0);
        }
        position = position.max(range.end);
    }
    page.get_mut(position..).ok_or(DAMAGED)?.fill(0);
    Ok(())
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, Problem> {
    bytes.get(at).copied().ok_or(DAMAGED)
}

fn half(bytes: &[u8], at: usize) -> Result<u16, Problem> {
    let two = bytes.get(at..at + 2).and_then(|two| two.try_into().ok());
    two.map(u16::from_le_bytes).ok_or(DAMAGED)
}

fn number(bytes: &[u8], at: usize) -> Result<u32, Problem> {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map(u32::from_le_bytes).ok_or(DAMAGED)
}

#[cfg(test)]
mod tests;
