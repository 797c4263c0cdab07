//! The syntax of package specifications in `packages`, `packages_0` and `packages_1`. What a specification matches is
//! the resolver's business; an rpm name may itself hold `-` and `.`, so only the index can tell its parts.

use crate::Family;
use crate::limits;

/// Why a text specifies no package.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PackageSpecError {
    /// Longer than a name, epoch, version, release and architecture can be.
    #[error("`{0}…` is too long for a package")]
    TooLong(String),
    /// A glob: "is it installed" is decided by comparing names.
    #[error("`{0}` is a pattern; a template lists real package names")]
    Pattern(String),
    /// A character that neither names nor versions hold.
    #[error("`{text}` is no package: {character:?} is not allowed here")]
    Character {
        /// The whole text.
        text: String,
        /// The first bad character.
        character: char,
    },
    /// deb: `=` without a version, or a `name=version` whose name is empty.
    #[error("`{0}` is no package: write `name` or `name=version`")]
    DebForm(String),
    /// rpm: `@` with something that is neither a group nor a module stream, or a stream that is none.
    #[error(
        "`{0}` is no group or module stream: write `@group`, `@module:stream` or `@module:stream/profile`"
    )]
    Group(String),
    /// The name begins with something that is no letter or digit.
    #[error("`{0}` is no package: names begin with a letter or digit")]
    Start(String),
}

/// Checks one specification.
///
/// * deb: `name`, `name=version`; the name may carry an architecture, `name:amd64`.
/// * rpm: `name`, `name.arch`, `name-ver`, `name-ver-rel`, `name-ver-rel.arch`, `epoch:name-ver-rel.arch`; `@group`,
///   `@module:stream`, `@module:stream/profile`.
///
/// # Errors
/// [`PackageSpecError`] says which rule the text breaks.
pub fn check(family: Family, text: &str) -> Result<(), PackageSpecError> {
    let longest = limits::IDENTIFIER_BYTES.saturating_mul(2);
    if text.len() > longest {
        return Err(PackageSpecError::TooLong(text.chars().take(40).collect()));
    }
    if text.contains(['*', '?', '[']) {
        return Err(PackageSpecError::Pattern(text.to_owned()));
    }
    if let (Family::Rpm, Some(group)) = (family, text.strip_prefix('@')) {
        let (rest, profile) = match group.split_once('/') {
            Some((rest, profile)) => (rest, Some(profile)),
            None => (group, None),
        };
        let is_good = match (rest.split_once(':'), profile) {
            (None, None) => is_word(rest),
            (None, Some(_)) => false,
            (Some((module, stream)), profile) => {
                is_word(module) && is_word(stream) && profile.is_none_or(is_word)
            }
        };
        return if is_good {
            Ok(())
        } else {
            Err(PackageSpecError::Group(text.to_owned()))
        };
    }
    let name = match family {
        Family::Rpm => text,
        Family::Deb => match text.split_once('=') {
            Some((_, "") | ("", _)) => {
                return Err(PackageSpecError::DebForm(text.to_owned()));
            }
            Some((name, _)) => name,
            None => text,
        },
    };
    let extra = match family {
        Family::Deb => "+-._~:=",
        Family::Rpm => "+-._~^:",
    };
    let bad = text
        .chars()
        .find(|&c| !(c.is_ascii_alphanumeric() || extra.contains(c)));
    if let Some(character) = bad {
        let text = text.to_owned();
        return Err(PackageSpecError::Character { text, character });
    }
    // rpm names may begin with `_`; nothing may begin like an option or a path.
    if name.starts_with(|c: char| c.is_ascii_alphanumeric() || (family == Family::Rpm && c == '_'))
    {
        Ok(())
    } else {
        Err(PackageSpecError::Start(text.to_owned()))
    }
}

/// Checks one module stream: `module:stream`.
///
/// # Errors
/// [`PackageSpecError::Group`], [`PackageSpecError::TooLong`].
pub fn check_stream(text: &str) -> Result<(), PackageSpecError> {
    if text.len() > limits::IDENTIFIER_BYTES {
        return Err(PackageSpecError::TooLong(text.chars().take(40).collect()));
    }
    match text.split_once(':') {
        Some((module, stream)) if is_word(module) && is_word(stream) => Ok(()),
        _ => Err(PackageSpecError::Group(text.to_owned())),
    }
}

/// A part of the name of a group or module.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-._~".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_take_their_own_forms() {
        for text in [
            "bash",
            "bash.x86_64",
            "bash-4.2.46",
            "bash-4.2.46-31.el7",
            "bash-4.2.46-31.el7.x86_64",
            "1:openssl-1.0.2k-16.el7.x86_64",
            "perl-Foo_Bar",
            "_x",
            "libstdc++",
            "@core",
            "@web-server",
            "@nodejs:18",
            "@nodejs:18/minimal",
        ] {
            assert_eq!(check(Family::Rpm, text), Ok(()), "{text}");
        }
        for text in [
            "bash",
            "libstdc++6",
            "libc6:amd64",
            "bash=5.2.15-2+b2",
            "x=1:2~rc1-1",
        ] {
            assert_eq!(check(Family::Deb, text), Ok(()), "{text}");
        }
    }

    #[test]
    fn patterns_options_and_paths_are_refused() {
        for family in [Family::Deb, Family::Rpm] {
            for text in [
                "lib*", "a?", "-rf", "--force", "/bin/sh", "a/b", "../x", "a;b", "a$b", "(a or b)",
                "é", ".x", "",
            ] {
                assert!(check(family, text).is_err(), "{family} {text:?}");
            }
        }
        for text in ["=1", "a=", "-x=1"] {
            assert!(check(Family::Deb, text).is_err(), "{text:?}");
        }
        for text in [
            "a=1", "@", "@a b", "@a/b", "@a:", "@:b", "@a:b/", "@a:b/c/d", "@-x", "@a;b",
        ] {
            assert!(check(Family::Rpm, text).is_err(), "{text:?}");
        }
        assert!(check(Family::Deb, "@core").is_err());
        assert_eq!(check_stream("platform:el9"), Ok(()));
        for text in ["a", "a:", ":b", "a:b:c", "a:b/c", "@a:b"] {
            assert!(check_stream(text).is_err(), "{text:?}");
        }
    }
}
