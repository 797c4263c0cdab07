//! What the head of an answer means for the question that was asked, whichever way it came.

use super::{Ask, Validator};
use crate::error::TransportError;

/// A validator longer than this is not kept.
const VALIDATOR_BYTES: usize = 256;

/// The parts of a head that count.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) status: u16,
    /// `Content-Range`.
    pub(super) range: Option<String>,
    /// `Content-Length`.
    pub(super) length: Option<u64>,
    pub(super) validator: Validator,
}

impl Head {
    /// Where in the file the bytes that follow begin; `None` where the file is the one that is here.
    ///
    /// # Errors
    /// [`TransportError::Status`] for everything that is not the file.
    pub(super) fn judge(&self, ask: &Ask<'_>) -> Result<Option<u64>, TransportError> {
        let status = self.status;
        match status {
            200 => Ok(Some(0)),
            206 if ask.from > 0 && self.begins() == Some(ask.from) => Ok(Some(ask.from)),
            304 if ask.unless.is_some() => Ok(None),
            _ => Err(TransportError::Status { status }),
        }
    }

    fn begins(&self) -> Option<u64> {
        let range = self.range.as_ref()?.strip_prefix("bytes ")?;
        range.split_once('-')?.0.parse().ok()
    }
}

/// A validator as it is kept: one that can be sent back as it came.
pub(super) fn kept(value: Option<&str>) -> Option<String> {
    let plain = |value: &&str| value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let value = value.filter(|value| value.len() <= VALIDATOR_BYTES);
    value.filter(plain).map(str::to_owned)
}
