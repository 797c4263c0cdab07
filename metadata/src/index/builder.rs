//! From package records to the bytes of an index. One pass over the records; each distinct relation text is parsed once.

use super::interner::{Interner, push};
use super::tables::{CLAUSE_BITS, ClauseRow, NodeRow, PackageRow, Piece, ProvideRow, Tables, tag};
use super::{FORMAT, HEADER_BYTES, IndexBytes, IndexError, MAGIC};
use crate::dependency::{Atom, Branches, Expression, Qualifier};
use crate::package::{MultiArch, PackageRecord, Priority, RelationKind};
use crate::{Arch, Digest, Family, PackageName};
use std::collections::{BTreeMap, BTreeSet};

/// Collects package records and makes an index of them. Takes 2–5 µs per package.
#[derive(Debug)]
pub struct IndexBuilder {
    family: Family,
    tables: Tables,
    names: Interner,
    clauses: Interner,
    texts: Interner,
    /// Provided names in the order they came; sorted by name at the end.
    provides: Vec<(u32, ProvideRow)>,
    /// By sha256, made when [`IndexBuilder::add_file`] is first called.
    by_digest: Option<BTreeMap<[u8; 32], u32>>,
    left_out: usize,
    overflow: bool,
}

impl IndexBuilder {
    /// An empty one.
    pub fn new(family: Family) -> Self {
        Self {
            family,
            tables: Tables::default(),
            names: Interner::default(),
            clauses: Interner::default(),
            texts: Interner::default(),
            provides: Vec::new(),
            by_digest: None,
            left_out: 0,
            overflow: false,
        }
    }

