//! What is known about a yum repository since its last update: `state.json`, written last, so that it never names what
//! is not there.

use super::place::Place;
use super::root::Known;
use crate::transport::Validator;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use vzpkg_metadata::Digest;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::template::Fingerprint;

/// Another number: the file is not understood and everything is fetched again.
const FORMAT: u32 = 3;

/// A state has about 2 KB, and 60 bytes for each path that is asked for.
const STATE_BYTES: u64 = 16 << 20;

/// One file that `repomd.xml` names, with what is needed to fetch and bound it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) location: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) open_size: Option<u64>,
}

/// The state of one repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) format: u32,
    /// When the server was last asked, seconds since 1970.
    pub(super) checked: i64,
    /// Of `repomd.xml` as it came: the same bytes need no second look.
    pub(super) repomd: Digest,
    /// Pinned keys that signed it; empty where the line wants no signature of it.
    pub(super) signers: Vec<Fingerprint>,
    /// When the metadata was made, seconds since 1970.
    pub(super) date: i64,
    /// The mirrors, the one that answered first.
    pub(super) bases: Vec<String>,
    /// What the first of them said about the state of `repomd.xml`.
    pub(super) validator: Validator,
    pub(super) primary: Named,
    pub(super) filelists: Option<Named>,
    pub(super) updateinfo: Option<Named>,
    pub(super) groups: Option<Named>,
    pub(super) modules: Option<Named>,
    /// Paths that were looked for in `filelists`.
    pub(super) paths: BTreeSet<String>,
    /// Names the mapped index.
    pub(super) index: Digest,
}

impl State {
    /// The number of this format.
    pub(super) const FORMAT: u32 = FORMAT;

    /// What the mirrors are asked to compare their `repomd.xml` with.
    pub(super) fn known(&self) -> Known<'_> {
        Known {
            digest: self.repomd,
            base: self.bases.first().map(String::as_str),
            validator: &self.validator,
        }
    }

    /// Reads the state; `None` if there is none that is understood, which only costs an update.
    pub(super) fn read(place: &Place) -> Option<Self> {
        let text = durable::read_file(&place.directory.join("state.json"), STATE_BYTES).ok()?;
        let state: Self = serde_json::from_slice(&text).ok()?;
        (state.format == FORMAT).then_some(state)
    }

    pub(super) fn write(&self, place: &Place) -> Result<(), FileError> {
        let path = place.directory.join("state.json");
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| FileError::on("write", &path)(error.into()))?;
        durable::write_file(&path, 0o644, &text)
    }
}
