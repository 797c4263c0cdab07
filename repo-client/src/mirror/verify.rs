//! Hashes every file that the states in use name, once, by several threads; what is damaged is fetched again on demand.

use super::Mirrors;
use super::error::MirrorError;
use super::layout::Home;
use super::list::{Kind, ListReader};
use super::record::Refs;
use super::{repair, tree};
use crate::error::FetchError;
use crate::guard;
use crate::pool;
use crate::transport::Stop;
use crate::verify::verify_file;
use std::collections::BTreeMap;
use std::thread;
use vzpkg_metadata::guard::Share;
use vzpkg_metadata::{Digest, MirrorName};

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files that were hashed.
    pub files: u64,
    /// What is wrong with each that is damaged or gone, in order.
    pub damaged: Vec<String>,
    /// How many of them are right again.
    pub repaired: u64,
    /// Why the others are not, in order.
    pub failed: Vec<String>,
}

/// What is done about damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// It is told.
    No,
    /// What is damaged or gone is fetched again from upstream.
    Fetch,
}

/// A file under its hash.
pub(super) type Stored = (Kind, Digest, u64);

/// Stored files that are wrong, and in which way.
pub(super) type Damage = BTreeMap<Stored, String>;

impl Mirrors {
    /// Hashes the files of the published state, the newest, the one before and all snapshots of a mirror, and looks
    /// whether the published tree holds these files.
    ///
    /// # Errors
    /// [`MirrorError::Damaged`] for records that cannot be read; damaged files are a result, and so are files that
    /// upstream does not have any more.
    pub fn verify(&self, name: &MirrorName, mend: Repair) -> Result<Verified, MirrorError> {
        let home = self.home(name)?;
        let _shared = self.guard(Share::Shared)?;
        let stop = Stop::new(&self.context.options.cancel);
        let _guard = match mend {
            Repair::Fetch => Some(guard::lock(&self.context, &stop, &home.directory)?),
            Repair::No => None,
        };
        let (files, damage) = self.damage(&home, &stop)?;
        let astray = tree::astray(&self.layout, &home)?;
        let mut damaged: Vec<String> = damage.values().cloned().collect();
        damaged.extend(
            astray
                .iter()
                .map(|path| format!("`{path}` is published wrong")),
        );
        damaged.sort_unstable();
        let mut verified = Verified {
            files,
            damaged,
            ..Verified::default()
        };
        if mend == Repair::Fetch && !verified.damaged.is_empty() {
            let work = self.work(&home, &stop);
            verified.failed = repair::fetch(&work, &damage)?;
            let left = verified.failed.len();
            verified.repaired = verified.damaged.len().saturating_sub(left) as u64;
        }
        Ok(verified)
    }

    /// How many files the states in use name, and which of them are damaged.
    fn damage(&self, home: &Home, stop: &Stop) -> Result<(u64, Damage), MirrorError> {
        let mut files: Vec<Stored> = Vec::new();
        for state in Refs::read(home)?.in_use() {
            for entry in ListReader::open(&home.list(&state))? {
                let entry = entry?;
                if !entry.brought {
                    continue;
                }
                files.push((entry.kind, entry.digest, entry.size));
            }
        }
        files.sort_unstable();
        files.dedup();
        let count = files.len() as u64;
        let threads = thread::available_parallelism().map_or(2, usize::from);
        let layout = self.layout.clone();
        let mut damage = Damage::new();
        let reporter = &self.context.reporter;
        reporter.stage("Hashing", Some(count));
        let mut take = |found: Option<(Stored, String)>| {
            reporter.advanced(1, "");
            damage.extend(found);
        };
        let jobs = files.into_iter().map(Ok::<_, MirrorError>);
        let done = pool::stream(jobs, threads, stop, &mut take, move |file, _| {
            let (kind, digest, size) = file;
            let checked = verify_file(&layout.file(kind, &digest), &digest, size);
            Ok(checked.err().map(|problem| (file, problem.to_string())))
        });
        reporter.stage_finished();
        done.unwrap_or(Err(FetchError::Cancelled.into()))?;
        Ok((count, damage))
    }
}
