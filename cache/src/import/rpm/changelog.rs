//! The changelog in an rpm header, from the bytes of the main header alone: what manifests hold has no lead and no
//! signature, without which the crate reads nothing.

use super::HEADER;
use crate::store::PackageManifest;

/// `RPMTAG_CHANGELOGNAME`, `RPMTAG_CHANGELOGTEXT`: arrays of strings, newest first.
const NAMES: u32 = 1081;
const TEXTS: u32 = 1082;

/// `RPM_STRING_ARRAY_TYPE`.
const STRING_ARRAY: u32 = 8;

/// Magic, version, reserved bytes, number of entries, size of the data.
const INTRODUCTION: usize = 16;

/// The entries of a package's changelog, newest first: who (and, by habit, which version), and the text. None for a
/// header that has none or is not understood.
pub(crate) fn changelog(manifest: &PackageManifest) -> Vec<(String, String)> {
    let header = manifest.control.get(HEADER).map_or(&[][..], Vec::as_slice);
    let (names, texts) = (strings(header, NAMES), strings(header, TEXTS));
    names.into_iter().zip(texts).collect()
}

fn strings(header: &[u8], wanted: u32) -> Vec<String> {
    let entries = word(header, 8).unwrap_or(0) as usize;
    let index = header.get(INTRODUCTION..).unwrap_or_default();
    let data = index.get(entries.saturating_mul(16)..).unwrap_or_default();
    let mut entries = index.chunks_exact(16).take(entries);
    let found = entries.find(|entry| word(entry, 0) == Some(wanted));
    let Some((Some(STRING_ARRAY), Some(offset), Some(count))) =
        found.map(|entry| (word(entry, 4), word(entry, 8), word(entry, 12)))
    else {
        return Vec::new();
    };
    let texts = data.get(offset as usize..).unwrap_or_default();
    texts
        .split(|&byte| byte == 0)
        .take(count as usize)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

/// A big-endian number.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(entries: &[[u32; 4]], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
        bytes.extend(u32::try_from(entries.len()).unwrap().to_be_bytes());
        bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(entries.iter().flatten().flat_map(|word| word.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    #[test]
    fn arrays_of_strings_are_read() {
        let data = b"xx\0A <a@b> - 1-2\0A <a@b> - 1-1\0- second\0- first\0";
        let entries = [[1000, 6, 0, 1], [NAMES, 8, 3, 2], [TEXTS, 8, 31, 2]];
        let bytes = header(&entries, data);
        assert_eq!(strings(&bytes, NAMES), ["A <a@b> - 1-2", "A <a@b> - 1-1"]);
        assert_eq!(strings(&bytes, TEXTS), ["- second", "- first"]);
    }

    #[test]
    fn a_header_that_lies_says_little_and_breaks_nothing() {
        let none: Vec<String> = Vec::new();
        let whole = header(&[[NAMES, 8, 0, 2]], b"a\0b\0");
        for end in 0..whole.len() {
            assert!(strings(&whole[..end], NAMES).len() <= 2);
        }
        for entry in [[NAMES, 8, u32::MAX, 1], [NAMES, 6, 0, 1], [TEXTS, 8, 0, 1]] {
            let bytes = header(&[entry], b"a\0");
            let found = strings(&bytes, NAMES);
            assert!(found == none || found == [""], "{entry:?}: {found:?}");
        }
        assert_eq!(
            strings(&header(&[[NAMES, 8, 0, u32::MAX]], b"a\0b"), NAMES).len(),
            2
        );
        let mut many = header(&[], b"");
        many[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(strings(&many, NAMES), none);
    }
}
