//! What a state of an apt repository consists of: the signed releases, the indexes they name, and the packages.

use super::asked::{Answer, New};
use super::config::{AptUpstream, Part};
use super::error::MirrorError;
use super::indexed::{Names, PackageIndex};
use super::list::{Kind, ListWriter};
use super::record::{Checked, Root, Server};
use super::work::{self, Job, Work};
use crate::apt::{self, Asked, Known, NewRelease};
use crate::decompress::Compression;
use crate::download::{self, Item};
use crate::error::{FetchError, RepositoryProblem};
use crate::source::BaseUrl;
use std::collections::BTreeSet;
use vzpkg_metadata::apt::release::Release;
use vzpkg_metadata::template::AptSource;
use vzpkg_metadata::{Arch, Digest, Family};

/// Forms of an index that clients ask for, the fastest to unpack first; the plain one only where there is no other.
const FORMS: [&str; 5] = [".zst", ".gz", ".xz", ".bz2", ""];

/// What stands in the place of an architecture where sources are.
const SOURCE: &str = "source";

/// One suite as a server has it now.
#[derive(Debug)]
pub(super) struct Suite {
    source: AptSource,
    name: String,
    base: String,
    new: NewRelease,
}

/// Asks for one suite: the first address that has a release that counts.
pub(super) fn ask(
    work: &Work<'_>,
    part: &Part,
    upstream: &AptUpstream,
    name: &str,
    checked: &Checked,
) -> Result<Answer, MirrorError> {
    let pins = part.pins(work.home)?;
    let mut first = None;
    for url in &upstream.urls {
        let base = BaseUrl::parse(url)?.to_string();
        let (Some(source), Some(arch)) = (
            part.apt_source(upstream, url, name),
            upstream.architectures.first(),
        ) else {
            continue;
        };
        let known = checked.of(&part.directory, name, &base);
        let asked = known.map(|server| Known {
            digest: server.digest,
            inline: server.inline,
            validator: &server.validator,
        });
        match (
            apt::ask(work.context, work.stop, &source, &pins, arch, asked),
            known,
        ) {
            (Ok(Asked::Same(validator)), Some(known)) => {
                let mut server = known.clone();
                server.validator = validator.unwrap_or(server.validator);
                return Ok(Answer::Same(server));
            }
            (Ok(Asked::New(new)), _) => {
                let (name, new) = (name.to_owned(), *new);
                return Ok(Answer::New(Box::new(New::Apt(Suite {
                    source,
                    name,
                    base,
                    new,
                }))));
            }
            // Nothing can be the same as what is not here.
            (Ok(Asked::Same(_)), None) => {}
            (Err(error), _) => {
                let is_last = upstream.urls.last() == Some(url);
                if !is_last {
                    work.passed_over(&error);
                }
                first = first.or(Some(error));
            }
        }
    }
    let name = format!("the release of {name}");
    Err(first.map_or(FetchError::NoUrl { name }.into(), MirrorError::from))
}

impl Suite {
    /// What the server is to be asked next time.
    pub(super) fn server(&self, part: &Part) -> Server {
        Server {
            part: part.directory.clone(),
            suite: self.name.clone(),
            base: self.base.clone(),
            digest: self.new.digest,
            inline: self.new.inline,
            validator: self.new.validator.clone(),
        }
    }

    pub(super) fn root(&self, part: &Part) -> Root {
        Root {
            part: part.directory.clone(),
            suite: self.name.clone(),
            digest: self.new.digest,
            date: self.new.release.date,
            valid_until: self.new.release.valid_until,
            signers: self.new.signers.clone(),
        }
    }

    /// Remembers that this release was seen.
    pub(super) fn remember(&self, work: &Work<'_>) -> Result<(), MirrorError> {
        Ok(apt::remember(work.context, &self.source, &self.new)?)
    }

