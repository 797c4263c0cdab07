//! From the path of a request to an open file of a published tree, and to nothing else.

use super::transfer::Transfer;
use crate::mirror::layout::Layout;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use vzpkg_metadata::{MirrorName, RelPath};

/// A file to be sent.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) content: Content,
    pub(super) size: u64,
    /// Names the content: files of a mirror are never changed in place.
    pub(super) tag: String,
    /// When it came here, as HTTP writes times.
    pub(super) modified: String,
}

/// The bytes of a file.
#[derive(Debug)]
pub(super) enum Content {
    /// All of them are here.
    Whole(File),
    /// They are being fetched.
    Coming(Arc<Transfer>),
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) mirror: MirrorName,
    /// Below what it publishes.
    pub(super) path: RelPath,
}

/// What `/NAME/path` names; `None` for everything that names nothing.
pub(super) fn asked(path: &str) -> Option<Asked> {
    let path = decoded(path.strip_prefix('/')?)?;
    let (name, rest) = path.split_once('/')?;
    let mirror = name.parse().ok()?;
    let path = RelPath::parse(rest.as_bytes()).ok()?;
    (!path.is_root()).then_some(Asked { mirror, path })
}

/// The file that the published tree has there.
pub(super) fn published(layout: &Layout, asked: &Asked) -> Option<Found> {
    // Every component below the tree is a directory or file of ours; a link or `..` is refused by the kernel.
    let home = layout.home(&asked.mirror);
    let tree = fs::canonicalize(home.published()).ok()?;
    let trees = fs::canonicalize(home.trees()).ok()?;
    let tree = tree.starts_with(trees).then_some(tree)?;
    let directory = File::open(tree).ok()?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let path = asked.path.as_path();
    let opened = rustix::fs::openat2(&directory, path, flags, Mode::empty(), resolve);
    found(File::from(opened.ok()?))
}

/// An open file as something to be sent.
fn found(file: File) -> Option<Found> {
    let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let (seconds, part) = (metadata.mtime(), metadata.mtime_nsec());
    Some(Found {
        size: metadata.len(),
        tag: format!(
            "\"{:x}-{:x}-{seconds:x}.{part:x}\"",
            metadata.ino(),
            metadata.len()
        ),
        modified: time(seconds)?,
        content: Content::Whole(file),
    })
}

/// Seconds since 1970 as HTTP writes times.
pub(super) fn time(seconds: i64) -> Option<String> {
    let time = jiff::Timestamp::from_second(seconds).ok()?;
    Some(time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// Replaces `%XX` by its byte; `None` for what is then no text.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (code, tail) = tail.split_at_checked(2)?;
        let digits = code.iter().all(u8::is_ascii_hexdigit);
        let code = std::str::from_utf8(code).ok().filter(|_| digits)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}
