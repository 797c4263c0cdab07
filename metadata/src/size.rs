//! A number of bytes, printed and typed as people do it.

use std::fmt;
use std::str::FromStr;

/// A number of bytes. `Display` uses binary units with one decimal below 100: `1.5 MiB`, `212 KiB`.
///
/// ```
/// use vzpkg_metadata::ByteSize;
/// assert_eq!(ByteSize(0).to_string(), "0 B");
/// assert_eq!(ByteSize(1536).to_string(), "1.5 KiB");
/// assert_eq!(ByteSize(212 * 1024 * 1024).to_string(), "212 MiB");
/// ```
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = "KiB";
        for larger in UNITS.into_iter().skip(1) {
            if value < 999.5 {
                break;
            }
            value /= 1024.0;
            unit = larger;
        }
        let digits = usize::from(value < 99.95);
        f.pad(&format!("{value:.digits$} {unit}"))
    }
}

/// A text that is no number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no size; write a number of bytes, or one with K, M, G or T: 512M")]
pub struct SizeError {
    /// The text.
    pub text: String,
}

impl FromStr for ByteSize {
    type Err = SizeError;

    /// `4096`, `64k`, `512M`, `2GiB`: binary units in either case, with or without `B` or `iB`.
    fn from_str(text: &str) -> Result<Self, SizeError> {
        let error = || SizeError {
            text: text.to_owned(),
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or_else(error)?;
        let unit = unit.to_ascii_lowercase();
        let letter = unit.strip_suffix('b').unwrap_or(&unit);
        let power = match letter.strip_suffix('i').unwrap_or(letter) {
            "" if !letter.ends_with('i') => 0,
            "k" => 1,
            "m" => 2,
            "g" => 3,
            "t" => 4,
            _ => return Err(error()),
        };
        let number: u64 = number.parse().map_err(|_not_a_number| error())?;
        let bytes = number.checked_mul(1024_u64.pow(power));
        bytes.map(Self).ok_or_else(error)
    }
}

impl std::iter::Sum for ByteSize {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        Self(iter.fold(0, |total, size| total.saturating_add(size.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_typed_as_people_write_them() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("7b", Some(7)),
            ("64k", Some(64 << 10)),
            ("512M", Some(512 << 20)),
            ("2GiB", Some(2 << 30)),
            ("1TB", Some(1 << 40)),
            ("", None),
            ("M", None),
            ("1i", None),
            ("-1", None),
            ("1.5G", None),
            ("1 G", None),
            ("1X", None),
            ("99999999999999999999", None),
            ("99999999T", None),
        ] {
            let read: Result<ByteSize, _> = text.parse();
            assert_eq!(read.ok(), bytes.map(ByteSize), "{text}");
        }
    }
}
