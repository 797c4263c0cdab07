//! Where a partial file comes from: kept beside it, so that the next attempt asks for the rest of the same file only.
//!
//! A hint and nothing more. Without one the rest is asked for all the same, and the hash of the whole decides.

use crate::source::FileUrl;
use crate::transport::Validator;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::{self, FileError};

/// An address, and what it said about the state of its file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Origin {
    url: String,
    pub(crate) validator: Validator,
}

impl Origin {
    /// That of the partial file at `part`, if it was noted and is this address.
    pub(crate) fn of_part(part: &Path, url: &FileUrl) -> Option<Self> {
        // Only a hint: unreadable means that there is none.
        let text = durable::read_file(&path(part), 4096).ok()?;
        let origin: Self = serde_json::from_slice(&text).ok()?;
        (origin.url == url.to_string()).then_some(origin)
    }

    /// What is noted beside `part` of the one who sends it now.
    pub(crate) fn note(part: &Path, url: &FileUrl, validator: &Validator) -> Result<(), FileError> {
        if validator.is_empty() || url.remote().is_none() {
            return Self::forget(part);
        }
        let origin = Self {
            url: url.to_string(),
            validator: validator.clone(),
        };
        let path = path(part);
        let text = serde_json::to_vec(&origin).unwrap_or_default();
        fs::write(&path, text).map_err(FileError::on("write", path))
    }

    /// The partial file is whole, or gone.
    pub(crate) fn forget(part: &Path) -> Result<(), FileError> {
        durable::remove_unsynced(&path(part))
    }
}

fn path(part: &Path) -> PathBuf {
    part.with_extension("from")
}
