//! Freshness: signed metadata may not have expired, may not come from the future, and may never be older than what this
//! node has already seen from the same signer for the same release, from whichever mirror.
//!
//! The memory is one small file, `index/newest-seen.json`, written durably under a lock of its own.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::guard::{FileGuard, Share};
use vzpkg_metadata::template::Fingerprint;

/// How far the clocks of a signer and of this node may differ, in seconds.
pub(super) const CLOCK_SKEW: i64 = 3600;

/// The memory holds a line of 200 bytes per release.
const MEMORY_BYTES: u64 = 8 << 20;

/// Why signed metadata is not used though its signature is good. Times are seconds since 1970.
#[derive(Debug, thiserror::Error)]
pub enum StaleError {
    /// Its `Valid-Until` has passed: the mirror is stuck, or hides what is newer.
    #[error("it was valid until {}, which has passed", date(*valid_until))]
    Expired {
        /// From the metadata.
        valid_until: i64,
        /// The time of this run.
        now: i64,
    },
    /// It is dated in the future: the clock of this node is wrong, or the signer's.
    #[error("it is dated {}, in the future of this machine's clock", date(*date_))]
    Future {
        /// From the metadata.
        date_: i64,
        /// The time of this run.
        now: i64,
    },
    /// An older state than one seen before: a mirror that lags behind, or an attack.
    #[error("it is dated {}, but one of {} was seen before", date(*date_), date(*seen))]
    Replayed {
        /// From the metadata.
        date_: i64,
        /// The newest date seen.
        seen: i64,
    },
    /// The memory cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The memory is damaged. It is never ignored: whoever could damage it could replay old metadata.
    #[error("`{}` is damaged", path.display())]
    Memory {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// What identifies a release, wherever it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `Origin` of the metadata, and `Label` where there is one.
    pub(crate) origin: String,
    /// `Codename`, else `Suite`.
    pub(crate) codename: String,
    /// Who signed it.
    pub(crate) signers: Vec<Fingerprint>,
}

/// Checks dates against `now`.
///
/// # Errors
/// [`StaleError::Expired`], [`StaleError::Future`].
pub(crate) fn check_dates(date: i64, valid_until: Option<i64>, now: i64) -> Result<(), StaleError> {
    if date > now.saturating_add(CLOCK_SKEW) {
        return Err(StaleError::Future { date_: date, now });
    }
    match valid_until {
        Some(valid_until) if valid_until < now => Err(StaleError::Expired { valid_until, now }),
        _ => Ok(()),
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    format: u32,
    newest: BTreeMap<String, i64>,
}

/// Refuses what is older than the newest seen.
///
/// # Errors
/// [`StaleError::Replayed`], or the memory cannot be read.
pub(crate) fn check_not_older(
    index_dir: &Path,
    identity: &Identity,
    date: i64,
) -> Result<(), StaleError> {
    let memory = read(index_dir)?;
    let seen = keys(identity).filter_map(|key| memory.newest.get(&key).copied());
    match seen.max() {
        Some(seen) if date < seen => Err(StaleError::Replayed { date_: date, seen }),
        _ => Ok(()),
    }
}

/// Remembers that this date was seen.
///
/// # Errors
/// The memory cannot be read or written.
pub(crate) fn remember(index_dir: &Path, identity: &Identity, date: i64) -> Result<(), StaleError> {
    let lock_path = index_dir.join("newest-seen.lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(FileError::on("open", &lock_path))?;
    let _guard =
        FileGuard::wait(lock, Share::Exclusive).map_err(FileError::on("lock", &lock_path))?;
    let mut memory = read(index_dir)?;
    let mut changed = false;
    for key in keys(identity) {
        let newest = memory.newest.entry(key).or_insert(i64::MIN);
        if *newest < date {
            *newest = date;
            changed = true;
        }
    }
    if changed {
        memory.format = 1;
        let path = path(index_dir);
        let text = serde_json::to_vec_pretty(&memory).map_err(|source| StaleError::Memory {
            path: path.clone(),
            source,
        })?;
        durable::write_file(&path, 0o644, &text)?;
    }
    Ok(())
}

fn path(index_dir: &Path) -> PathBuf {
    index_dir.join("newest-seen.json")
}

fn read(index_dir: &Path) -> Result<Memory, StaleError> {
    let path = path(index_dir);
    let text = match durable::read_file(&path, MEMORY_BYTES) {
        Ok(text) => text,
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Memory::default());
        }
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&text).map_err(|source| StaleError::Memory { path, source })
}

fn keys(identity: &Identity) -> impl Iterator<Item = String> {
    let (origin, codename) = (&identity.origin, &identity.codename);
    identity
        .signers
        .iter()
        .map(move |signer| format!("{origin}\n{codename}\n{signer}"))
}

/// A date for a message, as `2026-01-01T00:00:00Z`.
fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |moment| moment.to_string())
}
