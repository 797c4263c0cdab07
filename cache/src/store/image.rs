//! Images: the metadata of one tree as an EROFS file that the kernel mounts.
//!
//! The file ends in a line that the kernel never looks at, after the last block:
//! `vzpkg-image 1 tree <digest> sha256 <hash of everything before>`. So damage is told from a wrong name, cheaply.

use super::erofs;
use super::image_error::ImageError;
use super::layout::Layout;
use super::staging::Staging;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use vzpkg_metadata::Digest;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::tree::Tree;
use vzpkg_runtime::container::RootDirectory;

/// The largest image that is read: 10 million names.
const IMAGE_BYTES: u64 = 4 << 30;

/// Where the superblock lies, and how it begins (`fs/erofs/erofs_fs.h` of Linux).
const SUPERBLOCK: u64 = 1024;
const SUPERBLOCK_MAGIC: [u8; 4] = 0xe0f5_e1e2_u32.to_le_bytes();

/// How the line at the end begins; the number is the format of the image.
const TRAILER: &str = "vzpkg-image 1 tree ";
const TRAILER_BYTES: usize = TRAILER.len() + 64 + " sha256 ".len() + 64 + 1;

/// The images of a store. All methods may be called from many threads at once.
#[derive(Debug)]
pub struct Images {
    layout: Layout,
    staging: Arc<Staging>,
}

impl Images {
    pub(super) const fn new(layout: Layout, staging: Arc<Staging>) -> Self {
        Self { layout, staging }
    }

