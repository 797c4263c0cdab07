//! From an `.rpm` file to a package manifest's parts: its tree, its scripts and its record.
//!
//! Owners are not resolved: the header has names, whose numbers only the target knows, so every file of the tree belongs
//! to root and [`OWNERS`] holds the names. The distribution's own rpm sets the real owners when it installs the package.
//! The file's hash was checked before; nothing here trusts it for more than that.

pub(crate) mod capability;
mod changelog;
mod cpio;
mod header;
pub(in crate::import) mod index;
mod payload;
pub mod record;
mod skeleton;

pub use cpio::CpioError;
pub use header::HeaderError;

pub(crate) use changelog::changelog;

use super::unpack::{ContentSink, UnpackLimits};
pub(crate) use skeleton::Skeleton;

use cpio::Content;
use header::{FileInfo, RpmHeader};
use payload::Compression;
use std::collections::BTreeMap;
use std::io::{self, Read};
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind, Tree};
use vzpkg_metadata::{ByteSize, RelPath, Timestamp};

/// The name under which control data holds the main header, byte by byte.
pub const HEADER: &str = "header";

/// The name under which control data holds what stands before the main header: lead and signature header.
pub(crate) const LEAD: &str = "lead";

/// The name under which control data holds the payload without its contents: a [`Wrapping`], then a [`Skeleton`]. Absent
/// where [`wrapping`] says `None`.
const PAYLOAD: &str = "payload";

/// The name under which control data holds owners that are not root: `user group path` lines.
pub const OWNERS: &str = "owners";

/// Scriptlets by the name of their section in a spec file, with their tag. Control data holds each under that name.
pub const SCRIPTLETS: [(&str, u32); 8] = [
    ("pre", 1023),
    ("post", 1024),
    ("preun", 1025),
    ("postun", 1026),
    ("pretrans", 1151),
    ("posttrans", 1152),
    ("preuntrans", 5104),
    ("postuntrans", 5105),
];

/// What an `.rpm` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RpmContents {
    /// Its name.
    pub name: String,
    /// `[epoch:]version-release`.
    pub version: String,
    /// Its architecture.
    pub arch: String,
    /// Its files, with paths as shipped; ghosts are absent.
    pub tree: Tree,
    /// [`HEADER`], [`OWNERS`], scriptlets, and what the payload is besides its contents.
    pub control: BTreeMap<String, Vec<u8>>,
    /// Configuration files: digest in hexadecimal digits, then `noreplace` and `missingok` after spaces.
    pub conffiles: BTreeMap<RelPath, String>,
    /// See [`record`].
    pub record: String,
}

