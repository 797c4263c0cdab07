//! Where pinned keys come from: beside the template, the host's keyrings, a server. Only the fingerprint decides.

use super::openpgp::{Policy, SignatureError, moment, sequoia_policy};
use crate::context::{Context, Small};
use crate::source::FileUrl;
use crate::transport::Stop;
use sequoia_openpgp::Cert;
use sequoia_openpgp::cert::CertParser;
use sequoia_openpgp::parse::{PacketParser, Parse as _};
use sequoia_openpgp::policy::StandardPolicy;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable;
use vzpkg_metadata::template::{Fingerprint, KeyPin, KeyPlace};

/// A file of keys. Debian's whole keyring has 60 KB, Fedora's largest 12.
const KEY_BYTES: u64 = 4 << 20;

/// Files and directories of a host's keyring directory that are looked at (distribution-gpg-keys has 1,100).
const KEY_FILES: usize = 4000;

/// The certificates of the pinned keys that were found.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    pinned: Vec<Fingerprint>,
    found: BTreeMap<String, Cert>,
}

impl Keyring {
    /// A keyring that pins `fingerprints`, empty as yet.
    pub fn new(fingerprints: impl IntoIterator<Item = Fingerprint>) -> Self {
        Self {
            pinned: fingerprints.into_iter().collect(),
            found: BTreeMap::new(),
        }
    }

    /// Takes from `bytes` (certificates in binary or text, one or many) those that are pinned. Others, and what is no
    /// certificate, are passed over. A certificate that is known already gains what this copy adds.
    pub fn add(&mut self, bytes: &[u8]) {
        for (fingerprint, certificate) in certificates(bytes) {
            self.add_certificate(fingerprint, certificate);
        }
    }

    fn add_certificate(&mut self, fingerprint: String, certificate: Cert) {
        if !self.pinned.iter().any(|pin| pin.as_str() == fingerprint) {
            return;
        }
        let merged = match self.found.remove(&fingerprint) {
            // Merging fails only for different certificates, and these have one fingerprint.
            Some(known) => known.clone().merge_public(certificate).unwrap_or(known),
            None => certificate,
        };
        self.found.insert(fingerprint, merged);
    }

    /// What is pinned, found or not.
    pub fn pinned(&self) -> &[Fingerprint] {
        &self.pinned
    }

    /// The certificates that were found.
    pub fn certificates(&self) -> impl Iterator<Item = &Cert> {
        self.found.values()
    }

    /// Whether every pinned key was found and is usable at `now`.
    fn is_complete(&self, policy: Policy, now: i64) -> bool {
        let policy = sequoia_policy(policy, now);
        let mut pinned = self.pinned.iter();
        pinned.all(|pin| self.is_usable(pin, &policy, now))
    }

    /// Whether a key was found and has not expired: a vendor who extends the life of a key keeps its fingerprint.
    fn is_usable(&self, pin: &Fingerprint, policy: &StandardPolicy<'_>, now: i64) -> bool {
        let certificate = self.found.get(pin.as_str());
        certificate.is_some_and(|cert| cert.with_policy(policy, moment(now)).is_ok())
    }

    pub(crate) fn check_usable(&self) -> Result<(), SignatureError> {
        if self.pinned.is_empty() {
            return Err(SignatureError::NothingPinned);
        }
        if self.found.is_empty() {
            let pinned = self.pinned.iter().map(ToString::to_string).collect();
            return Err(SignatureError::NoKey { pinned });
        }
        Ok(())
    }
}

/// Looks for the pinned keys: at the places the template names, then in the host's keyrings, then on servers. A place
/// that cannot be read is passed over: what counts is whether a key is found somewhere.
pub(crate) fn find(context: &Context, stop: &Stop, pins: &[KeyPin], policy: Policy) -> Keyring {
    let mut keyring = Keyring::new(pins.iter().map(|pin| pin.fingerprint.clone()));
    let now = context.options.now;
    for place in pins.iter().flat_map(|pin| &pin.places) {
        match place {
            KeyPlace::Beside { content, .. } => keyring.add(content),
            KeyPlace::Path(path) => add_file(&mut keyring, path),
            KeyPlace::Url(_) => {}
        }
    }
    if !keyring.is_complete(policy, now) {
        for (fingerprint, certificate) in context.host_keys() {
            keyring.add_certificate(fingerprint.clone(), certificate.clone());
        }
    }
    if !keyring.is_complete(policy, now) {
        for pin in pins {
            add_from_servers(context, stop, &mut keyring, pin, policy);
        }
    }
    keyring
}

