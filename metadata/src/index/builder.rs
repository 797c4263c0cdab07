//! From package records to the tables of an index, in one pass over the records.

use super::clauses::Clauses;
use super::tables::{Bound, CLAUSE_BITS, Flags, PackageRow, ProvideRow, Tables, lower, usual_file};
use super::words::Words;
use super::{IndexBytes, IndexError, IndexWriteError, write};
use crate::package::{PackageRecord, RelationKind};
use crate::{Arch, Digest, Family, PackageName};
use std::collections::BTreeMap;
use std::io;

/// Collects package records and makes an index of them. Takes 2–5 µs per package, and about half as much memory again as
/// the index has bytes.
#[derive(Debug)]
pub struct IndexBuilder {
    family: Family,
    packages: Vec<PackageRow>,
    relations: Vec<u32>,
    clauses: Clauses,
    words: Words,
    /// Provided names in the order they came; grouped by name at the end.
    provides: Vec<(u32, ProvideRow)>,
    /// By sha256, made when [`IndexBuilder::add_file`] is first called.
    by_digest: Option<BTreeMap<[u8; 32], u32>>,
    /// Used again for each package.
    usual_file: String,
    left_out: usize,
    overflow: bool,
}

impl IndexBuilder {
    /// An empty one.
    pub fn new(family: Family) -> Self {
        Self {
            family,
            packages: Vec::new(),
            relations: Vec::new(),
            clauses: Clauses::new(family),
            words: Words::default(),
            provides: Vec::new(),
            by_digest: None,
            usual_file: String::new(),
            left_out: 0,
            overflow: false,
        }
    }

    /// Takes what another builder had, all of it.
    pub(super) fn continue_with(
        &mut self,
        packages: Vec<PackageRow>,
        relations: Vec<u32>,
        clauses: Clauses,
        words: Words,
        provides: Vec<(u32, ProvideRow)>,
    ) {
        self.packages = packages;
        self.relations = relations;
        self.clauses = clauses;
        self.words = words;
        self.provides = provides;
    }

    /// Adds one package. One of another family, or with a name, version, architecture or size that no package can have,
    /// is left out and counted. A relation that cannot be parsed is kept: nothing satisfies it.
    pub fn add(&mut self, record: &PackageRecord<'_>) {
        let version_is_good = !record.version.is_empty()
            && record.version.bytes().all(|byte| byte.is_ascii_graphic())
            && !record.version.contains('/');
        let arch = record.arch.parse::<Arch>().ok();
        let arch = arch.and_then(|_| self.words.arch(record.arch));
        match arch {
            Some(arch)
                if version_is_good
                    && record.family == self.family
                    && record.name.parse::<PackageName>().is_ok()
                    && record.size.max(record.installed_size) <= Flags::LARGEST =>
            {
                self.overflow |= self.try_add(record, arch).is_none();
            }
            _ => self.left_out = self.left_out.saturating_add(1),
        }
    }

    /// How many records were left out.
    pub const fn left_out(&self) -> usize {
        self.left_out
    }

    /// Notes that the package with this hash owns `path`. Unknown packages are ignored.
    pub fn add_file(&mut self, sha256: &Digest, path: &str) {
        let packages = &self.packages;
        let by_digest = self.by_digest.get_or_insert_with(|| {
            let rows = (0_u32..).zip(packages);
            rows.map(|(id, row)| (row.sha256, id)).collect()
        });
        if let Some(&package) = by_digest.get(sha256.as_bytes()) {
            self.overflow |= self.add_path(package, path).is_none();
        }
    }

    /// `None` when some number is used up.
    fn try_add(&mut self, record: &PackageRecord<'_>, arch: u8) -> Option<()> {
        let id = u32::try_from(self.packages.len()).ok()?;
        let relations = u32::try_from(self.relations.len()).ok()?;
        for (kind, text) in &record.relations {
            if *kind == RelationKind::File {
                self.add_path(id, text)?;
                continue;
            }
            let clause = self.clauses.number(&mut self.words, text)?;
            if *kind == RelationKind::Provides {
                self.provide(id, clause);
            }
            self.relations.push((*kind as u32) << CLAUSE_BITS | clause);
        }
        let (directory, usual) = self.split_location(record);
        let row = PackageRow {
            sha256: *record.sha256.as_bytes(),
            size: lower(record.size),
            installed_size: lower(record.installed_size),
            flags: Flags::new(record, arch, usual).0,
            name: self.words.name(record.name)?,
            version: self.words.text(&record.version)?,
            source: self.words.text(record.source)?,
            location: self.words.text(directory)?,
            summary: self.words.text(record.summary)?,
            relations,
        };
        self.packages.push(row);
        self.by_digest = None;
        Some(())
    }

