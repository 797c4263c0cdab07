//! One package as a repository or a package file describes it: borrowed text, both families.
//!
//! Parsers (`apt::packages`, `yum::primary`, package control data) yield [`PackageRecord`]s; the index builder and the
//! installed set of the resolver take them. Relations stay text here and are parsed once per distinct text, for a
//! distribution repeats each about four times.

use crate::{Digest, Family};
use std::borrow::Cow;

/// What a relation between packages means. Both families are folded onto one list; the comments name the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RelationKind {
    /// `Pre-Depends`; rpm `Requires(pre)`: satisfied and configured before the package's own scripts run.
    PreDepends,
    /// `Depends`, `Requires`.
    Depends,
    /// `Recommends` of both families.
    Recommends,
    /// `Suggests` of both families.
    Suggests,
    /// rpm `Supplements`: a reverse `Recommends`.
    Supplements,
    /// `Enhances` of both families: a reverse `Suggests`.
    Enhances,
    /// `Conflicts` of both families.
    Conflicts,
    /// deb `Breaks`: may not be configured at the same time.
    Breaks,
    /// rpm `Obsoletes`: replaces packages of that *name*, never of that provide.
    Obsoletes,
    /// deb `Replaces`: may take over files of the other.
    Replaces,
    /// `Provides` of both families.
    Provides,
    /// A path the package owns, as far as the index lists it (rpm primary lists `/etc`, `bin` directories and a few).
    File,
}

/// deb `Multi-Arch`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum MultiArch {
    /// Absent or `no`.
    #[default]
    No,
    /// Co-installable with itself for other architectures.
    Same,
    /// Satisfies dependencies of any architecture.
    Foreign,
    /// Satisfies dependencies that say `:any`.
    Allowed,
}

/// deb `Priority`; rpm packages are [`Priority::Optional`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// `required`
    Required,
    /// `important`
    Important,
    /// `standard`
    Standard,
    /// `optional`, and everything unknown
    #[default]
    Optional,
    /// `extra`
    Extra,
}

/// One relation as text.
///
/// * deb: one comma-separated item of the field: `a (>= 1) | b:any`.
/// * rpm: `name`, `name OP evr` with OP one of `< <= = >= >`, or a rich dependency with its parentheses.
/// * [`RelationKind::File`]: an absolute path.
pub type Relation<'a> = (RelationKind, Cow<'a, str>);

/// One package of a repository, of a store or of an installed system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRecord<'a> {
    /// Which rules its version and relations follow.
    pub family: Family,
    /// deb `Package`, rpm name.
    pub name: &'a str,
    /// deb `Version`, or `[epoch:]version-release` with a zero epoch left out.
    pub version: Cow<'a, str>,
    /// As the family spells it: `amd64`, `all`, `x86_64`, `noarch`.
    pub arch: &'a str,
    /// deb `Source` (name only), or the name part of rpm's source package.
    pub source: &'a str,
    /// deb `Section`, rpm `Group`; empty where the package has none, or does not come from a repository.
    pub section: &'a str,
    /// Where the file lies below the repository's base URL; empty for an installed package. Foreign text: never a path
    /// on this machine.
    pub location: &'a str,
    /// Size of the package file in bytes, as signed.
    pub size: u64,
    /// Size after installation in bytes.
    pub installed_size: u64,
    /// SHA-256 of the package file.
    pub sha256: Digest,
    /// deb `Essential: yes`.
    pub essential: bool,
    /// deb `Protected: yes` or `Important: yes`.
    pub protected: bool,
    /// deb `Multi-Arch`.
    pub multi_arch: MultiArch,
    /// deb `Priority`.
    pub priority: Priority,
    /// First line of the description, or rpm summary.
    pub summary: &'a str,
    /// All relations, in the order of the source within each kind.
    pub relations: Vec<Relation<'a>>,
}

impl PackageRecord<'_> {
    /// The relations of one kind, in source order.
    pub fn relations_of(&self, kind: RelationKind) -> impl Iterator<Item = &str> {
        self.relations
            .iter()
            .filter(move |(of, _)| *of == kind)
            .map(|(_, text)| text.as_ref())
    }
}
