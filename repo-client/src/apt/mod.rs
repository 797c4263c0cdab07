//! Apt repositories: one line of a template to a verified, mapped index.
//!
//! ```text
//! InRelease, else Release + Release.gpg      signed: who, when, and the SHA-256 of every index
//!  └ main/binary-amd64/Packages.xz           by-hash where the release offers it
//!     └ pool/…/name_1.0_amd64.deb            fetched later, by crate::Client::fetch
//! ```
//!
//! What is kept below `index/<id>-<place>/`: the signed release, the compressed indexes it names (under their digests),
//! the mapped index made from them, and `state.json`, which is written last and ties them together. A load that finds
//! the same release again parses nothing.

mod packages;
mod place;
mod release;
mod scan;
mod state;

use crate::context::Context;
use crate::error::{FetchError, RepositoryError, RepositoryProblem};
use crate::guard;
use crate::options::Refresh;
use crate::report::Loaded;
use crate::repository::{MappedIndex, Repository};
use crate::transport::Stop;
use crate::verify::freshness;
use place::Place;
use release::Asked;
use state::State;
use vzpkg_metadata::Arch;
use vzpkg_metadata::durable;
use vzpkg_metadata::template::{AptSource, KeyPin};

/// Loads one repository.
pub(crate) fn load(
    context: &Context,
    stop: &Stop,
    source: &AptSource,
    keys: &[KeyPin],
    arch: &Arch,
) -> Result<(Repository, Loaded), RepositoryError> {
    let work = Work {
        context,
        stop,
        source,
        keys,
    };
    work.load(arch).map_err(|problem| RepositoryError {
        id: source.id.clone(),
        place: place::shown(source),
        problem: Box::new(problem),
    })
}

/// One load, and what it needs to know.
#[derive(Clone, Copy)]
struct Work<'a> {
    context: &'a Context,
    stop: &'a Stop,
    source: &'a AptSource,
    keys: &'a [KeyPin],
}

impl Work<'_> {
    fn load(&self, arch: &Arch) -> Result<(Repository, Loaded), RepositoryProblem> {
        let place = Place::new(&self.context.options.index_dir, self.source, arch)?;
        if let Some((state, index)) = self.cached(&place)
            && self.is_good_enough(&place, &state)
        {
            return Ok((self.repository(&state, index), Loaded::Cached));
        }
        if self.context.options.offline && place.base.is_remote() {
            let name = format!("the index of {}", place::shown(self.source));
            return Err(FetchError::Offline { name }.into());
        }
        durable::create_directories(&place.directory, 0o755)?;
        let _guard = guard::lock(self.context, self.stop, &place.directory)?;
        let cached = self.cached(&place);
        let validator = cached.as_ref().map(|(state, _)| &state.validator);
        match release::ask(
            self,
            &place,
            validator,
            cached.as_ref().map(|(state, _)| state),
        )? {
            Asked::Same(validator) => {
                let Some((mut state, index)) = cached else {
                    let name = "InRelease".to_owned();
                    return Err(FetchError::NoUrl { name }.into());
                };
                self.check_dates(&state)?;
                state.checked = self.context.options.now;
                state.validator = validator.unwrap_or(state.validator);
                state.write(&place)?;
                Ok((self.repository(&state, index), Loaded::Unchanged))
            }
            Asked::New(new) => {
                let state = packages::update(self, &place, &new)?;
                let index = MappedIndex::open(&place.index_path(&state.index))?;
                Ok((self.repository(&state, index), Loaded::Updated))
            }
        }
    }

    /// What an earlier load left, if it is whole and was signed by a key that is still pinned.
    fn cached(&self, place: &Place) -> Option<(State, MappedIndex)> {
        let state = State::read(place)?;
        let pinned = state
            .signers
            .iter()
            .any(|signer| self.keys.iter().any(|pin| pin.fingerprint == *signer));
        if !pinned && !self.source.trusted {
            return None;
        }
        let index = MappedIndex::open(&place.index_path(&state.index)).ok()?;
        Some((state, index))
    }

    /// Whether the cached index may be used without asking the server.
    fn is_good_enough(&self, place: &Place, state: &State) -> bool {
        let options = &self.context.options;
        let expired = self.check_dates(state).is_err();
        if options.offline && place.base.is_remote() || options.refresh == Refresh::Never {
            if expired {
                let place = place::shown(self.source);
                let text = format!(
                    "{place}: the signed index has expired; it is used because nothing may be asked"
                );
                self.context.reporter.message(&text);
            }
            return true;
        }
        let Refresh::IfExpired(age) = options.refresh else {
            return false;
        };
        let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        let since = options.now.saturating_sub(state.checked);
        !expired && (0..=age).contains(&since)
    }

    fn check_dates(&self, state: &State) -> Result<(), freshness::StaleError> {
        let until = state
            .valid_until
            .filter(|_| !self.source.options.ignore_valid_until && !self.source.trusted);
        freshness::check_dates(state.date, until, self.context.options.now)
    }

    fn repository(&self, state: &State, index: MappedIndex) -> Repository {
        let codename = if state.codename.is_empty() {
            &state.suite
        } else {
            &state.codename
        };
        Repository {
            id: self.source.id.clone(),
            index,
            base_urls: vec![self.source.uri.clone()],
            origin: state.origin.clone(),
            codename: codename.clone(),
            date: state.date,
            priority: self.source.options.priority,
            package_keys: None,
        }
    }
}
