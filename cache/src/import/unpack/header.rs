//! The fields of one header, checked.

use super::UnpackError;
use std::collections::BTreeMap;
use std::io::{self, Read};
use tar::Header;
use vzpkg_metadata::tree::{Meta, NodeKind};
use vzpkg_metadata::{Timestamp, limits};

/// The content of an extension header: a long name or PAX records.
pub(super) fn extension(header: &Header, content: &mut dyn Read) -> Result<Vec<u8>, UnpackError> {
    let size = header.entry_size().map_err(UnpackError::Stream)?;
    let most = (limits::XATTR_BYTES + 2 * limits::PATH_BYTES + 4096) as u64;
    if size > most {
        return Err(contradiction(header, "an extension header that large"));
    }
    let mut bytes = Vec::new();
    content
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(UnpackError::Stream)?;
    if bytes.len() as u64 == size {
        Ok(bytes)
    } else {
        Err(contradiction(header, "an extension header is cut off"))
    }
}

/// Mode, owner, group and time.
pub(super) fn meta(header: &Header) -> Result<Meta, UnpackError> {
    let number = |value: io::Result<u64>, problem| {
        let value = value.map_err(UnpackError::Stream)?;
        u32::try_from(value).map_err(|_out_of_range| contradiction(header, problem))
    };
    let mode = header.mode().map_err(UnpackError::Stream)? & 0o7777;
    let seconds = header.mtime().map_err(UnpackError::Stream)?;
    let seconds = i64::try_from(seconds)
        .map_err(|_out_of_range| contradiction(header, "its time is out of range"))?;
    Ok(Meta {
        mode: u16::try_from(mode).unwrap_or_default(),
        uid: number(header.uid(), "its owner is out of range")?,
        gid: number(header.gid(), "its group is out of range")?,
        mtime: Timestamp::from_seconds(seconds),
        xattrs: BTreeMap::new(),
    })
}

/// A device of type `3` or `4`, with its numbers.
pub(super) fn device(header: &Header, kind: u8) -> Result<NodeKind, UnpackError> {
    let missing = || contradiction(header, "a device without numbers");
    let major = header.device_major().map_err(UnpackError::Stream)?;
    let minor = header.device_minor().map_err(UnpackError::Stream)?;
    let (major, minor) = (major.ok_or_else(missing)?, minor.ok_or_else(missing)?);
    Ok(if kind == b'3' {
        NodeKind::CharacterDevice { major, minor }
    } else {
        NodeKind::BlockDevice { major, minor }
    })
}

/// The name in the header, as far as it can be read.
pub(super) fn shown(header: &Header) -> String {
    String::from_utf8_lossy(&header.path_bytes()).into_owned()
}

/// The refusal of a member whose fields do not go together.
pub(super) fn contradiction(header: &Header, problem: &'static str) -> UnpackError {
    UnpackError::Contradiction {
        path: shown(header),
        problem,
    }
}
