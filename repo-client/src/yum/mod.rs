//! Yum repositories: one line of a template to a verified, mapped index.
//!
//! ```text
//! mirror list or metalink                    which mirrors; a metalink also says what repomd.xml may be
//!  └ repodata/repomd.xml + repomd.xml.asc    signed: when, and the SHA-256 of every metadata file
//!     ├ repodata/…-primary.xml.gz            every package, with its SHA-256
//!     ├ repodata/…-filelists.xml.gz          fetched only where somebody asks for a path that primary does not list
//!     ├ repodata/…-updateinfo.xml.gz         the security advisories of it are kept; without them a load goes on
//!     ├ repodata/…-comps.xml.gz              groups of packages, likewise
//!     ├ repodata/…-modules.yaml.gz           module streams; without them packages would show that must not
//!     └ Packages/…rpm                        fetched later, by crate::Client::fetch
//! ```
//!
//! What is kept below `index/<id>-<place>/`: `repomd.xml` and its signature, the compressed files it names (under their
//! digests), the mapped index made from them, and `state.json`, which is written last and ties them together. A load
//! that finds the same `repomd.xml` again parses nothing; one that finds the mapped index of another vzpkg makes it again
//! from the compressed files, without asking anybody.
//!
//! **Trust.** `repomd.xml` must be signed by a pinned key. `trusted=yes` asks for no signature at all;
//! `metadata=unsigned` for none here, but then every package must carry one ([`crate::PackageKeys`]). Such metadata may
//! be replayed by whoever serves it, so neither is remembered as the newest seen.

mod advisories;
mod extras;
mod index;
mod mirrors;
mod paths;
mod place;
mod root;
mod state;

use crate::context::Context;
use crate::error::{RepositoryError, RepositoryProblem};
use crate::guard;
use crate::options::Refresh;
use crate::report::Loaded;
use crate::repository::{MappedIndex, Repository};
use crate::retry::{self, Torn};
use crate::source::BaseUrl;
use crate::transport::Stop;
use crate::verify::keyring::{self, Keyring};
use crate::verify::{PackageKeys, Policy, freshness};
use place::Place;
use state::State;
use std::collections::BTreeSet;
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::template::{KeyPin, YumSource};
use vzpkg_metadata::yum::comps::CompsError;
use vzpkg_metadata::yum::filelists::FilelistsError;
use vzpkg_metadata::yum::metalink::MetalinkError;
use vzpkg_metadata::yum::modules::ModulesError;
use vzpkg_metadata::yum::primary::PrimaryError;
use vzpkg_metadata::yum::repomd::RepomdError;
use vzpkg_metadata::yum::updateinfo::UpdateinfoError;
use vzpkg_metadata::{Arch, durable};

pub use advisories::Advisories;
pub use extras::{read_groups, read_modules};
pub(crate) use paths::missing_paths;
pub(crate) use root::{Asked, Known, NewRoot};

