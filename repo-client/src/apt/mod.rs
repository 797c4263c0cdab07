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
//! the same release again parses nothing; one that finds the mapped index of another vzpkg makes it again from the
//! compressed ones, without asking anybody.

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
use crate::repository::{MappedIndex, Repository, Security};
use crate::retry::{self, Torn};
use crate::transport::{Stop, Validator};
use crate::verify::freshness;
use place::Place;
pub(crate) use release::{Asked, Known, NewRelease};
pub(crate) use scan::{Packed, each_package, each_source};
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

/// Asks for the release of one suite and judges it, for a mirror.
pub(crate) fn ask(
    context: &Context,
    stop: &Stop,
    source: &AptSource,
    keys: &[KeyPin],
    arch: &Arch,
    known: Option<Known<'_>>,
) -> Result<Asked, RepositoryError> {
    let work = Work {
        context,
        stop,
        source,
        keys,
    };
    Place::new(&context.options.index_dir, source, arch)
        .map_err(RepositoryProblem::from)
        .and_then(|place| release::ask(&work, &place, known))
        .map_err(|problem| RepositoryError {
            id: source.id.clone(),
            place: place::shown(source),
            problem: Box::new(problem),
        })
}

/// Remembers that the signers of a release have shown its date.
pub(crate) fn remember(
    context: &Context,
    source: &AptSource,
    new: &NewRelease,
) -> Result<(), freshness::StaleError> {
    let identity = release::identity(source, &new.release, &new.signers);
    if identity.signers.is_empty() {
        return Ok(());
    }
    freshness::remember(&context.options.index_dir, &identity, new.release.date)
}

/// What asking brought.
#[derive(Debug)]
enum Brought {
    /// The release that is here already; with a validator if a new one came.
    Same(Option<Validator>),
    /// Another one, which is here now.
    New(Box<State>),
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
        let kept = self.kept(&place);
        let is_good_enough = kept
            .as_ref()
            .is_some_and(|state| self.is_good_enough(&place, state));
        if is_good_enough
            && let Some(state) = &kept
            && let Ok(index) = MappedIndex::open(&place.index_path(&state.index))
        {
            return Ok((self.repository(state, index), Loaded::Cached));
        }
        let is_offline = self.context.options.offline && place.base.is_remote();
        if is_offline && kept.is_none() {
            let name = format!("the index of {}", place::shown(self.source));
            return Err(FetchError::Offline { name }.into());
        }
        durable::create_directories(&place.directory, 0o755)?;
        let _guard = guard::lock(self.context, self.stop, &place.directory)?;
        let cached = match self.kept(&place).map(|state| self.usable(&place, state)) {
            Some(Ok(usable)) => Some(usable),
            Some(Err(problem)) if is_offline => return Err(problem),
            Some(Err(problem)) => {
                tracing::debug!(%problem, "what is kept cannot be used");
                None
            }
            None => None,
        };
        if is_good_enough && let Some((state, index)) = cached {
            return Ok((self.repository(&state, index), Loaded::Updated));
        }
        let known = cached.as_ref().map(|(state, _)| state);
        let asked = retry::while_torn(self.context, self.stop, &mut || self.ask(&place, known))?;
        match (asked, cached) {
            (Brought::Same(validator), Some((mut state, index))) => {
                self.check_dates(state.date, state.valid_until)?;
                state.checked = self.context.options.now;
                state.validator = validator.unwrap_or(state.validator);
                state.write(&place)?;
                Ok((self.repository(&state, index), Loaded::Unchanged))
            }
            (Brought::Same(_), None) => {
                // Nothing can be the same as what is not here.
                let name = "InRelease".to_owned();
                Err(FetchError::NoUrl { name }.into())
            }
            (Brought::New(state), _) => {
                let index = MappedIndex::open(&place.index_path(&state.index))?;
                Ok((self.repository(&state, index), Loaded::Updated))
            }
        }
    }

    /// Asks for the release and, if it is another one, fetches what it names.
    fn ask(&self, place: &Place, known: Option<&State>) -> Result<Brought, Torn> {
        match release::ask(self, place, known.map(State::known)) {
            Ok(Asked::Same(validator)) => Ok(Brought::Same(validator)),
            Ok(Asked::New(new)) => match packages::update(self, place, &new) {
                Ok(state) => Ok(Brought::New(Box::new(state))),
                Err(problem) if problem.is_of_other_content() => Err(Torn::Maybe(problem)),
                Err(problem) => Err(Torn::No(problem)),
            },
            // Of the two files one may be newer than the other; an `InRelease` is whole.
            Err(problem) if problem.is_untrusted("Release.gpg") => Err(Torn::Maybe(problem)),
            Err(problem) => Err(Torn::No(problem)),
        }
    }

    /// The state that an earlier load left, if it was signed by a key that is still pinned.
    fn kept(&self, place: &Place) -> Option<State> {
        let state = State::read(place)?;
        let pinned = state
            .signers
            .iter()
            .any(|signer| self.keys.iter().any(|pin| pin.fingerprint == *signer));
        (pinned || self.source.trusted).then_some(state)
    }

    /// The index of a state; made again from the kept originals where it is not one of this vzpkg.
    fn usable(
        &self,
        place: &Place,
        state: State,
    ) -> Result<(State, MappedIndex), RepositoryProblem> {
        match MappedIndex::open(&place.index_path(&state.index)) {
            Ok(index) => Ok((state, index)),
            Err(_) => packages::mend(self, place, state),
        }
    }

    /// Whether the cached index may be used without asking the server.
    fn is_good_enough(&self, place: &Place, state: &State) -> bool {
        let options = &self.context.options;
        let expired = self.check_dates(state.date, state.valid_until).is_err();
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

    /// Expiry is judged when a state comes to this node: at the sync of a mirror for what lies in it.
    fn check_dates(&self, date: i64, until: Option<i64>) -> Result<(), freshness::StaleError> {
        let options = &self.context.options;
        let judged = options.judged_at(&self.source.uri);
        let until = until
            .filter(|_| !self.source.options.ignore_valid_until && !self.source.trusted)
            .filter(|until| judged.is_none_or(|judged| *until < judged));
        freshness::check_dates(date, until, options.now)
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
            security: if state.security {
                Security::All
            } else {
                Security::Unknown
            },
            groups: None,
            modules: None,
            hotfixes: false,
            automatic: state.automatic,
            date: state.date,
            priority: self.source.options.priority,
            excludes: self.source.options.excludes.clone(),
            package_keys: None,
        }
    }
}
