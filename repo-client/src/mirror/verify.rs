//! Hashes every file that the states in use name, once, by several threads.

use super::Mirrors;
use super::error::MirrorError;
use super::list::{Kind, ListReader};
use super::record::Refs;
use crate::error::FetchError;
use crate::pool;
use crate::transport::Stop;
use crate::verify::verify_file;
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
}

impl Mirrors {
    /// Hashes the files of the published state, the newest, the one before and all snapshots of a mirror.
    ///
    /// # Errors
    /// [`MirrorError::Damaged`] for records that cannot be read; damaged files are a result.
    pub fn verify(&self, name: &MirrorName) -> Result<Verified, MirrorError> {
        let home = self.home(name)?;
        let _shared = self.guard(Share::Shared)?;
        let mut files: Vec<(Kind, Digest, u64)> = Vec::new();
        for state in Refs::read(&home)?.in_use() {
            for entry in ListReader::open(&home.list(&state))? {
                let entry = entry?;
                files.push((entry.kind, entry.digest, entry.size));
            }
        }
        files.sort_unstable();
        files.dedup();
        let mut verified = Verified {
            files: files.len() as u64,
            damaged: Vec::new(),
        };
        let stop = Stop::new(&self.context.options.cancel);
        let threads = thread::available_parallelism().map_or(2, usize::from);
        let layout = self.layout.clone();
        let mut take = |problem: Option<String>| verified.damaged.extend(problem);
        let jobs = files.into_iter().map(Ok::<_, MirrorError>);
        let done = pool::stream(jobs, threads, &stop, &mut take, move |file, _| {
            let (kind, digest, size) = file;
            let checked = verify_file(&layout.file(kind, &digest), &digest, size);
            Ok(checked.err().map(|problem| problem.to_string()))
        });
        done.unwrap_or(Err(FetchError::Cancelled.into()))?;
        verified.damaged.sort_unstable();
        Ok(verified)
    }
}
