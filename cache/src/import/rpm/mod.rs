//! From an `.rpm` file to a package manifest's parts: its tree, its scripts and its record.
//!
//! Owners are not resolved: the header has names, whose numbers only the target knows, so every file of the tree belongs
//! to root and [`OWNERS`] holds the names. The distribution's own rpm sets the real owners when it installs the package.
//! The file's hash was checked before; nothing here trusts it for more than that.

mod capability;
mod cpio;
mod header;
mod payload;
pub mod record;

pub use cpio::CpioError;
pub use header::HeaderError;

use super::unpack::{ContentSink, UnpackLimits};
use cpio::Content;
use header::{FileInfo, RpmHeader};
use std::collections::BTreeMap;
use std::io::{self, Read};
use vzpkg_metadata::tree::{Entry, Meta, Node, NodeKind, Tree};
use vzpkg_metadata::{ByteSize, RelPath, Timestamp};

/// The name under which control data holds the main header, byte by byte.
pub const HEADER: &str = "header";

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
    /// [`HEADER`], [`OWNERS`] and scriptlets.
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
    let mut stream = payload::open(file, bounds.stream).map_err(RpmError::Compression)?;
    let contents = match cpio::read(&mut stream, &files, sink) {
        Err(CpioError::Stream(_)) if stream.is_exceeded() => {
            return Err(RpmError::TooLarge(ByteSize(bounds.stream)));
        }
        read => read?,
    };
    Ok(RpmContents {
        name: record::name(&header)?,
        version: record::version(&header)?,
        arch: record::arch(&header)?,
        record: record::write(&header, &files)?,
        tree: tree(&files, &contents)?,
        conffiles: conffiles(&files),
        control: control(header, &files),
    })
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

fn control(header: RpmHeader, files: &[FileInfo]) -> BTreeMap<String, Vec<u8>> {
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
    control.insert(HEADER.to_owned(), header.bytes);
    control
}

#[cfg(test)]
mod tests;
