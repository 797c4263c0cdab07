//! The two package families. They are equals: no command, flag or promise is for one only.

use std::fmt;
use std::str::FromStr;

/// Which package format, database and package manager a template uses.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// `.deb` packages, dpkg, apt repositories.
    Deb,
    /// `.rpm` packages, rpm, yum repositories.
    Rpm,
}

impl Family {
    /// The file extension of a package, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Rpm => "rpm",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

/// A text that names no package family.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is neither `deb` nor `rpm`")]
pub struct FamilyParseError(String);

impl FromStr for Family {
    type Err = FamilyParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "deb" => Ok(Self::Deb),
            "rpm" => Ok(Self::Rpm),
            other => Err(FamilyParseError(other.to_owned())),
        }
    }
}
