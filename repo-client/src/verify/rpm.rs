//! Whether a pinned key signed an rpm, all of it: its header, and through the header or by itself its payload.

use super::keyring::Keyring;
use super::openpgp::{Policy, SignatureError, Verified, verify_detached, verify_detached_stream};
use super::rpm_header::{self, Header, RpmHeaderError, sigtag, tag};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vzpkg_metadata::digest::Hasher;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::transaction::PackageRef;
use vzpkg_metadata::{Digest, limits};

/// The number of SHA-256 in OpenPGP, which rpm uses for the digest of the payload.
const SHA256: u32 = 8;

/// Keys that must sign each package of a repository whose metadata nobody signs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PackageKeys {
    keyring: Arc<Keyring>,
    policy: Policy,
}

impl PackageKeys {
    /// Packages count if one of these keys signed them, judged by `policy`.
    pub fn new(keyring: Keyring, policy: Policy) -> Self {
        let keyring = Arc::new(keyring);
        Self { keyring, policy }
    }
}

impl PartialEq for PackageKeys {
    fn eq(&self, other: &Self) -> bool {
        self.policy == other.policy && self.keyring.pinned() == other.keyring.pinned()
    }
}

impl Eq for PackageKeys {}

/// Why a package does not count as signed.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is not trusted", path.display())]
pub struct RpmSignatureError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    #[source]
    pub problem: RpmSignatureProblem,
}

