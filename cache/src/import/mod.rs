//! Import: a package file becomes objects and a manifest, once per node for ever.
//!
//! The file is hashed and compared with the signed index before a byte of it is parsed. Several packages are read at
//! once, biggest first, while others are still being downloaded: whoever downloads sends [`Fetched`] values.

mod ar;
pub mod deb;
pub mod describe;
pub mod record;
pub mod rpm;
pub mod unpack;

use crate::store::{ManifestError, ObjectError, PackageManifest, Store};
use deb::{DebContents, DebError};
use rpm::{RpmContents, RpmError};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use unpack::{ContentSink, UnpackLimits};
use vzpkg_metadata::digest::Hasher;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::transaction::PackageRef;
use vzpkg_metadata::tree::Tree;
use vzpkg_metadata::{Digest, Family, RelPath};

/// A package that lies on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Which one, as the signed index has it.
    pub package: PackageRef,
    /// Its file.
    pub path: PathBuf,
}

/// A package that is imported, and its file.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Its manifest.
    pub manifest: Arc<PackageManifest>,
    /// The file it came as; its bytes were checked only if the package was new.
    pub path: PathBuf,
    /// Whether it had to be read; its objects may not have reached the disk then.
    pub new: bool,
}

/// Hears of the progress of an import.
pub trait ImportReporter: Sync {
    /// A package is there; `new` says whether it had to be read.
    fn imported(&self, _package: &PackageRef, _new: bool) {}
}

impl ImportReporter for () {}

/// Why a package was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not the one that the index names.
    #[error("`{}` is not {package}: its sha256 is {found}", path.display())]
    Swapped {
        /// What was expected.
        package: Box<PackageRef>,
        /// The file.
        path: PathBuf,
        /// The hash of what it holds.
        found: Digest,
    },
    /// The file is no acceptable `.deb`.
    #[error("{package} is refused")]
    Deb {
        /// Which package.
        package: Box<PackageRef>,
        /// Why.
        source: Box<DebError>,
    },
    /// The file is no acceptable `.rpm`.
    #[error("{package} is refused")]
    Rpm {
        /// Which package.
        package: Box<PackageRef>,
        /// Why.
        source: Box<RpmError>,
    },
    /// Its control data says something else than the index.
    #[error("{package} is refused: its own {field} is `{found}`")]
    Identity {
        /// Which package.
        package: Box<PackageRef>,
        /// Which field.
        field: &'static str,
        /// What it says.
        found: String,
    },
    /// The manifest cannot be stored or read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Imports one package, or returns its manifest if that was done before. Reading a new one costs about the time of
/// its decompression.
///
/// # Errors
/// [`ImportError`] by what is wrong; the store is as if nothing had happened, but for unreferenced objects.
pub fn import(
    store: &Store,
    family: Family,
    fetched: &Fetched,
) -> Result<(Arc<PackageManifest>, bool), ImportError> {
    if let Some(manifest) = store.packages.get(&fetched.package.sha256)? {
        return Ok((Arc::new(manifest), false));
    }
    Ok((Arc::new(import_again(store, family, fetched)?), true))
}

/// Imports a package whether or not that was done before: its manifest is replaced, and each of its objects that does not
/// hold the bytes of its name any more.
///
/// # Errors
/// As [`import`].
pub fn import_again(
    store: &Store,
    family: Family,
    fetched: &Fetched,
) -> Result<PackageManifest, ImportError> {
    let file = open_verified(fetched)?;
    let manifest = read(store, family, &fetched.package, file)?;
    store.packages.put(&manifest)?;
    Ok(manifest)
}

