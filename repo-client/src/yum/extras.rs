//! What a yum repository says beside its packages: security advisories, groups, module streams. Each is read once, when its
//! metadata comes, and kept beside the index in a form that is read fast, and only by who asks for it.
//!
//! Advisories and groups that cannot be read are left out with a message: what is to be installed is known without them.
//! Module streams that cannot be read are an error, for without them packages would be offered that must not be.

use super::index::{fetch, read};
use super::place::Place;
use super::state::{Named, State};
use super::{Advisories, Work, YumError};
use crate::error::{FetchError, RepositoryProblem};
use crate::repository::Security;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::yum::comps::{self, Comps};
use vzpkg_metadata::yum::modules::{self, Modules};
use vzpkg_metadata::yum::updateinfo;

/// Another number: the file is not understood.
const FORMAT: u32 = 1;

/// The module streams of EL 8 take 2 MB.
const BYTES: u64 = 256 << 20;

/// A file of one of these: its content with the number of the form.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    format: u32,
    content: T,
}

/// Reads the file of [`Repository::groups`](crate::Repository::groups).
///
/// # Errors
/// [`FileError`] where it cannot be read, or is none of this vzpkg.
pub fn read_groups(path: &Path) -> Result<Comps, FileError> {
    read_kept(path)
}

/// Reads the file of [`Repository::modules`](crate::Repository::modules).
///
/// # Errors
/// As [`read_groups`].
pub fn read_modules(path: &Path) -> Result<Modules, FileError> {
    read_kept(path)
}

fn read_kept<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let bytes = durable::read_file(path, BYTES)?;
    let kept = serde_json::from_slice::<Kept<T>>(&bytes).map_err(std::io::Error::from);
    let kept = kept.map_err(FileError::on("read", path))?;
    if kept.format != FORMAT {
        let error = std::io::Error::from(std::io::ErrorKind::InvalidData);
        return Err(FileError::on("read", path)(error));
    }
    Ok(kept.content)
}

impl Place {
    /// What is known of the security updates of a state.
    pub(super) fn security(&self, state: &State) -> Security {
        let path = self.here(state.updateinfo.as_ref(), "advisories");
        path.map_or(Security::Unknown, Security::Advisories)
    }

    /// The groups of a state.
    pub(super) fn groups(&self, state: &State) -> Option<PathBuf> {
        self.here(state.groups.as_ref(), "groups")
    }

    /// The module streams of a state.
    pub(super) fn modules(&self, state: &State) -> Option<PathBuf> {
        self.here(state.modules.as_ref(), "modules")
    }

    /// The files of all three that are here.
    pub(super) fn extras(&self, state: &State) -> Vec<PathBuf> {
        let advisories = match self.security(state) {
            Security::Advisories(path) => Some(path),
            Security::Unknown | Security::All => None,
        };
        let all = [advisories, self.groups(state), self.modules(state)];
        all.into_iter().flatten().collect()
    }

    /// Whether the one file of the three is here without which a state cannot be used.
    pub(super) fn has_modules(&self, state: &State) -> bool {
        state.modules.is_none() || self.modules(state).is_some()
    }

    /// Whether all of the three are here that a state names.
    pub(super) fn has_all(&self, state: &State) -> bool {
        let named = [&state.updateinfo, &state.groups, &state.modules];
        self.extras(state).len() == named.into_iter().flatten().count()
    }

    /// Where what is made of a file goes.
    fn beside(&self, named: &Named, what: &str) -> PathBuf {
        self.directory.join(format!("{}.{what}", named.digest))
    }

    /// What was made of a file, if it could be.
    fn here(&self, named: Option<&Named>, what: &str) -> Option<PathBuf> {
        let path = self.beside(named?, what);
        path.exists().then_some(path)
    }
}

