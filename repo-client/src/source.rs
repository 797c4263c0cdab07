//! Addresses: what a template may name as a source, and how a foreign location is appended to it.
//!
//! A location comes from a repository's metadata, so it is foreign: it must be a clean relative path. It becomes part of
//! a URL (or of a path below a `file://` base), never a name of ours.

use reqwest::Url;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use vzpkg_metadata::path::PathError;
use vzpkg_metadata::{RelPath, limits};

/// Why a text is no address that is followed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// Not a URL at all.
    #[error("`{text}` is no URL")]
    Syntax {
        /// The text, without credentials as far as that can be told.
        text: String,
    },
    /// A scheme other than `file`, `http`, `https`.
    #[error("`{scheme}:` addresses are not supported")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// A `file://` URL with a host, or an `http` URL without one.
    #[error("`{text}` has no usable host or path")]
    Host {
        /// The text without credentials.
        text: String,
    },
    /// A base with `?…` or `#…`: nothing can be appended.
    #[error("`{text}` has a query or fragment")]
    Query {
        /// The text without credentials.
        text: String,
    },
    /// A location that is no clean relative path.
    #[error("location `{text}` is no clean relative path")]
    Location {
        /// The location, control characters replaced.
        text: String,
        /// Which rule it breaks.
        source: Option<PathError>,
    },
}

/// The base of a repository: everything in it lies below. Prints without user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(Place);

/// One file at a source. Prints without user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct FileUrl(Place);

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Local(PathBuf),
    Remote(Url),
}

impl BaseUrl {
    /// Parses `file:///path`, `http://host/path` or `https://host/path`; a final `/` may be missing.
    ///
    /// # Errors
    /// [`UrlError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let syntax = || UrlError::Syntax {
            text: shown_address(text),
        };
        let mut url = Url::parse(text.trim_end_matches('/')).ok();
        if url.is_none() && text.starts_with("file:") {
            url = Url::parse(text).ok();
        }
        let mut url = url.ok_or_else(syntax)?;
        let host = || UrlError::Host {
            text: redacted(&url),
        };
        match url.scheme() {
            "file" => {
                let path = url.to_file_path().ok().ok_or_else(host)?;
                Ok(Self(Place::Local(path)))
            }
            "http" | "https" => {
                if url.query().is_some() || url.fragment().is_some() {
                    return Err(UrlError::Query {
                        text: redacted(&url),
                    });
                }
                if url.host_str().is_none_or(str::is_empty) {
                    return Err(host());
                }
                let path = format!("{}/", url.path().trim_end_matches('/'));
                url.set_path(&path);
                Ok(Self(Place::Remote(url)))
            }
            scheme => Err(UrlError::Scheme {
                scheme: scheme.to_owned(),
            }),
        }
    }

    /// The address of a file below this base.
    ///
    /// # Errors
    /// [`UrlError::Location`] where `location` is not a relative path without `.`, `..`, empty components, control
    /// characters or encoded separators.
    pub fn append(&self, location: &str) -> Result<FileUrl, UrlError> {
        let path = checked_location(location)?;
        match &self.0 {
            Place::Local(base) => Ok(FileUrl(Place::Local(base.join(path.as_path())))),
            Place::Remote(base) => {
                let mut url = base.clone();
                url.set_path(&format!("{}{}", base.path(), encoded(location)));
                Ok(FileUrl(Place::Remote(url)))
            }
        }
    }

    /// The path of a `file://` address.
    pub fn local(&self) -> Option<&Path> {
        match &self.0 {
            Place::Local(path) => Some(path),
            Place::Remote(_) => None,
        }
    }

    /// Whether reading it needs the network.
    pub const fn is_remote(&self) -> bool {
        matches!(self.0, Place::Remote(_))
    }
}

impl FileUrl {
    /// Parses the address of one file; a query is allowed (mirror lists have one).
    ///
    /// # Errors
    /// [`UrlError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = Url::parse(text).ok().ok_or_else(|| UrlError::Syntax {
            text: shown_address(text),
        })?;
        let host = || UrlError::Host {
            text: redacted(&url),
        };
        match url.scheme() {
            "file" => Ok(Self(Place::Local(
                url.to_file_path().ok().ok_or_else(host)?,
            ))),
            "http" | "https" if url.host_str().is_some_and(|name| !name.is_empty()) => {
                Ok(Self(Place::Remote(url)))
            }
            "http" | "https" => Err(host()),
            scheme => Err(UrlError::Scheme {
                scheme: scheme.to_owned(),
            }),
        }
    }

    /// The path of a `file://` address.
    pub fn local(&self) -> Option<&Path> {
        match &self.0 {
            Place::Local(path) => Some(path),
            Place::Remote(_) => None,
        }
    }

    /// The URL of an `http(s)://` address.
    pub const fn remote(&self) -> Option<&Url> {
        match &self.0 {
            Place::Local(_) => None,
            Place::Remote(url) => Some(url),
        }
    }
}