/// Why a file is not a usable `.rpm`.
#[derive(Debug, thiserror::Error)]
pub enum RpmError {
    /// The header is refused.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The payload is refused.
    #[error(transparent)]
    Payload(#[from] CpioError),
    /// The payload is compressed in an unknown way, or damaged at its start.
    #[error("its payload cannot be opened")]
    Compression(#[source] io::Error),
    /// More bytes than the package may hold.
    #[error("it unpacks to more than {0}, far more than the package claims")]
    TooLarge(ByteSize),
    /// A file lies below something that is no directory.
    #[error("`{path}` lies below `{ancestor}`, which is no directory")]
    ThroughNonDirectory {
        /// The file.
        path: RelPath,
        /// What stands in its way.
        ancestor: RelPath,
    },
    /// A file of a type that packages do not have.
    #[error("`{path}` has the unknown type {mode:o}")]
    UnknownType {
        /// The file.
        path: RelPath,
        /// Its mode.
        mode: u32,
    },
    /// Capabilities that cannot be understood.
    #[error("`{path}` has the unknown capabilities `{clause}`")]
    Capabilities {
        /// The file.
        path: RelPath,
        /// The part that cannot be understood.
        clause: String,
    },
}

/// Reads a whole package. Contents of its files go to `sink`, in the order of the payload.
///
/// # Errors
/// [`RpmError`]; what the sink took by then is unreferenced.
pub fn read(
    mut file: impl Read,
    bounds: UnpackLimits,
    sink: &mut dyn ContentSink,
) -> Result<RpmContents, RpmError> {
    let header = header::read(&mut file)?;
    let files = header.files()?;
    let opened = payload::open(file, bounds.stream).map_err(RpmError::Compression)?;
    let (compression, mut stream) = opened;
    let (contents, skeleton) = match cpio::read(&mut stream, &files, sink) {
        Err(CpioError::Stream(_)) if stream.is_exceeded() => {
            return Err(RpmError::TooLarge(ByteSize(bounds.stream)));
        }
        read => read?,
    };
    let wrapping = wrapping(&header, compression, &files, &contents);
    let kept = wrapping.and_then(|wrapping| Some((wrapping, skeleton.encode()?)));
    Ok(RpmContents {
        name: record::name(&header)?,
        version: record::version(&header)?,
        arch: record::arch(&header)?,
        record: record::write(&header, &files)?,
        tree: tree(&files, &contents)?,
        conffiles: conffiles(&files),
        control: control(header, &files, kept),
    })
}

/// What a payload must be wrapped in to be read by an rpm that goes by the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// Nothing: what reads gzip passes on what is none.
    Plain,
    /// An xz container.
    Xz,
    /// A zstd frame.
    Zstd,
}

/// How the payload could be handed to rpm unpacked, without rpm checking anything that was not checked here: every file
/// has the sha256 that the header gives it. `None` where it has another digest, or a compression that cannot hold bytes
/// as they are.
fn wrapping(
    header: &RpmHeader,
    compression: Compression,
    files: &[FileInfo],
    contents: &[Content],
) -> Option<Wrapping> {
    const SHA256: u64 = 8;
    let stated = header.text(1125).unwrap_or_else(|| "gzip".to_owned());
    let wrapping = match (stated.as_str(), compression) {
        ("gzip", Compression::Gzip) => Wrapping::Plain,
        ("xz", Compression::Xz) => Wrapping::Xz,
        ("zstd", Compression::Zstd) => Wrapping::Zstd,
        _ => return None,
    };
    let regular = || {
        let all = files.iter().zip(contents);
        all.filter_map(|(file, content)| match content {
            Content::File(digest) => Some((file, digest)),
            // A link has the digest of the file whose name it is, or it would not be taken for one.
            Content::None | Content::SameAs(_) => None,
        })
    };
    let sound = header.number(5011) == Some(SHA256)
        && regular().all(|(file, digest)| file.digest == digest.to_string());
    (sound || regular().next().is_none()).then_some(wrapping)
}

/// How the payload of an imported package is wrapped, and what it is but for its contents.
pub(crate) fn unpacked_payload(
    control: &BTreeMap<String, Vec<u8>>,
) -> Option<(Wrapping, Skeleton)> {
    let (wrapping, skeleton) = control.get(PAYLOAD)?.split_first()?;
    let known = [Wrapping::Plain, Wrapping::Xz, Wrapping::Zstd];
    let wrapping = known.into_iter().find(|known| *known as u8 == *wrapping)?;
    Some((wrapping, Skeleton::decode(skeleton)?))
}

fn tree(files: &[FileInfo], contents: &[Content]) -> Result<Tree, RpmError> {
    let mut tree = Tree::new();
    for (file, content) in files.iter().zip(contents) {
        if file.flags.is_ghost() && *content == Content::None {
            continue;
        }
        let entry = match content {
            Content::SameAs(other) => match files.get(*other) {
                Some(other) => Entry::HardLink(other.path.clone()),
                None => continue,
            },
            Content::File(digest) => {
                let kind = NodeKind::File {
                    digest: *digest,
                    size: file.size,
                };
                Entry::Node(node(file, kind)?)
            }
            Content::None => Entry::Node(node(file, kind_without_content(file)?)?),
        };
        tree.insert(file.path.clone(), entry);
    }
    check_ancestors(&tree)?;
    tree.canonicalize_links();
    Ok(tree)
}

fn kind_without_content(file: &FileInfo) -> Result<NodeKind, RpmError> {
    let (major, minor) = (file.rdev >> 8 & 0xff, file.rdev & 0xff);
    Ok(match file.mode & header::TYPE_MASK {
        0o040_000 => NodeKind::Directory,
        0o120_000 => NodeKind::Symlink {
            target: file.link.clone(),
        },
        0o020_000 => NodeKind::CharacterDevice { major, minor },
        0o060_000 => NodeKind::BlockDevice { major, minor },
        0o010_000 => NodeKind::Fifo,
        mode => {
            let path = file.path.clone();
            return Err(RpmError::UnknownType { path, mode });
        }
    })
}

fn node(file: &FileInfo, kind: NodeKind) -> Result<Node, RpmError> {
    let mut meta = Meta {
        mode: u16::try_from(file.mode & 0o7777).unwrap_or_default(),
        mtime: Timestamp::from_seconds(i64::from(file.mtime)),
        ..Meta::default()
    };
    if matches!(kind, NodeKind::Symlink { .. }) {
        meta.mode = 0o777;
    }
    let capabilities = capability::xattr(&file.capabilities);
    let capabilities = capabilities.map_err(|clause| RpmError::Capabilities {
        path: file.path.clone(),
        clause,
    })?;
    if let Some(value) = capabilities {
        meta.xattrs.insert(capability::XATTR.to_vec(), value);
    }
    Ok(Node { meta, kind })
}

/// A package that ships `a` as a link and `a/b` as a file would write through the link.
fn check_ancestors(tree: &Tree) -> Result<(), RpmError> {
    for (path, _) in tree.iter() {
        let mut ancestor = path.parent();
        while let Some(directory) = ancestor {
            match tree.get(&directory) {
                Some(Entry::Node(node)) if node.is_directory() => break,
                Some(_) => {
                    return Err(RpmError::ThroughNonDirectory {
                        path: path.clone(),
                        ancestor: directory,
                    });
                }
                None => ancestor = directory.parent(),
            }
        }
    }
    Ok(())
}

fn conffiles(files: &[FileInfo]) -> BTreeMap<RelPath, String> {
    let configuration = files
        .iter()
        .filter(|file| file.flags.is_config() && !file.flags.is_ghost());
    configuration
        .map(|file| {
            let mut note = file.digest.clone();
            for (flag, name) in [
                (file.flags.is_no_replace(), " noreplace"),
                (file.flags.is_missing_ok(), " missingok"),
            ] {
                if flag {
                    note.push_str(name);
                }
            }
            (file.path.clone(), note)
        })
        .collect()
}

fn control(
    header: RpmHeader,
    files: &[FileInfo],
    payload: Option<(Wrapping, Vec<u8>)>,
) -> BTreeMap<String, Vec<u8>> {
    let mut control: BTreeMap<String, Vec<u8>> = SCRIPTLETS
        .iter()
        .filter_map(|(name, tag)| Some(((*name).to_owned(), header.text(*tag)?.into_bytes())))
        .collect();
    let owners: Vec<String> = files
        .iter()
        .filter(|file| file.owner.0 != "root" || file.owner.1 != "root")
        .map(|file| format!("{} {} {}\n", file.owner.0, file.owner.1, file.path))
        .collect();
    control.insert(OWNERS.to_owned(), owners.concat().into_bytes());
    if let Some((wrapping, skeleton)) = payload {
        let mut kept = vec![wrapping as u8];
        kept.extend(skeleton);
        control.insert(PAYLOAD.to_owned(), kept);
        control.insert(LEAD.to_owned(), header.lead);
    }
    control.insert(HEADER.to_owned(), header.bytes);
    control
}

#[cfg(test)]
mod evil_tests;
#[cfg(test)]
mod tests;