/// Imports everything that comes through `arrivals` with `threads` threads, biggest first among what is there, until
/// the sender is gone. The result is in order of the digests.
///
/// # Errors
/// The first [`ImportError`]; what is being imported then is finished, nothing more is begun.
pub fn import_all(
    store: &Store,
    family: Family,
    threads: usize,
    arrivals: Receiver<Fetched>,
    reporter: &dyn ImportReporter,
) -> Result<BTreeMap<Digest, Imported>, ImportError> {
    let queue = Mutex::new(Queue {
        arrivals,
        waiting: BTreeMap::new(),
        stopped: false,
    });
    let done = Mutex::new(BTreeMap::new());
    let work = || -> Result<(), ImportError> {
        // The lock is held for this call only, not for the body of the loop.
        let next = || lock(&queue).next();
        while let Some(fetched) = next() {
            let result = import(store, family, &fetched);
            let (manifest, new) = result.inspect_err(|_| lock(&queue).stopped = true)?;
            reporter.imported(&fetched.package, new);
            let imported = Imported {
                manifest,
                path: fetched.path,
                new,
            };
            lock(&done).insert(fetched.package.sha256, imported);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Queue {
    arrivals: Receiver<Fetched>,
    /// By size, so that the biggest is last.
    waiting: BTreeMap<(u64, Digest), Fetched>,
    stopped: bool,
}

impl Queue {
    /// The biggest package that is there; waits for the next one if none is. `None` when all are done.
    fn next(&mut self) -> Option<Fetched> {
        let mut open = true;
        while open && !self.stopped {
            match self.arrivals.try_recv() {
                Ok(fetched) => self.add(fetched),
                Err(TryRecvError::Empty) if self.waiting.is_empty() => {
                    // Others wait for the lock meanwhile; there is nothing they could do.
                    match self.arrivals.recv() {
                        Ok(fetched) => self.add(fetched),
                        Err(_closed) => open = false,
                    }
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => open = false,
            }
        }
        if self.stopped {
            return None;
        }
        self.waiting.pop_last().map(|(_, fetched)| fetched)
    }

    fn add(&mut self, fetched: Fetched) {
        let key = (fetched.package.size.0, fetched.package.sha256);
        self.waiting.insert(key, fetched);
    }
}

/// Opens the file and checks size and hash; what is read afterwards is the same open file.
fn open_verified(fetched: &Fetched) -> Result<File, ImportError> {
    let Fetched { package, path } = fetched;
    let mut file = File::open(path).map_err(FileError::on("open", path))?;
    let mut hasher = Hasher::new();
    let mut limited = (&mut file).take(package.size.0.saturating_add(1));
    io::copy(&mut limited, &mut hasher)
        .and_then(|_| file.rewind())
        .map_err(FileError::on("read", path))?;
    let length = hasher.length();
    let found = hasher.finish();
    if found == package.sha256 && length == package.size.0 {
        return Ok(file);
    }
    Err(ImportError::Swapped {
        package: Box::new(package.clone()),
        path: path.clone(),
        found,
    })
}

fn read(
    store: &Store,
    family: Family,
    package: &PackageRef,
    mut file: File,
) -> Result<PackageManifest, ImportError> {
    let bounds = UnpackLimits::for_package(package.size, package.installed_size);
    let mut sink = StoreSink { store };
    let package_of = || Box::new(package.clone());
    let contents = match family {
        Family::Deb => deb::read(&mut file, bounds, &mut sink)
            .map(Contents::from)
            .map_err(|source| ImportError::Deb {
                package: package_of(),
                source: Box::new(source),
            })?,
        Family::Rpm => rpm::read(file, bounds, &mut sink)
            .map(Contents::from)
            .map_err(|source| ImportError::Rpm {
                package: package_of(),
                source: Box::new(source),
            })?,
    };
    contents.into_manifest(family, package)
}

/// What a package says it is and what it holds, whatever its family.
struct Contents {
    name: String,
    version: String,
    arch: String,
    record: String,
    tree: Tree,
    control: BTreeMap<String, Vec<u8>>,
    conffiles: BTreeMap<RelPath, String>,
}

impl From<DebContents> for Contents {
    fn from(deb: DebContents) -> Self {
        let DebContents { unpacked, control } = deb;
        let record = control.get("control").map(Vec::as_slice);
        let record = String::from_utf8_lossy(record.unwrap_or_default()).into_owned();
        let field = |name| {
            let value = crate::build::deb::paragraph::field(&record, name);
            value.unwrap_or_default().to_owned()
        };
        Self {
            name: field("Package"),
            version: field("Version"),
            arch: field("Architecture"),
            tree: unpacked.tree,
            conffiles: conffiles(&control),
            control,
            record,
        }
    }
}

impl From<RpmContents> for Contents {
    fn from(rpm: RpmContents) -> Self {
        Self {
            name: rpm.name,
            version: rpm.version,
            arch: rpm.arch,
            record: rpm.record,
            tree: rpm.tree,
            control: rpm.control,
            conffiles: rpm.conffiles,
        }
    }
}

impl Contents {
    /// The manifest, if the package is the one that the index says it is.
    fn into_manifest(
        self,
        family: Family,
        package: &PackageRef,
    ) -> Result<PackageManifest, ImportError> {
        for (field, expected, found) in [
            ("name", package.name.as_str(), &self.name),
            ("version", package.version.as_str(), &self.version),
            ("architecture", package.arch.as_str(), &self.arch),
        ] {
            if found != expected {
                return Err(ImportError::Identity {
                    package: Box::new(package.clone()),
                    field,
                    found: found.chars().take(100).collect(),
                });
            }
        }
        Ok(PackageManifest {
            sha256: package.sha256,
            size: package.size.0,
            family,
            name: package.name.clone(),
            version: package.version.clone(),
            arch: package.arch.clone(),
            record: self.record,
            tree: self.tree,
            control: self.control,
            conffiles: self.conffiles,
        })
    }
}

/// The paths of the control file `conffiles` with their flags (`remove-on-upgrade`), which stand before the path.
fn conffiles(control: &BTreeMap<String, Vec<u8>>) -> BTreeMap<RelPath, String> {
    let text = control
        .get("conffiles")
        .map(Vec::as_slice)
        .unwrap_or_default();
    let lines = text.split(|&byte| byte == b'\n');
    lines
        .filter_map(|line| {
            let line = line.trim_ascii();
            let start = line.iter().position(|&byte| byte == b'/')?;
            let (flags, path) = line.split_at_checked(start)?;
            let path = RelPath::parse_member(path).ok()?;
            Some((
                path,
                String::from_utf8_lossy(flags.trim_ascii()).into_owned(),
            ))
        })
        .collect()
}

/// Puts file contents into the store's objects.
pub(crate) struct StoreSink<'a> {
    pub(crate) store: &'a Store,
}

impl ContentSink for StoreSink<'_> {
    fn put(&mut self, content: &mut dyn Read, size: u64) -> io::Result<Digest> {
        match self.store.objects.put_reader(content, size) {
            Ok((digest, _)) => Ok(digest),
            Err(ObjectError::Source(error)) => Err(error),
            Err(other) => Err(io::Error::other(other)),
        }
    }
}

/// Whether a path ends as package files of the family do.
pub fn is_package_file(family: Family, path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending == family.extension())
}
