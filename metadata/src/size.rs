//! A number of bytes, printed as people read it.

use std::fmt;

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

impl std::iter::Sum for ByteSize {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        Self(iter.fold(0, |total, size| total.saturating_add(size.0)))
    }
}
