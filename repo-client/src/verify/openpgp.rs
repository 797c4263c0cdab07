//! OpenPGP: whether a pinned key signed some bytes, for every format that carries such signatures.
//!
//! `InRelease` (in the clear), `Release.gpg`, `repomd.xml.asc` and the signatures in an rpm's header (detached, text or
//! binary). One good signature by a pinned certificate is enough; signatures by others do no harm. Only what a
//! signature covers is handed back, so nothing before, between or after it can be taken for signed.

use super::freshness::CLOCK_SKEW;
use super::keyring::Keyring;
use sequoia_openpgp::packet::Signature;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::parse::stream::{
    DetachedVerifierBuilder, GoodChecksum, MessageLayer, MessageStructure, VerificationError,
    VerificationHelper, VerifierBuilder,
};
use sequoia_openpgp::policy::{AsymmetricAlgorithm, StandardPolicy};
use sequoia_openpgp::types::HashAlgorithm;
use sequoia_openpgp::{Cert, KeyHandle};
use std::io::Read;
use std::time::{Duration, SystemTime};
use vzpkg_metadata::limits;
use vzpkg_metadata::template::Fingerprint;

/// Which algorithms prove something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Sequoia's standard policy: SHA-256 or better, RSA of 2048 bits or more, no version 3 signatures.
    Standard,
    /// Also SHA-1, RSA and DSA of 1024 bits, and version 3 signatures: what distributions of the time of EL7 signed with. Only
    /// where a template says so for one repository.
    Legacy,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The pinned certificates with a good signature, without duplicates, in order.
    pub signers: Vec<Fingerprint>,
}

/// Why bytes do not count as signed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The template pins no key for this repository.
    #[error("the template pins no key for it")]
    NothingPinned,
    /// None of the pinned keys is on this machine or at the places that the template names.
    #[error("none of the pinned keys was found: {}", pinned.join(", "))]
    NoKey {
        /// The pinned fingerprints.
        pinned: Vec<String>,
    },
    /// Not one cleartext-signed text and nothing else.
    #[error("the file is not one text signed in the clear: {problem}")]
    NotInline {
        /// What is wrong.
        problem: &'static str,
    },
    /// No signature can be read.
    #[error("the signature cannot be read")]
    Malformed {
        /// What the OpenPGP library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There are signatures, but no good one by a pinned key.
    #[error("no pinned key signed it; signatures: {}; pinned: {}", found.join(", "), pinned.join(", "))]
    Untrusted {
        /// Each signature: who made it as far as it says, and what is wrong.
        found: Vec<String>,
        /// The pinned fingerprints.
        pinned: Vec<String>,
    },
}

const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const END: &[u8] = b"-----END PGP SIGNATURE-----";

/// Verifies a text signed in the clear and returns exactly the text that is signed.
///
/// # Errors
/// [`SignatureError`]. Text before, after or between the one message and its one signature block is refused, though it
/// would not be returned: no signer of repositories writes such files, only attackers do.
pub fn verify_inline(
    keyring: &Keyring,
    file: &[u8],
    policy: Policy,
    now: i64,
) -> Result<(Vec<u8>, Verified), SignatureError> {
    keyring.check_usable()?;
    check_frame(file)?;
    let policy = sequoia_policy(policy, now);
    let judge = Judge::new(keyring);
    let mut verifier = VerifierBuilder::from_bytes(file)
        .and_then(|builder| builder.with_policy(&policy, latest(now), judge))
        .map_err(malformed)?;
    let mut text = Vec::new();
    let mut bounded = (&mut verifier).take(limits::RELEASE_BYTES);
    bounded
        .read_to_end(&mut text)
        .map_err(|source| SignatureError::Malformed {
            source: source.into(),
        })?;
    if !verifier.message_processed() || verifier.processing_csf_message() != Some(true) {
        return Err(SignatureError::NotInline {
            problem: "it goes on after its end",
        });
    }
    let verified = verifier.into_helper().verdict(keyring)?;
    Ok((text, verified))
}

/// The text of a cleartext-signed file whose signature does not matter (`trusted=yes`), or the whole file.
pub(crate) fn unverified_text(file: &[u8]) -> Vec<u8> {
    let mut lines = file.split(|&byte| byte == b'\n');
    if lines.next().map(<[u8]>::trim_ascii_end) != Some(BEGIN) {
        return file.to_vec();
    }
    // `Hash:` lines, then an empty one, then the text.
    let mut text = Vec::new();
    let body = lines
        .skip_while(|line| !line.trim_ascii_end().is_empty())
        .skip(1);
    for line in body.take_while(|line| line.trim_ascii_end() != SIGNATURE) {
        text.extend_from_slice(line.strip_prefix(b"- ").unwrap_or(line));
        text.push(b'\n');
    }
    text
}

/// Verifies a detached signature (text or binary) over `data`.
///
/// # Errors
/// [`SignatureError`].
pub fn verify_detached(
    keyring: &Keyring,
    signature: &[u8],
    data: &[u8],
    policy: Policy,
    now: i64,
) -> Result<Verified, SignatureError> {
    verify_detached_stream(keyring, signature, data, policy, now)
}

/// As [`verify_detached`] over what a reader yields, which is never in memory as a whole.
pub(super) fn verify_detached_stream(
    keyring: &Keyring,
    signature: &[u8],
    data: impl Read + Send + Sync,
    policy: Policy,
    now: i64,
) -> Result<Verified, SignatureError> {
    keyring.check_usable()?;
    let policy = sequoia_policy(policy, now);
    let judge = Judge::new(keyring);
    let mut verifier = DetachedVerifierBuilder::from_bytes(signature)
        .and_then(|builder| builder.with_policy(&policy, latest(now), judge))
        .map_err(malformed)?;
    verifier.verify_reader(data).map_err(malformed)?;
    verifier.into_helper().verdict(keyring)
}

