//! What a state of a yum repository consists of: `repomd.xml` with its signature, every file it names, the packages.

use super::asked::{Answer, New};
use super::config::{Part, YumUpstream};
use super::error::MirrorError;
use super::list::{Entry, Kind, ListWriter};
use super::record::{Checked, Root, Server};
use super::work::{self, Job, Work};
use crate::decompress::{self, Compression};
use crate::download::{self, Item};
use crate::error::{FetchError, RepositoryProblem};
use crate::source::{self, BaseUrl, UrlError};
use crate::yum::{self, Asked, Known, NewRoot, YumError};
use std::fs::File;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::template::YumSource;
use vzpkg_metadata::yum::{primary, repomd};

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
        (Asked::Same(validator), Some(known)) => {
            let mut server = known.clone();
            server.validator = validator.unwrap_or(server.validator);
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

    /// Brings the signed file and all that it names here and lists it, then the packages.
    pub(super) fn list(
        &self,
        work: &Work<'_>,
        part: &Part,
        list: &mut ListWriter,
    ) -> Result<(), MirrorError> {
        let job = Job { work, part };
        for (name, bytes) in &self.new.files {
            job.keep(&format!("repodata/{name}"), bytes, list)?;
        }
        self.fetch_named(&job, list)?;
        self.list_packages(&job, list)
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
                signed: Vec::new(),
            };
            download::download(job.work.context, job.work.stop, &item)?;
            let path = job.below(decoded(&file.location)?)?;
            list.add(&Entry {
                digest,
                size,
                kind: Kind::Metadata,
                path,
                package: None,
            })?;
        }
        Ok(())
    }

    fn list_packages(&self, job: &Job<'_>, list: &mut ListWriter) -> Result<(), MirrorError> {
        let named = &self.new.primary;
        let path = job.work.layout.file(Kind::Metadata, &named.digest);
        let file = File::open(&path).map_err(FileError::on("read", &path))?;
        let compression = Compression::of_name(&named.location);
        let reader = decompress::stream(compression, file, named.open_size);
        let reader = reader.map_err(|source| {
            let file = source::shown(&named.location);
            self.problem(RepositoryProblem::Decompress { file, source })
        })?;
        let mut failed = Ok(());
        primary::scan(reader, &mut |record| {
            if failed.is_ok() {
                failed = decoded(record.location)
                    .map_err(MirrorError::from)
                    .and_then(|path| job.below(path))
                    .and_then(|path| {
                        list.add(&Entry {
                            digest: record.sha256,
                            size: record.size,
                            kind: Kind::Rpm,
                            path,
                            package: Some([
                                record.name.to_owned(),
                                record.version.to_string(),
                                record.arch.to_owned(),
                            ]),
                        })
                    });
            }
        })
        .map_err(|error| self.problem(YumError::from(error)))?;
        failed
    }
}

/// The path under which a server finds what a client asks for: locations of yum are parts of URLs. A package that lies
/// elsewhere (`xml:base`) would not be fetched from a mirror, so there is no mirror of its repository.
fn decoded(location: &str) -> Result<RelPath, UrlError> {
    let refuse = || UrlError::Location {
        text: source::shown(location),
        source: None,
    };
    if location.contains("://") {
        return Err(refuse());
    }
    source::checked_location(location)?;
    let mut bytes = Vec::with_capacity(location.len());
    let mut rest = location.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (code, tail) = tail.split_at_checked(2).ok_or_else(refuse)?;
        let digits = code.iter().all(u8::is_ascii_hexdigit);
        let code = std::str::from_utf8(code).ok().filter(|_| digits);
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        // A blank that is written `%25`, once decoded, would be decoded again.
        bytes.push(code.filter(|code| *code != b'%').ok_or_else(refuse)?);
        rest = tail;
    }
    let text = String::from_utf8(bytes).ok().ok_or_else(refuse)?;
    source::checked_location(&text)
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn a_location_is_the_path_that_a_server_finds() {
        for (location, path) in [
            ("Packages/a-1.rpm", "Packages/a-1.rpm"),
            ("./a%2B%2b-1.rpm", "a++-1.rpm"),
            ("a b", "a b"),
        ] {
            assert_eq!(decoded(location).unwrap().as_bytes(), path.as_bytes());
        }
        for location in [
            "http://h/a.rpm",
            "../a",
            "%2e%2e/a",
            "a%2fb",
            "a%252e",
            "%zz",
            "%+5",
            "a%4",
            "a%0ab",
            "/a",
            "%ff",
        ] {
            assert!(decoded(location).is_err(), "{location}");
        }
    }
}
