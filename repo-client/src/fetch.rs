//! Package files: many at once, each downloaded at most once, handed on as soon as it is there and verified.

use crate::client::Client;
use crate::context::Context;
use crate::download::{self, Item, Outcome};
use crate::error::FetchError;
use crate::pool;
use crate::source::{BaseUrl, FileUrl, ShownAddresses, UrlError};
use crate::transport::Stop;
use crate::verify::{self, PackageKeys};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use vzpkg_metadata::durable;
use vzpkg_metadata::transaction::PackageRef;
use vzpkg_metadata::{ByteSize, Digest, Family};

/// A package file to fetch. Debugging shows its addresses without user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which package; its `sha256` and `size` are what counts.
    pub package: PackageRef,
    /// `deb` or `rpm`: the extension of the file.
    pub family: Family,
    /// Base URLs of the mirrors that should have it, best first; `package.location` is appended to each.
    pub base_urls: Vec<String>,
    /// [`crate::Repository::package_keys`] of the package's repository: with `Some`, the file must carry a signature of one of
    /// them (rpm only).
    pub package_keys: Option<PackageKeys>,
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted")
            .field("package", &self.package)
            .field("family", &self.family)
            .field("base_urls", &ShownAddresses(&self.base_urls))
            .field("package_keys", &self.package_keys)
            .finish()
    }
}

/// A package file that is in `packages/` and is what the signed index says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Which one.
    pub sha256: Digest,
    /// Where it is.
    pub path: PathBuf,
}

impl Client {
    /// Brings all `wanted` package files into `packages/`, in parallel, and returns their paths in the same order.
    ///
    /// A file that is already there is hashed before it counts. A file is downloaded at most once, resumes where an
    /// earlier attempt ended, and appears under its name only when its hash is the signed one. Nothing is synced: what
    /// a power cut damages is found by its hash on the next read and fetched again.
    ///
    /// # Errors
    /// [`FetchError`] of the first file that cannot be had; what did arrive stays.
    pub fn fetch(&self, wanted: &[Wanted]) -> Result<Vec<PathBuf>, FetchError> {
        self.fetch_each(wanted, &mpsc::channel().0)
    }

    /// As [`Client::fetch`], and sends each file to `arrived` as soon as it is there and verified, in any order: whoever
    /// imports need not wait for the last. A receiver that went away is no failure.
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub fn fetch_each(
        &self,
        wanted: &[Wanted],
        arrived: &Sender<Arrived>,
    ) -> Result<Vec<PathBuf>, FetchError> {
        let context = &self.context;
        durable::create_directories(&context.options.packages_dir, 0o755)?;
        let items: Vec<Item> = wanted
            .iter()
            .map(|wanted| self.item(wanted))
            .collect::<Result<_, _>>()?;
        let paths = items.iter().map(|item| item.target.clone()).collect();
        let missing = self.missing(items, arrived)?;
        if missing.is_empty() {
            return Ok(paths);
        }
        let bytes = missing.iter().map(|item| ByteSize(item.size)).sum();
        context.reporter.started(missing.len(), bytes);
        let fetched = self.fetch_items(missing, arrived);
        context.reporter.finished();
        fetched?;
        Ok(paths)
    }

    fn item(&self, wanted: &Wanted) -> Result<Item, FetchError> {
        let package = &wanted.package;
        let name = package.to_string();
        let urls = urls(wanted).map_err(|source| FetchError::Url {
            name: name.clone(),
            source,
        })?;
        let file = format!("{}.{}", package.sha256, wanted.family.extension());
        let keys = wanted.package_keys.iter();
        let signed = keys.map(|keys| (package.clone(), keys.clone()));
        Ok(Item {
            name,
            urls,
            digest: package.sha256,
            size: package.size.0,
            target: self.context.options.packages_dir.join(file),
            shared: false,
            signed: signed.collect(),
        })
    }

    /// The items that are not there yet, each file once; hashes what is there, in parallel.
    fn missing(
        &self,
        mut items: Vec<Item>,
        arrived: &Sender<Arrived>,
    ) -> Result<Vec<Item>, FetchError> {
        items.sort_by(|a, b| a.target.cmp(&b.target));
        items.dedup_by(|again, kept| {
            let same = again.target == kept.target;
            if same {
                kept.signed.append(&mut again.signed);
            }
            same
        });
        let stop = Stop::new(&self.context.options.cancel);
        let context = Arc::clone(&self.context);
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let mut hand_over = |(item, present): &(Item, bool)| {
            if *present {
                announce(arrived, item);
            }
        };
        let checked = pool::run(items, threads, &stop, &mut hand_over, move |item, _| {
            let present = download::is_present(&context, &item)?;
            if present {
                check_signatures(&context, &item)?;
            }
            Ok::<_, FetchError>((item, present))
        });
        let checked = checked.unwrap_or(Err(FetchError::Cancelled))?.into_iter();
        let missing = checked.filter_map(|(item, present)| (!present).then_some(item));
        let mut missing: Vec<Item> = missing.collect();
        // The largest first: they decide when the batch ends.
        missing.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.target.cmp(&b.target)));
        Ok(missing)
    }

    fn fetch_items(&self, items: Vec<Item>, arrived: &Sender<Arrived>) -> Result<(), FetchError> {
        let stop = Stop::new(&self.context.options.cancel);
        let context = Arc::clone(&self.context);
        let threads = self.context.options.connections;
        let mut hand_over = |item: &Item| announce(arrived, item);
        let fetched = pool::run(items, threads, &stop, &mut hand_over, move |item, stop| {
            let outcome = download::download(&context, stop, &item)?;
            check_signatures(&context, &item)?;
            if outcome == Outcome::Fetched {
                context.reporter.file_finished(&item.name);
            }
            Ok::<_, FetchError>(item)
        });
        fetched.unwrap_or(Err(FetchError::Cancelled)).map(|_| ())
    }
}

/// Where a package may be had.
fn urls(wanted: &Wanted) -> Result<Vec<FileUrl>, UrlError> {
    let location = &wanted.package.location;
    let bases = wanted.base_urls.iter().map(|base| BaseUrl::parse(base));
    let bases: Vec<BaseUrl> = bases.collect::<Result<_, _>>()?;
    if !location.contains("://") {
        return bases.iter().map(|base| base.append(location)).collect();
    }
    // A package of a yum index may have a base of its own (`xml:base`); not one on this machine if the index came over
    // the network.
    let url = FileUrl::parse(location)?;
    if url.local().is_some() && bases.iter().any(BaseUrl::is_remote) {
        let scheme = "file".to_owned();
        return Err(UrlError::Scheme { scheme });
    }
    Ok(vec![url])
}

/// Where nobody signs the index, the package proves itself, on every fetch: the keys may be others than last time.
fn check_signatures(context: &Context, item: &Item) -> Result<(), FetchError> {
    for (package, keys) in &item.signed {
        let checked = verify::rpm_package(&item.target, package, keys, context.options.now);
        checked.map_err(|source| FetchError::Signature {
            name: package.to_string(),
            source,
        })?;
    }
    Ok(())
}

/// Says that a file is there and is the one that was named. Only the caller's thread does: a worker that outlives an
/// interruption must not hold the channel open.
fn announce(arrived: &Sender<Arrived>, item: &Item) {
    let file = Arrived {
        sha256: item.digest,
        path: item.target.clone(),
    };
    // Nobody has to listen.
    drop(arrived.send(file));
}
