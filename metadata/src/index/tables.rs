//! The arrays of an index as they lie in the file. Every number in them is checked where it is used, because a valid
//! archive may still hold wrong numbers.
//!
//! Bytes count here: the file is read by every command. A text is a number of 32 bits, what follows from other columns
//! is not stored, and what has few values shares a word ([`Flags`], [`Bound`]).

use crate::Family;
use crate::package::{MultiArch, PackageRecord, Priority};

/// Numbered texts, one after the other in one blob.
#[derive(Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Texts {
    pub(super) bytes: Vec<u8>,
    /// Where each text begins, and where the last one ends: one more than there are texts.
    pub(super) from: Vec<u32>,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            from: vec![0],
        }
    }
}

impl Texts {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.from.len().saturating_sub(1)
    }

    /// Appends a text; `None` when 32 bits are used up.
    pub(super) fn push(&mut self, text: &str) -> Option<u32> {
        let end = u32::try_from(self.bytes.len().checked_add(text.len())?).ok()?;
        let number = u32::try_from(self.len()).ok()?;
        self.bytes.extend_from_slice(text.as_bytes());
        self.from.push(end);
        Some(number)
    }

    /// Text number `number`; empty if there is none.
    pub(super) fn get(&self, number: u32) -> &[u8] {
        let range = || {
            let start = *self.from.get(number as usize)?;
            let end = *self.from.get((number as usize).checked_add(1)?)?;
            self.bytes.get(start as usize..end as usize)
        };
        range().unwrap_or_default()
    }
}

/// One package. Its relations end where those of the next package begin.
#[derive(Debug, Clone, Copy, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct PackageRow {
    pub(super) sha256: [u8; 32],
    /// The lower 32 bits; the others are in the flags.
    pub(super) size: u32,
    /// The lower 32 bits; the others are in the flags.
    pub(super) installed_size: u32,
    pub(super) flags: u32,
    pub(super) name: u32,
    pub(super) version: u32,
    pub(super) source: u32,
    /// Its directory if [`Flags::USUAL_FILE`] is set, else the whole location.
    pub(super) location: u32,
    pub(super) summary: u32,
    /// Its first entry in `relations`.
    pub(super) relations: u32,
}

/// What shares the flags of a [`PackageRow`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Flags(pub(super) u32);

impl Flags {
    pub(super) const ESSENTIAL: u32 = 1;
    pub(super) const PROTECTED: u32 = 1 << 1;
    const MULTI_ARCH: u32 = 2;
    const PRIORITY: u32 = 4;
    /// The file has the name that follows from name, version and architecture ([`usual_file`]).
    pub(super) const USUAL_FILE: u32 = 1 << 7;
    const ARCH: u32 = 8;
    const SIZE: u32 = 16;
    const INSTALLED_SIZE: u32 = 24;

    /// The largest size that fits: a TiB, where a file of a package may have 64 GiB.
    pub(super) const LARGEST: u64 = (1 << 40) - 1;

    pub(super) fn new(record: &PackageRecord<'_>, arch: u8, usual_file: bool) -> Self {
        let multi_arch: u32 = match record.multi_arch {
            MultiArch::No => 0,
            MultiArch::Same => 1,
            MultiArch::Foreign => 2,
            MultiArch::Allowed => 3,
        };
        let priority: u32 = match record.priority {
            Priority::Required => 0,
            Priority::Important => 1,
            Priority::Standard => 2,
            Priority::Optional => 3,
            Priority::Extra => 4,
        };
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        Self(
            flag(record.essential, Self::ESSENTIAL)
                | flag(record.protected, Self::PROTECTED)
                | flag(usual_file, Self::USUAL_FILE)
                | multi_arch << Self::MULTI_ARCH
                | priority << Self::PRIORITY
                | u32::from(arch) << Self::ARCH
                | upper(record.size) << Self::SIZE
                | upper(record.installed_size) << Self::INSTALLED_SIZE,
        )
    }

    pub(super) const fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    pub(super) const fn multi_arch(self) -> MultiArch {
        match self.0 >> Self::MULTI_ARCH & 3 {
            1 => MultiArch::Same,
            2 => MultiArch::Foreign,
            3 => MultiArch::Allowed,
            _ => MultiArch::No,
        }
    }

    pub(super) const fn priority(self) -> Priority {
        match self.0 >> Self::PRIORITY & 7 {
            0 => Priority::Required,
            1 => Priority::Important,
            2 => Priority::Standard,
            4 => Priority::Extra,
            _ => Priority::Optional,
        }
    }

    /// Its number in [`Tables::arches`].
    pub(super) const fn arch(self) -> usize {
        (self.0 >> Self::ARCH & 0xff) as usize
    }

    pub(super) fn size(self, lower: u32) -> u64 {
        u64::from(self.0 >> Self::SIZE & 0xff) << 32 | u64::from(lower)
    }