    /// The directory of a package whose file is named as usual, else its whole location.
    fn split_location<'r>(&mut self, record: &PackageRecord<'r>) -> (&'r str, bool) {
        let (directory, file) = match record.location.rsplit_once('/') {
            Some(("", _)) => return (record.location, false),
            Some(split) => split,
            None => ("", record.location),
        };
        self.usual_file.clear();
        let parts = [record.name, &*record.version, record.arch];
        usual_file(self.family, parts, &mut self.usual_file);
        if self.usual_file == file {
            (directory, true)
        } else {
            (record.location, false)
        }
    }

    fn add_path(&mut self, package: u32, path: &str) -> Option<()> {
        let bound = Bound::NONE.0;
        let name = self.words.name(path)?;
        self.provides.push((name, ProvideRow { package, bound }));
        Some(())
    }

    /// Notes what a `Provides` provides; more than one name in it cannot be.
    fn provide(&mut self, package: u32, clause: u32) {
        if let Some((name, bound)) = self.clauses.atom(clause) {
            self.provides.push((name, ProvideRow { package, bound }));
        }
    }

    /// The index, in memory.
    ///
    /// # Errors
    /// [`IndexError::TooLarge`].
    pub fn finish(self) -> Result<IndexBytes, IndexError> {
        write::to_memory(&self.into_tables()?)
    }

    /// Writes the index, table by table: no copy of it is made. `writer` should be buffered.
    ///
    /// # Errors
    /// [`IndexWriteError`].
    pub fn write_to(self, writer: &mut dyn io::Write) -> Result<(), IndexWriteError> {
        write::to_writer(&self.into_tables()?, writer)
    }

    /// What only building needs is gone when this returns.
    fn into_tables(self) -> Result<Tables, IndexError> {
        if self.overflow {
            return Err(IndexError::TooLarge);
        }
        let Self { words, clauses, .. } = self;
        let (name_texts, slots) = words.names.into_parts();
        let (texts, _) = words.texts.into_parts();
        let names = name_texts.len();
        let package_names = self.packages.iter().map(|row| row.name);
        let (named_from, named) = grouped(names, package_names.zip(0_u32..), 0);
        let nowhere = ProvideRow {
            package: 0,
            bound: Bound::NONE.0,
        };
        let (provides_from, provides) = grouped(names, self.provides.iter().copied(), nowhere);
        Ok(Tables {
            family: u8::from(self.family == Family::Rpm),
            names: name_texts,
            slots,
            texts,
            arches: words.arches,
            packages: self.packages,
            named_from,
            named,
            provides_from,
            provides,
            clauses: clauses.first_nodes,
            spelled: clauses.spelled,
            nodes: clauses.nodes,
            relations: self.relations,
        })
    }
}

/// Entries by name id as one array with the place where each name begins; the order within a name is kept.
fn grouped<T: Copy>(
    names: usize,
    entries: impl Iterator<Item = (u32, T)> + Clone,
    nothing: T,
) -> (Vec<u32>, Vec<T>) {
    // Counted two places further on, so that adding up makes beginnings, and placing turns ends into beginnings.
    let mut from = vec![0_u32; names.saturating_add(2)];
    for (name, _) in entries.clone() {
        if let Some(count) = from.get_mut((name as usize).saturating_add(2)) {
            *count = count.saturating_add(1);
        }
    }
    let mut sum = 0_u32;
    for count in &mut from {
        sum = sum.saturating_add(*count);
        *count = sum;
    }
    let mut sorted = vec![nothing; sum as usize];
    for (name, entry) in entries {
        if let Some(next) = from.get_mut((name as usize).saturating_add(1))
            && let Some(place) = sorted.get_mut(*next as usize)
        {
            *place = entry;
            *next = next.saturating_add(1);
        }
    }
    from.pop();
    (from, sorted)
}
