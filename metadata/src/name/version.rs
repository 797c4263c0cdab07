//! The full name of a version, template and number. What a user may write for one is in [`super::reference`].

use super::{NameError, TemplateName};
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// The number of a version of one template: 1, 2, 3 …; never used twice.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct VersionNumber(NonZeroU64);

impl VersionNumber {
    /// The first version of every template.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// Wraps `number`; `None` for 0.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The number itself, at least 1.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Reads digits and nothing else: no sign, no blank.
    pub(super) fn from_digits(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|digit| digit.is_ascii_digit());
        text.parse().ok().filter(|_| plain).and_then(Self::new)
    }
}

impl fmt::Display for VersionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One version of one template: `debian-13-x86_64@4`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionName {
    /// The template.
    pub template: TemplateName,
    /// Its version.
    pub number: VersionNumber,
}

impl fmt::Display for VersionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}@{}", self.template, self.number))
    }
}

impl FromStr for VersionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError::Version {
            text: text.to_owned(),
        };
        let (template, number) = text.rsplit_once('@').ok_or_else(error)?;
        Ok(Self {
            template: TemplateName::from_user(template)?,
            number: VersionNumber::from_digits(number).ok_or_else(error)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_template_and_a_number_from_1() {
        let version: VersionName = "debian-13-x86_64@12".parse().unwrap();
        assert_eq!(
            (version.number.get(), version.to_string().as_str()),
            (12, "debian-13-x86_64@12")
        );
        for text in ["a", "a@", "a@0", "a@-1", "a@+1", "@1", "a@1x"] {
            assert!(text.parse::<VersionName>().is_err(), "{text:?}");
        }
    }
}
