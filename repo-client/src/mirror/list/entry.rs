//! One file of a state, and the line that says it.

use vzpkg_metadata::{Digest, RelPath};

/// What a file is, which decides where its one copy lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::mirror) enum Kind {
    /// A signed root or an index.
    Metadata,
    /// A Debian package.
    Deb,
    /// An rpm package.
    Rpm,
    /// A file of a Debian source package.
    Source,
}

impl Kind {
    const fn letter(self, brought: bool) -> &'static str {
        match (self, brought) {
            (Self::Metadata, _) => "m",
            (Self::Deb, true) => "d",
            (Self::Deb, false) => "D",
            (Self::Rpm, true) => "r",
            (Self::Rpm, false) => "R",
            (Self::Source, true) => "s",
            (Self::Source, false) => "S",
        }
    }

    fn of_letter(letter: &str) -> Option<(Self, bool)> {
        Some(match letter {
            "m" => (Self::Metadata, true),
            "d" => (Self::Deb, true),
            "D" => (Self::Deb, false),
            "r" => (Self::Rpm, true),
            "R" => (Self::Rpm, false),
            "s" => (Self::Source, true),
            "S" => (Self::Source, false),
            _ => return None,
        })
    }
}

/// One file of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mirror) struct Entry {
    /// Its SHA-256.
    pub(in crate::mirror) digest: Digest,
    /// Its size in bytes.
    pub(in crate::mirror) size: u64,
    /// What it is.
    pub(in crate::mirror) kind: Kind,
    /// Where it lies below the published directory.
    pub(in crate::mirror) path: RelPath,
    /// Name, version and architecture of a package.
    pub(in crate::mirror) package: Option<[String; 3]>,
    /// Whether it is here, and not only named by an index.
    pub(in crate::mirror) brought: bool,
}

impl Entry {
    /// The path for messages; paths of a list are text.
    pub(in crate::mirror) fn shown(&self) -> String {
        crate::source::shown(&String::from_utf8_lossy(self.path.as_bytes()))
    }

    /// The line of a list that says it, for a path that is text.
    pub(super) fn line(&self, path: &str) -> String {
        let (kind, size) = (self.kind.letter(self.brought), self.size);
        let mut line = format!("{} {size} {kind} {path}", self.digest);
        for name in self.package.iter().flatten() {
            line.push('\t');
            line.push_str(name);
        }
        line
    }

    /// One line of a list.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        let digest = words.next()?.parse().ok()?;
        let size = words.next()?.parse().ok()?;
        let (kind, brought) = Kind::of_letter(words.next()?)?;
        let mut fields = words.next()?.split('\t');
        let path = RelPath::parse(fields.next()?.as_bytes()).ok()?;
        let names: Vec<String> = fields.map(str::to_owned).collect();
        let package = match names.len() {
            0 => None,
            _ => Some(names.try_into().ok()?),
        };
        (!path.is_root()).then_some(Self {
            digest,
            size,
            kind,
            path,
            package,
            brought,
        })
    }
}
