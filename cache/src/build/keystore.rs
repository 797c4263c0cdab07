//! Files of a built tree that package scripts make with the time or with random bytes in them.
//!
//! `update-ca-trust` and Debian's `ca-certificates-java` write a Java keystore in which every certificate has the second it was put in, and openldap makes
//! a certificate database of its own with a random password. The first gets the epoch; the second is a secret that
//! containers must not share, and goes.

use crate::build::{BuildError, Plan};
use sha1::Digest as _;
use vzpkg_metadata::RelPath;
use vzpkg_metadata::tree::{NodeKind, Tree};

/// Java keystores that belong to no package.
const KEYSTORES: [&str; 2] = [
    "etc/pki/ca-trust/extracted/java/cacerts",
    "etc/ssl/certs/java/cacerts",
];

/// Private keys, and what is of no use without them.
const SECRETS: [&str; 4] = [
    "etc/openldap/certs/key3.db",
    "etc/openldap/certs/cert8.db",
    "etc/openldap/certs/secmod.db",
    "etc/openldap/certs/password",
];

/// The largest keystore that is read; all public authorities together make 0.2 MB.
const KEYSTORE_BYTES: u64 = 16 << 20;

/// The password of every such keystore, and the words that Java puts behind it.
const PASSWORD: &str = "changeit";
const WHITENER: &[u8] = b"Mighty Aphrodite";

const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];

/// Cleans both kinds.
pub(super) fn finish(plan: &Plan<'_>, tree: &mut Tree) -> Result<(), BuildError> {
    for secret in SECRETS {
        tree.remove_subtree(&RelPath::parse(secret.as_bytes())?);
    }
    let objects = &plan.request.store.objects;
    for keystore in KEYSTORES {
        let path = RelPath::parse(keystore.as_bytes())?;
        let Some(NodeKind::File { digest, .. }) = tree.node(&path).map(|node| &node.kind) else {
            continue;
        };
        let mut bytes = objects.read(digest, KEYSTORE_BYTES)?;
        // One that is not as expected stays as it is: it works, if only its digest is not the same everywhere.
        if set_times(&mut bytes, plan.lock.epoch).is_none() {
            continue;
        }
        let digest = objects.put_bytes(&bytes)?;
        if let Some(node) = tree.node_mut(&path) {
            let size = bytes.len() as u64;
            node.kind = NodeKind::File { digest, size };
        }
    }
    Ok(())
}

/// Sets the time of every trusted certificate and signs the store anew; `None` for anything else than such a store.
fn set_times(bytes: &mut [u8], epoch: i64) -> Option<()> {
    let time = epoch.checked_mul(1000)?.to_be_bytes();
    let end = bytes.len().checked_sub(20)?;
    let (store, digest) = bytes.split_at_mut_checked(end)?;
    if store.get(..4)? != MAGIC || signature(store) != *digest {
        return None;
    }
    let entries = number(store, 8, 4)?;
    let mut at = 12;
    for _ in 0..entries {
        // A trusted certificate; a private key has tag 1.
        if number(store, at, 4)? != 2 {
            return None;
        }
        at += 4 + 2 + number(store, at + 4, 2)?;
        store.get_mut(at..at + 8)?.copy_from_slice(&time);
        at += 8;
        at += 2 + number(store, at, 2)?;
        at += 4 + number(store, at, 4)?;
    }
    if at != end {
        return None;
    }
    let signed = signature(store);
    digest.copy_from_slice(&signed);
    Some(())
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(
        bytes
            .iter()
            .fold(0, |number, &byte| number << 8 | usize::from(byte)),
    )
}

/// What Java checks a store's integrity with. It proves nothing to anyone else.
fn signature(store: &[u8]) -> [u8; 20] {
    let mut hasher = sha1::Sha1::new();
    for unit in PASSWORD.encode_utf16() {
        hasher.update(unit.to_be_bytes());
    }
    hasher.update(WHITENER);
    hasher.update(store);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keystore(time: u64, tag: u32) -> Vec<u8> {
        let mut store = MAGIC.to_vec();
        store.extend(2_u32.to_be_bytes());
        store.extend(2_u32.to_be_bytes());
        for alias in ["one", "two"] {
            store.extend(tag.to_be_bytes());
            store.extend(u16::try_from(alias.len()).unwrap().to_be_bytes());
            store.extend(alias.bytes());
            store.extend(time.to_be_bytes());
            store.extend(5_u16.to_be_bytes());
            store.extend(b"X.509");
            store.extend(3_u32.to_be_bytes());
            store.extend(b"der");
        }
        let signed = signature(&store);
        store.extend(signed);
        store
    }

    #[test]
    fn two_keystores_of_different_times_become_one() {
        let (mut early, mut late) = (keystore(1000, 2), keystore(2000, 2));
        set_times(&mut early, 7).unwrap();
        set_times(&mut late, 7).unwrap();
        assert_eq!(early, late);
        assert_eq!(early, keystore(7000, 2));
    }

    #[test]
    fn a_private_key_a_wrong_signature_and_anything_else_are_left_alone() {
        let mut changed = keystore(1, 2);
        changed[20] ^= 1;
        for mut bytes in [keystore(1, 1), changed, Vec::new(), vec![0; 100]] {
            let before = bytes.clone();
            assert_eq!(set_times(&mut bytes, 7), None);
            assert_eq!(bytes, before);
        }
    }
}