/// What is wrong with the signature of a package.
#[derive(Debug, thiserror::Error)]
pub enum RpmSignatureProblem {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its headers are broken.
    #[error(transparent)]
    Header(#[from] RpmHeaderError),
    /// It carries no signature at all.
    #[error("the package is not signed")]
    Unsigned,
    /// No signature of its header counts.
    #[error("the signature of its header does not count")]
    Signature(#[source] SignatureError),
    /// The header says nothing about the payload, and no signature over both counts.
    #[error("nothing proves its payload")]
    Payload(#[source] Option<SignatureError>),
    /// The payload is not the one that the signed header names.
    #[error("its payload has sha256 {found}, signed is `{expected}`")]
    PayloadDigest {
        /// As the header says.
        expected: String,
        /// Of what is there.
        found: Digest,
    },
    /// The signed header is of another package than the index says.
    #[error("it is `{found}`, not `{expected}`")]
    Another {
        /// As the (unsigned) index says.
        expected: String,
        /// As the signed header says.
        found: String,
    },
}

/// Verifies that a key of `keys` signed the package at `path`, all of it, and that it is the one that `expected` names.
/// Reads the file once, twice where the signature is of the kind that rpm made before 4.14.
///
/// # Errors
/// [`RpmSignatureError`].
pub fn rpm_package(
    path: &Path,
    expected: &PackageRef,
    keys: &PackageKeys,
    now: i64,
) -> Result<Verified, RpmSignatureError> {
    verify(path, expected, keys, now).map_err(|problem| RpmSignatureError {
        path: path.to_owned(),
        problem,
    })
}

fn verify(
    path: &Path,
    expected: &PackageRef,
    keys: &PackageKeys,
    now: i64,
) -> Result<Verified, RpmSignatureProblem> {
    let file = File::open(path).map_err(FileError::on("open", path))?;
    let mut reader = BufReader::with_capacity(128 << 10, file);
    let (signatures, header) = rpm_header::read(&mut reader)?;
    let check = |signature: &[u8], data: &[u8]| {
        verify_detached(&keys.keyring, signature, data, keys.policy, now)
    };
    let over_header = header_signatures(&signatures)?;
    let over_whole = whole_signatures(&signatures)?;
    if over_header.is_empty() && over_whole.is_empty() {
        return Err(RpmSignatureProblem::Unsigned);
    }
    let verified = first_good(&over_header, |signature| check(signature, &header.bytes));
    let verified = match (verified, payload_digest(&header)?) {
        (Some(Ok(verified)), Some(digest)) => {
            check_payload(&mut reader, &digest, path)?;
            verified
        }
        (Some(Err(source)), _) if over_whole.is_empty() => {
            return Err(RpmSignatureProblem::Signature(source));
        }
        // Neither a good header nor one that names its payload is enough: a signature must cover both.
        _ => {
            // The payload is never in memory: its size is whatever the file says.
            let start = reader.stream_position();
            let start = start.map_err(FileError::on("read", path))?;
            let whole = |signature: &[u8]| {
                let rest = reader.seek(SeekFrom::Start(start));
                let rest = rest.map(|_| (&mut reader).take(limits::FILE_BYTES));
                let rest = rest.map_err(|error| SignatureError::Malformed {
                    source: error.into(),
                })?;
                let data = header.bytes.chain(rest);
                verify_detached_stream(&keys.keyring, signature, data, keys.policy, now)
            };
            match first_good(&over_whole, whole) {
                Some(Ok(verified)) => verified,
                Some(Err(source)) => return Err(RpmSignatureProblem::Payload(Some(source))),
                None => return Err(RpmSignatureProblem::Payload(None)),
            }
        }
    };
    check_identity(&header, expected)?;
    Ok(verified)
}

/// The first signature that counts, else the complaint about the last; `None` if there is none.
fn first_good(
    signatures: &[Vec<u8>],
    mut check: impl FnMut(&[u8]) -> Result<Verified, SignatureError>,
) -> Option<Result<Verified, SignatureError>> {
    let mut last = None;
    for signature in signatures {
        match check(signature) {
            Ok(verified) => return Some(Ok(verified)),
            Err(error) => last = Some(Err(error)),
        }
    }
    last
}

/// OpenPGP signatures over the header alone.
fn header_signatures(signatures: &Header) -> Result<Vec<Vec<u8>>, RpmHeaderError> {
    let mut found = Vec::new();
    // The text form of OpenPGP is base64 between two lines; which is what the parser of signatures reads.
    for base64 in signatures.strings(sigtag::HEADER_BASE64)? {
        let text =
            format!("-----BEGIN PGP SIGNATURE-----\n\n{base64}\n-----END PGP SIGNATURE-----\n");
        found.push(text.into_bytes());
    }
    for tag in sigtag::HEADER {
        found.extend(signatures.binary(tag)?.map(<[u8]>::to_vec));
    }
    Ok(found)
}

/// OpenPGP signatures over header and payload.
fn whole_signatures(signatures: &Header) -> Result<Vec<Vec<u8>>, RpmHeaderError> {
    let mut found = Vec::new();
    for tag in sigtag::WHOLE {
        found.extend(signatures.binary(tag)?.map(<[u8]>::to_vec));
    }
    Ok(found)
}

/// The SHA-256 of the payload that the header names, if it names one.
fn payload_digest(header: &Header) -> Result<Option<String>, RpmHeaderError> {
    // rpm 6 writes no algorithm: the tag itself means SHA-256 there.
    if !matches!(
        header.number(tag::PAYLOAD_DIGEST_ALGORITHM)?,
        None | Some(SHA256)
    ) {
        return Ok(None);
    }
    let digests = header.strings(tag::PAYLOAD_DIGEST)?;
    Ok(digests.first().map(|&digest| digest.to_owned()))
}

fn check_payload(
    reader: &mut impl Read,
    expected: &str,
    path: &Path,
) -> Result<(), RpmSignatureProblem> {
    let mut hasher = Hasher::new();
    io::copy(reader, &mut hasher).map_err(FileError::on("read", path))?;
    let found = hasher.finish();
    if expected.parse() == Ok(found) {
        return Ok(());
    }
    let expected = crate::source::shown(expected);
    Err(RpmSignatureProblem::PayloadDigest { expected, found })
}

/// The unsigned index may call a signed package by another name or version; the header is what was signed.
fn check_identity(header: &Header, expected: &PackageRef) -> Result<(), RpmSignatureProblem> {
    let epoch = header.number(tag::EPOCH)?.unwrap_or(0);
    let epoch = if epoch == 0 {
        String::new()
    } else {
        format!("{epoch}:")
    };
    let (version, release) = (header.string(tag::VERSION)?, header.string(tag::RELEASE)?);
    let arch = if header.has(tag::SOURCE_RPM) {
        header.string(tag::ARCH)?
    } else {
        "src"
    };
    let found = format!(
        "{} {epoch}{version}-{release} {arch}",
        header.string(tag::NAME)?
    );
    if found == expected.to_string() {
        return Ok(());
    }
    Err(RpmSignatureProblem::Another {
        expected: expected.to_string(),
        found: crate::source::shown(&found),
    })
}
