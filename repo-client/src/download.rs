//! One file of known size and SHA-256: resumed, hashed while it comes, put in place when it is whole and right.
//!
//! ```text
//! <sha256>.deb         whole and verified (0444); hashed again before it is trusted
//! <sha256>.deb.part    as far as it came; locked by whoever writes it; survives a kill
//! <sha256>.deb.from    address and validator of the partial file, for If-Range
//! ```
//!
//! Names are made from the digest and an extension of ours, never from what the network says. The file is renamed into
//! place without a sync: after a power cut it may be damaged, which the hash on the next read finds.

use crate::context::Context;
use crate::error::{FetchError, TransportError};
use crate::guard;
use crate::origin::Origin;
use crate::retry;
use crate::servers;
use crate::source::FileUrl;
use crate::transport::{Answer, Ask, Body, Failure, Pace, Stop};
use crate::verify::{FileCheckError, PackageKeys, verify_file};
use rustix::fs::{Advice, fadvise};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vzpkg_metadata::digest::Hasher;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::guard::{Attempt, FileGuard, Share};
use vzpkg_metadata::transaction::PackageRef;
use vzpkg_metadata::{ByteSize, Digest};

/// Between two looks at a partial file that another process writes.
const POLL: Duration = Duration::from_millis(200);

/// Bytes beyond the furthest point so far that make an interrupted attempt count as progress.
const PROGRESS: u64 = 256 << 10;

/// Bytes of a partial file from which on it is noted where they come from, also before an attempt fails: a killed process
/// that had fewer goes on without that, and the hash of the whole decides.
const NOTED: u64 = 1 << 20;

/// A file to be had.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// For people.
    pub(crate) name: String,
    /// Where it may be had, best first.
    pub(crate) urls: Vec<FileUrl>,
    /// From signed metadata.
    pub(crate) digest: Digest,
    /// From signed metadata.
    pub(crate) size: u64,
    /// Where it will be.
    pub(crate) target: PathBuf,
    /// Whether the servers take turns, and a slow one is dropped for another; else each is asked when those before it
    /// fail.
    pub(crate) shared: bool,
    /// Package signatures that it must carry before it is handed on; empty where the signed digest is enough.
    pub(crate) signed: Vec<(PackageRef, PackageKeys)>,
}

/// Looks on while a file comes.
pub(crate) trait Watch: fmt::Debug + Sync {
    /// So many bytes of the file are here, from its beginning on; nothing is known yet of what they hash to. Fewer than
    /// before where what came is thrown away.
    fn came(&self, file: &File, bytes: u64);
}

/// Whether the file had to be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was there, whole.
    Present,
    /// It came now; its name is not yet synced.
    Fetched,
}

/// Looks whether the whole file is already there. A damaged one is removed; never one that an index only gives another size,
/// for files are shared with other repositories by their hash.
pub(crate) fn is_present(context: &Context, item: &Item) -> Result<bool, FetchError> {
    match verify_file(&item.target, &item.digest, item.size) {
        Ok(()) => Ok(true),
        Err(FileCheckError::File(error)) if error.source.kind() == std::io::ErrorKind::NotFound => {
            Ok(false)
        }
        Err(FileCheckError::File(error)) => Err(error.into()),
        Err(FileCheckError::Size { found, .. }) if holds(&item.target, &item.digest)? => {
            let name = crate::source::shown(&item.name);
            let claimed = item.size;
            Err(FetchError::Size {
                name,
                claimed,
                found,
            })
        }
        Err(damaged @ (FileCheckError::Size { .. } | FileCheckError::Mismatch { .. })) => {
            let name = crate::source::shown(&item.name);
            let text = format!("{name}: {damaged}; it is fetched again");
            context.reporter.message(&text);
            durable::remove_file(&item.target)?;
            Ok(false)
        }
    }
}

/// Whether the content of a file has this hash.
fn holds(path: &Path, digest: &Digest) -> Result<bool, FileError> {
    let file = File::open(path).map_err(FileError::on("open", path))?;
    let (found, _) = Digest::of_reader(&file).map_err(FileError::on("read", path))?;
    Ok(found == *digest)
}

/// Brings the file into place.
pub(crate) fn download(context: &Context, stop: &Stop, item: &Item) -> Result<Outcome, FetchError> {
    download_watched(context, stop, item, None)
}

