//! PAX extension records of a tar member: `LENGTH KEY=VALUE\n`, read strictly. Only what [`super::members`] joins.

use std::collections::BTreeMap;
use vzpkg_metadata::Timestamp;

/// What the records of one member say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PaxRecords {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";

/// Reads all records; `None` where one is malformed, given twice or unknown.
pub(super) fn parse(mut bytes: &[u8]) -> Option<PaxRecords> {
    let mut found: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|&byte| byte == b' ')?;
        let length: usize = number(bytes.get(..space)?)?;
        let (record, rest) = bytes.split_at_checked(length)?;
        let body = record.get(space.checked_add(1)?..)?.strip_suffix(b"\n")?;
        let equals = body.iter().position(|&byte| byte == b'=')?;
        let (key, value) = (body.get(..equals)?, body.get(equals.checked_add(1)?..)?);
        if found.insert(key.to_vec(), value.to_vec()).is_some() {
            return None;
        }
        bytes = rest;
    }
    let mut records = PaxRecords::default();
    for (key, value) in found {
        take(&mut records, &key, value)?;
    }
    Some(records)
}

fn take(records: &mut PaxRecords, key: &[u8], value: Vec<u8>) -> Option<()> {
    match key {
        b"path" => records.path = Some(value),
        b"linkpath" => records.link = Some(value),
        b"size" => records.size = Some(number(&value)?),
        b"uid" => records.uid = Some(number(&value)?),
        b"gid" => records.gid = Some(number(&value)?),
        b"mtime" => records.mtime = Some(time(&value)?),
        b"atime" | b"ctime" | b"comment" | b"uname" | b"gname" => {}
        _ => {
            let name = key.strip_prefix(XATTR).filter(|name| !name.is_empty())?;
            // An overlay would take these as its own, and obey them.
            if name.starts_with(b"trusted.") || name.starts_with(b"user.overlay.") {
                return None;
            }
            records.xattrs.insert(name.to_vec(), value);
        }
    }
    Some(())
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `SECONDS[.FRACTION]`; times before 1970 do not occur in packages.
fn time(value: &[u8]) -> Option<Timestamp> {
    let dot = value.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match dot {
        Some(dot) => (value.get(..dot)?, value.get(dot.checked_add(1)?..)?),
        None => (value, &b""[..]),
    };
    let seconds: i64 = number(whole)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0'));
    let nanoseconds = digits
        .take(9)
        .fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'));
    Some(Timestamp {
        seconds,
        nanoseconds,
    })
}
