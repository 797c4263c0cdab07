//! One sync of one mirror: ask, list, bring, commit, publish. Killed anywhere, the published state is the old or the new.
//!
//! ```text
//! ask        the signed roots, with the validators of the last sync; all the same: done
//! list       indexes come under their hashes; filters choose; the list of the new state is written as a stream
//! bring      packages come under their hashes; what is here whole is not fetched
//! commit     one sync of the file system, then states/<id>.json, newest-seen, refs.json
//! publish    trees/<id>.<n>, one sync, the link
//! ```
//!
//! From `list` on, `refs.json` says that a sync was begun: what it brought stays when others collect, and the next sync
//! goes on with it. Upstream may change while its files are fetched. Then something that the old root names is gone or is
//! another file: the roots are asked again, and if they are new, so is the list.

use super::asked::{self, Answer, Asked, New};
use super::config::MirrorConfig;
use super::error::MirrorError;
use super::fill::{self, Fetched, Trusted};
use super::indexed::{Names, PackageIndex};
use super::list::{ListWriter, Summary};
use super::record::{Begun, Checked, Refs, State};
use super::selection::Chosen;
use super::tree;
use super::work::{Job, Work};
use crate::source;
use std::fs::{self, File};
use vzpkg_metadata::durable::{self, FileError, STAGING_PREFIX};
use vzpkg_metadata::{Digest, Family};

/// How often upstream may change under our hands before we give up.
const ATTEMPTS: u32 = 4;

/// What a sync did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The newest state.
    pub state: State,
    /// Whether it is another than before.
    pub changed: bool,
    /// Whether it is what is published: not where a snapshot is published by name, or it was rolled back.
    pub published: bool,
    /// What came over the network, packages only.
    pub fetched: Fetched,
}

/// Syncs the mirror of this work; its guard is held.
pub(super) fn sync(work: &Work<'_>) -> Result<Synced, MirrorError> {
    let config = MirrorConfig::read(work.home)?;
    if config.is_folder(Family::Deb) || config.is_folder(Family::Rpm) {
        let problem = "it has no upstream but a folder; import that again";
        return Err(MirrorError::Config(problem.to_owned()));
    }
    let mut refs = Refs::read(work.home)?;
    remove_leftovers(work)?;
    // What templates need may be more than the last time, whatever upstream says.
    let mut checked = if config.selection.templates.is_empty() {
        Checked::read(work.home, refs.newest)
    } else {
        Checked::default()
    };
    let mut before: Option<(Vec<Digest>, MirrorError)> = None;
    for _ in 0..ATTEMPTS {
        let asked = asked::ask(work, &config, &checked)?;
        let same = asked.iter().all(|asked| asked.of.is_same());
        if let (true, Some(newest)) = (same, refs.newest) {
            return unchanged(work, &mut refs, newest, checked, asked);
        }
        let roots = asked::whole(work, &config, asked)?;
        let digests: Vec<Digest> = roots.iter().map(|asked| asked.root().digest).collect();
        if let Some((known, error)) = before.take()
            && known == digests
        {
            // The same roots name what is not there: it is no matter of time.
            return Err(error);
        }
        match update(work, &config, &mut refs, &roots) {
            Ok(synced) => return Ok(synced),
            Err(error) if error.may_have_moved() => before = Some((digests, error)),
            Err(other) => return Err(other),
        }
        checked = Checked::default();
    }
    let problem = "upstream changes faster than it can be read".to_owned();
    Err(before.map_or(MirrorError::Config(problem), |(_, error)| error))
}

/// Nothing is new upstream. A kill may have kept the newest state from being published.
fn unchanged(
    work: &Work<'_>,
    refs: &mut Refs,
    newest: Digest,
    mut checked: Checked,
    asked: Vec<Asked<'_, Answer>>,
) -> Result<Synced, MirrorError> {
    let state = State::read(work.home, &newest)?;
    refs.note_begun(work.home, None)?;
    // Somebody who answers "nothing new" for ever is noticed when what he answers about has expired.
    asked::check_dates(&asked, &state.roots, work.context.options.now)?;
    let published = publish_newest(work, refs, newest)?;
    checked.at = work.context.options.now;
    let servers = asked.into_iter().filter_map(|asked| match asked.of {
        Answer::Same(server) => Some(server),
        Answer::New(_) => None,
    });
    checked.servers = servers.collect();
    checked.write(work.home)?;
    Ok(Synced {
        state,
        changed: false,
        published,
        fetched: Fetched::default(),
    })
}