    /// Adds one package. One of another family, or with a name, version or architecture that no package can have, is
    /// left out and counted. A relation that cannot be parsed is kept: nothing satisfies it.
    pub fn add(&mut self, record: &PackageRecord<'_>) {
        let version_is_good = !record.version.is_empty()
            && record.version.bytes().all(|byte| byte.is_ascii_graphic())
            && !record.version.contains('/');
        if record.family != self.family
            || record.name.parse::<PackageName>().is_err()
            || record.arch.parse::<Arch>().is_err()
            || !version_is_good
        {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        if self.try_add(record).is_none() {
            self.overflow = true;
        }
    }

    /// How many records were left out.
    pub const fn left_out(&self) -> usize {
        self.left_out
    }

    /// Paths (rpm) that some relation asks for and no added package lists: look for them in `filelists`.
    pub fn missing_paths(&self) -> BTreeSet<String> {
        let listed: BTreeSet<u32> = self.provides.iter().map(|(name, _)| *name).collect();
        let atoms = self
            .tables
            .nodes
            .iter()
            .filter(|node| node.tag == tag::ATOM);
        atoms
            .filter(|node| !listed.contains(&node.name))
            .filter_map(|node| {
                let piece = self.names.pieces.get(node.name as usize)?;
                let end = piece.start.checked_add(piece.length)?;
                let text = self.tables.text.get(piece.start as usize..end as usize)?;
                std::str::from_utf8(text).ok()
            })
            .filter(|name| name.starts_with('/'))
            .map(str::to_owned)
            .collect()
    }

    /// Notes that the package with this hash owns `path`. Unknown packages are ignored.
    pub fn add_file(&mut self, sha256: &Digest, path: &str) {
        let packages = &self.tables.packages;
        let by_digest = self.by_digest.get_or_insert_with(|| {
            let rows = (0_u32..).zip(packages);
            rows.map(|(id, row)| (row.sha256, id)).collect()
        });
        if let Some(&package) = by_digest.get(sha256.as_bytes())
            && self.add_path(package, path).is_none()
        {
            self.overflow = true;
        }
    }

    fn try_add(&mut self, record: &PackageRecord<'_>) -> Option<()> {
        let id = u32::try_from(self.tables.packages.len()).ok()?;
        let (name, _) = self.names.intern(&mut self.tables.text, record.name)?;
        let relations = u32::try_from(self.tables.relations.len()).ok()?;
        for (kind, text) in &record.relations {
            if *kind == RelationKind::File {
                self.add_path(id, text)?;
                continue;
            }
            let clause = self.clause(text)?;
            if *kind == RelationKind::Provides {
                self.provide_clause(id, clause);
            }
            self.tables
                .relations
                .push((*kind as u32) << CLAUSE_BITS | clause);
        }
        let relation_count = u32::try_from(self.tables.relations.len()).ok()?;
        let row = PackageRow {
            size: record.size,
            installed_size: record.installed_size,
            sha256: *record.sha256.as_bytes(),
            name,
            version: self.text(&record.version)?,
            arch: self.text(record.arch)?,
            source: self.text(record.source)?,
            location: push(&mut self.tables.text, record.location)?,
            summary: push(&mut self.tables.text, record.summary)?,
            flags: flags(record),
            relations,
            relation_count: relation_count.checked_sub(relations)?,
        };
        self.tables.packages.push(row);
        self.by_digest = None;
        Some(())
    }

    fn text(&mut self, text: &str) -> Option<Piece> {
        if text.is_empty() {
            return Some(Piece::default());
        }
        let (number, _) = self.texts.intern(&mut self.tables.text, text)?;
        self.texts.pieces.get(number as usize).copied()
    }

    fn add_path(&mut self, package: u32, path: &str) -> Option<()> {
        let (name, _) = self.names.intern(&mut self.tables.text, path)?;
        let row = ProvideRow {
            package,
            comparison: 0,
            version: Piece::default(),
        };
        self.provides.push((name, row));
        Some(())
    }

    /// Notes what a `Provides` provides; more than one name in it cannot be.
    fn provide_clause(&mut self, package: u32, clause: u32) {
        let row = self.tables.clauses.get(clause as usize);
        let node = row.and_then(|row| self.tables.nodes.get(row.nodes as usize));
        if let Some(node) = node.filter(|node| node.tag == tag::ATOM) {
            let row = ProvideRow {
                package,
                comparison: node.comparison.into(),
                version: node.version,
            };
            self.provides.push((node.name, row));
        }
    }

    /// The number of a relation text; parses it when it is new.
    fn clause(&mut self, text: &str) -> Option<u32> {
        let (number, new) = self.clauses.intern(&mut self.tables.text, text)?;
        if number >> CLAUSE_BITS != 0 {
            return None;
        }
        if new {
            let nodes = u32::try_from(self.tables.nodes.len()).ok()?;
            let text_piece = self.clauses.pieces.get(number as usize).copied()?;
            self.tables.clauses.push(ClauseRow {
                text: text_piece,
                nodes,
            });
            match Expression::parse(self.family, text) {
                Ok(expression) => self.node(&expression)?,
                Err(_) => self.tables.nodes.push(NodeRow::default()),
            }
        }
        Some(number)
    }

    fn node(&mut self, expression: &Expression<'_>) -> Option<()> {
        match expression {
            Expression::Atom(atom) => {
                let row = self.atom(atom)?;
                self.tables.nodes.push(row);
                Some(())
            }
            Expression::And(parts) => self.group(tag::AND, parts),
            Expression::Or(parts) => self.group(tag::OR, parts),
            Expression::With(parts) => self.group(tag::WITH, parts),
            Expression::If(branches) => self.branches(tag::IF, branches),
            Expression::Unless(branches) => self.branches(tag::UNLESS, branches),
            Expression::Without(parts) => self.group(tag::WITHOUT, [&parts.0, &parts.1]),
        }
    }

    fn branches(&mut self, tag: u8, branches: &Branches<'_>) -> Option<()> {
        let mut parts = vec![&branches.then, &branches.condition];
        parts.extend(&branches.otherwise);
        self.group(tag, parts)
    }

    fn group<'e, 't: 'e>(
        &mut self,
        tag: u8,
        parts: impl IntoIterator<Item = &'e Expression<'t>, IntoIter: ExactSizeIterator>,
    ) -> Option<()> {
        let mut parts = parts.into_iter();
        self.tables.nodes.push(NodeRow {
            tag,
            children: u32::try_from(parts.len()).ok()?,
            ..NodeRow::default()
        });
        parts.try_for_each(|part| self.node(part))
    }

