//! Removes states that nothing refers to, and the files that only they named.
//!
//! What a sync brought that has not come to its end stays, so that it can go on: the packages of its list, and every
//! metadata file that nobody names while there is such a sync, for which of them are its own is not written down.
//!
//! Runs alone: every sync and every publication holds the guard shared. The header of a state goes first, without which
//! it is none, and its list last: a kill in between leaves what the next collection finds again.

use super::error::MirrorError;
use super::kept::lists;
use super::layout::Home;
use super::list::{Kind, ListReader};
use super::record::Refs;
use super::{Mirrors, tree};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::guard::Share;
use vzpkg_metadata::{ByteSize, Digest};

/// How long clients of the state before may take, in seconds, until its files leave the published tree.
const GRACE: i64 = 24 * 3600;

/// What was removed, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// States.
    pub states: u64,
    /// Package and metadata files.
    pub files: u64,
    /// Their bytes.
    pub bytes: ByteSize,
}

/// All states of all mirrors.
#[derive(Debug, Default)]
struct Survey {
    /// Digests that states in use name, in order.
    stay: Vec<Digest>,
    /// Lists that nothing refers to.
    unused: Vec<(Home, PathBuf)>,
    /// Whether a sync of some mirror shall go on.
    begun: bool,
}

impl Mirrors {
    /// Collects the states of all mirrors; with `dry_run` only says what would go.
    ///
    /// # Errors
    /// [`MirrorError`] where a mirror cannot be read: nothing is removed then.
    pub fn gc(&self, dry_run: bool) -> Result<Collected, MirrorError> {
        if !self.layout.mirrors.is_dir() {
            return Ok(Collected::default());
        }
        // Who only looks is a reader, and readers never wait.
        let _guard = if dry_run {
            None
        } else {
            Some(self.guard(Share::Exclusive)?)
        };
        let survey = self.survey()?;
        let mut collected = Collected::default();
        let mut gone = BTreeSet::new();
        for (home, list) in &survey.unused {
            collected.states = collected.states.saturating_add(1);
            if !dry_run && let Some(state) = state_of(list) {
                durable::remove_file(&home.header(&state))?;
            }
            // A list that a power cut damaged is of a state that never was.
            let entries = ListReader::open(list).into_iter().flatten();
            for entry in entries.filter_map(Result::ok) {
                let stays = survey.stay.binary_search(&entry.digest).is_ok();
                if entry.kind == Kind::Metadata || stays || !gone.insert(entry.digest) {
                    continue;
                }
                let path = self.layout.file(entry.kind, &entry.digest);
                // What nobody asked for was never brought.
                if !entry.brought && !path.exists() {
                    continue;
                }
                collected.add(entry.size);
                if !dry_run {
                    durable::remove_unsynced(&path)?;
                }
            }
            if !dry_run {
                durable::remove_unsynced(list)?;
                remove_view(home, list)?;
            }
        }
        if !survey.begun {
            self.remove_metadata(&survey.stay, dry_run, &mut collected)?;
        }
        if !dry_run {
            self.drop_carried()?;
        }
        Ok(collected)
    }

    fn survey(&self) -> Result<Survey, MirrorError> {
        let mut survey = Survey::default();
        for name in self.names()? {
            let home = self.home(&name)?;
            let refs = Refs::read(&home)?;
            let mut in_use = refs.in_use();
            for state in &in_use {
                for entry in ListReader::open(&home.list(state))? {
                    survey.stay.push(entry?.digest);
                }
            }
            survey.begun |= refs.begun.is_some();
            if let Some(list) = refs.begun_list() {
                // One that a power cut damaged keeps what it still names.
                let entries = ListReader::open(&home.list(&list)).into_iter().flatten();
                let entries = entries.filter_map(Result::ok);
                survey.stay.extend(entries.map(|entry| entry.digest));
                in_use.insert(list);
            }
            let unused = lists(&home)?.into_iter();
            let unused =
                unused.filter(|list| state_of(list).is_none_or(|state| !in_use.contains(&state)));
            survey
                .unused
                .extend(unused.map(|list| (home.clone(), list)));
        }
        survey.stay.sort_unstable();
        survey.stay.dedup();
        Ok(survey)
    }

    /// Metadata files that no state names, and partial downloads of them.
    fn remove_metadata(
        &self,
        stay: &[Digest],
        dry_run: bool,
        collected: &mut Collected,
    ) -> Result<(), MirrorError> {
        let directory = self.layout.files();
        let Ok(entries) = fs::read_dir(&directory) else {
            return Ok(());
        };
        for entry in entries {
            let path = entry.map_err(FileError::on("list", &directory))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let digest = name.and_then(|name| name.parse::<Digest>().ok());
            if digest.is_some_and(|digest| stay.binary_search(&digest).is_ok()) {
                continue;
            }
            collected.add(path.symlink_metadata().map_or(0, |metadata| metadata.len()));
            if !dry_run {
                durable::remove_unsynced(&path)?;
            }
        }
        Ok(())
    }

    /// Publishes again, without the files of the state before, what has been published for a day.
    fn drop_carried(&self) -> Result<(), MirrorError> {
        for name in self.names()? {
            let home = self.home(&name)?;
            let refs = Refs::read(&home)?;
            let (Some(last), true) = (refs.history.last(), tree::carries(&home)) else {
                continue;
            };
            if self.context.options.now.saturating_sub(last.at) > GRACE {
                tree::publish(&self.layout, &home, &last.state, None)?;
            }
        }
        Ok(())
    }
}

impl Collected {
    const fn add(&mut self, size: u64) {
        self.files = self.files.saturating_add(1);
        self.bytes.0 = self.bytes.0.saturating_add(size);
    }
}

fn remove_view(home: &Home, list: &Path) -> Result<(), MirrorError> {
    let Some(state) = state_of(list) else {
        return Ok(());
    };
    let view = home.view(&state);
    match fs::remove_dir_all(&view) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(FileError::on("remove", view)(error).into())
        }
        _ => Ok(()),
    }
}

/// The state that a list is of, by its name.
fn state_of(list: &Path) -> Option<Digest> {
    list.file_stem()?.to_str()?.parse().ok()
}
