//! A path inside a tree: relative, bytes, without `.`, `..` or empty components.
//!
//! It says nothing about symbolic links: whoever opens it on a file system does so beneath a directory descriptor.

use crate::limits;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A checked relative path; the empty one is the root of the tree. Ordered by component, so that a directory comes
/// directly before what is below it.
///
/// ```
/// use vzpkg_metadata::RelPath;
/// let path = RelPath::parse(b"usr/bin/sh").unwrap();
/// assert_eq!(path.file_name(), b"sh");
/// assert_eq!(path.parent().unwrap().to_string(), "usr/bin");
/// assert!(RelPath::parse(b"usr/../etc").is_err());
/// assert!(RelPath::parse(b"/etc").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct RelPath(Vec<u8>);

/// Why bytes are not a [`RelPath`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PathError {
    /// The path starts with `/`.
    #[error("path `{0}` is absolute")]
    Absolute(String),
    /// A component is `..`.
    #[error("path `{0}` leaves its root")]
    Escapes(String),
    /// A component is empty or `.`.
    #[error("path `{0}` has an empty or `.` component")]
    NotCanonical(String),
    /// The path holds a NUL byte.
    #[error("path `{0}` holds a NUL byte")]
    Nul(String),
    /// The path or one of its components is longer than Linux allows.
    #[error("path of {0} bytes is longer than Linux allows")]
    TooLong(usize),
}

impl RelPath {
    /// The root of a tree: the empty path.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Checks `bytes` and takes them as they are.
    ///
    /// # Errors
    /// [`PathError`] says which rule the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Self, PathError> {
        let shown = || String::from_utf8_lossy(bytes).into_owned();
        if bytes.is_empty() {
            return Ok(Self::root());
        }
        if bytes.len() > limits::PATH_BYTES {
            return Err(PathError::TooLong(bytes.len()));
        }
        if bytes.contains(&0) {
            return Err(PathError::Nul(shown()));
        }
        if bytes.starts_with(b"/") {
            return Err(PathError::Absolute(shown()));
        }
        for component in bytes.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => return Err(PathError::NotCanonical(shown())),
                b".." => return Err(PathError::Escapes(shown())),
                long if long.len() > limits::NAME_BYTES => {
                    return Err(PathError::TooLong(long.len()));
                }
                _ => {}
            }
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Checks the name of an archive member: one leading `./` or `/` and one trailing `/` are dropped, as dpkg and rpm
    /// write them; everything else is as in [`RelPath::parse`].
    ///
    /// # Errors
    /// As [`RelPath::parse`].
    pub fn parse_member(bytes: &[u8]) -> Result<Self, PathError> {
        let name = bytes
            .strip_prefix(b"./")
            .or_else(|| bytes.strip_prefix(b"/"))
            .unwrap_or(bytes);
        let name = name.strip_suffix(b"/").unwrap_or(name);
        if name == b"." {
            Ok(Self::root())
        } else {
            Self::parse(name)
        }
    }

    /// Whether this is the root of the tree.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes, without leading or trailing `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as the standard library wants it; relative.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The last component; empty for the root.
    pub fn file_name(&self) -> &[u8] {
        self.0
            .rsplit(|&byte| byte == b'/')
            .next()
            .unwrap_or_default()
    }

    /// The directory that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        Some(Self(self.0.get(..end).unwrap_or_default().to_vec()))
    }

    /// The components from the root down.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0
            .split(|&byte| byte == b'/')
            .filter(|component| !component.is_empty())
    }

    /// This path with `name` below it.
    ///
    /// # Errors
    /// [`PathError`] where `name` is not one component or the result is too long.
    pub fn join(&self, name: &[u8]) -> Result<Self, PathError> {
        let mut bytes = self.0.clone();
        if !self.is_root() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        Self::parse(&bytes)
    }

    /// Whether this path is `ancestor` or lies below it.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        ancestor.is_root()
            || self
                .0
                .strip_prefix(ancestor.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // `/` sorts below every other byte, which is the order by component.
        let key = |&byte: &u8| if byte == b'/' { 0 } else { byte };
        self.0.iter().map(key).cmp(other.0.iter().map(key))
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPath({:?})", String::from_utf8_lossy(&self.0))
    }
}

impl std::str::FromStr for RelPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_refused() {
        for (bytes, error) in [
            (&b"../etc"[..], PathError::Escapes("../etc".into())),
            (b"a/../../b", PathError::Escapes("a/../../b".into())),
            (b"/a", PathError::Absolute("/a".into())),
            (b"a//b", PathError::NotCanonical("a//b".into())),
            (b"a/./b", PathError::NotCanonical("a/./b".into())),
            (b"a/", PathError::NotCanonical("a/".into())),
            (b"a\0b", PathError::Nul("a\0b".into())),
        ] {
            assert_eq!(RelPath::parse(bytes), Err(error));
        }
        assert!(RelPath::parse_member(b"./../x").is_err());
        assert!(RelPath::parse_member(b"//x").is_err());
    }

    #[test]
    fn a_directory_comes_directly_before_its_content() {
        let mut paths: Vec<RelPath> = ["a-b", "a", "a/b", "a.c", "a/b/c"]
            .map(|p| p.parse().unwrap())
            .into();
        paths.sort();
        let shown: Vec<String> = paths.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a", "a/b", "a/b/c", "a-b", "a.c"]);
    }

    #[test]
    fn member_names_lose_their_decoration() {
        assert!(RelPath::parse_member(b"./").unwrap().is_root());
        assert!(RelPath::parse_member(b".").unwrap().is_root());
        assert_eq!(RelPath::parse_member(b"./usr/").unwrap().to_string(), "usr");
        assert_eq!(RelPath::parse_member(b"/usr").unwrap().to_string(), "usr");
    }
}