    pub(super) fn installed_size(self, lower: u32) -> u64 {
        u64::from(self.0 >> Self::INSTALLED_SIZE & 0xff) << 32 | u64::from(lower)
    }
}

/// Bits 32 to 39 of a size.
fn upper(size: u64) -> u32 {
    u32::from(size.to_be_bytes()[3])
}

/// The lower 32 bits of a size.
pub(super) const fn lower(size: u64) -> u32 {
    let [_, _, _, _, bytes @ ..] = size.to_be_bytes();
    u32::from_be_bytes(bytes)
}

/// Writes the name that nearly every package file has: `name_version_arch.deb`, `name-version-release.arch.rpm`, both
/// without the epoch.
pub(super) fn usual_file(family: Family, [name, version, arch]: [&str; 3], to: &mut String) {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let (before_version, before_arch) = match family {
        Family::Deb => ('_', '_'),
        Family::Rpm => ('-', '.'),
    };
    to.push_str(name);
    to.push(before_version);
    to.push_str(version);
    to.push(before_arch);
    to.push_str(arch);
    to.push('.');
    to.push_str(family.extension());
}

/// A comparison (upper 3 bits; 0 for none) with a version (the number of its text).
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound(pub(super) u32);

impl Bound {
    const TEXT_BITS: u32 = 29;

    /// Any version.
    pub(super) const NONE: Self = Self(0);

    /// `None` if the number does not fit.
    pub(super) fn new(comparison: u8, text: u32) -> Option<Self> {
        let fits = text >> Self::TEXT_BITS == 0;
        fits.then(|| Self(u32::from(comparison) << Self::TEXT_BITS | text))
    }

    pub(super) const fn comparison(self) -> u32 {
        self.0 >> Self::TEXT_BITS
    }

    pub(super) const fn text(self) -> u32 {
        self.0 & (1_u32 << Self::TEXT_BITS).wrapping_sub(1)
    }
}

/// One name that one package provides.
#[derive(Debug, Clone, Copy, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct ProvideRow {
    pub(super) package: u32,
    /// A [`Bound`].
    pub(super) bound: u32,
}

/// One node of a parsed relation; its children follow it, each with all of its own.
#[derive(Debug, Clone, Copy, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct NodeRow {
    /// One of the constants in [`tag`].
    pub(super) tag: u8,
    /// 0 none, 1 any, 2 native, else 2 more than a number in [`Tables::arches`].
    pub(super) qualifier: u8,
    /// Number of children, not of all nodes below.
    pub(super) children: u16,
    pub(super) name: u32,
    /// A [`Bound`].
    pub(super) bound: u32,
}

/// A clause that is not written in the usual way.
#[derive(Debug, Clone, Copy, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct SpelledRow {
    pub(super) clause: u32,
    pub(super) text: u32,
}

/// What a [`NodeRow`] is.
pub(super) mod tag {
    pub(in super::super) const INVALID: u8 = 0;
    pub(in super::super) const ATOM: u8 = 1;
    pub(in super::super) const AND: u8 = 2;
    pub(in super::super) const OR: u8 = 3;
    pub(in super::super) const IF: u8 = 4;
    pub(in super::super) const UNLESS: u8 = 5;
    pub(in super::super) const WITH: u8 = 6;
    pub(in super::super) const WITHOUT: u8 = 7;
}

/// All of it.
#[derive(Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Tables {
    /// 0 deb, 1 rpm.
    pub(super) family: u8,
    /// By name id: package names, provided names, names in relations, paths.
    pub(super) names: Texts,
    /// Open addressing over [`super::interner::text_hash`]: name id + 1, or 0; a power of two long.
    pub(super) slots: Vec<u32>,
    /// Every other text, each distinct one once. Number 0 is empty.
    pub(super) texts: Texts,
    /// Texts of architectures; few, so that a byte numbers them. Number 0 is empty.
    pub(super) arches: Vec<u32>,
    pub(super) packages: Vec<PackageRow>,
    /// By name id, one more than names: where its packages begin in `named`.
    pub(super) named_from: Vec<u32>,
    pub(super) named: Vec<u32>,
    /// By name id, one more than names: where its providers begin in `provides`.
    pub(super) provides_from: Vec<u32>,
    pub(super) provides: Vec<ProvideRow>,
    /// By number of a distinct relation: its first entry in `nodes`.
    pub(super) clauses: Vec<u32>,
    /// Clauses that were not written as [`crate::dependency::Expression::display`] writes them, in order.
    pub(super) spelled: Vec<SpelledRow>,
    pub(super) nodes: Vec<NodeRow>,
    /// `RelationKind` in the upper 5 bits, clause id below.
    pub(super) relations: Vec<u32>,
}

/// The bits of a relation that number its clause.
pub(super) const CLAUSE_BITS: u32 = 27;
