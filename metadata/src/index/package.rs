//! One package of an index, and its relations.

use super::tables::{
    ArchivedNodeRow, ArchivedPackageRow, Bound, CLAUSE_BITS, Flags, tag, usual_file,
};
use super::view::Index;
use crate::dependency::{Atom, Branches, DEPTH, Expression, Qualifier};
use crate::name::NameError;
use crate::package::{MultiArch, Priority, RelationKind};
use crate::transaction::PackageRef;
use crate::{ByteSize, Digest, RepoId};
use std::fmt;

/// One package of an index. Copying it copies pointers.
#[derive(Clone, Copy)]
pub struct IndexedPackage<'a> {
    pub(super) index: Index<'a>,
    pub(super) id: u32,
    pub(super) row: &'a ArchivedPackageRow,
}

/// One relation of a package: its text, and parsed. Equal numbers mean equal texts within one index.
#[derive(Clone, Copy)]
pub struct Clause<'a> {
    index: Index<'a>,
    id: u32,
}

impl<'a> IndexedPackage<'a> {
    /// Its number in the index.
    pub const fn id(self) -> u32 {
        self.id
    }

    /// Its name.
    pub fn name(self) -> &'a str {
        self.index.name(self.row.name.to_native())
    }

    /// deb version, or `[epoch:]version-release`.
    pub fn version(self) -> &'a str {
        self.index.text(self.row.version.to_native())
    }

    /// As the family spells it.
    pub fn arch(self) -> &'a str {
        self.index.arch(self.flags().arch())
    }

    /// Name of the source package.
    pub fn source(self) -> &'a str {
        self.index.text(self.row.source.to_native())
    }

    /// Where its file lies below the repository's base URL. Foreign text: never a path on this machine.
    pub fn location(self) -> String {
        let mut location = self.index.text(self.row.location.to_native()).to_owned();
        if self.flags().has(Flags::USUAL_FILE) {
            if !location.is_empty() {
                location.push('/');
            }
            let parts = [self.name(), self.version(), self.arch()];
            usual_file(self.index.family(), parts, &mut location);
        }
        location
    }

    /// First line of its description.
    pub fn summary(self) -> &'a str {
        self.index.text(self.row.summary.to_native())
    }

    /// Size of the package file in bytes.
    pub fn size(self) -> u64 {
        self.flags().size(self.row.size.to_native())
    }

    /// Size after installation in bytes.
    pub fn installed_size(self) -> u64 {
        self.flags()
            .installed_size(self.row.installed_size.to_native())
    }

    /// SHA-256 of the package file.
    pub const fn sha256(self) -> Digest {
        Digest::from_bytes(self.row.sha256)
    }

    /// deb `Essential: yes`.
    pub fn essential(self) -> bool {
        self.flags().has(Flags::ESSENTIAL)
    }

    /// deb `Protected: yes` or `Important: yes`.
    pub fn protected(self) -> bool {
        self.flags().has(Flags::PROTECTED)
    }

    /// deb `Multi-Arch`.
    pub fn multi_arch(self) -> MultiArch {
        self.flags().multi_arch()
    }

    /// deb `Priority`.
    pub fn priority(self) -> Priority {
        self.flags().priority()
    }

    fn flags(self) -> Flags {
        Flags(self.row.flags.to_native())
    }

    /// All relations with their kinds, in source order. Paths ([`RelationKind::File`]) are only in
    /// [`Index::providers`].
    pub fn relations(self) -> impl Iterator<Item = (RelationKind, Clause<'a>)> + use<'a> {
        let tables = self.index.tables;
        let next = tables.packages.get((self.id as usize).saturating_add(1));
        let start = self.row.relations.to_native() as usize;
        let end = next.map_or(tables.relations.len(), |row| {
            row.relations.to_native() as usize
        });
        let entries = tables.relations.get(start..end);
        entries.unwrap_or_default().iter().filter_map(move |entry| {
            let entry = entry.to_native();
            let clause = Clause::of_entry(self.index, entry);
            Some((kind(entry >> CLAUSE_BITS)?, clause))
        })
    }

    /// The relations of one kind, in source order.
    pub fn relations_of(self, kind: RelationKind) -> impl Iterator<Item = Clause<'a>> + use<'a> {
        self.relations()
            .filter(move |(of, _)| *of == kind)
            .map(|(_, clause)| clause)
    }

    /// This package as a transaction names it.
    ///
    /// # Errors
    /// [`NameError`] if name or architecture break the rules, which only a damaged index does.
    pub fn to_package_ref(self, repository: &RepoId) -> Result<PackageRef, NameError> {
        Ok(PackageRef {
            name: self.name().parse()?,
            arch: self.arch().parse()?,
            version: self.version().to_owned(),
            sha256: self.sha256(),
            size: ByteSize(self.size()),
            installed_size: ByteSize(self.installed_size()),
            repository: Some(repository.clone()),
            location: self.location(),
        })
    }
}

