//! The mapped index of a yum repository: made from `primary`, and from those paths of `filelists` that somebody asks for.

use super::place::Place;
use super::root::{NewRoot, identity};
use super::state::{Named, State};
use super::{Work, YumError};
use crate::decompress::{self, Compression};
use crate::download::{self, Item};
use crate::error::RepositoryProblem;
use crate::repository::MappedIndex;
use crate::source::BaseUrl;
use crate::verify::freshness;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::BufRead;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::index::{self, IndexBuilder, IndexBytes};
use vzpkg_metadata::yum::{filelists, primary};
use vzpkg_metadata::{Digest, Family};

/// Fetches what a new `repomd.xml` names and makes everything durable; `state.json` last. `paths` were wanted before.
pub(super) fn update(
    work: &Work<'_>,
    place: &Place,
    new: NewRoot,
    paths: BTreeSet<String>,
) -> Result<(State, MappedIndex), RepositoryProblem> {
    let options = &work.context.options;
    let identity = identity(place, &new.signers);
    let state = State {
        format: State::FORMAT,
        checked: options.now,
        repomd: new.digest,
        signers: new.signers,
        date: new.date,
        bases: new.bases,
        validator: new.validator,
        primary: new.primary,
        filelists: new.filelists,
        paths,
        index: Digest::from_bytes([0; 32]),
    };
    make(work, place, state, &|| {
        for (name, bytes) in &new.files {
            durable::write_file(&place.directory.join(name), 0o644, bytes)?;
        }
        if !identity.signers.is_empty() {
            freshness::remember(&options.index_dir, &identity, new.date)?;
        }
        Ok(())
    })
}

/// Makes the index again with the paths that are wanted now, from the same `repomd.xml`.
pub(super) fn rebuild(
    work: &Work<'_>,
    place: &Place,
    state: State,
) -> Result<(State, MappedIndex), RepositoryProblem> {
    make(work, place, state, &|| Ok(()))
}

/// Makes the index of `state`, calls `before` and then writes the state.
fn make(
    work: &Work<'_>,
    place: &Place,
    mut state: State,
    before: &dyn Fn() -> Result<(), RepositoryProblem>,
) -> Result<(State, MappedIndex), RepositoryProblem> {
    if state.filelists.is_some() {
        state.paths.extend(work.paths.wanted.iter().cloned());
    }
    state.index = index_digest(&state);
    let path = place.index_path(&state.index);
    if MappedIndex::open(&path).is_err() {
        let bytes = build(work, place, &state)?;
        durable::write_file(&path, 0o644, &bytes)?;
    }
    let index = MappedIndex::open(&path)?;
    before()?;
    state.write(place)?;
    remove_leftovers(place, &state);
    Ok((state, index))
}

/// Names the mapped form: a digest over what it is made from and the number of its format.
fn index_digest(state: &State) -> Digest {
    let mut text = format!(
        "index format {}\nprimary {}\n",
        index::FORMAT,
        state.primary.digest
    );
    if let Some(filelists) = &state.filelists
        && !state.paths.is_empty()
    {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "filelists {}", filelists.digest);
        for path in &state.paths {
            let _ = writeln!(text, "{path:?}");
        }
    }
    Digest::of(text.as_bytes())
}

fn build(work: &Work<'_>, place: &Place, state: &State) -> Result<IndexBytes, RepositoryProblem> {
    let mut builder = IndexBuilder::new(Family::Rpm);
    let bytes = fetch(work, place, state, "primary", &state.primary)?;
    let reader = unpack(&state.primary, &bytes)?;
    primary::scan(reader, &mut |record| builder.add(record)).map_err(YumError::from)?;
    drop(bytes);
    if let Some(named) = &state.filelists
        && !state.paths.is_empty()
    {
        let bytes = fetch(work, place, state, "filelists", named)?;
        let reader = unpack(named, &bytes)?;
        filelists::scan(reader, &mut |owner, path| {
            if state.paths.contains(path) {
                builder.add_file(owner, path);
            }
        })
        .map_err(YumError::from)?;
    }
    if builder.left_out() > 0 {
        let (shown, count) = (&place.shown, builder.left_out());
        let text = format!("{shown}: {count} packages are left out: they have impossible names");
        work.context.reporter.message(&text);
    }
    Ok(builder.finish()?)
}

fn unpack<'a>(named: &Named, bytes: &'a [u8]) -> Result<impl BufRead + use<'a>, RepositoryProblem> {
    let compression = Compression::of_name(&named.location);
    decompress::stream(compression, bytes, named.open_size).map_err(|source| {
        let file = crate::source::shown(&named.location);
        RepositoryProblem::Decompress { file, source }
    })
}

/// Fetches a file that `repomd.xml` names into the directory and reads it.
fn fetch(
    work: &Work<'_>,
    place: &Place,
    state: &State,
    entry: &str,
    named: &Named,
) -> Result<Vec<u8>, RepositoryProblem> {
    let mut urls = Vec::new();
    for base in &state.bases {
        urls.push(BaseUrl::parse(&work.with_credentials(base))?.append(&named.location)?);
    }
    let item = Item {
        name: format!("{entry} of {}", place.shown),
        urls,
        digest: named.digest,
        size: named.size,
        target: place.directory.join(file_name(&named.digest)),
        signed: Vec::new(),
    };
    download::download(work.context, work.stop, &item)?;
    let bytes = durable::read_file(&item.target, named.size)?;
    if Digest::of(&bytes) != named.digest {
        // It was whole when it was fetched: somebody changes our files.
        let error = std::io::Error::from(std::io::ErrorKind::InvalidData);
        return Err(FileError::on("read", &item.target)(error).into());
    }
    Ok(bytes)
}

fn file_name(digest: &Digest) -> String {
    format!("{digest}.metadata")
}

/// Removes what belongs to older states. What cannot be removed is tried again next time.
fn remove_leftovers(place: &Place, state: &State) {
    let mut keep = vec![
        format!("{}.index", state.index),
        file_name(&state.primary.digest),
    ];
    keep.extend(state.filelists.iter().map(|named| file_name(&named.digest)));
    let Ok(entries) = fs::read_dir(&place.directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = [".index", ".metadata", ".part", ".from"]
            .iter()
            .any(|suffix| name.ends_with(suffix));
        let staging = name.starts_with(durable::STAGING_PREFIX);
        if (ours || staging) && !keep.contains(&name) {
            let path = entry.path();
            if let Err(error) = durable::remove_unsynced(&path) {
                tracing::debug!(%error, "leftover stays");
            }
        }
    }
}
