//! Manifests of imported packages: the tree of a package and its control data, made once per node.
//!
//! ```text
//! "vzpkg-package 1\n"
//! 32 bytes sha256 of the package file, u64 its size, u8 family (d or r)
//! name, version, architecture, record                  each: u32 length, bytes
//! u32 count, then per control member: name, bytes      by name
//! u32 count, then per conffile: path, note             by path
//! tree, as `metadata::tree` encodes it
//! 32 bytes sha256 of everything before
//! ```
//!
//! Numbers are little-endian. Decoding refuses everything encoding would not write.

use super::layout::Layout;
use super::staging::Staging;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::tree::{Tree, TreeDecodeError};
use vzpkg_metadata::{Arch, Digest, Family, PackageName, RelPath, limits};

const FORMAT: u32 = 1;
const MAGIC: &str = "vzpkg-package ";

/// The largest manifest that is read: control data and 200 bytes for each entry.
const MANIFEST_BYTES: u64 = limits::CONTROL_BYTES + 200 * limits::PACKAGE_ENTRIES as u64;

/// An imported package: everything but the bytes of its files, which are objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageManifest {
    /// SHA-256 of the package file.
    pub sha256: Digest,
    /// Size of the package file in bytes.
    pub size: u64,
    /// Which family.
    pub family: Family,
    /// Its name.
    pub name: PackageName,
    /// deb version, or `[epoch:]version-release`.
    pub version: String,
    /// Its architecture, as the family spells it.
    pub arch: Arch,
    /// What its record is parsed from: deb, the control paragraph; rpm, the text form that the importer defines.
    pub record: String,
    /// Its files. Parents that the package does not list are missing; times are the package's own.
    pub tree: Tree,
    /// Control data by name; deb: every member of the control archive; rpm: `header` and what the importer defines.
    pub control: BTreeMap<String, Vec<u8>>,
    /// Configuration files and what the family notes of each; deb: the md5 in hexadecimal digits, then flags after a
    /// space.
    pub conffiles: BTreeMap<RelPath, String>,
}

/// Why a manifest cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The bytes are not what was written.
    #[error("the manifest of package {package} is damaged: {problem}")]
    Damaged {
        /// SHA-256 of the package file.
        package: Digest,
        /// What is wrong.
        problem: &'static str,
    },
    /// The tree in it cannot be read.
    #[error("the manifest of package {package} is damaged")]
    Tree {
        /// SHA-256 of the package file.
        package: Digest,
        /// What is wrong.
        source: TreeDecodeError,
    },
    /// Written in a format this vzpkg does not know.
    #[error("the manifest of package {package} has format {found}; this vzpkg knows {FORMAT}")]
    Format {
        /// SHA-256 of the package file.
        package: Digest,
        /// The format number in it.
        found: u32,
    },
}

impl PackageManifest {
    /// The canonical bytes. Linear.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = format!("{MAGIC}{FORMAT}\n").into_bytes();
        out.extend_from_slice(self.sha256.as_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.push(match self.family {
            Family::Deb => b'd',
            Family::Rpm => b'r',
        });
        put(&mut out, self.name.as_str().as_bytes());
        put(&mut out, self.version.as_bytes());
        put(&mut out, self.arch.as_str().as_bytes());
        put(&mut out, self.record.as_bytes());
        put_count(&mut out, self.control.len());
        for (name, bytes) in &self.control {
            put(&mut out, name.as_bytes());
            put(&mut out, bytes);
        }
        put_count(&mut out, self.conffiles.len());
        for (path, note) in &self.conffiles {
            put(&mut out, path.as_bytes());
            put(&mut out, note.as_bytes());
        }
        out.extend_from_slice(&self.tree.encode());
        let hash = Digest::of(&out);
        out.extend_from_slice(hash.as_bytes());
        out
    }

    /// Reads what [`Self::encode`] wrote for the package file with this sha256.
    ///
    /// # Errors
    /// [`ManifestError::Damaged`], [`ManifestError::Tree`] or [`ManifestError::Format`] for anything else.
    pub fn decode(package: &Digest, bytes: &[u8]) -> Result<Self, ManifestError> {
        let package = *package;
        let damaged = |problem| ManifestError::Damaged { package, problem };
        let (body, hash) = bytes
            .split_last_chunk::<32>()
            .ok_or_else(|| damaged("it is too short"))?;
        if Digest::of(body) != Digest::from_bytes(*hash) {
            return Err(damaged(
                "its bytes do not have the checksum that it records",
            ));
        }
        let rest = body
            .strip_prefix(MAGIC.as_bytes())
            .ok_or_else(|| damaged("it does not begin as one"))?;
        let end = rest.iter().position(|&byte| byte == b'\n');
        let (number, rest) = rest.split_at(end.ok_or_else(|| damaged("it has no format"))?);
        let number = str::from_utf8(number)
            .ok()
            .and_then(|text| text.parse().ok());
        match number {
            Some(FORMAT) => {}
            Some(found) => return Err(ManifestError::Format { package, found }),
            None => return Err(damaged("it has no format")),
        }
        let input = Input(rest.get(1..).unwrap_or_default());
        let (manifest, tree) = take_fields(input).map_err(damaged)?;
        if manifest.sha256 != package {
            return Err(damaged("it was written for another package"));
        }
        let tree = Tree::decode(tree).map_err(|source| ManifestError::Tree { package, source })?;
        Ok(Self { tree, ..manifest })
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    // Everything is bounded by limits far below 4 GiB.
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

struct Input<'a>(&'a [u8]);

const CUT: &str = "it is cut off";
const TEXT: &str = "a text in it is not valid";

impl<'a> Input<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn count(&mut self) -> Result<u32, &'static str> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let length = usize::try_from(self.count()?).unwrap_or(usize::MAX);
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn text(&mut self) -> Result<&'a str, &'static str> {
        str::from_utf8(self.bytes()?).map_err(|_error| TEXT)
    }