/// Why the metadata of a yum repository is not used.
#[derive(Debug, thiserror::Error)]
pub enum YumError {
    /// A mirror list that names no mirror.
    #[error("`{list}` names no mirror")]
    NoMirrors {
        /// The list.
        list: String,
    },
    /// A metalink that cannot be understood.
    #[error("metalink `{url}` cannot be used")]
    Metalink {
        /// Where it is.
        url: String,
        /// What is wrong.
        source: MetalinkError,
    },
    /// `repomd.xml` cannot be understood.
    #[error(transparent)]
    Repomd(#[from] RepomdError),
    /// No list of packages.
    #[error("`repomd.xml` names no `primary`")]
    NoPrimary,
    /// A file that only md5 or sha1 identify.
    #[error(
        "`repomd.xml` identifies `{entry}` by `{kind}`, which proves nothing; sha256 is needed"
    )]
    Weak {
        /// Which file.
        entry: &'static str,
        /// The kind of checksum.
        kind: String,
    },
    /// A file of unknown size.
    #[error("`repomd.xml` does not say how large `{entry}` is")]
    NoSize {
        /// Which file.
        entry: &'static str,
    },
    /// A file that nobody has and that would fill the disk.
    #[error("`repomd.xml` says that `{entry}` has {claimed} bytes, more than any has")]
    TooLarge {
        /// Which file.
        entry: &'static str,
        /// What it says.
        claimed: u64,
    },
    /// `primary.xml` cannot be understood.
    #[error(transparent)]
    Primary(#[from] PrimaryError),
    /// `filelists.xml` cannot be understood.
    #[error(transparent)]
    Filelists(#[from] FilelistsError),
    /// `updateinfo.xml` cannot be understood.
    #[error(transparent)]
    Updateinfo(#[from] UpdateinfoError),
    /// `comps.xml` cannot be understood.
    #[error(transparent)]
    Comps(#[from] CompsError),
    /// `modules.yaml` cannot be understood.
    #[error(transparent)]
    Modules(#[from] ModulesError),
}

/// Which paths that only `filelists` has must be in the index, and whether that is all that is new.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paths<'a> {
    pub(crate) wanted: &'a BTreeSet<String>,
    /// The repository was loaded a moment ago: nobody is asked for news.
    pub(crate) only: bool,
}

/// Loads one repository.
pub(crate) fn load(
    context: &Context,
    stop: &Stop,
    source: &YumSource,
    keys: &[KeyPin],
    arch: &Arch,
    paths: Paths<'_>,
) -> Result<(Repository, Loaded), RepositoryError> {
    let work = Work {
        context,
        stop,
        source,
        keys,
        paths,
    };
    let error = |place: String, problem: RepositoryProblem| RepositoryError {
        id: source.id.clone(),
        place,
        problem: Box::new(problem),
    };
    let place = Place::new(&context.options.index_dir, source, arch)
        .map_err(|source| error(String::new(), source.into()))?;
    let loaded = work.load(&place);
    loaded.map_err(|problem| error(place.shown, problem))
}

/// Asks for the `repomd.xml` of one repository and judges it, for a mirror. `bases` are the mirrors that were known
/// before.
pub(crate) fn ask(
    context: &Context,
    stop: &Stop,
    source: &YumSource,
    keys: &[KeyPin],
    bases: &[String],
    known: Option<Known<'_>>,
) -> Result<Asked, RepositoryError> {
    let wanted = &BTreeSet::new();
    let only = false;
    let work = Work {
        context,
        stop,
        source,
        keys,
        paths: Paths { wanted, only },
    };
    with_place(context, source, |place| {
        let mirrors = mirrors::find(&work, place, bases)?;
        root::ask(&work, place, &mirrors, known)
    })
}

/// Remembers that the signers of a `repomd.xml` have shown its date.
pub(crate) fn remember(
    context: &Context,
    source: &YumSource,
    new: &NewRoot,
) -> Result<(), RepositoryError> {
    with_place(context, source, |place| {
        let identity = root::identity(place, &new.signers);
        if !identity.signers.is_empty() {
            freshness::remember(&context.options.index_dir, &identity, new.date)?;
        }
        Ok(())
    })
}

/// Does something about the place of a repository, whatever the architecture; an error names the repository.
fn with_place<T>(
    context: &Context,
    source: &YumSource,
    work: impl FnOnce(&Place) -> Result<T, RepositoryProblem>,
) -> Result<T, RepositoryError> {
    let error = |place: String, problem: RepositoryProblem| RepositoryError {
        id: source.id.clone(),
        place,
        problem: Box::new(problem),
    };
    let place = Place::of_any_arch(&context.options.index_dir, source)
        .map_err(|source| error(String::new(), source.into()))?;
    work(&place).map_err(|problem| error(place.shown, problem))
}

/// One load, and what it needs to know.
#[derive(Clone, Copy)]
struct Work<'a> {
    context: &'a Context,
    stop: &'a Stop,
    source: &'a YumSource,
    keys: &'a [KeyPin],
    paths: Paths<'a>,
}

impl Work<'_> {
    fn load(&self, place: &Place) -> Result<(Repository, Loaded), RepositoryProblem> {
        let kept = self.kept(place);
        let is_good_enough = kept
            .as_ref()
            .is_some_and(|state| self.is_good_enough(state));
        if is_good_enough
            && let Some(state) = &kept
            && let Some(index) = self.index(place, state)
        {
            return Ok((self.repository(place, state, index)?, Loaded::Cached));
        }
        durable::create_directories(&place.directory, 0o755)?;
        let _guard = guard::lock(self.context, self.stop, &place.directory)?;
        let kept = self.kept(place);
        if is_good_enough && let Some(state) = &kept {
            match index::rebuild(self, place, state.clone()) {
                Ok((state, index)) => {
                    return Ok((self.repository(place, &state, index)?, Loaded::Updated));
                }
                Err(problem) if self.paths.only || self.context.options.offline => {
                    return Err(problem);
                }
                Err(problem) => tracing::debug!(%problem, "what is kept cannot be used"),
            }
        }
        let (state, index, loaded) = retry::while_torn(self.context, self.stop, &mut || {
            self.ask(place, kept.as_ref())
        })?;
        Ok((self.repository(place, &state, index)?, loaded))
    }

    /// Asks for `repomd.xml` and, if it is another one, fetches what it names.
    fn ask(
        &self,
        place: &Place,
        kept: Option<&State>,
    ) -> Result<(State, MappedIndex, Loaded), Torn> {
        let bases = kept.map_or(&[][..], |state| &state.bases);
        let mirrors = mirrors::find(self, place, bases).map_err(Torn::No)?;
        let asked =
            root::ask(self, place, &mirrors, kept.map(State::known)).map_err(|problem| {
                if problem.is_untrusted("repomd.xml.asc") {
                    Torn::Maybe(problem)
                } else {
                    Torn::No(problem)
                }
            })?;
        let (brought, loaded) = match (asked, kept) {
            (Asked::Same(answered), Some(state)) => {
                let is_usable = self.index(place, state).is_some() && place.has_all(state);
                let mut state = state.clone();
                state.checked = self.context.options.now;
                if let Some((base, validator)) = answered {
                    // It is asked first the next time, for the validator is its own.
                    state.bases.retain(|other| *other != base);
                    state.bases.insert(0, base);
                    state.validator = validator;
                }
                let loaded = if is_usable {
                    Loaded::Unchanged
                } else {
                    Loaded::Updated
                };
                (index::rebuild(self, place, state), loaded)
            }
            // Nothing can be the same as what is not here.
            (Asked::Same(_), None) => (Err(YumError::NoPrimary.into()), Loaded::Updated),
            (Asked::New(new), kept) => {
                let paths = kept.map(|state| state.paths.clone()).unwrap_or_default();
                (index::update(self, place, *new, paths), Loaded::Updated)
            }
        };
        match brought {
            Ok((state, index)) => Ok((state, index, loaded)),
            Err(problem) if problem.is_of_other_content() => Err(Torn::Maybe(problem)),
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
        (pinned || !self.wants_signature()).then_some(state)
    }

    /// The index of a state, if it is one of this vzpkg and all wanted paths were looked for when it was made.
    fn index(&self, place: &Place, state: &State) -> Option<MappedIndex> {
        let index = MappedIndex::open(&place.index_path(&state.index)).ok()?;
        (place.has_modules(state) && self.has_paths(state)).then_some(index)
    }

    /// Whether all wanted paths were looked for when the index was made.
    fn has_paths(&self, state: &State) -> bool {
        state.filelists.is_none() || self.paths.wanted.is_subset(&state.paths)
    }

    /// Whether the cached index may be used without asking a mirror.
    fn is_good_enough(&self, state: &State) -> bool {
        let options = &self.context.options;
        if self.paths.only || options.refresh == Refresh::Never {
            return true;
        }
        let bases = state
            .bases
            .iter()
            .filter_map(|url| BaseUrl::parse(url).ok());
        if options.offline && bases.into_iter().all(|base| base.is_remote()) {
            return true;
        }
        let Refresh::IfExpired(age) = options.refresh else {
            return false;
        };
        let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        let since = options.now.saturating_sub(state.checked);
        (0..=age).contains(&since)
    }

    /// Whether `repomd.xml` itself must be signed.
    const fn wants_signature(&self) -> bool {
        !self.source.trusted && !self.source.options.unsigned_metadata
    }

    const fn policy(&self) -> Policy {
        if self.source.options.legacy_signatures {
            Policy::Legacy
        } else {
            Policy::Standard
        }
    }

    fn keyring(&self) -> Keyring {
        keyring::find(self.context, self.stop, self.keys, self.policy())
    }

    fn repository(
        &self,
        place: &Place,
        state: &State,
        index: MappedIndex,
    ) -> Result<Repository, RepositoryProblem> {
        let package_keys = if self.source.options.unsigned_metadata && !self.source.trusted {
            let keyring = self.keyring();
            keyring
                .check_usable()
                .map_err(|source| RepositoryProblem::Signature {
                    file: "repomd.xml",
                    source,
                })?;
            Some(PackageKeys::new(keyring, self.policy()))
        } else {
            None
        };
        Ok(Repository {
            id: self.source.id.clone(),
            index,
            base_urls: state
                .bases
                .iter()
                .map(|url| self.with_credentials(url))
                .collect(),
            origin: String::new(),
            codename: String::new(),
            security: place.security(state),
            groups: place.groups(state),
            modules: place.modules(state),
            hotfixes: self.source.options.module_hotfixes,
            automatic: Automatic::Always,
            date: state.date,
            priority: self.source.options.priority,
            excludes: self.source.options.excludes.clone(),
            package_keys,
        })
    }

    /// The address as the template has it: the state is readable by everybody and holds no credentials.
    fn with_credentials(&self, url: &str) -> String {
        let is_it =
            |written: &&String| BaseUrl::parse(written).is_ok_and(|base| base.to_string() == url);
        let written = self.source.base_urls.iter().find(is_it);
        written.cloned().unwrap_or_else(|| url.to_owned())
    }
}