fn update(
    work: &Work<'_>,
    config: &MirrorConfig,
    refs: &mut Refs,
    roots: &[Asked<'_, New>],
) -> Result<Synced, MirrorError> {
    let _turn = super::turn(work.fetching);
    let before = refs.newest;
    // What is brought from here on stays for the next sync, should this one not come to its end.
    let earlier = refs.begun.clone().unwrap_or_default();
    refs.note_begun(work.home, Some(earlier))?;
    let reporter = &work.context.reporter;
    reporter.stage("Indexes", None);
    let summary = list(work, config, roots);
    reporter.stage_finished();
    let summary = summary?;
    let begun = Begun {
        list: Some(summary.id),
    };
    refs.note_begun(work.home, Some(begun))?;
    // A list that cannot be read proves nothing: everything is hashed again.
    let trusted = refs
        .newest
        .map(|newest| Trusted::of(&work.home.list(&newest)));
    let trusted = trusted.and_then(Result::ok).unwrap_or_default();
    let path = work.home.list(&summary.id);
    let fetched = fill::packages(work, config, &path, trusted, &asked::mirrors(roots))?;
    let state = State {
        id: summary.id,
        judged: work.context.options.now,
        files: summary.files,
        packages: summary.packages,
        bytes: summary.bytes,
        roots: roots.iter().map(Asked::root).collect(),
    };
    let state = commit(work, refs, &state, roots)?;
    reporter.stage("Publishing", None);
    let published = publish_newest(work, refs, state.id);
    reporter.stage_finished();
    let published = published?;
    let checked = Checked {
        at: work.context.options.now,
        state: Some(state.id),
        servers: roots.iter().map(Asked::server).collect(),
    };
    checked.write(work.home)?;
    Ok(Synced {
        changed: before != Some(state.id),
        state,
        published,
        fetched,
    })
}

/// Brings all metadata here and lists the new state: metadata first, then packages.
fn list(
    work: &Work<'_>,
    config: &MirrorConfig,
    roots: &[Asked<'_, New>],
) -> Result<Summary, MirrorError> {
    let mut list = ListWriter::new(&work.home.states())?;
    let mut indexes = Vec::new();
    for root in roots {
        let part = root.part;
        let fetched = root.fetch(work, &mut list)?;
        indexes.extend(fetched.into_iter().map(|index| (part, index)));
    }
    let of_packages = indexes.iter().map(|(_, index)| index);
    let of_packages = of_packages.filter(|index| index.names == Names::Packages);
    let of_packages: Vec<&PackageIndex> = of_packages.collect();
    let chosen = chosen(work, config, &of_packages, &list)?;
    for (part, index) in &indexes {
        index.list(&Job { work, part }, &chosen, &mut list)?;
    }
    Ok(list.finish(|id| work.home.list(id))?)
}

/// Which packages are brought here: what the filters say, and what templates need.
fn chosen(
    work: &Work<'_>,
    config: &MirrorConfig,
    indexes: &[&PackageIndex],
    list: &ListWriter,
) -> Result<Chosen, MirrorError> {
    let selection = &config.selection;
    let (mut chosen, unmet) = {
        let _one = work.context.one_index();
        selection.filtered(indexes)?
    };
    for text in unmet {
        let text = format!("nothing in this mirror meets it: {}", source::shown(&text));
        work.context.reporter.message(&text);
    }
    if let (Chosen::These(digests), false) = (&mut chosen, selection.templates.is_empty()) {
        let nobody = || MirrorError::Config("nobody here knows what templates need".to_owned());
        let chooser = work.chooser.ok_or_else(nobody)?;
        let directory = work.home.trees().join("candidate");
        tree::lay_metadata(work.layout, &directory, list.metadata().iter())?;
        let name = work.home.name()?;
        let wanted = chooser.choose(&name, config, &selection.templates, &directory);
        digests.append(&mut wanted.map_err(MirrorError::Choice)?);
        fs::remove_dir_all(&directory).map_err(FileError::on("remove", &directory))?;
    }
    Ok(chosen)
}

/// Makes a complete state last: first its files, then what names them.
pub(super) fn commit(
    work: &Work<'_>,
    refs: &mut Refs,
    state: &State,
    roots: &[Asked<'_, New>],
) -> Result<State, MirrorError> {
    let states = work.home.states();
    File::open(&states)
        .and_then(|directory| Ok(rustix::fs::syncfs(directory)?))
        .map_err(FileError::on("sync", &states))?;
    let state = state.write(work.home)?;
    for root in roots {
        root.remember(work)?;
    }
    refs.newest = Some(state.id);
    refs.begun = None;
    refs.write(work.home)?;
    Ok(state)
}

/// Publishes the newest state where nobody decided otherwise. Says whether it is published now.
pub(super) fn publish_newest(
    work: &Work<'_>,
    refs: &mut Refs,
    newest: Digest,
) -> Result<bool, MirrorError> {
    let published = refs.published();
    if published == Some(newest) {
        return Ok(true);
    }
    if refs.pinned || refs.rolled_back.contains(&newest) {
        return Ok(false);
    }
    tree::publish(work.layout, work.home, &newest, published)?;
    refs.publish(newest, work.context.options.now);
    refs.write(work.home)?;
    Ok(true)
}

/// Removes what a kill left: trees that were never published, and half-written files.
pub(super) fn remove_leftovers(work: &Work<'_>) -> Result<(), MirrorError> {
    tree::sweep(work.home)?;
    for directory in [work.home.states(), work.home.directory.clone()] {
        durable::create_directories(&directory, 0o755)?;
        let entries = fs::read_dir(&directory).map_err(FileError::on("list", &directory))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(STAGING_PREFIX) {
                durable::remove_unsynced(&entry.path())?;
            }
        }
    }
    Ok(())
}