    /// Brings the signed files and the indexes here and lists them; the indexes of packages.
    pub(super) fn fetch(
        &self,
        job: &Job<'_>,
        upstream: &AptUpstream,
        list: &mut ListWriter,
    ) -> Result<Vec<PackageIndex>, MirrorError> {
        for (name, bytes) in &self.new.files {
            job.keep(&self.below(name), bytes, list)?;
        }
        let release = &self.new.release;
        let mut packages = Vec::new();
        for (component, arch, stem) in package_stems(release, upstream, self.is_flat()) {
            let names = if arch == SOURCE {
                Names::Sources
            } else {
                Names::Packages
            };
            let forms = self.fetch_forms(job, upstream, &stem, list)?;
            let Some(form) = forms.into_iter().next() else {
                let problem = RepositoryProblem::NoIndex { component, arch };
                return Err(work::error(&self.source.id, &self.base, problem));
            };
            packages.push(self.package_index(job, form, names));
        }
        for stem in further_stems(release, upstream) {
            self.fetch_forms(job, upstream, &stem, list)?;
        }
        Ok(packages)
    }

    fn is_flat(&self) -> bool {
        self.name.ends_with('/')
    }

    /// Where a file that the release names lies below the repository.
    fn below(&self, name: &str) -> String {
        if self.is_flat() {
            let suite = self.name.trim_start_matches("./").trim_matches('/');
            let slash = if suite.is_empty() { "" } else { "/" };
            format!("{suite}{slash}{name}")
        } else {
            format!("dists/{}/{name}", self.name)
        }
    }

    /// Brings every form of one index that the server has, and lists it under its name and its hash.
    fn fetch_forms(
        &self,
        job: &Job<'_>,
        upstream: &AptUpstream,
        stem: &str,
        list: &mut ListWriter,
    ) -> Result<Vec<Form>, MirrorError> {
        let release = &self.new.release;
        let mut forms = Vec::new();
        let mut missing = None;
        for ending in FORMS {
            let name = format!("{stem}{ending}");
            let Some(&(digest, size)) = release.files.get(&name) else {
                continue;
            };
            if ending.is_empty() && !forms.is_empty() {
                continue;
            }
            let plain = release.files.get(stem).map(|(_, size)| *size);
            let form = Form {
                name,
                digest,
                size,
                plain,
            };
            match self.fetch_form(job, upstream, &form, list) {
                Ok(()) => forms.push(form),
                Err(MirrorError::Fetch(error)) if error.is_not_found() => missing = Some(error),
                Err(other) => return Err(other),
            }
        }
        match missing {
            Some(error) if forms.is_empty() => Err(error.into()),
            _ => Ok(forms),
        }
    }

    fn fetch_form(
        &self,
        job: &Job<'_>,
        upstream: &AptUpstream,
        form: &Form,
        list: &mut ListWriter,
    ) -> Result<(), MirrorError> {
        let by_hash = {
            let directory = form.name.rsplit_once('/').map_or("", |(above, _)| above);
            let slash = if directory.is_empty() { "" } else { "/" };
            self.below(&format!("{directory}{slash}by-hash/SHA256/{}", form.digest))
        };
        let plain = self.below(&form.name);
        let offered = self.new.release.acquire_by_hash;
        let mut urls = Vec::new();
        for url in &upstream.urls {
            let base = BaseUrl::parse(url)?;
            if offered {
                urls.push(base.append(&by_hash)?);
            }
            urls.push(base.append(&plain)?);
        }
        let item = Item {
            name: format!("{} of {}", form.name, self.name),
            urls,
            digest: form.digest,
            size: form.size,
            target: job.work.layout.file(Kind::Metadata, &form.digest),
            shared: false,
            signed: Vec::new(),
        };
        job.work.context.reporter.advanced(0, &item.name);
        download::download(job.work.context, job.work.stop, &item)?;
        job.list(&plain, Kind::Metadata, form.digest, form.size, list)?;
        if offered {
            job.list(&by_hash, Kind::Metadata, form.digest, form.size, list)?;
        }
        Ok(())
    }

    fn package_index(&self, job: &Job<'_>, form: Form, names: Names) -> PackageIndex {
        let compressed = Compression::of_name(&form.name) != Compression::None;
        PackageIndex {
            family: Family::Deb,
            names,
            path: job.work.layout.file(Kind::Metadata, &form.digest),
            open_size: if compressed {
                form.plain
            } else {
                Some(form.size)
            },
            name: form.name,
            repository: self.source.id.clone(),
            place: self.base.clone(),
        }
    }
}

