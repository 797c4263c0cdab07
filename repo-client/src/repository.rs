//! A loaded repository: its verified index, mapped into memory, and what is known about it.

use crate::source::ShownAddresses;
use crate::verify::PackageKeys;
use memmap2::Mmap;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use vzpkg_metadata::RepoId;
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::index::{Index, IndexError};

/// Which updates of a repository are about security, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Security {
    /// Nobody says.
    #[default]
    Unknown,
    /// All: the signed metadata of an apt archive says that it is one of security updates.
    All,
    /// Those that advisories name, which are in this file.
    Advisories(PathBuf),
}

/// One repository of a template, ready for the resolver. Debugging shows its addresses without user name and password.
pub struct Repository {
    /// Its id in the template.
    pub id: RepoId,
    /// Its packages.
    pub index: MappedIndex,
    /// Where `location`s of its packages are appended, best first.
    pub base_urls: Vec<String>,
    /// `Origin` of the metadata; empty where there is none.
    pub origin: String,
    /// `Codename` of the metadata (apt), else its `Suite`; empty where there is none.
    pub codename: String,
    /// Which of its packages are security updates.
    pub security: Security,
    /// rpm: the file of its groups, for [`read_groups`](crate::read_groups).
    pub groups: Option<PathBuf>,
    /// rpm: the file of its module streams, for [`read_modules`](crate::read_modules).
    pub modules: Option<PathBuf>,
    /// `module_hotfixes=yes` of the repository line: module streams hide nothing here.
    pub hotfixes: bool,
    /// apt: how willingly its packages are taken.
    pub automatic: Automatic,
    /// When the metadata was made, seconds since 1970.
    pub date: i64,
    /// `priority=` of the repository line.
    pub priority: Option<i32>,
    /// `excludepkgs=` of the repository line.
    pub excludes: Vec<String>,
    /// Keys that must sign each package, where nobody signs the metadata (`metadata=unsigned`); `None` where the hash in
    /// the index proves the package.
    pub package_keys: Option<PackageKeys>,
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("id", &self.id)
            .field("index", &self.index)
            .field("base_urls", &ShownAddresses(&self.base_urls))
            .field("origin", &self.origin)
            .field("codename", &self.codename)
            .field("security", &self.security)
            .field("groups", &self.groups)
            .field("modules", &self.modules)
            .field("hotfixes", &self.hotfixes)
            .field("automatic", &self.automatic)
            .field("date", &self.date)
            .field("priority", &self.priority)
            .field("excludes", &self.excludes)
            .field("package_keys", &self.package_keys)
            .finish()
    }
}

/// Why an index file cannot be mapped.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// It cannot be opened.
    #[error(transparent)]
    File(#[from] FileError),
    /// Somebody else than root or this user could have written it.
    #[error("`{}` may be written by others", path.display())]
    Writable {
        /// The file.
        path: PathBuf,
    },
    /// It is no index of this version.
    #[error("`{}` is no usable index", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: IndexError,
    },
}

/// A package index in a memory map. Costs no memory of its own and microseconds to open.
pub struct MappedIndex {
    map: Mmap,
}

impl fmt::Debug for MappedIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedIndex")
            .field("bytes", &self.map.len())
            .field("packages", &self.package_count())
            .finish()
    }
}

impl MappedIndex {
    /// Maps the index at `path`, which must belong to root or this user and be writable by nobody else.
    ///
    /// # Errors
    /// [`MapError`].
    pub fn open(path: &Path) -> Result<Self, MapError> {
        let file = File::open(path).map_err(FileError::on("open", path))?;
        let metadata = file.metadata().map_err(FileError::on("inspect", path))?;
        let user = rustix::process::geteuid().as_raw();
        let owned = metadata.uid() == 0 || metadata.uid() == user;
        if !owned || metadata.mode() & 0o022 != 0 || !metadata.is_file() {
            let path = path.to_owned();
            return Err(MapError::Writable { path });
        }
        let map = map(&file).map_err(FileError::on("map", path))?;
        Index::access(&map).map_err(|source| MapError::Index {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self { map })
    }

    /// The index, read in place.
    ///
    /// # Panics
    /// If somebody changed the file since it was opened, which only root or this user can.
    pub fn as_index(&self) -> Index<'_> {
        #[expect(
            clippy::expect_used,
            reason = "checked when it was opened; index files are replaced, never changed"
        )]
        Index::access(&self.map).expect("the index was checked when it was opened")
    }

    /// How many packages it has.
    pub fn package_count(&self) -> usize {
        self.as_index().len()
    }
}

/// The one `unsafe` of this crate.
#[expect(unsafe_code, reason = "mapping a file is unsafe by nature; see SAFETY")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: a map is undefined behaviour if the file shrinks or changes under it. Index files are written once under a
    // staging name, renamed into place and never opened for writing again; only root and this user may write them
    // (checked above), and every number read from the map is checked where it is used.
    unsafe { Mmap::map(file) }
}
