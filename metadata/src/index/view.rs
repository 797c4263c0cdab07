//! Reading an index in place: by number, by name, by what is provided, by words.

use super::interner::{slot_of, text_hash};
use super::package::{Clause, IndexedPackage};
use super::tables::{ArchivedProvideRow, ArchivedTables, ArchivedTexts, Bound, CLAUSE_BITS};
use super::{FORMAT, HEADER_BYTES, IndexError, MAGIC};
use crate::Family;
use crate::dependency::{Comparison, Constraint};
use crate::package::RelationKind;
use std::fmt;

/// An index, read in place. Copying it copies a pointer.
#[derive(Clone, Copy)]
pub struct Index<'a> {
    pub(super) tables: &'a ArchivedTables,
}

/// One package that provides a name.
#[derive(Debug, Clone, Copy)]
pub struct Provider<'a> {
    /// The package.
    pub package: IndexedPackage<'a>,
    /// In which versions it provides the name; deb knows only `=`.
    pub constraint: Option<Constraint<'a>>,
}

impl<'a> Index<'a> {
    /// Checks header and bounds; microseconds.
    ///
    /// # Errors
    /// [`IndexError::NotAnIndex`], [`IndexError::Format`], [`IndexError::Misaligned`], [`IndexError::Damaged`].
    pub fn access(bytes: &'a [u8]) -> Result<Self, IndexError> {
        let (header, archive) = bytes
            .split_at_checked(HEADER_BYTES)
            .ok_or(IndexError::NotAnIndex)?;
        let (magic, format) = header
            .split_first_chunk::<12>()
            .ok_or(IndexError::NotAnIndex)?;
        if magic != MAGIC {
            return Err(IndexError::NotAnIndex);
        }
        let format = format.first_chunk().ok_or(IndexError::NotAnIndex)?;
        let found = u32::from_le_bytes(*format);
        if found != FORMAT {
            return Err(IndexError::Format {
                found,
                expected: FORMAT,
            });
        }
        if !archive.as_ptr().addr().is_multiple_of(HEADER_BYTES) {
            return Err(IndexError::Misaligned);
        }
        rkyv::access::<ArchivedTables, rkyv::rancor::Failure>(archive)
            .map(|tables| Self { tables })
            .ok()
            .ok_or(IndexError::Damaged)
    }

    /// Which family its packages are of.
    pub const fn family(self) -> Family {
        match self.tables.family {
            0 => Family::Deb,
            _ => Family::Rpm,
        }
    }

    /// How many packages.
    pub fn len(self) -> usize {
        self.tables.packages.len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.tables.packages.is_empty()
    }

