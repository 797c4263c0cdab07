//! A window on a stream of UTF-8: what of it was read and not yet passed. It moves on when its end is reached, so memory
//! is that of one piece and one token, and no byte is copied more than twice.

use super::error::XmlError;
use crate::limits;
use std::io::{BufRead, ErrorKind};

/// Bytes that are taken from the source at a time, where it has so many at hand.
const PIECE: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Input<R> {
    source: R,
    /// What was read.
    text: String,
    /// How much of it was passed.
    passed: usize,
    /// Bytes that lie before `text`.
    before: u64,
    /// The beginning of a character whose end has not come yet.
    cut: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> Input<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            text: String::new(),
            passed: 0,
            before: 0,
            cut: Vec::new(),
            ended: false,
        }
    }

    /// What was read and not passed.
    pub(super) fn rest(&self) -> &str {
        self.text.get(self.passed..).unwrap_or_default()
    }

    /// The `bytes` that were passed last.
    pub(super) fn last(&self, bytes: usize) -> &str {
        let start = self.passed.saturating_sub(bytes);
        self.text.get(start..self.passed).unwrap_or_default()
    }

    /// Where the rest begins, in bytes from the beginning.
    pub(super) const fn position(&self) -> u64 {
        self.before.saturating_add(self.passed as u64)
    }

    /// Passes over bytes of the rest.
    pub(super) const fn pass(&mut self, bytes: usize) {
        self.passed = self.passed.saturating_add(bytes);
    }

    /// Makes the rest longer, at least twice as long, so that who starts again with it comes to an end. `false` where
    /// nothing more comes.
    ///
    /// # Errors
    /// [`XmlError::TooLong`] where the rest, which is then no whole token, is longer than any; [`XmlError::Read`],
    /// [`XmlError::NotText`].
    pub(super) fn more(&mut self) -> Result<bool, XmlError> {
        let kept = self.rest().len();
        if kept > limits::XML_TOKEN_BYTES {
            let position = self.position();
            return Err(XmlError::TooLong { position });
        }
        self.before = self.position();
        self.text.drain(..self.passed);
        self.passed = 0;
        while !self.ended && self.text.len() <= kept.saturating_mul(2) {
            self.take()?;
        }
        Ok(self.text.len() > kept)
    }

    /// Takes one piece from the source.
    fn take(&mut self) -> Result<(), XmlError> {
        let position = self.before.saturating_add(self.text.len() as u64);
        let mut piece = match self.source.fill_buf() {
            Ok(piece) => piece.get(..PIECE).unwrap_or(piece),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(source) => return Err(XmlError::Read { position, source }),
        };
        let not_text = XmlError::NotText { position };
        if piece.is_empty() {
            self.ended = true;
            let whole = self.cut.is_empty();
            return whole.then_some(()).ok_or(not_text);
        }
        let length = piece.len();
        while !self.cut.is_empty()
            && let Some((first, rest)) = piece.split_first()
        {
            self.cut.push(*first);
            piece = rest;
            match std::str::from_utf8(&self.cut) {
                Ok(character) => {
                    self.text.push_str(character);
                    self.cut.clear();
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(not_text),
            }
        }
        match std::str::from_utf8(piece) {
            Ok(text) => self.text.push_str(text),
            Err(error) if error.error_len().is_none() => {
                let (whole, cut) = piece
                    .split_at_checked(error.valid_up_to())
                    .unwrap_or_default();
                // Both halves are as `from_utf8` found them.
                self.text
                    .push_str(std::str::from_utf8(whole).unwrap_or_default());
                self.cut.extend_from_slice(cut);
            }
            Err(_) => return Err(not_text),
        }
        self.source.consume(length);
        Ok(())
    }
}
