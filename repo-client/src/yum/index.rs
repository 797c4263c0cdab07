//! The mapped index of a yum repository: made from `primary`, and from those paths of `filelists` that somebody asks for.

use super::place::Place;
use super::root::{NewRoot, identity};
use super::state::{Named, State};
use super::{Work, YumError, extras};
use crate::decompress::{self, Compression};
use crate::download::{self, Item};
use crate::error::RepositoryProblem;
use crate::index_file::{self, Original};
use crate::repository::MappedIndex;
use crate::source::BaseUrl;
use crate::verify::freshness;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable;
use vzpkg_metadata::index::{self, IndexBuilder};
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
        updateinfo: new.updateinfo,
        groups: new.groups,
        modules: new.modules,
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

/// Brings the index to the paths that are wanted now, and to the format of this vzpkg, from the same `repomd.xml`. Fetches
/// nothing that is here.
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
    let kept = Kept {
        path: place.index_path(&state.index),
        paths: state.paths.clone(),
    };
    if state.filelists.is_some() {
        state.paths.extend(work.paths.wanted.iter().cloned());
    }
    state.index = index_digest(&state);
    let path = place.index_path(&state.index);
    let index = if let Ok(index) = MappedIndex::open(&path) {
        index
    } else {
        build(work, place, &state, &path, &kept)?;
        MappedIndex::open(&path)?
    };
    extras::make(work, place, &mut state)?;
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

/// The index that an earlier load made of the same metadata, perhaps with fewer paths.
struct Kept {
    path: PathBuf,
    /// The paths that were looked for.
    paths: BTreeSet<String>,
}

impl Kept {
    /// Its builder, which spares reading `primary` again; `None` if there is no such index.
    fn builder(&self) -> Option<IndexBuilder> {
        let index = MappedIndex::open(&self.path).ok()?;
        IndexBuilder::resume(index.as_index())
    }
}

fn build(
    work: &Work<'_>,
    place: &Place,
    state: &State,
    path: &Path,
    kept: &Kept,
) -> Result<(), RepositoryProblem> {
    fetch(work, place, state, "primary", &state.primary)?;
    let filelists = state.filelists.as_ref();
    let filelists = filelists.filter(|_| !state.paths.is_empty());
    if let Some(named) = filelists {
        fetch(work, place, state, "filelists", named)?;
    }
    index_file::make(work.context, path, &mut || {
        let resumed = kept.builder();
        let is_new = |path: &str| resumed.is_none() || !kept.paths.contains(path);
        let paths = state.paths.iter().map(String::as_str);
        let paths: BTreeSet<&str> = paths.filter(|path| is_new(path)).collect();
        let mut builder = if let Some(builder) = resumed {
            builder
        } else {
            let mut builder = IndexBuilder::new(Family::Rpm);
            read(place, &state.primary, &mut |reader| {
                primary::scan(reader, &mut |record| builder.add(record)).map_err(YumError::from)
            })?;
            builder
        };
        if let Some(named) = filelists {
            read(place, named, &mut |reader| {
                let scanned = filelists::scan(reader, &mut |owner, path| {
                    if paths.contains(path) {
                        builder.add_file(owner, path);
                    }
                });
                scanned.map_err(YumError::from)
            })?;
        }
        if builder.left_out() > 0 {
            let (shown, count) = (&place.shown, builder.left_out());
            let text =
                format!("{shown}: {count} packages are left out: they have impossible names");
            work.context.reporter.message(&text);
        }
        Ok(builder)
    })
}

/// Hands the unpacked text of a file that is here to `scan`, and checks that it was the signed one.
pub(super) fn read(
    place: &Place,
    named: &Named,
    scan: &mut dyn FnMut(&mut dyn BufRead) -> Result<(), YumError>,
) -> Result<(), RepositoryProblem> {
    let path = place.directory.join(file_name(&named.digest));
    let mut file = Original::open(&path, named.size)?;
    let compression = Compression::of_name(&named.location);
    let (scanned, unpacked) = decompress::beside(compression, &mut file, named.open_size, scan);
    file.check(&named.digest)?;
    // A file that is cut or too long explains what a scanner finds wrong at its end.
    unpacked.map_err(|source| {
        let file = crate::source::shown(&named.location);
        RepositoryProblem::Decompress { file, source }
    })?;
    Ok(scanned?)
}

/// Fetches a file that `repomd.xml` names into the directory.
pub(super) fn fetch(
    work: &Work<'_>,
    place: &Place,
    state: &State,
    entry: &str,
    named: &Named,
) -> Result<(), RepositoryProblem> {
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
        shared: false,
        signed: Vec::new(),
    };
    download::download(work.context, work.stop, &item)?;
    Ok(())
}

fn file_name(digest: &Digest) -> String {
    format!("{digest}.metadata")
}

/// Removes what belongs to older states.
fn remove_leftovers(place: &Place, state: &State) {
    let mut keep = vec![
        format!("{}.index", state.index),
        file_name(&state.primary.digest),
    ];
    keep.extend(state.filelists.iter().map(|named| file_name(&named.digest)));
    let extras = place.extras(state);
    let names = extras.iter().filter_map(|path| path.file_name());
    keep.extend(names.map(|name| name.to_string_lossy().into_owned()));
    index_file::remove_leftovers(&place.directory, &keep);
}
