//! From a `.deb` file to a package manifest's parts: its tree, its control files and dpkg's list of its paths.
//!
//! `debpkg` opens the members and their compression; both tar streams go through [`super::unpack`]. The file's hash was
//! checked before; nothing here trusts it for more than that.

use super::ar::{self, FrameError, MemberStream};
use super::unpack::{ContentSink, UnpackError, UnpackLimits, Unpacked, unpack};
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek};
use vzpkg_metadata::tree::Entry;
use vzpkg_metadata::{Digest, RelPath, limits};

/// The name under which [`DebContents::control`] holds dpkg's `.list`, which no package ships.
pub const LIST: &str = "list";

/// What a `.deb` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DebContents {
    /// Its files, with paths as shipped: `bin/sh` is not yet `usr/bin/sh`.
    pub unpacked: Unpacked,
    /// Its control files by name, `control` among them, and [`LIST`].
    pub control: BTreeMap<String, Vec<u8>>,
}

/// Why a file is not a usable `.deb`.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// The outer archive is not as it must be.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// `debpkg` cannot open a member.
    #[error("`{member}` cannot be opened")]
    Member {
        /// Which member: `control.tar` or `data.tar`.
        member: &'static str,
        /// What `debpkg` says.
        source: debpkg::Error,
    },
    /// The tar stream of a member is refused.
    #[error("`{member}` is refused")]
    Unpack {
        /// Which member.
        member: &'static str,
        /// Why.
        source: UnpackError,
    },
    /// The control archive holds something else than plain files at its top, or no `control`.
    #[error("the control archive holds `{0}`, which is no control file")]
    ControlMember(RelPath),
    /// There is no `control`.
    #[error("it has no `control` file")]
    NoControl,
}

/// The file `control` of a package, and nothing else of it.
///
/// # Errors
/// [`DebError`] by what is wrong.
pub(super) fn control(file: &mut (impl Read + Seek)) -> Result<Vec<u8>, DebError> {
    let members = ar::scan(file)?;
    let stream = BufReader::with_capacity(256 << 10, MemberStream::new(file, &members));
    let open = |member, source| DebError::Member { member, source };
    let mut package =
        debpkg::DebPkg::parse(stream).map_err(|source| open("debian-binary", source))?;
    let mut control = read_control(&mut package)?;
    control.remove("control").ok_or(DebError::NoControl)
}

/// The control files, from a package that was just opened.
fn read_control<R: Read>(
    package: &mut debpkg::DebPkg<R>,
) -> Result<BTreeMap<String, Vec<u8>>, DebError> {
    let member = "control.tar";
    let archive = package
        .control()
        .map_err(|source| DebError::Member { member, source })?;
    let mut kept = KeepAll::default();
    let bounds = UnpackLimits {
        stream: limits::CONTROL_BYTES,
        entries: 10_000,
    };
    let control = unpack(archive.into_inner(), bounds, &mut kept)
        .map_err(|source| DebError::Unpack { member, source })?;
    control_files(&control, &kept)
}

/// Reads a whole package. Contents of its files go to `sink`, in the order of the archive.
///
/// # Errors
/// [`DebError`]; what the sink took by then is unreferenced.
pub fn read(
    file: &mut (impl Read + Seek),
    bounds: UnpackLimits,
    sink: &mut dyn ContentSink,
) -> Result<DebContents, DebError> {
    let members = ar::scan(file)?;
    let stream = BufReader::with_capacity(256 << 10, MemberStream::new(file, &members));
    let open = |member, source| DebError::Member { member, source };
    let mut package =
        debpkg::DebPkg::parse(stream).map_err(|source| open("debian-binary", source))?;

    let mut control = read_control(&mut package)?;
    let member = "data.tar";
    let archive = package.data().map_err(|source| open(member, source))?;
    let unpacked = unpack(archive.into_inner(), bounds, sink)
        .map_err(|source| DebError::Unpack { member, source })?;
    control.insert(LIST.to_owned(), list(&unpacked.order));
    Ok(DebContents { unpacked, control })
}

/// dpkg's `.list`: `/.`, then every path in the order of the archive.
fn list(order: &[RelPath]) -> Vec<u8> {
    let mut text = Vec::new();
    for path in order {
        if path.is_root() {
            text.extend_from_slice(b"/.\n");
        } else {
            text.push(b'/');
            text.extend_from_slice(path.as_bytes());
            text.push(b'\n');
        }
    }
    text
}

fn control_files(
    archive: &Unpacked,
    kept: &KeepAll,
) -> Result<BTreeMap<String, Vec<u8>>, DebError> {
    let mut files = BTreeMap::new();
    for (path, entry) in archive.tree.iter().filter(|(path, _)| !path.is_root()) {
        let refused = || DebError::ControlMember(path.clone());
        let Entry::Node(node) = entry else {
            return Err(refused());
        };
        let vzpkg_metadata::tree::NodeKind::File { digest, .. } = &node.kind else {
            return Err(refused());
        };
        let name = path.to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        if name == LIST || !name.chars().all(plain) {
            return Err(refused());
        }
        let bytes = kept.contents.get(digest).cloned().unwrap_or_default();
        files.insert(name, bytes);
    }
    if files.contains_key("control") {
        Ok(files)
    } else {
        Err(DebError::NoControl)
    }
}

/// Keeps contents in memory: control files are small.
#[derive(Default)]
struct KeepAll {
    contents: BTreeMap<Digest, Vec<u8>>,
}

impl ContentSink for KeepAll {
    fn put(&mut self, content: &mut dyn Read, _size: u64) -> io::Result<Digest> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        let digest = Digest::of(&bytes);
        self.contents.insert(digest, bytes);
        Ok(digest)
    }
}