    /// Pairs in strictly ascending order of their keys.
    fn pairs<K: Ord, V>(
        &mut self,
        mut pair: impl FnMut(&mut Self) -> Result<(K, V), &'static str>,
    ) -> Result<BTreeMap<K, V>, &'static str> {
        let mut map = BTreeMap::new();
        for _ in 0..self.count()? {
            let (key, value) = pair(self)?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err("a list in it is out of order");
            }
            map.insert(key, value);
        }
        Ok(map)
    }
}

/// Everything but the tree, and the bytes of the tree.
fn take_fields(mut input: Input<'_>) -> Result<(PackageManifest, &[u8]), &'static str> {
    let sha256 = Digest::from_bytes(input.array()?);
    let size = u64::from_le_bytes(input.array()?);
    let family = match input.array()? {
        [b'd'] => Family::Deb,
        [b'r'] => Family::Rpm,
        _ => return Err("its family is unknown"),
    };
    let name = input.text()?.parse().map_err(|_error| TEXT)?;
    let version = input.text()?.to_owned();
    let arch = input.text()?.parse().map_err(|_error| TEXT)?;
    let record = input.text()?.to_owned();
    let control = input.pairs(|input| Ok((input.text()?.to_owned(), input.bytes()?.to_vec())))?;
    let conffiles = input.pairs(|input| {
        let path = RelPath::parse(input.bytes()?).map_err(|_error| TEXT)?;
        Ok((path, input.text()?.to_owned()))
    })?;
    let manifest = PackageManifest {
        sha256,
        size,
        family,
        name,
        version,
        arch,
        record,
        tree: Tree::new(),
        control,
        conffiles,
    };
    Ok((manifest, input.0))
}

/// Manifests that are staged and wait for a sync: package → staging file.
pub(super) type Staged = BTreeMap<Digest, PathBuf>;

/// The manifests of a store. All methods may be called from many threads at once.
#[derive(Debug)]
pub struct Packages {
    layout: Layout,
    staging: Arc<Staging>,
    waiting: Mutex<Staged>,
}

impl Packages {
    pub(super) fn new(layout: Layout, staging: Arc<Staging>) -> Self {
        Self {
            layout,
            staging,
            waiting: Mutex::default(),
        }
    }

    /// Reads the manifest of a package; `None` if it was not imported. Protects it, and the objects it names, from gc
    /// while this store is open.
    ///
    /// # Errors
    /// [`ManifestError`] for one that cannot be read.
    pub fn get(&self, package: &Digest) -> Result<Option<PackageManifest>, ManifestError> {
        let staged = self.waiting().get(package).cloned();
        if let Some(manifest) = staged.map_or(Ok(None), |path| read(package, &path))? {
            return Ok(Some(manifest));
        }
        let path = self.path(package);
        if self.staging.is_writable() && self.staging.protect(&path)?.is_none() {
            return Ok(None);
        }
        read(package, &path)
    }

    /// Stores a manifest. This open store reads it at once; other processes see it after the next
    /// [`super::Store::sync`], when the objects it names are durable.
    ///
    /// # Errors
    /// [`ManifestError::File`].
    pub fn put(&self, manifest: &PackageManifest) -> Result<(), ManifestError> {
        let (path, _) = self.staging.stage_bytes(0o444, &manifest.encode())?;
        self.waiting().insert(manifest.sha256, path);
        Ok(())
    }

    /// Where the manifest of a package lies, whether or not it is there.
    pub fn path(&self, package: &Digest) -> PathBuf {
        self.layout.manifest(package)
    }

    /// What was put since the last sync.
    pub(super) fn staged(&self) -> Staged {
        self.waiting().clone()
    }

    /// Makes staged manifests visible. Whatever they name is durable by now.
    pub(super) fn place(&self, staged: &Staged) -> Result<(), FileError> {
        if staged.is_empty() {
            return Ok(());
        }
        for (package, from) in staged {
            match File::open(from) {
                Ok(file) => self.staging.place(from, &file, &self.path(package))?,
                // Another thread synced at the same time.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(FileError::on("open", from)(error)),
            }
        }
        durable::sync_parent(&self.layout.manifest(&Digest::of(b"")))?;
        let mut waiting = self.waiting();
        waiting.retain(|package, path| staged.get(package) != Some(path));
        Ok(())
    }

    /// The packages of all visible manifests, sorted. Files with other names are left alone.
    pub(super) fn list(&self) -> Result<Vec<Digest>, FileError> {
        let directory = self.layout.manifests();
        let mut digests = Vec::new();
        for entry in fs::read_dir(&directory).map_err(FileError::on("list", &directory))? {
            let name = entry
                .map_err(FileError::on("list", &directory))?
                .file_name();
            digests.extend(name.to_str().and_then(|name| name.parse::<Digest>().ok()));
        }
        digests.sort_unstable();
        Ok(digests)
    }

    /// Reads a visible manifest without protecting it.
    pub(super) fn peek(&self, package: &Digest) -> Result<Option<PackageManifest>, ManifestError> {
        read(package, &self.path(package))
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Staged> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(package: &Digest, path: &Path) -> Result<Option<PackageManifest>, ManifestError> {
    match durable::read_file(path, MANIFEST_BYTES) {
        Ok(bytes) => PackageManifest::decode(package, &bytes).map(Some),
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