fn add_file(keyring: &mut Keyring, path: &Path) {
    match durable::read_file(path, KEY_BYTES) {
        Ok(bytes) => keyring.add(&bytes),
        Err(error) => tracing::debug!(%error, "key file passed over"),
    }
}

/// Fetches a key from the servers of its pin, or takes the copy that an earlier fetch left.
fn add_from_servers(
    context: &Context,
    stop: &Stop,
    keyring: &mut Keyring,
    pin: &KeyPin,
    policy: Policy,
) {
    let (wanted, now) = (pin.fingerprint.as_str(), context.options.now);
    let policy = sequoia_policy(policy, now);
    if keyring.is_usable(&pin.fingerprint, &policy, now) {
        return;
    }
    let directory = context.options.index_dir.join("keys");
    let copy = directory.join(format!("{wanted}.pgp"));
    add_file(keyring, &copy);
    let urls = pin.places.iter().filter_map(|place| match place {
        KeyPlace::Url(url) => FileUrl::parse(url).ok(),
        KeyPlace::Beside { .. } | KeyPlace::Path(_) => None,
    });
    for url in urls {
        if keyring.is_usable(&pin.fingerprint, &policy, now) {
            return;
        }
        let name = format!("key {wanted}");
        let Ok(Small::Bytes(bytes, _)) = context.small(stop, &name, vec![url], KEY_BYTES, None)
        else {
            continue;
        };
        keyring.add(&bytes);
        if keyring.is_usable(&pin.fingerprint, &policy, now) {
            let kept = durable::create_directories(&directory, 0o755)
                .and_then(|()| durable::write_file(&copy, 0o644, &bytes));
            if let Err(error) = kept {
                tracing::debug!(%error, "key not kept");
            }
        }
    }
}

/// All certificates in the host's keyring directories and files, by fingerprint.
pub(crate) fn read_host_keys(places: &[PathBuf]) -> BTreeMap<String, Cert> {
    let mut keys: BTreeMap<String, Cert> = BTreeMap::new();
    let mut waiting: Vec<PathBuf> = places.iter().rev().cloned().collect();
    let mut seen: usize = 0;
    while let Some(path) = waiting.pop() {
        seen = seen.saturating_add(1);
        if seen > KEY_FILES {
            break;
        }
        if let Ok(entries) = fs::read_dir(&path) {
            let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            entries.sort_unstable_by(|a, b| b.cmp(a));
            waiting.extend(entries);
            continue;
        }
        let Ok(bytes) = durable::read_file(&path, KEY_BYTES) else {
            continue;
        };
        for (fingerprint, certificate) in certificates(&bytes) {
            let merged = match keys.remove(&fingerprint) {
                Some(known) => known.clone().merge_public(certificate).unwrap_or(known),
                None => certificate,
            };
            keys.insert(fingerprint, merged);
        }
    }
    keys
}

/// The fingerprints of all certificates in a keyring (binary, or text of one or many blocks).
pub fn fingerprints(bytes: &[u8]) -> Vec<Fingerprint> {
    let certificates = certificates(bytes).into_iter();
    let parsed = certificates.filter_map(|(fingerprint, _)| fingerprint.parse().ok());
    let mut fingerprints: Vec<Fingerprint> = parsed.collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    fingerprints
}

/// Every certificate in `bytes`, with its fingerprint. A text file may hold several blocks.
fn certificates(bytes: &[u8]) -> Vec<(String, Cert)> {
    const BLOCK: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let mut found = Vec::new();
    let mut take = |part: &[u8]| {
        let Ok(parser) = PacketParser::from_bytes(part) else {
            return;
        };
        let certificates = CertParser::from(parser).flatten();
        found.extend(certificates.map(|cert| {
            (
                cert.fingerprint().to_hex(),
                cert.strip_secret_key_material(),
            )
        }));
    };
    let mut starts: Vec<usize> = bytes
        .windows(BLOCK.len())
        .enumerate()
        .filter(|(_, window)| *window == BLOCK)
        .map(|(start, _)| start)
        .collect();
    if starts.is_empty() {
        take(bytes);
        return found;
    }
    starts.push(bytes.len());
    for pair in starts.windows(2) {
        if let &[start, end] = pair {
            take(bytes.get(start..end).unwrap_or_default());
        }
    }
    found
}
