//! Architecture names, as each family writes them, and the mapping between them.

use crate::Family;
use crate::name::NameError;
use std::fmt;
use std::str::FromStr;

/// The architecture of a package or template, in the spelling of its source: `amd64`, `x86_64`, `all`, `noarch`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arch(String);

/// (template spelling, dpkg spelling, rpm spelling)
const SPELLINGS: [(&str, &str, &str); 6] = [
    ("x86_64", "amd64", "x86_64"),
    ("aarch64", "arm64", "aarch64"),
    ("x86", "i386", "i686"),
    ("ppc64le", "ppc64el", "ppc64le"),
    ("s390x", "s390x", "s390x"),
    ("riscv64", "riscv64", "riscv64"),
];

impl Arch {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether packages of this architecture run on every machine (`all`, `noarch`).
    pub fn is_independent(&self) -> bool {
        matches!(self.0.as_str(), "all" | "noarch")
    }

    /// The spelling that packages of `family` use for this template architecture: `x86_64` is `amd64` to dpkg.
    /// Unknown names stay as they are.
    #[must_use]
    pub fn in_family(&self, family: Family) -> Self {
        let spelling = SPELLINGS
            .iter()
            .find(|(template, deb, rpm)| [template, deb, rpm].contains(&&self.as_str()))
            .map(|(_, deb, rpm)| match family {
                Family::Deb => *deb,
                Family::Rpm => *rpm,
            });
        spelling.map_or_else(|| self.clone(), |name| Self(name.to_owned()))
    }

    /// The spelling of template directories: `amd64` is `x86_64` there.
    #[must_use]
    pub fn in_templates(&self) -> Self {
        let spelling = SPELLINGS
            .iter()
            .find(|(template, deb, rpm)| [template, deb, rpm].contains(&&self.as_str()))
            .map(|(template, ..)| *template);
        spelling.map_or_else(|| self.clone(), |name| Self(name.to_owned()))
    }
}

impl FromStr for Arch {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let kind = "architecture";
        if text.is_empty() {
            return Err(NameError::Empty { kind });
        }
        if text.len() > 40 {
            let shown = text.chars().take(40).collect();
            return Err(NameError::TooLong { kind, shown });
        }
        let bad = text
            .chars()
            .find(|&c| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        match bad {
            Some(character) => Err(NameError::Character {
                kind,
                text: text.to_owned(),
                character,
            }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Arch {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Arch> for String {
    fn from(arch: Arch) -> Self {
        arch.0
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arch({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_map_both_ways() {
        let arch: Arch = "x86_64".parse().unwrap();
        assert_eq!(arch.in_family(Family::Deb).as_str(), "amd64");
        assert_eq!(arch.in_family(Family::Rpm).as_str(), "x86_64");
        assert_eq!(arch.in_family(Family::Deb).in_templates(), arch);
        assert!("noarch".parse::<Arch>().unwrap().is_independent());
        assert!("../x".parse::<Arch>().is_err());
    }
}