/// Brings the file into place before the eyes of somebody, who sees nothing of one that is there already.
pub(crate) fn download_watched(
    context: &Context,
    stop: &Stop,
    item: &Item,
    watch: Option<&dyn Watch>,
) -> Result<Outcome, FetchError> {
    if is_present(context, item)? {
        return Ok(Outcome::Present);
    }
    let mut urls = context.reachable(&item.name, item.urls.clone())?;
    urls = if item.shared {
        context.servers.in_turn(urls)
    } else {
        context.servers.slow_last(urls)
    };
    let Some(mut part) = Part::open(context, stop, item, watch)? else {
        // Another process was faster; what it left is judged like any file that is found.
        return download_watched(context, stop, item, watch);
    };
    retry::over_mirrors(context, stop, &item.name, &urls, &mut |url| {
        part.measured(context, stop, item, url)
    })?;
    part.publish(item)?;
    Ok(Outcome::Fetched)
}

/// The partial file, locked.
#[derive(Debug)]
struct Part<'w> {
    path: PathBuf,
    file: FileGuard,
    hasher: Hasher,
    /// The furthest it ever came.
    furthest: u64,
    /// Addresses that failed in another way than by being slow: no reason to leave a slow one for them.
    failed: Vec<FileUrl>,
    watch: Option<&'w dyn Watch>,
}

