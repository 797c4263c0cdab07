//! The names that users type and that index the store: each a type of its own, so that none is taken for another.
//!
//! ```compile_fail
//! use vzpkg_metadata::{ContainerId, TemplateName};
//! let template: TemplateName = "debian-13-x86_64".parse().unwrap();
//! let container: ContainerId = template; // a template is not a container
//! ```

mod reference;
mod version;

pub use reference::{DigestPrefix, VersionReference, Which};
pub use version::{VersionName, VersionNumber};

use crate::limits;
use std::fmt;
use std::str::FromStr;

/// Why a text is not a name of the wanted kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// Nothing was given.
    #[error("a {kind} cannot be empty")]
    Empty {
        /// What was to be named: "package name", "container name" and so on.
        kind: &'static str,
    },
    /// The text is longer than [`limits::IDENTIFIER_BYTES`], or than the kind allows.
    #[error("`{shown}…` is too long for a {kind}")]
    TooLong {
        /// What was to be named.
        kind: &'static str,
        /// How the text begins.
        shown: String,
    },
    /// A character that the kind does not allow.
    #[error("`{text}` is no {kind}: {character:?} is not allowed here")]
    Character {
        /// What was to be named.
        kind: &'static str,
        /// The whole text.
        text: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// A text that names no version: `T@N` whose `N` is not a positive number, a digest that is cut too short.
    #[error(
        "`{text}` is no version: write TEMPLATE, TEMPLATE@4, TEMPLATE:TAG or @sha256: and at least {DIGEST_DIGITS} digits"
    )]
    Version {
        /// The whole text.
        text: String,
    },
}

/// The fewest digits that stand for a whole digest.
pub const DIGEST_DIGITS: usize = 8;

fn check(
    text: &str,
    kind: &'static str,
    longest: usize,
    first: fn(char) -> bool,
    rest: fn(char) -> bool,
) -> Result<(), NameError> {
    let mut characters = text.chars();
    let Some(start) = characters.next() else {
        return Err(NameError::Empty { kind });
    };
    if text.len() > longest {
        let shown = text.chars().take(40).collect();
        return Err(NameError::TooLong { kind, shown });
    }
    let bad = if first(start) {
        characters.find(|&c| !rest(c))
    } else {
        Some(start)
    };
    bad.map_or(Ok(()), |character| {
        let text = text.to_owned();
        Err(NameError::Character {
            kind,
            text,
            character,
        })
    })
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $longest:expr, $first:expr, $rest:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text, $kind, $longest, $first, $rest)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

name_type!(
    /// The name of a package. Wide enough for Debian policy 5.6.7 and for rpm, whose names may hold capitals and `_`.
    PackageName, "package name", limits::IDENTIFIER_BYTES,
    |c| c.is_ascii_alphanumeric() || c == '_', |c| c.is_ascii_alphanumeric() || "+-._~^".contains(c)
);

name_type!(
    /// The id of one repository of a template: `base0`, `minimal2`, `httpd0` (VZPKG-REFERENCE §2.4).
    RepoId, "repository id", limits::IDENTIFIER_BYTES,
    |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "+-._".contains(c)
);

name_type!(
    /// The name of a container, as a user types it.
    ContainerId, "container name", 64,
    |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "-_.".contains(c)
);

name_type!(
    /// The name of a local mirror: a directory below `mirror/`, so it never begins with a dot.
    MirrorName, "mirror name", 64,
    |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "-_.".contains(c)
);

name_type!(
    /// The name of a snapshot of a mirror, as a user types it or made from a date.
    SnapshotName, "snapshot name", 64,
    |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "-_.".contains(c)
);

name_type!(
    /// The full name of an OS template, `debian-13-x86_64` or with a set `debian-13-x86_64-minimal`; or of an
    /// application template on it, `debian-13-x86_64/nginx`. Which parts a name has is decided by the directories that
    /// exist (`template::area`), for an OS name may hold `-` itself.
    TemplateName, "template name", limits::IDENTIFIER_BYTES,
    |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "+-._/".contains(c)
);

name_type!(
    /// A name that a version of a template is given besides its number: `stable` of `debian-13-x86_64:stable`. It begins
    /// with a letter, for `T:4` would be taken for `T@4`.
    TagName, "tag", 64,
    |c| c.is_ascii_alphabetic(), |c| c.is_ascii_alphanumeric() || "-_.".contains(c)
);

name_type!(
    /// The packages that a hold is about: a package name in which `*` and `?` stand for what they do in a shell.
    PackagePattern, "pattern of package names", limits::IDENTIFIER_BYTES,
    |c| c.is_ascii_alphanumeric() || "_*?".contains(c), |c| c.is_ascii_alphanumeric() || "+-._~^*?".contains(c)
);

impl PackagePattern {
    /// Whether a package of this name is meant.
    pub fn matches(&self, package: &PackageName) -> bool {
        crate::glob::matches(self.as_str(), package.as_str())
    }
}

impl TemplateName {
    /// Parses what a user typed: a leading dot, as container configurations of the original write it, is dropped.
    ///
    /// # Errors
    /// As the `FromStr` of this type.
    pub fn from_user(text: &str) -> Result<Self, NameError> {
        text.strip_prefix('.').unwrap_or(text).parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_print_what_they_parse() {
        for text in [
            "debian-13-x86_64",
            "debian-13-x86_64-minimal",
            "debian-13-x86_64/nginx",
        ] {
            assert_eq!(text.parse::<TemplateName>().unwrap().to_string(), text);
        }
        assert_eq!(
            TemplateName::from_user(".centos-7").unwrap().as_str(),
            "centos-7"
        );
    }

    #[test]
    fn names_that_could_be_paths_or_escapes_are_refused() {
        for text in ["", "../x", "/etc", "a b", "a\u{1b}[31m", "-rf", ".hidden"] {
            assert!(text.parse::<ContainerId>().is_err(), "{text:?}");
            assert!(text.parse::<RepoId>().is_err(), "{text:?}");
            assert!(text.parse::<TemplateName>().is_err(), "{text:?}");
        }
        for text in ["", "4", "../x", "a/b", "a b", "-rf", ".x", "a:b", "a@b"] {
            assert!(text.parse::<TagName>().is_err(), "{text:?}");
        }
    }
}
