//! What a user writes for a version: one grammar for every verb. Which version that is, only a store can say.
//!
//! ```text
//! TEMPLATE                 its head
//! [TEMPLATE]@4             by number
//! [TEMPLATE]:stable        by tag
//! [TEMPLATE]@sha256:3f5a…  by digest, or by its first digits, at least eight
//! ```
//!
//! Without a template it is the one that the verb is about, if there is one.

use super::{DIGEST_DIGITS, NameError, TagName, TemplateName, VersionNumber};
use crate::Digest;
use std::fmt;
use std::str::FromStr;

/// Which version of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one that new containers get.
    Head,
    /// The one with this number.
    Number(VersionNumber),
    /// The one with this tag.
    Tag(TagName),
    /// The one whose digest begins so.
    Digest(DigestPrefix),
}

/// The first digits of a digest, at least [`DIGEST_DIGITS`]; lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestPrefix(String);

impl DigestPrefix {
    fn parse(text: &str) -> Option<Self> {
        let long_enough = (DIGEST_DIGITS..=64).contains(&text.len());
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (long_enough && digits).then(|| Self(text.to_ascii_lowercase()))
    }

    /// Whether `digest` begins so.
    pub fn matches(&self, digest: &Digest) -> bool {
        digest.to_string().starts_with(&self.0)
    }
}

impl fmt::Display for DigestPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A version as a user writes it.
///
/// ```
/// use vzpkg_metadata::name::{VersionReference, Which};
/// let stable: VersionReference = "debian-13-x86_64:stable".parse().unwrap();
/// assert!(matches!(stable.which, Which::Tag(tag) if tag.as_str() == "stable"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionReference {
    /// The template, if it is named.
    pub template: Option<TemplateName>,
    /// Which of its versions.
    pub which: Which,
}

impl VersionReference {
    /// Parses what stands where the template is known and only the version is asked for: `4` is `@4` there.
    ///
    /// # Errors
    /// As the `FromStr` of this type.
    pub fn within_template(text: &str) -> Result<Self, NameError> {
        match VersionNumber::from_digits(text) {
            Some(number) => Ok(Self {
                template: None,
                which: Which::Number(number),
            }),
            None => text.parse(),
        }
    }
}

impl fmt::Display for VersionReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(template) = &self.template {
            write!(f, "{template}")?;
        }
        match &self.which {
            Which::Head => Ok(()),
            Which::Number(number) => write!(f, "@{number}"),
            Which::Tag(tag) => write!(f, ":{tag}"),
            Which::Digest(prefix) => write!(f, "@sha256:{prefix}"),
        }
    }
}

impl FromStr for VersionReference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError::Version {
            text: text.chars().take(100).collect(),
        };
        // `sha256:…` as other tools print it; no template is called so.
        let digest = text.split_once("sha256:");
        let (template, which) = if let Some((before, digits)) = digest
            && (before.is_empty() || before.ends_with('@'))
        {
            let prefix = DigestPrefix::parse(digits).ok_or_else(error)?;
            let template = before.strip_suffix('@').unwrap_or(before);
            (template, Which::Digest(prefix))
        } else if let Some((template, number)) = text.split_once('@') {
            let number = VersionNumber::from_digits(number).ok_or_else(error)?;
            (template, Which::Number(number))
        } else if let Some((template, tag)) = text.split_once(':') {
            (template, Which::Tag(tag.parse()?))
        } else {
            return Ok(Self {
                template: Some(TemplateName::from_user(text)?),
                which: Which::Head,
            });
        };
        let named = !template.is_empty();
        Ok(Self {
            template: named
                .then(|| TemplateName::from_user(template))
                .transpose()?,
            which,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_prints_what_it_parses() {
        for text in [
            "debian-13-x86_64",
            "debian-13-x86_64@4",
            "debian-13-x86_64/nginx@4",
            "@4",
            "debian-13-x86_64:stable",
            ":stable",
            "@sha256:0123abcd",
            "debian-13-x86_64@sha256:0123abcd",
        ] {
            let reference: VersionReference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn other_spellings_mean_the_same() {
        let digest = Digest::of(b"x").to_string();
        for (text, meant) in [
            (".centos-7@1".to_owned(), "centos-7@1".to_owned()),
            ("sha256:0123ABCD".to_owned(), "@sha256:0123abcd".to_owned()),
            (
                format!("@sha256:{}", digest.to_uppercase()),
                format!("@sha256:{digest}"),
            ),
        ] {
            let reference: VersionReference = text.parse().unwrap();
            assert_eq!(reference.to_string(), meant);
        }
        let four = VersionReference::within_template("4").unwrap();
        assert_eq!(four, "@4".parse().unwrap());
    }

    #[test]
    fn what_names_no_version_is_refused() {
        for text in [
            "",
            "@",
            ":",
            "a@",
            "a@0",
            "a@-1",
            "a@ 1",
            "a@1@2",
            "a:",
            "a:4",
            "a:b:c",
            "a@sha256:0123abc",
            "@sha256:0123abcg",
            "@@sha256:0123abcd",
            "a b@1",
            "../a@1",
        ] {
            assert!(text.parse::<VersionReference>().is_err(), "{text:?}");
        }
        let long = format!("@sha256:{}", "0".repeat(65));
        assert!(long.parse::<VersionReference>().is_err());
    }

    #[test]
    fn a_prefix_matches_only_what_begins_so() {
        let digest = Digest::of(b"x");
        let prefix = DigestPrefix::parse(&digest.to_string()[..8]).unwrap();
        assert!(prefix.matches(&digest));
        assert!(!prefix.matches(&Digest::of(b"y")));
    }
}