    fn atom(&mut self, atom: &Atom<'_>) -> Option<NodeRow> {
        let (qualifier, arch) = match atom.qualifier {
            Qualifier::None => (0, ""),
            Qualifier::Any => (1, ""),
            Qualifier::Native => (2, ""),
            Qualifier::Arch(arch) => (3, arch),
        };
        Some(NodeRow {
            tag: tag::ATOM,
            comparison: atom.constraint.map_or(0, |wanted| wanted.comparison as u8),
            qualifier,
            children: 0,
            name: self.names.intern(&mut self.tables.text, atom.name)?.0,
            version: self.text(atom.constraint.map_or("", |wanted| wanted.version))?,
            arch: self.text(arch)?,
        })
    }

    /// The index.
    ///
    /// # Errors
    /// [`IndexError::TooLarge`].
    pub fn finish(mut self) -> Result<IndexBytes, IndexError> {
        if self.overflow {
            return Err(IndexError::TooLarge);
        }
        let names = self.names.pieces.len();
        let (named_from, named) = grouped(
            names,
            (0_u32..)
                .zip(&self.tables.packages)
                .map(|(id, row)| (row.name, id)),
        );
        let (provides_from, provides) = grouped(names, self.provides.iter().copied());
        self.tables.family = u8::from(self.family == Family::Rpm);
        self.tables.names = self.names.pieces;
        self.tables.slots = self.names.slots;
        self.tables.named_from = named_from;
        self.tables.named = named;
        self.tables.provides_from = provides_from;
        self.tables.provides = provides;
        let about = self.tables.text.len().saturating_mul(3);
        let mut bytes = rkyv::util::AlignedVec::<16>::with_capacity(about);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.resize(HEADER_BYTES, 0);
        rkyv::api::high::to_bytes_in::<_, rkyv::rancor::Failure>(&self.tables, bytes)
            .map(IndexBytes)
            .ok()
            .ok_or(IndexError::TooLarge)
    }
}

/// Entries by name id as one array with the place where each name begins; the order within a name is kept.
fn grouped<T: Copy>(
    names: usize,
    entries: impl Iterator<Item = (u32, T)> + Clone,
) -> (Vec<u32>, Vec<T>) {
    let mut sorted: Vec<(u32, T)> = entries.collect();
    sorted.sort_by_key(|(name, _)| *name);
    let mut from = Vec::with_capacity(names.saturating_add(1));
    let mut next = 0_u32;
    let mut rest = sorted.iter().peekable();
    for name in 0..names {
        from.push(next);
        while rest.next_if(|(of, _)| *of as usize == name).is_some() {
            next = next.saturating_add(1);
        }
    }
    from.push(next);
    (from, sorted.into_iter().map(|(_, entry)| entry).collect())
}

/// Bits 0–1 essential, protected; 2–3 multi-arch; 4–6 priority.
fn flags(record: &PackageRecord<'_>) -> u32 {
    let multi_arch = match record.multi_arch {
        MultiArch::No => 0,
        MultiArch::Same => 1,
        MultiArch::Foreign => 2,
        MultiArch::Allowed => 3,
    };
    let priority = match record.priority {
        Priority::Required => 0,
        Priority::Important => 1,
        Priority::Standard => 2,
        Priority::Optional => 3,
        Priority::Extra => 4,
    };
    u32::from(record.essential) | u32::from(record.protected) << 1 | multi_arch << 2 | priority << 4
}
