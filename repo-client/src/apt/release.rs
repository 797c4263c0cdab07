//! The signed release: fetched, compared with the one before, verified, judged.

use super::place::Place;
use super::state::State;
use super::{Work, freshness};
use crate::context::Small;
use crate::error::{FetchError, RepositoryProblem};
use crate::transport::Validator;
use crate::verify::keyring::{self, Keyring};
use crate::verify::{Policy, openpgp};
use freshness::Identity;
use vzpkg_metadata::apt::release::Release;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::template::{AptSource, Fingerprint};
use vzpkg_metadata::{Digest, limits};

/// The release that is here already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Of the signed file as it came.
    pub(crate) digest: Digest,
    pub(crate) inline: bool,
    pub(crate) validator: &'a Validator,
}

/// What the server has.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The release that is here already; with a validator if it came again.
    Same(Option<Validator>),
    /// Another one, verified.
    New(Box<NewRelease>),
}

/// A release that was verified and may be used.
#[derive(Debug)]
pub(crate) struct NewRelease {
    pub(crate) release: Release,
    /// Of the signed file as it came.
    pub(crate) digest: Digest,
    pub(crate) inline: bool,
    pub(crate) validator: Validator,
    pub(crate) signers: Vec<Fingerprint>,
    /// Names and bytes to keep beside the index.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
}

/// Asks for the release, `InRelease` first.
pub(super) fn ask(
    work: &Work<'_>,
    place: &Place,
    known: Option<Known<'_>>,
) -> Result<Asked, RepositoryProblem> {
    let (as_inline, as_detached) = (
        known.filter(|known| known.inline),
        known.filter(|known| !known.inline),
    );
    let validator = as_inline.map(|known| known.validator);
    match small(work, place, "InRelease", validator) {
        Ok(Small::NotModified) => Ok(Asked::Same(None)),
        Ok(Small::Bytes(bytes, validator)) => {
            let digest = Digest::of(&bytes);
            if as_inline.is_some_and(|known| known.digest == digest) {
                return Ok(Asked::Same(Some(validator)));
            }
            inline_release(work, bytes, validator).map(|new| Asked::New(Box::new(new)))
        }
        Err(RepositoryProblem::Fetch(error)) if error.is_not_found() => {
            detached(work, place, as_detached)
        }
        Err(other) => Err(other),
    }
}

fn detached(
    work: &Work<'_>,
    place: &Place,
    known: Option<Known<'_>>,
) -> Result<Asked, RepositoryProblem> {
    let validator = known.map(|known| known.validator);
    let (text, validator) = match small(work, place, "Release", validator)? {
        Small::NotModified => return Ok(Asked::Same(None)),
        Small::Bytes(text, validator) => (text, validator),
    };
    let digest = Digest::of(&text);
    if known.is_some_and(|known| known.digest == digest) {
        return Ok(Asked::Same(Some(validator)));
    }
    let mut files = vec![("Release", text.clone())];
    let signers = if work.source.trusted {
        Vec::new()
    } else {
        let signature = match small(work, place, "Release.gpg", None) {
            Ok(Small::Bytes(signature, _)) => signature,
            Err(RepositoryProblem::Fetch(error)) if !error.is_not_found() => {
                return Err(error.into());
            }
            Ok(Small::NotModified) | Err(_) => return Err(RepositoryProblem::Unsigned),
        };
        let (policy, now) = (policy(work), work.context.options.now);
        let verified = openpgp::verify_detached(&keyring(work), &signature, &text, policy, now)
            .map_err(|source| RepositoryProblem::Signature {
                file: "Release.gpg",
                source,
            })?;
        files.push(("Release.gpg", signature));
        verified.signers
    };
    let release = judged(work, &text)?;
    Ok(Asked::New(Box::new(NewRelease {
        release,
        digest,
        inline: false,
        validator,
        signers,
        files,
    })))
}

fn inline_release(
    work: &Work<'_>,
    bytes: Vec<u8>,
    validator: Validator,
) -> Result<NewRelease, RepositoryProblem> {
    let (policy, now) = (policy(work), work.context.options.now);
    let (text, signers) = if work.source.trusted {
        (openpgp::unverified_text(&bytes), Vec::new())
    } else {
        let (text, verified) = openpgp::verify_inline(&keyring(work), &bytes, policy, now)
            .map_err(|source| RepositoryProblem::Signature {
                file: "InRelease",
                source,
            })?;
        (text, verified.signers)
    };
    Ok(NewRelease {
        release: judged(work, &text)?,
        digest: Digest::of(&bytes),
        inline: true,
        validator,
        signers,
        files: vec![("InRelease", bytes)],
    })
}

