//! The builder of an index that is there already, so that what becomes known later is added without reading the metadata
//! again.

use super::builder::IndexBuilder;
use super::clauses::Clauses;
use super::interner::Interner;
use super::package::Clause;
use super::tables::{ProvideRow, Tables, Texts};
use super::view::Index;
use super::words::Words;
use rkyv::rancor::Failure;

impl IndexBuilder {
    /// Goes on where the builder of `index` ended: what is added then gives the bytes that adding it there would have
    /// given. `None` for an index that is damaged.
    pub fn resume(index: Index<'_>) -> Option<Self> {
        let tables: Tables = rkyv::deserialize::<_, Failure>(index.tables).ok()?;
        let family = index.family();
        let mut clauses = Clauses::new(family);
        for id in 0..u32::try_from(tables.clauses.len()).ok()? {
            clauses.know(id, &Clause::of_entry(index, id).text())?;
        }
        clauses.first_nodes = tables.clauses;
        clauses.nodes = tables.nodes;
        clauses.spelled = tables.spelled;
        let provides = ungrouped(&tables.provides_from, &tables.provides)?;
        let words = Words {
            names: interned(&tables.names)?,
            texts: interned(&tables.texts)?,
            arches: tables.arches,
        };
        let mut builder = Self::new(family);
        builder.continue_with(tables.packages, tables.relations, clauses, words, provides);
        Some(builder)
    }
}

/// The texts with the table over them, which a file has of names only and without hashes.
fn interned(texts: &Texts) -> Option<Interner> {
    let mut interner = Interner::default();
    for number in 0..u32::try_from(texts.len()).ok()? {
        let text = std::str::from_utf8(texts.get(number)).ok()?;
        let (found, _) = interner.intern(text)?;
        if found != number {
            return None;
        }
    }
    Some(interner)
}

/// Entries with the number of the name that they are grouped under.
fn ungrouped(from: &[u32], entries: &[ProvideRow]) -> Option<Vec<(u32, ProvideRow)>> {
    if !from.is_sorted() {
        return None;
    }
    let ranges = (0_u32..).zip(from.iter().zip(from.iter().skip(1)));
    let groups = ranges.map(|(name, (start, end))| {
        let group = entries.get(*start as usize..*end as usize);
        (name, group.unwrap_or_default())
    });
    let entries = groups.flat_map(|(name, group)| group.iter().map(move |entry| (name, *entry)));
    Some(entries.collect())
}