/// One form of an index.
#[derive(Debug)]
struct Form {
    name: String,
    digest: Digest,
    size: u64,
    /// Size of the unpacked index, where the release lists it.
    plain: Option<u64>,
}

/// The `Packages` and `Sources` files that clients of these architectures read, each after its component and architecture (see
/// [`crate::apt`] about `all`).
fn package_stems(
    release: &Release,
    upstream: &AptUpstream,
    flat: bool,
) -> Vec<(String, String, String)> {
    if flat {
        let mut stems = vec![(String::new(), String::new(), "Packages".to_owned())];
        if upstream.sources {
            stems.push((String::new(), SOURCE.to_owned(), "Sources".to_owned()));
        }
        return stems;
    }
    let separate_all = release.architectures.iter().any(|arch| arch == "all")
        && !release.no_separate_all.iter().any(|of| of == "Packages");
    let mut stems = Vec::new();
    for component in &upstream.components {
        let own = upstream.architectures.iter().map(Arch::as_str);
        for arch in own.chain(separate_all.then_some("all")) {
            let stem = format!("{component}/binary-{arch}/Packages");
            stems.push((component.clone(), arch.to_owned(), stem));
        }
        if upstream.sources {
            let stem = format!("{component}/source/Sources");
            stems.push((component.clone(), SOURCE.to_owned(), stem));
        }
    }
    stems
}

/// What clients also ask for, as far as the release has it: translations, catalogs, and lists of files, of each component
/// or, as Ubuntu has them, of all. What a release names and the server has not is an error for apt, so a client that is
/// configured to ask (`apt-config dump Acquire::IndexTargets`) must find it.
fn further_stems(release: &Release, upstream: &AptUpstream) -> Vec<String> {
    let mut stems = Vec::new();
    for component in &upstream.components {
        let languages = upstream.languages.iter();
        stems.extend(languages.map(|language| format!("{component}/i18n/Translation-{language}")));
    }
    if upstream.contents {
        let places = upstream
            .components
            .iter()
            .map(|component| format!("{component}/"));
        for place in places.chain([String::new()]) {
            let own = upstream.architectures.iter().map(Arch::as_str);
            let own = own.chain(["all"]).chain(upstream.sources.then_some(SOURCE));
            stems.extend(own.map(|arch| format!("{place}Contents-{arch}")));
        }
    }
    stems.retain(|stem| {
        let mut forms = FORMS.iter();
        forms.any(|form| release.files.contains_key(&format!("{stem}{form}")))
    });
    if upstream.catalogs {
        stems.extend(catalog_stems(release, upstream));
    }
    stems
}

/// The catalogs of a release. Icons come in sizes that only the release knows: `dep11/icons-48x48.tar`, `icons-64x64@2.tar`.
fn catalog_stems(release: &Release, upstream: &AptUpstream) -> BTreeSet<String> {
    let mut stems = BTreeSet::new();
    for component in &upstream.components {
        let architectures = upstream.architectures.iter();
        let own: BTreeSet<String> = architectures
            .flat_map(|arch| {
                [
                    format!("dep11/Components-{arch}.yml"),
                    format!("cnf/Commands-{arch}"),
                ]
            })
            .collect();
        let below = format!("{component}/");
        let names = release.files.range(below.clone()..).map(|(name, _)| name);
        for name in names.take_while(|name| name.starts_with(&below)) {
            let compressed = FORMS.iter().filter(|form| !form.is_empty());
            let mut stripped = compressed.filter_map(|form| name.strip_suffix(form));
            let stem = stripped.next().unwrap_or(name);
            let relative = stem.get(below.len()..).unwrap_or_default();
            let icons = relative.strip_prefix("dep11/icons-");
            let is_icons = icons.is_some_and(|size| size.strip_suffix(".tar").is_some());
            if is_icons || own.contains(relative) {
                stems.insert(stem.to_owned());
            }
        }
    }
    stems
}
