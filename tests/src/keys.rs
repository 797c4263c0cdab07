//! OpenPGP keys for tests: made on the spot, with a fixed creation time, never written to a keyring of this machine.

use crate::tools::{DAY, EPOCH};
use sequoia_openpgp::cert::{CertBuilder, CipherSuite};
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::SerializeInto as _;
use sequoia_openpgp::serialize::stream::{Armorer, Message, Signer};
use sequoia_openpgp::types::SignatureType;
use sequoia_openpgp::{Cert, Profile, armor};
use std::io::Write as _;
use std::time::{Duration, SystemTime};

/// When keys of this module are made: five years before [`EPOCH`].
pub const CREATED: i64 = EPOCH - 5 * 365 * DAY;

/// A key pair that signs repositories or packages.
#[derive(Debug, Clone)]
pub struct TestKey {
    cert: Cert,
}

impl TestKey {
    /// An Ed25519 key with the user id `NAME <NAME@example.org>`, made at [`CREATED`], which does not expire.
    pub fn new(name: &str) -> Self {
        Self::make(name, CipherSuite::Cv25519, None)
    }

    /// As [`TestKey::new`], but an RSA key of 3072 bits, as `rpmsign` of old distributions wants it. Slow (seconds).
    pub fn new_rsa(name: &str) -> Self {
        Self::make(name, CipherSuite::RSA3k, None)
    }

    /// As [`TestKey::new`], valid for `seconds` after [`CREATED`].
    pub fn new_expiring(name: &str, seconds: i64) -> Self {
        let validity = Duration::from_secs(u64::try_from(seconds).unwrap());
        Self::make(name, CipherSuite::Cv25519, Some(validity))
    }

    fn make(name: &str, suite: CipherSuite, validity: Option<Duration>) -> Self {
        // A signing subkey, as Debian's keys have; no subkey for encryption, which rpm's own parser refuses.
        let (cert, _revocation) = CertBuilder::new()
            .add_userid(format!("{name} <{name}@example.org>"))
            .add_signing_subkey()
            .set_cipher_suite(suite)
            .set_creation_time(moment(CREATED))
            .set_validity_period(validity)
            .generate()
            .unwrap();
        Self { cert }
    }

    /// The fingerprint of the primary key, 40 upper-case hexadecimal digits: what a template pins.
    pub fn fingerprint(&self) -> String {
        self.cert.fingerprint().to_hex()
    }

    /// The public part as text (`-----BEGIN PGP PUBLIC KEY BLOCK-----`), with the checksum that rpm insists on.
    pub fn armored(&self) -> Vec<u8> {
        let kind = armor::Kind::PublicKey;
        let mut writer = armor::Writer::new(Vec::new(), kind).unwrap();
        writer.set_profile(Profile::RFC4880).unwrap();
        writer.write_all(&self.binary()).unwrap();
        writer.finalize().unwrap()
    }

    /// The public part in binary, as in `/usr/share/keyrings/*.gpg`.
    pub fn binary(&self) -> Vec<u8> {
        self.cert.to_vec().unwrap()
    }

    /// Public and secret part as text, for `gpg --import` in a home directory of the test.
    pub fn secret_armored(&self) -> Vec<u8> {
        self.cert.as_tsk().armored().to_vec().unwrap()
    }

    /// `text` in the clear with its signature, as an `InRelease` file; signed at [`EPOCH`].
    pub fn sign_inline(&self, text: &str) -> Vec<u8> {
        self.sign_inline_at(text, EPOCH)
    }

    /// As [`TestKey::sign_inline`], signed at `at` (seconds since 1970).
    pub fn sign_inline_at(&self, text: &str, at: i64) -> Vec<u8> {
        let mut out = Vec::new();
        let message = Message::new(&mut out);
        let signer = Signer::new(message, self.signer(at)).unwrap();
        let signer = signer.creation_time(moment(at)).cleartext();
        let mut writer = signer.build().unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        writer.finalize().unwrap();
        out
    }

    /// A detached signature as text (`Release.gpg`, `repomd.xml.asc`); signed at [`EPOCH`].
    pub fn sign_detached(&self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let message = Message::new(&mut out);
        let message = Armorer::new(message)
            .kind(armor::Kind::Signature)
            .build()
            .unwrap();
        self.detach(message, data, EPOCH);
        out
    }

    /// A detached signature in binary, as in the signature area of an rpm header; signed at [`EPOCH`].
    pub fn sign_detached_binary(&self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.detach(Message::new(&mut out), data, EPOCH);
        out
    }

    fn detach(&self, message: Message<'_>, data: &[u8], at: i64) {
        let template =
            sequoia_openpgp::packet::signature::SignatureBuilder::new(SignatureType::Binary);
        let signer = Signer::with_template(message, self.signer(at), template).unwrap();
        let mut writer = signer.creation_time(moment(at)).detached().build().unwrap();
        writer.write_all(data).unwrap();
        writer.finalize().unwrap();
    }

    fn signer(&self, at: i64) -> sequoia_openpgp::crypto::KeyPair {
        let policy = StandardPolicy::new();
        let keys = self
            .cert
            .keys()
            .with_policy(&policy, moment(at.min(CREATED + 1)));
        let key = keys.secret().for_signing().next().unwrap();
        key.key().clone().into_keypair().unwrap()
    }
}

/// Seconds since 1970 as the standard library's time.
fn moment(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{command, run};
    use std::fs;

    #[test]
    fn real_gpgv_accepts_what_a_key_signs() {
        let directory = tempfile::tempdir().unwrap();
        let key = TestKey::new("archive");
        let at = |name: &str, bytes: &[u8]| {
            let path = directory.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let ring = at("ring.gpg", &key.binary());
        let inline = at("InRelease", &key.sign_inline("Origin: test\n- dashed\n"));
        let data = at("data", b"some data");
        let detached = at("data.asc", &key.sign_detached(b"some data"));
        run(command("gpgv").arg("--keyring").arg(&ring).arg(&inline));
        run(command("gpgv")
            .arg("--keyring")
            .arg(&ring)
            .args([&detached, &data]));
        assert_eq!(key.fingerprint().len(), 40);
    }
}