/// Makes those of the three files that are not here; takes out of the state what cannot be understood. What cannot be
/// fetched stays in it, to be tried again whenever a mirror is asked.
pub(super) fn make(
    work: &Work<'_>,
    place: &Place,
    state: &mut State,
) -> Result<(), RepositoryProblem> {
    if let Err(problem) = make_advisories(work, place, state)
        && say(work, place, "security advisories", problem)?
    {
        state.updateinfo = None;
    }
    if let Err(problem) = make_groups(work, place, state)
        && say(work, place, "groups", problem)?
    {
        state.groups = None;
    }
    make_modules(work, place, state)
}

/// Says what cannot be used, and whether it never will be. That the user stopped everything is an error all the same.
fn say(
    work: &Work<'_>,
    place: &Place,
    what: &str,
    problem: RepositoryProblem,
) -> Result<bool, RepositoryProblem> {
    if matches!(problem, RepositoryProblem::Fetch(FetchError::Cancelled)) {
        return Err(problem);
    }
    let for_ever = !matches!(problem, RepositoryProblem::Fetch(_));
    let rest = if for_ever {
        ""
    } else {
        "; they are asked for again the next time"
    };
    let text = format!(
        "{}: its {what} cannot be used: {problem}{rest}",
        place.shown
    );
    work.context.reporter.message(&text);
    Ok(for_ever)
}

fn make_advisories(work: &Work<'_>, place: &Place, state: &State) -> Result<(), RepositoryProblem> {
    let Some(named) = &state.updateinfo else {
        return Ok(());
    };
    let path = place.beside(named, "advisories");
    let mut advisories = Advisories::new();
    let source = Source {
        work,
        place,
        state,
        entry: "updateinfo",
        named,
    };
    let made = source.scan(&path, &mut |reader| {
        updateinfo::scan(reader, &mut |advised| advisories.add(advised)).map_err(YumError::from)
    })?;
    if made {
        advisories.write(&path)?;
    }
    Ok(())
}

fn make_groups(work: &Work<'_>, place: &Place, state: &State) -> Result<(), RepositoryProblem> {
    let Some(named) = &state.groups else {
        return Ok(());
    };
    let path = place.beside(named, "groups");
    let source = Source {
        work,
        place,
        state,
        entry: "group",
        named,
    };
    source.keep(&path, &mut |reader| Ok(comps::parse(reader)?))
}

fn make_modules(work: &Work<'_>, place: &Place, state: &State) -> Result<(), RepositoryProblem> {
    let Some(named) = &state.modules else {
        return Ok(());
    };
    let path = place.beside(named, "modules");
    let source = Source {
        work,
        place,
        state,
        entry: "modules",
        named,
    };
    source.keep(&path, &mut |reader| Ok(modules::read(reader)?))
}

/// One file that `repomd.xml` names.
struct Source<'a> {
    work: &'a Work<'a>,
    place: &'a Place,
    state: &'a State,
    entry: &'static str,
    named: &'a Named,
}

impl Source<'_> {
    /// Fetches and scans it, unless what is made of it is at `path`.
    fn scan(
        &self,
        path: &Path,
        scan: &mut dyn FnMut(&mut dyn BufRead) -> Result<(), YumError>,
    ) -> Result<bool, RepositoryProblem> {
        if path.exists() {
            return Ok(false);
        }
        fetch(self.work, self.place, self.state, self.entry, self.named)?;
        read(self.place, self.named, scan)?;
        Ok(true)
    }

    /// The same for what is kept as it was read.
    fn keep<T: Serialize>(
        &self,
        path: &Path,
        parse: &mut dyn FnMut(&mut dyn BufRead) -> Result<T, YumError>,
    ) -> Result<(), RepositoryProblem> {
        let mut parsed = None;
        self.scan(path, &mut |reader| {
            parsed = Some(parse(reader)?);
            Ok(())
        })?;
        let Some(content) = parsed else {
            return Ok(());
        };
        let kept = Kept {
            format: FORMAT,
            content,
        };
        let text = serde_json::to_vec(&kept).map_err(std::io::Error::from);
        let text = text.map_err(FileError::on("write", path))?;
        Ok(durable::write_file(path, 0o644, &text)?)
    }
}
