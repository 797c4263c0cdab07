//! What is known about a repository since its last update: `state.json`, written last, so that it never names what is
//! not there.

use super::place::Place;
use super::release::Known;
use crate::transport::Validator;
use serde::{Deserialize, Serialize};
use vzpkg_metadata::Digest;
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::template::Fingerprint;

/// Another number: the file is not understood and everything is fetched again.
const FORMAT: u32 = 3;

/// A state has about 2 KB.
const STATE_BYTES: u64 = 1 << 20;

/// The state of one repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    format: u32,
    /// When the server was last asked, seconds since 1970.
    pub(super) checked: i64,
    /// Of the signed file as it came: the same bytes need no second look.
    pub(super) release: Digest,
    /// Whether that is an `InRelease` file.
    pub(super) inline: bool,
    pub(super) validator: Validator,
    /// Pinned keys that signed it; empty for `trusted=yes`.
    pub(super) signers: Vec<Fingerprint>,
    pub(super) origin: String,
    pub(super) suite: String,
    pub(super) codename: String,
    pub(super) security: bool,
    pub(super) automatic: Automatic,
    pub(super) date: i64,
    pub(super) valid_until: Option<i64>,
    /// Names the mapped index.
    pub(super) index: Digest,
}

impl State {
    /// The state of a release that was just verified.
    pub(super) fn new(release: &super::release::NewRelease, index: Digest, now: i64) -> Self {
        let parsed = &release.release;
        Self {
            format: FORMAT,
            checked: now,
            release: release.digest,
            inline: release.inline,
            validator: release.validator.clone(),
            signers: release.signers.clone(),
            origin: parsed.origin.clone(),
            suite: parsed.suite.clone(),
            codename: parsed.codename.clone(),
            security: parsed.is_security(),
            automatic: parsed.automatic(),
            date: parsed.date,
            valid_until: parsed.valid_until,
            index,
        }
    }

    /// What a server is asked to compare its release with.
    pub(super) const fn known(&self) -> Known<'_> {
        Known {
            digest: self.release,
            inline: self.inline,
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