/// The release that an earlier load verified, from the file that it kept.
pub(super) fn kept(place: &Place, state: &State) -> Result<Release, RepositoryProblem> {
    let path = place
        .directory
        .join(if state.inline { "InRelease" } else { "Release" });
    let bytes = durable::read_file(&path, limits::RELEASE_BYTES)?;
    if Digest::of(&bytes) != state.release {
        let error = std::io::Error::from(std::io::ErrorKind::InvalidData);
        return Err(FileError::on("read", path)(error).into());
    }
    let text = if state.inline {
        openpgp::unverified_text(&bytes)
    } else {
        bytes
    };
    Ok(Release::parse(as_text(&text)?)?)
}

fn as_text(text: &[u8]) -> Result<&str, RepositoryProblem> {
    std::str::from_utf8(text).map_err(|source| RepositoryProblem::NotText {
        file: "Release".into(),
        source,
    })
}

/// Parses a verified release and checks that it is the wanted one, not expired and not older than one before.
fn judged(work: &Work<'_>, text: &[u8]) -> Result<Release, RepositoryProblem> {
    let release = Release::parse(as_text(text)?)?;
    if work.source.trusted {
        return Ok(release);
    }
    check_suite(&work.source.suite, &release)?;
    let options = &work.context.options;
    work.check_dates(release.date, release.valid_until)?;
    if options.judged_at(&work.source.uri).is_some() {
        return Ok(release);
    }
    // Whoever may sign for this repository has shown it: a mirror that goes back to what another of them signed goes back.
    let pinned: Vec<Fingerprint> = work
        .keys
        .iter()
        .map(|pin| pin.fingerprint.clone())
        .collect();
    let identity = identity(work.source, &release, &pinned);
    freshness::check_not_older(&options.index_dir, &identity, release.date)?;
    Ok(release)
}

/// What the memory of newest releases knows this one by.
pub(super) fn identity(source: &AptSource, release: &Release, signers: &[Fingerprint]) -> Identity {
    let named = [&release.codename, &release.suite];
    let named = named.into_iter().find(|name| !name.is_empty());
    Identity {
        origin: format!("{}/{}", release.origin, release.label),
        // A vendor's flat repositories may have neither name: then the line of the template must tell them apart.
        codename: named
            .cloned()
            .unwrap_or_else(|| super::place::shown(source)),
        signers: signers.to_vec(),
    }
}

/// A mirror that answers with another suite, validly signed, hides the updates of the one that was asked for.
fn check_suite(wanted: &str, release: &Release) -> Result<(), RepositoryProblem> {
    let names = [&release.suite, &release.codename];
    let unnamed = names.iter().all(|name| name.is_empty());
    // `buster/updates` of old security archives calls itself `buster`.
    let short = wanted.split('/').next().unwrap_or(wanted);
    if wanted.ends_with('/')
        || unnamed
        || names.iter().any(|name| *name == wanted || *name == short)
    {
        return Ok(());
    }
    Err(RepositoryProblem::WrongSuite {
        wanted: wanted.to_owned(),
        suite: crate::source::shown(&release.suite),
        codename: crate::source::shown(&release.codename),
    })
}

const fn policy(work: &Work<'_>) -> Policy {
    if work.source.options.legacy_signatures {
        Policy::Legacy
    } else {
        Policy::Standard
    }
}

fn keyring(work: &Work<'_>) -> Keyring {
    keyring::find(work.context, work.stop, work.keys, policy(work))
}

fn small(
    work: &Work<'_>,
    place: &Place,
    file: &str,
    validator: Option<&Validator>,
) -> Result<Small, RepositoryProblem> {
    let urls = vec![place.below_suite(file)?];
    let name = format!("{file} of {}", super::place::shown(work.source));
    let limit = limits::RELEASE_BYTES;
    let small: Result<Small, FetchError> =
        work.context.small(work.stop, &name, urls, limit, validator);
    Ok(small?)
}