    /// Package number `id`, below [`Index::len`].
    pub fn package(self, id: u32) -> Option<IndexedPackage<'a>> {
        let row = self.tables.packages.get(id as usize)?;
        Some(IndexedPackage {
            index: self,
            id,
            row,
        })
    }

    /// All packages, in the order they were added.
    pub fn packages(self) -> impl Iterator<Item = IndexedPackage<'a>> + use<'a> {
        (0_u32..)
            .zip(self.tables.packages.iter())
            .map(move |(id, row)| IndexedPackage {
                index: self,
                id,
                row,
            })
    }

    /// The packages of that name, in the order they were added.
    pub fn by_name(self, name: &str) -> impl Iterator<Item = IndexedPackage<'a>> + use<'a> {
        let ids = self.name_id(name).and_then(|id| {
            let range = range(&self.tables.named_from, id)?;
            self.tables.named.get(range)
        });
        ids.unwrap_or_default()
            .iter()
            .filter_map(move |id| self.package(id.to_native()))
    }

    /// The packages that provide that name (or path), not those that have it; in the order they were added.
    pub fn providers(self, name: &str) -> impl Iterator<Item = Provider<'a>> + use<'a> {
        let rows = self.name_id(name).and_then(|id| {
            let range = range(&self.tables.provides_from, id)?;
            self.tables.provides.get(range)
        });
        rows.unwrap_or_default()
            .iter()
            .filter_map(move |row| self.provider(row))
    }

    /// All relations of one kind with the packages that have them, in the order the packages were added. Looks at the
    /// number of every relation: under a millisecond.
    pub fn with_relation(
        self,
        kind: RelationKind,
    ) -> impl Iterator<Item = (IndexedPackage<'a>, Clause<'a>)> + use<'a> {
        let numbered = (0_u32..).zip(self.tables.relations.iter());
        numbered.filter_map(move |(place, entry)| {
            let entry = entry.to_native();
            if entry >> CLAUSE_BITS != kind as u32 {
                return None;
            }
            // Of packages without relations, which begin at the same place, the owner is the last.
            let packages = &self.tables.packages;
            let after = packages.partition_point(|row| row.relations.to_native() <= place);
            let owner = u32::try_from(after).ok()?.checked_sub(1)?;
            Some((self.package(owner)?, Clause::of_entry(self, entry)))
        })
    }

    /// Every name that some package has, provides, or asks for; unordered.
    pub fn names(self) -> impl Iterator<Item = &'a str> {
        let names = self.tables.names.from.len().saturating_sub(1);
        (0_u32..).take(names).map(move |id| self.name(id))
    }

    /// Those names that are paths; unordered. Looks at the first byte of every other.
    pub fn paths(self) -> impl Iterator<Item = &'a str> {
        let names = &self.tables.names;
        let count = names.from.len().saturating_sub(1);
        (0_u32..)
            .take(count)
            .filter(|id| piece(names, *id).starts_with(b"/"))
            .map(move |id| self.name(id))
    }

    /// Packages whose name or summary holds all `words`, in any case; by name, then as they were added. Reads all
    /// summaries: milliseconds.
    pub fn search(self, words: &[&str]) -> Vec<IndexedPackage<'a>> {
        let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
        let mut found: Vec<_> = self
            .packages()
            .filter(|package| {
                let text = format!("{}\n{}", package.name(), package.summary()).to_lowercase();
                words.iter().all(|word| text.contains(word))
            })
            .collect();
        found.sort_by_key(|package| package.name());
        found
    }

    fn provider(self, row: &'a ArchivedProvideRow) -> Option<Provider<'a>> {
        Some(Provider {
            package: self.package(row.package.to_native())?,
            constraint: self.constraint(Bound(row.bound.to_native())),
        })
    }

    pub(super) fn constraint(self, bound: Bound) -> Option<Constraint<'a>> {
        let comparison = match bound.comparison() {
            1 => Comparison::Less,
            2 => Comparison::LessEqual,
            3 => Comparison::Equal,
            4 => Comparison::GreaterEqual,
            5 => Comparison::Greater,
            _ => return None,
        };
        Some(Constraint {
            comparison,
            version: self.text(bound.text()),
        })
    }

    /// The text of a clause that is not written in the usual way.
    pub(super) fn spelled(self, clause: u32) -> Option<&'a str> {
        let rows = &self.tables.spelled;
        let found = rows.binary_search_by_key(&clause, |row| row.clause.to_native());
        let row = rows.get(found.ok()?)?;
        Some(self.text(row.text.to_native()))
    }

    pub(super) fn text(self, number: u32) -> &'a str {
        as_str(piece(&self.tables.texts, number))
    }

    pub(super) fn name(self, id: u32) -> &'a str {
        as_str(piece(&self.tables.names, id))
    }

    pub(super) fn arch(self, number: usize) -> &'a str {
        let text = self.tables.arches.get(number);
        text.map_or("", |text| self.text(text.to_native()))
    }

    fn name_id(self, name: &str) -> Option<u32> {
        let slots = &self.tables.slots;
        if !slots.len().is_power_of_two() {
            return None;
        }
        let first = slot_of(text_hash(name.as_bytes()), slots.len());
        for step in 0..slots.len() {
            let slot = first.wrapping_add(step) & slots.len().wrapping_sub(1);
            let id = slots.get(slot)?.to_native().checked_sub(1)?;
            if piece(&self.tables.names, id) == name.as_bytes() {
                return Some(id);
            }
        }
        None
    }
}

impl fmt::Debug for Index<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("family", &self.family())
            .field("packages", &self.len())
            .finish()
    }
}

/// One of many texts; empty where there is none.
fn piece(texts: &ArchivedTexts, number: u32) -> &[u8] {
    let range = range(&texts.from, number);
    let bytes = range.and_then(|range| texts.bytes.get(range));
    bytes.unwrap_or_default()
}

fn as_str(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The entries of name `id` in a grouped array.
fn range(
    from: &rkyv::vec::ArchivedVec<rkyv::rend::u32_le>,
    id: u32,
) -> Option<std::ops::Range<usize>> {
    let start = from.get(id as usize)?.to_native();
    let end = from.get((id as usize).checked_add(1)?)?.to_native();
    Some(start as usize..end as usize)
}
