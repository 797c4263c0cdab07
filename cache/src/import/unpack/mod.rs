//! The one strict reader of tar streams: from bytes to a tree, file contents handed to a sink. It never writes a name
//! into a file system, so no member can lead out of a directory; links are text in the tree.
//!
//! Readers that disagree about one archive are how files are smuggled (`TARmageddon`, CVE-2025-62518), so everything unusual is an
//! error: two names for one path, sizes given twice and differently, unknown types, data after the end, no end.
//! The `tar` crate reads headers in raw mode; what extends a header (GNU long names, PAX records) is joined here.

mod error;
mod header;
mod members;
mod pax;

pub use error::UnpackError;

use members::Unpacker;
use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;
use tar::Archive;
use vzpkg_metadata::tree::Tree;
use vzpkg_metadata::{ByteSize, Digest, RelPath, limits};

/// Takes the bytes of a file and says under which digest they are kept.
pub trait ContentSink {
    /// Reads `content`, which has exactly `size` bytes, to its end and keeps it.
    ///
    /// # Errors
    /// What reading or writing says; the package is then not imported.
    fn put(&mut self, content: &mut dyn Read, size: u64) -> io::Result<Digest>;
}

/// Bounds on one archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Bytes of the whole tar stream, headers included.
    pub stream: u64,
    /// Members, extension headers included.
    pub entries: usize,
}

impl UnpackLimits {
    /// What a package may hold whose file has `size` bytes and which claims `installed_size`; both are signed.
    ///
    /// Installed sizes of Debian are estimates in KiB and some packages leave them out, so the bound is generous: twice
    /// the claim or 256 times the file, whichever is more, and 64 MiB.
    pub fn for_package(size: ByteSize, installed_size: ByteSize) -> Self {
        let claimed = installed_size.0.saturating_mul(2);
        let packed = size.0.saturating_mul(256);
        Self {
            stream: claimed.max(packed).saturating_add(64 << 20),
            entries: limits::PACKAGE_ENTRIES,
        }
    }
}

/// What an archive held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Every member by path. Directories that no member names are absent.
    pub tree: Tree,
    /// The paths in the order of the archive.
    pub order: Vec<RelPath>,
}

/// Reads a whole tar stream.
///
/// Linear; memory is about 300 bytes per name, contents go through in pieces.
///
/// # Errors
/// [`UnpackError`] names the member and the rule it breaks. What the sink took so far is unreferenced.
pub fn unpack(
    stream: impl Read,
    bounds: UnpackLimits,
    sink: &mut dyn ContentSink,
) -> Result<Unpacked, UnpackError> {
    let exceeded = Rc::new(Cell::new(false));
    let bounded = Bounded {
        inner: stream,
        left: bounds.stream,
        exceeded: Rc::clone(&exceeded),
    };
    let mut archive = Archive::new(bounded);
    let mut unpacker = Unpacker::new(sink);
    let walked = unpacker.walk(&mut archive, bounds.entries);
    let ended = walked.and_then(|()| check_end(archive.into_inner()));
    match ended {
        Err(UnpackError::Stream(_)) if exceeded.get() => {
            Err(UnpackError::TooLarge(ByteSize(bounds.stream)))
        }
        Err(error) => Err(error),
        Ok(()) => Ok(unpacker.into_result()),
    }
}

/// A stream that fails, rather than ends, when it yields more than it may.
struct Bounded<R> {
    inner: R,
    left: u64,
    exceeded: Rc<Cell<bool>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            self.exceeded.set(true);
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        Ok(read)
    }
}

/// The parser stops at the first zero block or at the end of the stream. A whole archive has a second zero block, and
/// nothing but zeros (tar pads to 10 KiB) after it.
fn check_end(mut rest: impl Read) -> Result<(), UnpackError> {
    let mut buffer = [0_u8; 4096];
    let mut seen = 0_u64;
    loop {
        let read = rest.read(&mut buffer).map_err(UnpackError::Stream)?;
        if read == 0 {
            break;
        }
        if buffer.iter().take(read).any(|&byte| byte != 0) {
            return Err(UnpackError::TrailingData);
        }
        seen = seen.saturating_add(read as u64);
    }
    if seen < 512 {
        return Err(UnpackError::NoEnd);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
