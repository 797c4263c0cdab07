//! What a state of a yum repository consists of: `repomd.xml` with its signature, every file it names, the packages.

use super::asked::{Answer, New};
use super::config::{Part, YumUpstream};
use super::error::MirrorError;
use super::indexed::{Names, PackageIndex, decoded};
use super::list::{Entry, Kind, ListWriter};
use super::record::{Checked, Root, Server};
use super::work::{self, Job, Work};
use crate::download::{self, Item};
use crate::error::{FetchError, RepositoryProblem};
use crate::source::{self, BaseUrl, UrlError};
use crate::yum::{self, Asked, Known, NewRoot, YumError};
use vzpkg_metadata::Family;
use vzpkg_metadata::template::YumSource;
use vzpkg_metadata::yum::repomd;

/// One repository as a mirror of it has it now.
#[derive(Debug)]
pub(super) struct Repo {
    source: YumSource,
    new: NewRoot,
    /// The addresses with the credentials of the configuration.
    bases: Vec<String>,
}

/// Asks the mirrors, best first, until one has a `repomd.xml` that counts.
pub(super) fn ask(
    work: &Work<'_>,
    part: &Part,
    upstream: &YumUpstream,
    checked: &Checked,
) -> Result<Answer, MirrorError> {
    let pins = part.pins(work.home)?;
    let nothing = || FetchError::NoUrl {
        name: "repomd.xml".to_owned(),
    };
    let source = part.yum_source(upstream).ok_or_else(nothing)?;
    let known = checked.of_part(&part.directory);
    let bases: Vec<String> = known.iter().map(|server| server.base.clone()).collect();
    let asked = known.map(|server| Known {
        digest: server.digest,
        base: Some(&server.base),
        validator: &server.validator,
    });
    let asked = yum::ask(work.context, work.stop, &source, &pins, &bases, asked)?;
    match (asked, known) {
        (Asked::Same(answered), Some(known)) => {
            let mut server = known.clone();
            if let Some((base, validator)) = answered {
                (server.base, server.validator) = (base, validator);
            }
            Ok(Answer::Same(server))
        }
        (Asked::New(new), _) => {
            let bases = with_credentials(upstream, &new.bases);
            let new = *new;
            let repo = Repo { source, new, bases };
            Ok(Answer::New(Box::new(New::Yum(repo))))
        }
        // Nothing can be the same as what is not here.
        (Asked::Same(_), None) => Err(nothing().into()),
    }
}

/// The addresses as the configuration has them: what a server said is written down without credentials.
fn with_credentials(upstream: &YumUpstream, bases: &[String]) -> Vec<String> {
    let written = |base: &String| {
        let is_it = |url: &&String| BaseUrl::parse(url).is_ok_and(|url| url.to_string() == *base);
        upstream.urls.iter().find(is_it).unwrap_or(base).clone()
    };
    bases.iter().map(written).collect()
}

impl Repo {
    /// What the mirror is to be asked next time.
    pub(super) fn server(&self, part: &Part) -> Server {
        Server {
            part: part.directory.clone(),
            suite: String::new(),
            base: self.new.bases.first().cloned().unwrap_or_default(),
            digest: self.new.digest,
            inline: false,
            validator: self.new.validator.clone(),
        }
    }

    pub(super) fn root(&self, part: &Part) -> Root {
        Root {
            part: part.directory.clone(),
            suite: String::new(),
            digest: self.new.digest,
            date: self.new.date,
            valid_until: None,
            signers: self.new.signers.clone(),
        }
    }

    /// Where packages may be had, best first.
    pub(super) fn bases(&self) -> &[String] {
        &self.bases
    }

    /// Remembers that this state was seen.
    pub(super) fn remember(&self, work: &Work<'_>) -> Result<(), MirrorError> {
        Ok(yum::remember(work.context, &self.source, &self.new)?)
    }

    /// Brings the signed file and all that it names here and lists it; the index of its packages.
    pub(super) fn fetch(
        &self,
        job: &Job<'_>,
        list: &mut ListWriter,
    ) -> Result<PackageIndex, MirrorError> {
        for (name, bytes) in &self.new.files {
            job.keep(&format!("repodata/{name}"), bytes, list)?;
        }
        self.fetch_named(job, list)?;
        let named = &self.new.primary;
        Ok(PackageIndex {
            family: Family::Rpm,
            names: Names::Packages,
            name: named.location.clone(),
            path: job.work.layout.file(Kind::Metadata, &named.digest),
            open_size: named.open_size,
            repository: self.source.id.clone(),
            place: self.new.bases.first().cloned().unwrap_or_default(),
        })
    }

    fn problem(&self, problem: impl Into<RepositoryProblem>) -> MirrorError {
        let place = self.new.bases.first().cloned().unwrap_or_default();
        work::error(&self.source.id, &place, problem.into())
    }

    /// Every file of `repomd.xml`: a client asks for those it wants, and may want any.
    fn fetch_named(&self, job: &Job<'_>, list: &mut ListWriter) -> Result<(), MirrorError> {
        let files = &self.new.files;
        let root = files.iter().find(|(name, _)| *name == "repomd.xml");
        let bytes = root.map_or(&[][..], |(_, bytes)| bytes.as_slice());
        let named = repomd::parse(bytes).map_err(|error| self.problem(YumError::from(error)))?;
        for (kind, file) in &named.files {
            let (Some(digest), Some(size)) = (file.checksum, file.size) else {
                let problem = format!("`repomd.xml` does not prove its `{}`", source::shown(kind));
                return Err(MirrorError::Config(problem));
            };
            let bases = self
                .bases
                .iter()
                .map(|base| BaseUrl::parse(base)?.append(&file.location));
            let item = Item {
                name: format!("{} of {}", source::shown(kind), self.server(job.part).base),
                urls: bases.collect::<Result<_, UrlError>>()?,
                digest,
                size,
                target: job.work.layout.file(Kind::Metadata, &digest),
                shared: false,
                signed: Vec::new(),
            };
            job.work.context.reporter.advanced(0, &item.name);
            download::download(job.work.context, job.work.stop, &item)?;
            let path = job.below(decoded(&file.location)?)?;
            list.add(&Entry {
                digest,
                size,
                kind: Kind::Metadata,
                path,
                package: None,
                brought: true,
            })?;
        }
        Ok(())
    }
}