    /// Mode and owner of the root directory of a tree, straight from the image: what a private area over it must start
    /// with, for an overlay shows the root of its upper. Two small reads.
    ///
    /// # Errors
    /// [`ImageError::Missing`], [`ImageError::File`]; [`ImageError::Format`] for a file that is no image.
    pub fn root(&self, digest: &Digest) -> Result<RootDirectory, ImageError> {
        let path = self.layout.image(digest);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ImageError::Missing(*digest));
            }
            Err(error) => return Err(FileError::on("open", path)(error).into()),
        };
        let read = |at: u64, bytes: &mut [u8]| {
            file.read_exact_at(bytes, at)
                .map_err(FileError::on("read", &path))
        };
        let mut superblock = [0; 44];
        read(SUPERBLOCK, &mut superblock)?;
        if !superblock.starts_with(&SUPERBLOCK_MAGIC) {
            let problem = "it is no EROFS image".to_owned();
            return Err(ImageError::Format {
                digest: *digest,
                problem,
            });
        }
        let root = u64::from(u16::from_le_bytes([superblock[14], superblock[15]]));
        let meta = u64::from(u32::from_le_bytes([
            superblock[40],
            superblock[41],
            superblock[42],
            superblock[43],
        ]));
        let mut inode = [0; 32];
        read(
            (meta << u32::from(superblock[12]).min(16)) + root * 32,
            &mut inode,
        )?;
        // The compact form has ids of 16 bits (erofs_fs.h: erofs_inode_compact, erofs_inode_extended).
        let short = |at: usize| u16::from_le_bytes([inode[at], inode[at + 1]]);
        let long = |at: usize| u32::from(short(at)) | u32::from(short(at + 2)) << 16;
        let extended = short(0) & 1 != 0;
        Ok(RootDirectory {
            mode: short(4) & 0o7777,
            uid: if extended { long(24) } else { short(24).into() },
            gid: if extended { long(28) } else { short(26).into() },
        })
    }

    /// Writes the image of a tree, unless a sound one is there; returns the tree's digest. The tree must be canonical
    /// ([`Tree::canonicalize_links`]). Durable with the next [`super::Store::sync`]. About 5 µs per name.
    ///
    /// # Errors
    /// [`ImageError::Tree`], [`ImageError::Unsupported`] or [`ImageError::Writer`] for what cannot be expressed, else
    /// [`ImageError::File`].
    pub fn write(&self, tree: &Tree) -> Result<Digest, ImageError> {
        let digest = tree.digest();
        if self.protect(&digest)? && self.load(&digest).is_ok() {
            return Ok(digest);
        }
        let mut image = erofs::encode(tree)?.into_vec();
        let hash = Digest::of(&image);
        image.extend_from_slice(format!("{TRAILER}{digest} sha256 {hash}\n").as_bytes());
        let (path, file) = self.staging.stage_bytes(0o444, &image)?;
        self.staging.place(&path, &file, &self.path(&digest))?;
        Ok(digest)
    }

    /// Reads the tree of an image and checks that it is the one its name says. About 2 µs per name.
    ///
    /// # Errors
    /// [`ImageError::Missing`], [`ImageError::Format`], [`ImageError::Damaged`].
    pub fn read(&self, digest: &Digest) -> Result<Tree, ImageError> {
        if self.staging.is_writable() {
            self.protect(digest)?;
        }
        self.peek(digest)
    }

    /// Reads the tree of an image without protecting it.
    pub(super) fn peek(&self, digest: &Digest) -> Result<Tree, ImageError> {
        let image = self.load(digest)?;
        let tree = erofs::decode(&image).map_err(|problem| ImageError::Format {
            digest: *digest,
            problem,
        })?;
        match tree.digest() {
            found if found == *digest => Ok(tree),
            found => Err(ImageError::Damaged {
                digest: *digest,
                found,
            }),
        }
    }

    /// Keeps an image and the objects of its tree from gc while this store is open; says whether it is there.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn protect(&self, digest: &Digest) -> Result<bool, FileError> {
        Ok(self.staging.protect(&self.path(digest))?.is_some())
    }

    /// Whether there is an image of this tree. Says nothing about its bytes.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }

    /// Where the image of a tree lies, whether or not it is there.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.layout.image(digest)
    }

    /// The digests of all images, sorted. Files with other names are left alone.
    pub(super) fn list(&self) -> Result<Vec<Digest>, FileError> {
        let directory = self.layout.images();
        let mut digests = Vec::new();
        for entry in fs::read_dir(&directory).map_err(FileError::on("list", &directory))? {
            let name = entry
                .map_err(FileError::on("list", &directory))?
                .file_name();
            let digest = name.to_str().and_then(|name| name.strip_suffix(".erofs"));
            digests.extend(digest.and_then(|digest| digest.parse::<Digest>().ok()));
        }
        digests.sort_unstable();
        Ok(digests)
    }

    /// The objects that an image refers to, without repetitions or order, and without protecting it.
    pub(super) fn objects_of(&self, digest: &Digest) -> Result<Vec<Digest>, ImageError> {
        let image = self.load(digest)?;
        erofs::objects(&image).map_err(|problem| ImageError::Format {
            digest: *digest,
            problem,
        })
    }

    /// The bytes of an image without its last line, checked against it.
    pub(super) fn load(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let mut image = match durable::read_file(&self.path(digest), IMAGE_BYTES) {
            Ok(image) => image,
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => {
                return Err(ImageError::Missing(*digest));
            }
            Err(error) => return Err(error.into()),
        };
        let damaged = |problem: &str| ImageError::Format {
            digest: *digest,
            problem: problem.to_owned(),
        };
        let end = image.len().saturating_sub(TRAILER_BYTES);
        let trailer = image.split_off(end);
        let trailer = String::from_utf8(trailer)
            .ok()
            .and_then(|line| line.strip_prefix(TRAILER).map(ToOwned::to_owned))
            .ok_or_else(|| damaged("it does not end in a line of its format"))?;
        let (tree, hash) = trailer
            .trim_end_matches('\n')
            .split_once(" sha256 ")
            .ok_or_else(|| damaged("its last line is cut"))?;
        if tree != digest.to_string() {
            return Err(damaged("it was written for another tree"));
        }
        if hash != Digest::of(&image).to_string() {
            return Err(damaged(
                "its bytes do not have the checksum that it records",
            ));
        }
        Ok(image)
    }
}
