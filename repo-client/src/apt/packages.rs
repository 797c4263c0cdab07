//! The indexes that a release names: chosen, fetched by their digest, unpacked within their signed size, turned into the
//! mapped form.

use super::place::Place;
use super::release::{self, NewRelease, identity};
use super::scan::{self, Packed};
use super::state::State;
use super::{Work, freshness};
use crate::download::{self, Item};
use crate::error::{FetchError, RepositoryProblem};
use crate::index_file::{self, Original};
use crate::repository::MappedIndex;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use vzpkg_metadata::apt::release::Release;
use vzpkg_metadata::durable;
use vzpkg_metadata::index::{self, IndexBuilder};
use vzpkg_metadata::{Digest, Family, limits};

/// Forms of an index, best first. xz is smaller than gzip by a quarter, which on a line of 100 Mbit/s outweighs its
/// slower decoder; zstd is rare.
const FORMS: [&str; 4] = [".zst", ".xz", ".gz", ""];

/// One index of a release, in every form that the release lists.
#[derive(Debug)]
struct Chosen<'a> {
    /// Best first, never empty.
    forms: Vec<Form<'a>>,
    /// Size of the unpacked index, where the release lists it.
    unpacked: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Form<'a> {
    /// Below the suite, as the release writes it.
    path: &'a str,
    digest: Digest,
    size: u64,
}

/// Fetches what a new release names and makes everything durable; `state.json` last.
pub(super) fn update(
    work: &Work<'_>,
    place: &Place,
    new: &NewRelease,
) -> Result<State, RepositoryProblem> {
    let chosen = choose(work, place, &new.release)?;
    let index = index_digest(&chosen);
    let path = place.index_path(&index);
    if MappedIndex::open(&path).is_err() {
        let originals = fetch_all(work, place, &new.release, &chosen)?;
        build(work, &path, &originals)?;
    }
    for (name, bytes) in &new.files {
        durable::write_file(&place.directory.join(name), 0o644, bytes)?;
    }
    let options = &work.context.options;
    let identity = identity(work.source, &new.release, &new.signers);
    if !identity.signers.is_empty() {
        freshness::remember(&options.index_dir, &identity, new.release.date)?;
    }
    let state = State::new(new, index, options.now);
    state.write(place)?;
    remove_leftovers(place, &index, &chosen);
    Ok(state)
}

/// Makes the mapped index of an earlier release again from what was kept of it, where it is damaged, lost, or of
/// another format. Asks nobody.
pub(super) fn mend(
    work: &Work<'_>,
    place: &Place,
    mut state: State,
) -> Result<(State, MappedIndex), RepositoryProblem> {
    let release = release::kept(place, &state)?;
    let chosen = choose(work, place, &release)?;
    state.index = index_digest(&chosen);
    let path = place.index_path(&state.index);
    let index = if let Ok(index) = MappedIndex::open(&path) {
        index
    } else {
        let originals = kept_originals(work, place, &release, &chosen)?;
        build(work, &path, &originals)?;
        MappedIndex::open(&path)?
    };
    state.write(place)?;
    remove_leftovers(place, &state.index, &chosen);
    Ok((state, index))
}

/// The best form of every index that the line asks for.
///
/// Debian lists packages for `all` in the index of every architecture and says so (`No-Support-for-Architecture-all:
/// Packages`); a release that names the architecture `all` and does not say so has an index of its own for them.
fn choose<'a>(
    work: &Work<'_>,
    place: &Place,
    release: &'a Release,
) -> Result<Vec<Chosen<'a>>, RepositoryProblem> {
    if place.is_flat() {
        let flat = choose_form(release, "Packages");
        return Ok(vec![flat.ok_or_else(|| no_index("", place))?]);
    }
    let separate_all = release.architectures.iter().any(|arch| arch == "all")
        && !release.no_separate_all.iter().any(|of| of == "Packages");
    let mut chosen = Vec::new();
    for component in &work.source.components {
        let of = |arch: &str| choose_form(release, &format!("{component}/binary-{arch}/Packages"));
        let own = of(place.arch.as_str());
        let all = if separate_all { of("all") } else { None };
        if own.is_none() && all.is_none() {
            return Err(no_index(component, place));
        }
        chosen.extend(own);
        chosen.extend(all);
    }
    Ok(chosen)
}

fn no_index(component: &str, place: &Place) -> RepositoryProblem {
    RepositoryProblem::NoIndex {
        component: component.to_owned(),
        arch: place.arch.to_string(),
    }
}

fn choose_form<'a>(release: &'a Release, path: &str) -> Option<Chosen<'a>> {
    let forms = FORMS.iter().filter_map(|form| {
        let (path, &(digest, size)) = release.files.get_key_value(&format!("{path}{form}"))?;
        Some(Form { path, digest, size })
    });
    let forms: Vec<Form<'_>> = forms.collect();
    let unpacked = release.files.get(path).map(|(_, size)| *size);
    (!forms.is_empty()).then_some(Chosen { forms, unpacked })
}

