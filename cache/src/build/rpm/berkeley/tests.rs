//! Databases made by hand, whole and damaged.

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
    let entries: [(u32, u32, u32); 4] = [(1000, 6, 0), (1001, 6, 2), (1002, 6, 4), (1008, 4, 8)];
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
