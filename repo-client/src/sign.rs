//! The node's own key, with which it signs repositories that it makes itself.
//!
//! RSA, one key without subkeys: old rpm and apt can check it too. It lies in one file that only root reads; the
//! certificate is published with every repository.

use crate::verify::keyring;
use sequoia_openpgp::cert::{CertBuilder, CipherSuite};
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::SerializeInto as _;
use sequoia_openpgp::serialize::stream::{Armorer, Message, Signer};
use sequoia_openpgp::types::{KeyFlags, SignatureType};
use sequoia_openpgp::{Cert, Profile, armor, crypto::KeyPair};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::template::Fingerprint;

/// A key has 5 KB.
const KEY_BYTES: u64 = 1 << 20;

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Others may have read or replaced it.
    #[error("`{}` is not a file that only root can read and write", .0.display())]
    Exposed(PathBuf),
    /// The file holds no key that signs.
    #[error("`{}` holds no key that can sign", .0.display())]
    NoKey(PathBuf),
    /// OpenPGP says no.
    #[error("the repository cannot be signed")]
    OpenPgp(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A key pair that signs.
pub(crate) struct OwnKey {
    cert: Cert,
    pair: KeyPair,
}

impl OwnKey {
    /// The key in this file, which is made if there is none. Whoever calls holds a guard of the directory.
    pub(crate) fn load_or_make(path: &Path, now: i64) -> Result<Self, SignError> {
        match std::fs::symlink_metadata(path) {
            Ok(metadata) => {
                let user = rustix::process::geteuid().as_raw();
                let own = metadata.uid() == 0 || metadata.uid() == user;
                if !metadata.is_file() || !own || metadata.mode() & 0o077 != 0 {
                    return Err(SignError::Exposed(path.to_owned()));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let bytes = make(now)?.as_tsk().to_vec().map_err(openpgp)?;
                durable::write_file(path, 0o600, &bytes)?;
            }
            Err(error) => return Err(FileError::on("inspect", path)(error).into()),
        }
        let none = || SignError::NoKey(path.to_owned());
        let bytes = durable::read_file(path, KEY_BYTES)?;
        let cert = Cert::from_bytes(&bytes).ok().ok_or_else(none)?;
        let policy = StandardPolicy::new();
        let mut keys = cert
            .keys()
            .with_policy(&policy, None)
            .alive()
            .secret()
            .for_signing();
        let key = keys.next().map(|key| key.key().clone());
        let pair = key.and_then(|key| key.into_keypair().ok());
        let pair = pair.ok_or_else(none)?;
        Ok(Self { cert, pair })
    }

    /// Which certificate clients must trust.
    pub(crate) fn fingerprint(&self) -> Result<Fingerprint, SignError> {
        let bytes = self.certificate()?;
        let fingerprints = keyring::fingerprints(&bytes);
        let first = fingerprints.into_iter().next();
        first.ok_or_else(|| openpgp("a certificate without a fingerprint"))
    }

    /// The public part as text, with the checksum that rpm insists on.
    pub(crate) fn certificate(&self) -> Result<Vec<u8>, SignError> {
        let kind = armor::Kind::PublicKey;
        let mut writer = armor::Writer::new(Vec::new(), kind).map_err(openpgp)?;
        writer.set_profile(Profile::RFC4880).map_err(openpgp)?;
        let public = self.cert.clone().strip_secret_key_material();
        writer
            .write_all(&public.to_vec().map_err(openpgp)?)
            .map_err(openpgp)?;
        writer.finalize().map_err(openpgp)
    }

    /// A text in the clear with its signature: `InRelease`.
    pub(crate) fn inline(&self, text: &str) -> Result<Vec<u8>, SignError> {
        let mut out = Vec::new();
        let signer = Signer::new(Message::new(&mut out), self.pair.clone()).map_err(openpgp)?;
        let mut writer = signer.cleartext().build().map_err(openpgp)?;
        writer.write_all(text.as_bytes()).map_err(openpgp)?;
        writer.finalize().map_err(openpgp)?;
        Ok(out)
    }

    /// A signature beside what it signs, as text: `Release.gpg`, `repomd.xml.asc`.
    pub(crate) fn detached(&self, data: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut out = Vec::new();
        let message = Armorer::new(Message::new(&mut out)).kind(armor::Kind::Signature);
        let message = message.build().map_err(openpgp)?;
        let template = SignatureBuilder::new(SignatureType::Binary);
        let signer = Signer::with_template(message, self.pair.clone(), template);
        let mut writer = signer
            .map_err(openpgp)?
            .detached()
            .build()
            .map_err(openpgp)?;
        writer.write_all(data).map_err(openpgp)?;
        writer.finalize().map_err(openpgp)?;
        Ok(out)
    }
}

fn make(now: i64) -> Result<Cert, SignError> {
    let seconds = u64::try_from(now).unwrap_or_default();
    let made = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let made = made.ok_or_else(|| openpgp("the clock is wrong"))?;
    let flags = KeyFlags::empty().set_certification().set_signing();
    let built = CertBuilder::new()
        .add_userid("vzpkg repositories of this node")
        .set_primary_key_flags(flags)
        .set_cipher_suite(CipherSuite::RSA3k)
        .set_creation_time(made)
        .generate();
    built.map(|(cert, _)| cert).map_err(openpgp)
}

fn openpgp(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SignError {
    SignError::OpenPgp(error.into())
}
