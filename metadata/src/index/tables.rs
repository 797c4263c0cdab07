//! The arrays of an index as they lie in the file. Every number in them is checked where it is used, because a valid
//! archive may still hold wrong numbers.

/// A piece of the text blob.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize)]
pub(super) struct Piece {
    pub(super) start: u32,
    pub(super) length: u32,
}

/// One package.
#[derive(Debug, Clone, Copy, rkyv::Archive, rkyv::Serialize)]
pub(super) struct PackageRow {
    pub(super) size: u64,
    pub(super) installed_size: u64,
    pub(super) sha256: [u8; 32],
    pub(super) name: u32,
    pub(super) version: Piece,
    pub(super) arch: Piece,
    pub(super) source: Piece,
    pub(super) location: Piece,
    pub(super) summary: Piece,
    pub(super) flags: u32,
    /// Its first entry in `relations`.
    pub(super) relations: u32,
    pub(super) relation_count: u32,
}

/// One name that one package provides.
#[derive(Debug, Clone, Copy, rkyv::Archive, rkyv::Serialize)]
pub(super) struct ProvideRow {
    pub(super) package: u32,
    /// 0 without a version, else a `Comparison`.
    pub(super) comparison: u32,
    pub(super) version: Piece,
}

/// One distinct relation text.
#[derive(Debug, Clone, Copy, rkyv::Archive, rkyv::Serialize)]
pub(super) struct ClauseRow {
    pub(super) text: Piece,
    /// Its first entry in `nodes`.
    pub(super) nodes: u32,
}

/// One node of a parsed relation; its children follow it, each with all of its own.
#[derive(Debug, Clone, Copy, Default, rkyv::Archive, rkyv::Serialize)]
pub(super) struct NodeRow {
    /// One of the constants in [`tag`].
    pub(super) tag: u8,
    /// 0 without a version, else a `Comparison`.
    pub(super) comparison: u8,
    /// 0 none, 1 any, 2 native, 3 `arch`.
    pub(super) qualifier: u8,
    /// Number of children, not of all nodes below.
    pub(super) children: u32,
    pub(super) name: u32,
    pub(super) version: Piece,
    pub(super) arch: Piece,
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
#[derive(Debug, Default, rkyv::Archive, rkyv::Serialize)]
pub(super) struct Tables {
    /// 0 deb, 1 rpm.
    pub(super) family: u8,
    pub(super) text: Vec<u8>,
    /// By name id: package names, provided names, names in relations, paths.
    pub(super) names: Vec<Piece>,
    /// Open addressing over [`super::text_hash`]: name id + 1, or 0; a power of two long.
    pub(super) slots: Vec<u32>,
    pub(super) packages: Vec<PackageRow>,
    /// By name id, one more than names: where its packages begin in `named`.
    pub(super) named_from: Vec<u32>,
    pub(super) named: Vec<u32>,
    /// By name id, one more than names: where its providers begin in `provides`.
    pub(super) provides_from: Vec<u32>,
    pub(super) provides: Vec<ProvideRow>,
    pub(super) clauses: Vec<ClauseRow>,
    pub(super) nodes: Vec<NodeRow>,
    /// `RelationKind` in the upper 5 bits, clause id below.
    pub(super) relations: Vec<u32>,
}

/// The bits of a relation that number its clause.
pub(super) const CLAUSE_BITS: u32 = 27;