/// The last moment at which a signature may have been made that counts now: clocks differ, and upstream may sign while we
/// work.
fn latest(now: i64) -> SystemTime {
    moment(now.saturating_add(CLOCK_SKEW))
}

/// Refuses everything around and between the parts of a cleartext-signed file.
fn check_frame(file: &[u8]) -> Result<(), SignatureError> {
    let refuse = |problem| Err(SignatureError::NotInline { problem });
    let mut lines = file
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    if lines.next() != Some(BEGIN) {
        return refuse("it does not begin with a signed message");
    }
    // Of the lines up to the first empty one, all others would be shown to a reader of the file, but are not signed.
    for header in lines.by_ref().take_while(|line| !line.is_empty()) {
        if !header.starts_with(b"Hash: ") {
            return refuse("it has a header that is not signed");
        }
    }
    let (mut signatures, mut ended) = (0_u32, false);
    for line in lines {
        let trimmed = line.trim_ascii_end();
        match trimmed {
            _ if ended && !trimmed.is_empty() => return refuse("text follows the signature"),
            BEGIN => return refuse("it holds a second signed message"),
            SIGNATURE => signatures = signatures.saturating_add(1),
            END => ended = true,
            _ => {}
        }
    }
    if signatures != 1 || !ended {
        return refuse("it has not exactly one signature block");
    }
    Ok(())
}

/// The algorithms that count at `now`.
pub(crate) fn sequoia_policy(policy: Policy, now: i64) -> StandardPolicy<'static> {
    let mut standard = StandardPolicy::at(moment(now));
    if policy == Policy::Legacy {
        standard.accept_hash(HashAlgorithm::SHA1);
        for algorithm in [
            AsymmetricAlgorithm::RSA1024,
            AsymmetricAlgorithm::DSA1024,
            AsymmetricAlgorithm::DSA2048,
        ] {
            standard.accept_asymmetric_algo(algorithm);
        }
        let signature = sequoia_openpgp::packet::Tag::Signature;
        standard.accept_packet_tag_version(signature, 3);
    }
    standard
}

/// Seconds since 1970 as the standard library's time; before that, 1970.
pub(crate) fn moment(now: i64) -> SystemTime {
    let since = Duration::from_secs(u64::try_from(now).unwrap_or(0));
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn malformed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SignatureError {
    SignatureError::Malformed {
        source: error.into(),
    }
}

/// Collects what the OpenPGP library finds; decides nothing before the end.
#[derive(Debug)]
struct Judge {
    certificates: Vec<Cert>,
    good: Vec<String>,
    bad: Vec<String>,
}

impl Judge {
    fn new(keyring: &Keyring) -> Self {
        Self {
            certificates: keyring.certificates().cloned().collect(),
            good: Vec::new(),
            bad: Vec::new(),
        }
    }

    fn verdict(self, keyring: &Keyring) -> Result<Verified, SignatureError> {
        let signers: Vec<Fingerprint> = keyring
            .pinned()
            .iter()
            .filter(|pin| self.good.iter().any(|good| good == pin.as_str()))
            .cloned()
            .collect();
        if !signers.is_empty() {
            return Ok(Verified { signers });
        }
        let none = || vec!["none".to_owned()];
        Err(SignatureError::Untrusted {
            found: if self.bad.is_empty() {
                none()
            } else {
                self.bad
            },
            pinned: keyring.pinned().iter().map(ToString::to_string).collect(),
        })
    }
}

impl VerificationHelper for Judge {
    fn get_certs(&mut self, _ids: &[KeyHandle]) -> sequoia_openpgp::Result<Vec<Cert>> {
        Ok(self.certificates.clone())
    }

    fn check(&mut self, structure: MessageStructure<'_>) -> sequoia_openpgp::Result<()> {
        for layer in structure {
            // A signature inside of compression or encryption is none that a repository makes.
            let MessageLayer::SignatureGroup { results } = layer else {
                self.bad.push("a wrapped message".to_owned());
                self.good.clear();
                return Ok(());
            };
            for result in results {
                match result {
                    Ok(GoodChecksum { ka, .. }) => self.good.push(ka.cert().fingerprint().to_hex()),
                    Err(error) => self.bad.push(describe(&error)),
                }
            }
        }
        Ok(())
    }
}

fn describe(error: &VerificationError<'_>) -> String {
    let issuers = |signature: &Signature| {
        let issuers = signature.get_issuers();
        // A fingerprint says more than a key id.
        let best = issuers
            .iter()
            .find(|issuer| matches!(issuer, KeyHandle::Fingerprint(_)));
        best.or(issuers.first()).map_or_else(
            || "an unnamed key".to_owned(),
            |issuer| format!("{issuer:X}"),
        )
    };
    match error {
        VerificationError::MissingKey { sig, .. } => {
            format!("by {} (not a pinned key)", issuers(sig))
        }
        VerificationError::UnboundKey { sig, error, .. }
        | VerificationError::BadKey { sig, error, .. }
        | VerificationError::BadSignature { sig, error, .. } => {
            format!("by {} ({})", issuers(sig), chain(error.as_ref()))
        }
        VerificationError::MalformedSignature { error, .. } => {
            format!("a malformed one ({})", chain(error.as_ref()))
        }
        _ => "one of an unknown kind".to_owned(),
    }
}

/// An error and its causes on one line.
fn chain(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    let mut text = crate::source::shown(&error.to_string());
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&crate::source::shown(&inner.to_string()));
        cause = inner.source();
    }
    text
}