/// The location as a path, if it is one that may be appended to a base.
pub(crate) fn checked_location(location: &str) -> Result<RelPath, UrlError> {
    let error = |source| UrlError::Location {
        text: shown(location),
        source,
    };
    // `./a` is what rpm-md and flat apt repositories write.
    let location = location.strip_prefix("./").unwrap_or(location);
    let path = RelPath::parse(location.as_bytes()).map_err(|cause| error(Some(cause)))?;
    if path.is_root() || location.chars().any(|c| c.is_control() || c == '\\') {
        return Err(error(None));
    }
    // `%2e%2e` is `..` to every URL parser, and `%2f` is a separator to some servers.
    let lower = location.to_ascii_lowercase();
    if ["%2f", "%5c", "%00"].iter().any(|bad| lower.contains(bad)) {
        return Err(error(None));
    }
    let dots = lower.replace("%2e", ".");
    if dots
        .split('/')
        .any(|component| matches!(component, "." | ".."))
    {
        return Err(error(None));
    }
    Ok(path)
}

/// Percent-encodes what may not stand in a path of a URL. `%XX` stays: both families write locations encoded where
/// needed. `+` is encoded, for some object stores read it as a space.
fn encoded(location: &str) -> String {
    let location = location.strip_prefix("./").unwrap_or(location);
    let mut text = String::with_capacity(location.len());
    for byte in location.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => text.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'/' | b'%' | b':' | b'@' | b',' | b'=' | b'!' => {
                text.push(char::from(byte));
            }
            _ => {
                // Writing to a `String` cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// Foreign text for a message: short, without control characters.
pub(crate) fn shown(text: &str) -> String {
    let clean = text.chars().take(limits::NAME_BYTES);
    clean
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// A failure for a message about going on: with its causes, on one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    shown(&text)
}

/// An address for a message, without user name and password also where it is none that can be parsed: everything up to
/// the last `@` may be one of them.
pub(crate) fn shown_address(text: &str) -> String {
    // Without a host, what looks like a scheme may be a user name.
    if let Some(url) = Url::parse(text).ok().filter(Url::has_host) {
        return shown(&redacted(&url));
    }
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => shown(&format!("{scheme}://{rest}")),
        (None, Some((_, rest))) => shown(rest),
        (_, None) => shown(text),
    }
}

/// Whether an address has a user name or password.
pub(crate) fn has_credentials(text: &str) -> bool {
    let url = Url::parse(text).ok();
    url.is_some_and(|url| !url.username().is_empty() || url.password().is_some())
}

/// Addresses for debugging, each without user name and password.
pub(crate) struct ShownAddresses<'a>(pub(crate) &'a [String]);

impl fmt::Debug for ShownAddresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|text| shown_address(text));
        f.debug_list().entries(shown).finish()
    }
}

fn redacted(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot have credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "file://{}", path.display()),
            Self::Remote(url) => f.write_str(&redacted(url)),
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({})", self.0)
    }
}

impl fmt::Display for FileUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for FileUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileUrl({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_appended_below_the_base() {
        for base in ["http://h/debian", "http://h/debian/", "http://h/debian//"] {
            let base = BaseUrl::parse(base).unwrap();
            assert_eq!(
                base.append("pool/g++_1~a.deb").unwrap().to_string(),
                "http://h/debian/pool/g%2B%2B_1~a.deb"
            );
        }
        let base = BaseUrl::parse("file:///srv/x").unwrap();
        assert_eq!(
            base.append("./a/b+c").unwrap().local().unwrap(),
            Path::new("/srv/x/a/b+c")
        );
        assert!(BaseUrl::parse("http://h").unwrap().is_remote());
        assert_eq!(
            BaseUrl::parse("http://h")
                .unwrap()
                .append("a%3a1")
                .unwrap()
                .to_string(),
            "http://h/a%3a1"
        );
    }

    #[test]
    fn evil_locations_are_refused() {
        for base in ["file:///srv/x", "http://h/debian"] {
            let base = BaseUrl::parse(base).unwrap();
            for location in [
                "",
                ".",
                "..",
                "/etc/passwd",
                "../x",
                "a/../../x",
                "a//b",
                "a/",
                "%2e%2E/x",
                "a/.%2e/x",
                "a%2fb",
                "a\\b",
                "a\nb",
                "a\u{1b}[31m",
                "a%00",
            ] {
                assert!(base.append(location).is_err(), "{location:?}");
            }
        }
    }

    #[test]
    fn only_three_schemes_are_followed_and_credentials_are_not_shown() {
        for text in [
            "ftp://h/",
            "gopher://h",
            "x",
            "data:text/plain,a",
            "file://host/x",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
        assert!(BaseUrl::parse("http://h/?a=b").is_err());
        let base = BaseUrl::parse("https://user:secret@h/x").unwrap();
        assert_eq!(base.to_string(), "https://h/x/");
        assert!(!format!("{base:?}").contains("secret"));
        for text in [
            "https://user:secret@h:port/x",
            "https://user:se/secret@h/x",
            "user:secret@h",
            "http://user:secret@",
            "ftp://user:secret@h/",
        ] {
            let error = BaseUrl::parse(text).unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("secret"),
                "{error:?}"
            );
            let error = FileUrl::parse(text).unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("secret"),
                "{error:?}"
            );
        }
    }
}