impl<'w> Part<'w> {
    /// Opens and locks the partial file and hashes what it holds. `None` if another process had the lock and is done.
    fn open(
        context: &Context,
        stop: &Stop,
        item: &Item,
        watch: Option<&'w dyn Watch>,
    ) -> Result<Option<Self>, FetchError> {
        let path = sibling(&item.target, ".part");
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(FileError::on("open", &path))?;
            let attempt =
                FileGuard::attempt(file, Share::Exclusive).map_err(FileError::on("lock", &path))?;
            let Attempt::Held(file) = attempt else {
                retry::sleep(context, stop, POLL)?;
                continue;
            };
            // The one who had the lock may have renamed or removed the file that is locked now.
            if let Some(length) = guard::length_if_same(&file, &path) {
                if item.target.exists() {
                    durable::remove_unsynced(&path)?;
                    return Ok(None);
                }
                let mut part = Self {
                    path,
                    file,
                    hasher: Hasher::new(),
                    furthest: 0,
                    failed: Vec::new(),
                    watch,
                };
                if length > 0 {
                    part.read_back(item)?;
                }
                return Ok(Some(part));
            }
        }
    }

    fn read_back(&mut self, item: &Item) -> Result<(), FileError> {
        let mut buffer = vec![0_u8; 128 << 10];
        loop {
            let read = self
                .file
                .read(&mut buffer)
                .map_err(FileError::on("read", &self.path))?;
            match buffer.get(..read) {
                None | Some([]) => break,
                Some(chunk) => self.hasher.update(chunk),
            }
        }
        self.furthest = self.hasher.length();
        if self.hasher.length() > item.size {
            return self.restart();
        }
        self.shown();
        Ok(())
    }

    /// Tells who looks on how much is here.
    fn shown(&self) {
        if let Some(watch) = self.watch {
            watch.came(&self.file, self.hasher.length());
        }
    }

    fn restart(&mut self) -> Result<(), FileError> {
        self.hasher = Hasher::new();
        self.shown();
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)).map(|_| ()))
            .map_err(FileError::on("truncate", &self.path))
    }

    /// One attempt, whose speed is noted. A server that is dropped because others are faster is asked last from then on.
    fn measured(
        &mut self,
        context: &Context,
        stop: &Stop,
        item: &Item,
        url: &FileUrl,
    ) -> Result<(), Failure> {
        let (began, had) = (context.options.clock.elapsed(), self.hasher.length());
        let result = self.attempt(context, stop, item, url);
        let took = context.options.clock.elapsed().saturating_sub(began);
        let came = self.hasher.length().saturating_sub(had);
        context.servers.sent(url, came, took);
        let fault = |error: &TransportError| match error {
            TransportError::Stalled { .. } if item.shared => Some("is too slow"),
            // Each file would wait for it as long again.
            TransportError::Connect { .. } => Some("does not answer"),
            _ => None,
        };
        match result {
            Err(Failure::Progress(error) | Failure::Transport(error))
                if item.urls.len() > 1 && fault(&error).is_some() =>
            {
                if context.servers.dropped(url) {
                    let (server, fault) = (servers::server_of(url), fault(&error));
                    let text = format!(
                        "{server} {}; others are asked first",
                        fault.unwrap_or_default()
                    );
                    context.reporter.message(&text);
                }
                // Counted even after progress, so that the next server has its turn.
                Err(Failure::Transport(error))
            }
            Err(failure) => {
                self.failed.push(url.clone());
                Err(failure)
            }
            Ok(()) => Ok(()),
        }
    }

    /// One attempt on one address: the rest of the file, then the check of the whole.
    fn attempt(
        &mut self,
        context: &Context,
        stop: &Stop,
        item: &Item,
        url: &FileUrl,
    ) -> Result<(), Failure> {
        let resumed = self.hasher.length();
        if resumed < item.size || item.size == 0 {
            let answer = match self.ask(context, url) {
                // More is here than the server has: what is here, or there, is wrong.
                Err(TransportError::Status { status: 416 }) if resumed > 0 => {
                    self.restart().map_err(Failure::Local)?;
                    context.reporter.lost(ByteSize(resumed));
                    self.ask(context, url)?
                }
                answer => answer?,
            };
            let Answer::Body(body) = answer else {
                return Err(TransportError::Status { status: 304 }.into());
            };
            self.take(context, stop, item, url, body)?;
        }
        self.check(context, item, resumed)
    }

    fn ask(&self, context: &Context, url: &FileUrl) -> Result<Answer, TransportError> {
        let from = self.hasher.length();
        // A validator belongs to one address. Without one the range is asked for all the same: the hash of the whole
        // decides, and a wrong mixture costs one download.
        let origin = (from > 0).then(|| Origin::of_part(&self.path, url));
        let origin = origin.flatten();
        let if_range = origin
            .as_ref()
            .and_then(|origin| origin.validator.for_range());
        context.network.open(&Ask {
            from,
            if_range: if_range.filter(|_| url.remote().is_some()),
            ..Ask::whole(url)
        })
    }

    fn take(
        &mut self,
        context: &Context,
        stop: &Stop,
        item: &Item,
        url: &FileUrl,
        mut body: Body,
    ) -> Result<(), Failure> {
        let had = self.hasher.length();
        if body.offset != had {
            self.restart().map_err(Failure::Local)?;
            context.reporter.lost(ByteSize(had));
        }
        let (validator, mut noted) = (body.validator.clone(), false);
        let limit = item.size.saturating_sub(self.hasher.length());
        let mut others = item.urls.clone();
        others.retain(|other| item.shared && !self.failed.contains(other));
        let faster = context.servers.floor(url, &others);
        let mut pace = Pace::new(&context.options).compared_with(faster);
        let (path, hasher, file) = (&self.path, &mut self.hasher, &mut self.file);
        let watch = self.watch;
        let drained = body.drain(limit, &mut pace, stop, &mut |chunk| {
            file.write_all(chunk)
                .map_err(FileError::on("write", path))?;
            hasher.update(chunk);
            if let Some(watch) = watch {
                watch.came(file, hasher.length());
            }
            if !noted && hasher.length() >= NOTED {
                Origin::note(path, url, &validator)?;
                noted = true;
            }
            context.reporter.progressed(ByteSize(chunk.len() as u64));
            Ok(())
        });
        let (received, expected) = (self.hasher.length(), item.size);
        if drained.is_ok() && received == expected {
            return Ok(());
        }
        Origin::note(&self.path, url, &body.validator).map_err(Failure::Local)?;
        let error = match drained {
            Ok(_) => TransportError::Short { received, expected },
            Err(Failure::Transport(error)) => error,
            Err(other) => return Err(other),
        };
        let passes = !matches!(error, TransportError::TooLarge { .. });
        if passes && received > self.furthest.saturating_add(PROGRESS) {
            self.furthest = received;
            return Err(Failure::Progress(error));
        }
        Err(error.into())
    }

    /// Compares the hash of the whole. A wrong file is thrown away; where part of it was here before, the mirror is not
    /// to blame yet and may send the whole.
    fn check(&mut self, context: &Context, item: &Item, resumed: u64) -> Result<(), Failure> {
        let found = self.hasher.clone().finish();
        if found == item.digest {
            return Ok(());
        }
        let (expected, length) = (item.digest, self.hasher.length());
        self.restart().map_err(Failure::Local)?;
        context.reporter.lost(ByteSize(length));
        let error = TransportError::Mismatch { expected, found };
        Err(if resumed > 0 {
            Failure::Progress(error)
        } else {
            Failure::Transport(error)
        })
    }

    fn publish(self, item: &Item) -> Result<(), FetchError> {
        if item.shared {
            // A mirror syncs all at once in the end: the disk may begin now.
            if let Err(error) = fadvise(&*self.file, 0, None, Advice::DontNeed) {
                tracing::debug!(%error, "no advice is taken");
            }
        }
        let mode = fs::Permissions::from_mode(0o444);
        self.file
            .set_permissions(mode)
            .map_err(FileError::on("change the mode of", &self.path))?;
        durable::put_in_place_unsynced(&self.path, &item.target)?;
        Origin::forget(&self.path)?;
        Ok(())
    }
}

/// `path` with something appended to its name.
fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(suffix);
    path.with_file_name(name)
}
