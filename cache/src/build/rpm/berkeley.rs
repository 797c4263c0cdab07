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
mod tests {
    use super::*;

    const PAGE: usize = 1024;

    fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
        bytes[at..at + value.len()].copy_from_slice(value);
    }

    fn page(filler: u8, number: u32, next: u32, entries: u16, free: u16, kind: u8) -> Vec<u8> {
        let mut page = vec![filler; PAGE];
        put(&mut page, 0, &[0; 8]);
        put(&mut page, 8, &number.to_le_bytes());
        put(&mut page, 12, &[0; 4]);
        put(&mut page, 16, &next.to_le_bytes());
        put(&mut page, 20, &entries.to_le_bytes());
        put(&mut page, 22, &free.to_le_bytes());
        page[24] = 0;
        page[25] = kind;
        page
    }

    /// A header with a name, a version, a release, an install time, and `padding` bytes besides.
    fn header(time: u32, padding: usize) -> Vec<u8> {
        let entries: [(u32, u32, u32); 4] =
            [(1000, 6, 0), (1001, 6, 2), (1002, 6, 4), (1008, 4, 8)];
        let mut bytes = 4_u32.to_be_bytes().to_vec();
        bytes.extend(u32::try_from(12 + padding).unwrap().to_be_bytes());
        for (tag, kind, offset) in entries {
            for word in [tag, kind, offset, 1] {
                bytes.extend(word.to_be_bytes());
            }
        }
        bytes.extend(b"n\x001\x002\x00\x00\x00");
        bytes.extend(time.to_be_bytes());
        bytes.extend(vec![7; padding]);
        bytes
    }

    /// A hash database: the counter and one header on its page, another header on two overflow pages.
    fn database(filler: u8) -> Vec<u8> {
        let mut meta = page(filler, 0, 0, 0, 0, page_type::HASH_META);
        put(&mut meta, 0, &[0; META]);
        put(&mut meta, 12, &HASH_MAGIC.to_le_bytes());
        put(&mut meta, 20, &u32::try_from(PAGE).unwrap().to_le_bytes());
        meta[25] = page_type::HASH_META;
        put(&mut meta, IDENTITY.start, &[filler; 20]);

        let small = header(1, 0);
        let large = header(2, 900);
        let mut items: Vec<Vec<u8>> = Vec::new();
        let data = |content: &[u8]| [&[HASH_DATA], content].concat();
        items.push(data(&0_u32.to_be_bytes()));
        items.push(data(&9_u32.to_be_bytes()));
        items.push(data(&1_u32.to_be_bytes()));
        items.push(data(&small));
        items.push(data(&2_u32.to_be_bytes()));
        let mut reference = vec![HASH_OFF_PAGE, filler, filler, filler];
        reference.extend(2_u32.to_le_bytes());
        reference.extend(u32::try_from(large.len()).unwrap().to_le_bytes());
        items.push(reference);
        let mut hash = page(filler, 1, 0, 6, 0, page_type::HASH);
        let mut end = PAGE;
        for (index, item) in items.iter().enumerate() {
            end -= item.len();
            put(&mut hash, end, item);
            let place = u16::try_from(end).unwrap().to_le_bytes();
            put(&mut hash, PAGE_HEADER + 2 * index, &place);
        }
        let (first, second) = large.split_at(PAGE - PAGE_HEADER - 100);
        let overflow = |number, next, part: &[u8]| {
            let length = u16::try_from(part.len()).unwrap();
            let mut page = page(filler, number, next, 1, length, page_type::OVERFLOW);
            put(&mut page, PAGE_HEADER, part);
            page
        };
        [meta, hash, overflow(2, 3, first), overflow(3, 0, second)].concat()
    }

    #[test]
    fn headers_on_and_off_their_page_are_changed_in_place() {
        let mut bytes = database(0xaa);
        let mut seen = Vec::new();
        let mut database = Database::open(&mut bytes).unwrap();
        let set = |header: &mut Vec<u8>| {
            seen.push(Header(header).value(1008).unwrap());
            let (at, _) = Header(header).place(1008).unwrap();
            header[at..at + 4].copy_from_slice(&77_u32.to_be_bytes());
            Ok(())
        };
        database.for_each_header(set).unwrap();
        assert_eq!(seen, [1, 2]);
        let mut after = Vec::new();
        let read = |header: &mut Vec<u8>| {
            after.push((header.len(), Header(header).value(1008).unwrap()));
            Ok(())
        };
        database.for_each_header(read).unwrap();
        assert_eq!(
            after,
            [(header(0, 0).len(), 77), (header(0, 900).len(), 77)]
        );
    }

    #[test]
    fn databases_of_one_content_become_equal_and_keep_it() {
        let (mut one, mut two) = (database(0xaa), database(0x55));
        for bytes in [&mut one, &mut two] {
            Database::open(bytes).unwrap().clean(&[3; 32]).unwrap();
        }
        assert_eq!(one, two);
        let mut headers = Vec::new();
        let read = |header: &mut Vec<u8>| {
            headers.push(header.clone());
            Ok(())
        };
        Database::open(&mut one)
            .unwrap()
            .for_each_header(read)
            .unwrap();
        assert_eq!(headers, [header(1, 0), header(2, 900)]);
    }

    #[test]
    fn a_damaged_database_is_an_error_and_never_a_panic() {
        let good = database(0);
        for at in 0..good.len() {
            for value in [0, 0x7f, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = value;
                if let Ok(mut database) = Database::open(&mut bytes) {
                    let _ = database.for_each_header(|_| Ok(()));
                    let _ = database.clean(&[0; 32]);
                }
            }
        }
        for length in [0, 11, 100, PAGE - 1, PAGE + 1] {
            assert!(
                Database::open(&mut good.clone()[..length]).is_err(),
                "{length}"
            );
        }
        // A chain of pages that leads back to itself.
        let mut circle = good;
        put(&mut circle, 3 * PAGE + 16, &2_u32.to_le_bytes());
        let circle = Database::open(&mut circle)
            .unwrap()
            .for_each_header(|_| Ok(()));
        assert!(circle.is_err());
    }
}