impl fmt::Debug for IndexedPackage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, version, arch) = (self.name(), self.version(), self.arch());
        write!(f, "IndexedPackage({name} {version} {arch})")
    }
}

impl<'a> Clause<'a> {
    /// The clause of an entry in the table of relations.
    pub(super) const fn of_entry(index: Index<'a>, entry: u32) -> Self {
        let id = entry & (1_u32 << CLAUSE_BITS).wrapping_sub(1);
        Self { index, id }
    }

    /// Its number in the index: equal texts have equal numbers.
    pub const fn id(self) -> u32 {
        self.id
    }

    /// The text as the repository wrote it.
    pub fn text(self) -> String {
        if let Some(spelled) = self.index.spelled(self.id) {
            return spelled.to_owned();
        }
        let expression = self.expression();
        expression.map_or_else(String::new, |expression| {
            expression.display(self.index.family()).to_string()
        })
    }

    /// The relation; `None` if the text was none.
    pub fn expression(self) -> Option<Expression<'a>> {
        let first = self.index.tables.clauses.get(self.id as usize)?;
        let mut next = first.to_native() as usize;
        self.node(&mut next, 0)
    }

    fn node(self, next: &mut usize, depth: usize) -> Option<Expression<'a>> {
        if depth > DEPTH {
            return None;
        }
        let row = self.index.tables.nodes.get(*next)?;
        *next = next.checked_add(1)?;
        let mut parts = || -> Option<Vec<Expression<'a>>> {
            let children = 0..row.children.to_native();
            children
                .map(|_| self.node(next, depth.saturating_add(1)))
                .collect()
        };
        match row.tag {
            tag::ATOM => Some(Expression::Atom(self.atom(row))),
            tag::AND => parts().map(Expression::And),
            tag::OR => parts().map(Expression::Or),
            tag::WITH => parts().map(Expression::With),
            tag::IF => branches(parts()?).map(Expression::If),
            tag::UNLESS => branches(parts()?).map(Expression::Unless),
            tag::WITHOUT => {
                let [left, right] = <[_; 2]>::try_from(parts()?).ok()?;
                Some(Expression::Without(Box::new((left, right))))
            }
            tag::INVALID.. => None,
        }
    }

    fn atom(self, row: &'a ArchivedNodeRow) -> Atom<'a> {
        Atom {
            name: self.index.name(row.name.to_native()),
            qualifier: match row.qualifier {
                0 => Qualifier::None,
                1 => Qualifier::Any,
                2 => Qualifier::Native,
                arch => Qualifier::Arch(self.index.arch(usize::from(arch).saturating_sub(2))),
            },
            constraint: self.index.constraint(Bound(row.bound.to_native())),
        }
    }
}

impl fmt::Debug for Clause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clause({})", self.text())
    }
}

fn branches(parts: Vec<Expression<'_>>) -> Option<Box<Branches<'_>>> {
    let mut parts = parts.into_iter();
    Some(Box::new(Branches {
        then: parts.next()?,
        condition: parts.next()?,
        otherwise: parts.next(),
    }))
}

fn kind(number: u32) -> Option<RelationKind> {
    use RelationKind as Kind;
    const KINDS: [RelationKind; 12] = [
        Kind::PreDepends,
        Kind::Depends,
        Kind::Recommends,
        Kind::Suggests,
        Kind::Supplements,
        Kind::Enhances,
        Kind::Conflicts,
        Kind::Breaks,
        Kind::Obsoletes,
        Kind::Replaces,
        Kind::Provides,
        Kind::File,
    ];
    KINDS.get(number as usize).copied()
}
