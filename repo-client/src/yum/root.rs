//! `repomd.xml`, the root of trust of a yum repository: fetched with its signature from one mirror, verified, judged. A
//! mirror that serves something else, something unsigned or something old is passed over for the next.

use super::mirrors::Mirrors;
use super::state::Named;
use super::{Place, Work, YumError};
use crate::context::Small;
use crate::error::{RepositoryProblem, TransportError};
use crate::retry;
use crate::source::{BaseUrl, FileUrl};
use crate::transport::{Failure, Validator};
use crate::verify::freshness::{self, Identity};
use crate::verify::openpgp;
use vzpkg_metadata::template::Fingerprint;
use vzpkg_metadata::yum::repomd::{self, Repomd};
use vzpkg_metadata::{Digest, limits};

/// Below every base URL.
const REPOMD: &str = "repodata/repomd.xml";
const SIGNATURE: &str = "repodata/repomd.xml.asc";

/// The same groups plain and packed; the packed ones may be missing.
const GROUPS: [&str; 4] = ["group_zst", "group_xz", "group_gz", "group"];

/// A detached signature in text has 1 KB per signer.
const SIGNATURE_BYTES: u64 = 1 << 20;

/// The `repomd.xml` that is here already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Of the file as it came.
    pub(crate) digest: Digest,
    /// The mirror that `validator` is of.
    pub(crate) base: Option<&'a str>,
    pub(crate) validator: &'a Validator,
}

/// What the mirrors have.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The `repomd.xml` that is here already; where it came again, from which mirror and with which validator.
    Same(Option<(String, Validator)>),
    /// Another one, verified.
    New(Box<NewRoot>),
}

/// A `repomd.xml` that was verified and may be used.
#[derive(Debug)]
pub(crate) struct NewRoot {
    pub(crate) digest: Digest,
    pub(crate) signers: Vec<Fingerprint>,
    pub(crate) date: i64,
    /// The mirrors, the one that answered first; without credentials.
    pub(crate) bases: Vec<String>,
    pub(crate) validator: Validator,
    pub(crate) primary: Named,
    pub(super) filelists: Option<Named>,
    pub(super) updateinfo: Option<Named>,
    pub(super) groups: Option<Named>,
    pub(super) modules: Option<Named>,
    /// Names and bytes to keep beside the index.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
}

/// What one mirror sent.
struct Found {
    mirror: usize,
    repomd: Vec<u8>,
    signature: Option<Vec<u8>>,
    validator: Validator,
}

/// Asks the mirrors, best first, until one has a `repomd.xml` that counts.
pub(super) fn ask(
    work: &Work<'_>,
    place: &Place,
    mirrors: &Mirrors,
    known: Option<Known<'_>>,
) -> Result<Asked, RepositoryProblem> {
    let mut left = mirrors.bases.clone();
    let mut first = None;
    loop {
        let found = match fetch(work, place, &left, &mirrors.digests, known) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Asked::Same(None)),
            // What an earlier mirror did wrong says more than that the others do not answer.
            Err(problem) => return Err(first.unwrap_or(problem)),
        };
        let digest = Digest::of(&found.repomd);
        if known.is_some_and(|known| known.digest == digest) {
            let base = left.get(found.mirror).map(ToString::to_string);
            return Ok(Asked::Same(base.map(|base| (base, found.validator))));
        }
        let mirror = found.mirror;
        let problem = match judge(work, place, &mirrors.bases, &left, found) {
            Ok(new) => return Ok(Asked::New(Box::new(new))),
            Err(problem) => problem,
        };
        let base = left.remove(mirror);
        if left.is_empty() {
            return Err(first.unwrap_or(problem));
        }
        let text = format!(
            "{base}: {}; trying the next mirror",
            crate::source::told(&problem)
        );
        work.context.reporter.message(&text);
        first = first.or(Some(problem));
    }
}

/// Fetches `repomd.xml`, and its signature from the same mirror. `None`: it has not changed.
fn fetch(
    work: &Work<'_>,
    place: &Place,
    bases: &[BaseUrl],
    digests: &[Digest],
    known: Option<Known<'_>>,
) -> Result<Option<Found>, RepositoryProblem> {
    let context = work.context;
    let name = format!("repomd.xml of {}", place.shown);
    let below = |file: &str| -> Result<Vec<FileUrl>, _> {
        bases.iter().map(|base| base.append(file)).collect()
    };
    let (all, signatures) = (below(REPOMD)?, below(SIGNATURE)?);
    let urls = context.reachable(&name, all.clone())?;
    let found = retry::over_mirrors(context, work.stop, &name, &urls, &mut |url| {
        let mirror = all.iter().position(|known| known == url).unwrap_or(0);
        // A mirror that says "not modified" shows no file. Where a metalink names another than the one that is here, it must.
        let may_stay = |known: &Known<'_>| digests.is_empty() || digests.contains(&known.digest);
        let of_this = known.filter(|known| is_of(*known, bases.get(mirror)) && may_stay(known));
        let unless = of_this.map(|known| known.validator);
        let limit = limits::RELEASE_BYTES;
        let (repomd, validator) = match context.small_once(work.stop, url, limit, unless)? {
            Small::NotModified => return Ok(None),
            Small::Bytes(repomd, validator) => (repomd, validator),
        };
        let found = Digest::of(&repomd);
        if let Some(&expected) = digests.first()
            && !digests.contains(&found)
        {
            return Err(TransportError::Mismatch { expected, found }.into());
        }
        let is_known = known.is_some_and(|known| known.digest == found);
        let signature = match signatures.get(mirror) {
            Some(url) if work.wants_signature() && !is_known => signature(work, url)?,
            _ => None,
        };
        Ok(Some(Found {
            mirror,
            repomd,
            signature,
            validator,
        }))
    })?;
    Ok(found)
}