/// Names the mapped form: a digest over the indexes it is made from and the number of its format.
fn index_digest(chosen: &[Chosen<'_>]) -> Digest {
    let mut text = format!("index format {}\n", index::FORMAT);
    for form in chosen.iter().filter_map(|index| index.forms.first()) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{} {}", form.digest, form.size);
    }
    Digest::of(text.as_bytes())
}

/// An index that is here, in one of its forms.
#[derive(Debug)]
struct Here<'a> {
    form: Form<'a>,
    path: PathBuf,
    unpacked: Option<u64>,
}

fn fetch_all<'a>(
    work: &Work<'_>,
    place: &Place,
    release: &Release,
    chosen: &[Chosen<'a>],
) -> Result<Vec<Here<'a>>, RepositoryProblem> {
    let fetched = chosen.iter().map(|one| fetch(work, place, release, one));
    fetched.collect()
}

/// Fetches one index in the best form that the server has. A release may list forms that are not there: Debian's lists
/// the plain one.
fn fetch<'a>(
    work: &Work<'_>,
    place: &Place,
    release: &Release,
    chosen: &Chosen<'a>,
) -> Result<Here<'a>, RepositoryProblem> {
    let mut missing = FetchError::NoUrl {
        name: "Packages".into(),
    };
    for &form in &chosen.forms {
        let item = item(work, place, release, &form)?;
        match download::download(work.context, work.stop, &item) {
            Ok(_) => {
                let (path, unpacked) = (item.target, chosen.unpacked);
                return Ok(Here {
                    form,
                    path,
                    unpacked,
                });
            }
            Err(error) if error.is_not_found() => missing = error,
            Err(error) => return Err(error.into()),
        }
    }
    Err(missing.into())
}

/// The indexes that an earlier load left, whole, each in the form that it fetched.
fn kept_originals<'a>(
    work: &Work<'_>,
    place: &Place,
    release: &Release,
    chosen: &[Chosen<'a>],
) -> Result<Vec<Here<'a>>, RepositoryProblem> {
    let mut originals = Vec::new();
    for one in chosen {
        let mut name = String::new();
        let mut here = None;
        for &form in &one.forms {
            let item = item(work, place, release, &form)?;
            if download::is_present(work.context, &item)? {
                let (path, unpacked) = (item.target, one.unpacked);
                here = Some(Here {
                    form,
                    path,
                    unpacked,
                });
                break;
            }
            name = item.name;
        }
        originals.push(here.ok_or(FetchError::Offline { name })?);
    }
    Ok(originals)
}

fn item(
    work: &Work<'_>,
    place: &Place,
    release: &Release,
    form: &Form<'_>,
) -> Result<Item, RepositoryProblem> {
    let mut urls = Vec::new();
    if release.acquire_by_hash {
        let directory = form.path.rsplit_once('/').map_or("", |(above, _)| above);
        let slash = if directory.is_empty() { "" } else { "/" };
        let by_hash = format!("{directory}{slash}by-hash/SHA256/{}", form.digest);
        urls.push(place.below_suite(&by_hash)?);
    }
    // The name without by-hash may already stand for a newer index; its hash decides.
    urls.push(place.below_suite(form.path)?);
    Ok(Item {
        name: format!("{} of {}", form.path, super::place::shown(work.source)),
        urls,
        digest: form.digest,
        size: form.size,
        target: place.directory.join(file_name(form)),
        shared: false,
        signed: Vec::new(),
    })
}

fn file_name(form: &Form<'_>) -> String {
    format!("{}.packages", form.digest)
}

/// Unpacks and parses the indexes into one mapped form.
fn build(work: &Work<'_>, path: &Path, originals: &[Here<'_>]) -> Result<(), RepositoryProblem> {
    index_file::make(work.context, path, &mut || {
        let mut builder = IndexBuilder::new(Family::Deb);
        for Here {
            form,
            path,
            unpacked,
        } in originals
        {
            let mut file = Original::open(path, form.size)?;
            let packed = Packed {
                name: form.path,
                file: &mut file,
                size: unpacked.map(|size| size.min(limits::INDEX_BYTES)),
            };
            let scanned = scan::add_packages(packed, &mut builder);
            file.check(&form.digest)?;
            scanned?;
        }
        if builder.left_out() > 0 {
            let (place, count) = (super::place::shown(work.source), builder.left_out());
            let text =
                format!("{place}: {count} packages are left out: they have impossible names");
            work.context.reporter.message(&text);
        }
        Ok(builder)
    })
}

/// Removes indexes of older releases.
fn remove_leftovers(place: &Place, index: &Digest, chosen: &[Chosen<'_>]) {
    let mut keep = vec![format!("{index}.index")];
    let forms = chosen.iter().flat_map(|index| &index.forms);
    keep.extend(forms.map(file_name));
    index_file::remove_leftovers(&place.directory, &keep);
}