/// Whether the validator is one of this mirror.
fn is_of(known: Known<'_>, base: Option<&BaseUrl>) -> bool {
    match (known.base, base) {
        (Some(known), Some(base)) => known == base.to_string(),
        _ => false,
    }
}

/// The signature beside `repomd.xml`; `None` where the mirror has none.
fn signature(work: &Work<'_>, url: &FileUrl) -> Result<Option<Vec<u8>>, Failure> {
    let fetched = work
        .context
        .small_once(work.stop, url, SIGNATURE_BYTES, None);
    match fetched {
        Ok(Small::Bytes(bytes, _)) => Ok(Some(bytes)),
        Ok(Small::NotModified) => Ok(None),
        Err(Failure::Transport(error)) if error.is_not_found() => Ok(None),
        Err(other) => Err(other),
    }
}

/// Verifies and parses what a mirror sent, and checks that it is not older than one before.
fn judge(
    work: &Work<'_>,
    place: &Place,
    all: &[BaseUrl],
    asked: &[BaseUrl],
    found: Found,
) -> Result<NewRoot, RepositoryProblem> {
    let now = work.context.options.now;
    let mut signers = Vec::new();
    if work.wants_signature() {
        let signature = found
            .signature
            .as_ref()
            .ok_or(RepositoryProblem::Unsigned)?;
        let policy = work.policy();
        let keyring = work.keyring();
        let verified = openpgp::verify_detached(&keyring, signature, &found.repomd, policy, now);
        let verified = verified.map_err(|source| RepositoryProblem::Signature {
            file: "repomd.xml.asc",
            source,
        })?;
        signers = verified.signers;
    }
    let repomd = repomd::parse(&found.repomd).map_err(YumError::from)?;
    let date = repomd.date();
    if !work.source.trusted {
        freshness::check_dates(date, None, now)?;
    }
    let answered = asked.get(found.mirror);
    let options = &work.context.options;
    let judged = answered.and_then(|base| options.judged_at(&base.to_string()));
    if judged.is_none() {
        // Whoever may sign for this repository has shown it: a mirror that goes back to what another of them signed goes back.
        let pinned: Vec<Fingerprint> = work
            .keys
            .iter()
            .map(|pin| pin.fingerprint.clone())
            .collect();
        let known_by = if signers.is_empty() {
            &signers
        } else {
            &pinned
        };
        let identity = identity(place, known_by);
        freshness::check_not_older(&options.index_dir, &identity, date)?;
    }
    let others = all.iter().filter(|base| Some(*base) != answered);
    let bases = answered.into_iter().chain(others).map(ToString::to_string);
    let mut files = vec![("repomd.xml", found.repomd.clone())];
    files.extend(found.signature.map(|bytes| ("repomd.xml.asc", bytes)));
    Ok(NewRoot {
        digest: Digest::of(&found.repomd),
        signers,
        date,
        bases: bases.collect(),
        validator: found.validator,
        primary: named(&repomd, "primary")?.ok_or(YumError::NoPrimary)?,
        filelists: named(&repomd, "filelists").ok().flatten(),
        updateinfo: named(&repomd, "updateinfo").ok().flatten(),
        groups: GROUPS
            .iter()
            .find_map(|entry| named(&repomd, entry).ok().flatten()),
        modules: named(&repomd, "modules")?,
        files,
    })
}

/// What the memory of newest releases knows this repository by; nobody where nothing is signed.
pub(super) fn identity(place: &Place, signers: &[Fingerprint]) -> Identity {
    Identity {
        origin: "yum".to_owned(),
        codename: place.content.clone(),
        signers: signers.to_vec(),
    }
}

/// One entry, if it can be fetched and proved.
fn named(repomd: &Repomd, entry: &'static str) -> Result<Option<Named>, YumError> {
    let Some(file) = repomd.files.get(entry) else {
        return Ok(None);
    };
    let digest = file.checksum.ok_or_else(|| YumError::Weak {
        entry,
        kind: file.weak_checksum.clone(),
    })?;
    let size = file.size.ok_or(YumError::NoSize { entry })?;
    // Where nothing is signed, whoever is on the way chooses these numbers.
    let claimed = size.max(file.open_size.unwrap_or_default());
    if claimed > limits::INDEX_BYTES {
        return Err(YumError::TooLarge { entry, claimed });
    }
    Ok(Some(Named {
        location: file.location.clone(),
        digest,
        size,
        open_size: file.open_size,
    }))
}
