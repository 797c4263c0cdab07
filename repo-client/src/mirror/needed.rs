//! What packages need so that they can be installed: the closure over `Depends` and `Pre-Depends`, `Requires` of rpm.
//!
//! This is no solver: packages that exclude each other may be wanted by different clients. Of alternatives the first that
//! can be met counts, of providers those that are wanted anyway, else the package of that name, else the first by name;
//! of versions the newest that fits. rpm's conditional dependencies are followed as if their condition held.

use super::selection::is_of_none;
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::dependency::{Atom, Expression};
use vzpkg_metadata::index::{Index, IndexedPackage};
use vzpkg_metadata::package::RelationKind;
use vzpkg_metadata::{Digest, version};

/// Messages about dependencies that nothing meets.
const TOLD: usize = 10;

/// A closure that grows.
#[derive(Debug)]
pub(super) struct Needed<'a> {
    index: Index<'a>,
    /// Only these architectures; empty: all.
    archs: Vec<String>,
    chosen: BTreeSet<Digest>,
    /// Chosen packages that were not looked at.
    open: Vec<IndexedPackage<'a>>,
    unmet: BTreeSet<String>,
}

impl<'a> Needed<'a> {
    pub(super) const fn new(index: Index<'a>, archs: Vec<String>) -> Self {
        Self {
            index,
            archs,
            chosen: BTreeSet::new(),
            open: Vec::new(),
            unmet: BTreeSet::new(),
        }
    }

    /// A package that is wanted itself.
    pub(super) fn want(&mut self, package: IndexedPackage<'a>) {
        if self.chosen.insert(package.sha256()) {
            self.open.push(package);
        }
    }

    /// Everything that is needed, and what nothing meets.
    pub(super) fn closure(mut self) -> (BTreeSet<Digest>, Vec<String>) {
        // In the order in which they were wanted; what is wanted by name is chosen before anything is followed.
        while let Some(package) = self.open.pop() {
            for kind in [RelationKind::PreDepends, RelationKind::Depends] {
                for clause in package.relations_of(kind) {
                    let Some(expression) = clause.expression() else {
                        continue;
                    };
                    if !self.meet(&expression, package.arch()) && self.unmet.len() < TOLD {
                        let (name, text) = (package.name(), clause.text());
                        self.unmet.insert(format!("{name} needs {text}"));
                    }
                }
            }
        }
        (self.chosen, self.unmet.into_iter().collect())
    }

    /// Chooses what meets a dependency of a package of this architecture; whether anything does.
    fn meet(&mut self, expression: &Expression<'a>, arch: &str) -> bool {
        match expression {
            Expression::Atom(atom) => self.meet_atom(atom, arch),
            Expression::And(parts) => {
                let met = parts.iter().map(|part| self.meet(part, arch));
                met.fold(true, |all, one| all & one)
            }
            Expression::Or(parts) => {
                let is_met = parts.iter().any(|part| self.is_met(part, arch));
                is_met || parts.iter().any(|part| self.meet(part, arch))
            }
            Expression::With(parts) => self.meet_with(parts, arch),
            Expression::Without(parts) => self.meet(&parts.0, arch),
            // The system that installs it may lack the condition.
            Expression::If(branches) | Expression::Unless(branches) => {
                self.meet(&branches.then, arch);
                true
            }
        }
    }

    fn is_met(&self, expression: &Expression<'a>, arch: &str) -> bool {
        let Expression::Atom(atom) = expression else {
            return false;
        };
        let candidates = self.candidates(atom, arch);
        let mut candidates = candidates.iter();
        candidates.any(|package| self.chosen.contains(&package.sha256()))
    }

    fn meet_atom(&mut self, atom: &Atom<'a>, arch: &str) -> bool {
        // What rpm itself is able to do is no package's.
        atom.name.starts_with("rpmlib(") || self.pick(atom.name, self.candidates(atom, arch))
    }

    /// One package that has all of it.
    fn meet_with(&mut self, parts: &[Expression<'a>], arch: &str) -> bool {
        let mut atoms = parts.iter().filter_map(|part| match part {
            Expression::Atom(atom) => Some(atom),
            _ => None,
        });
        let Some(first) = atoms.next() else {
            return false;
        };
        let mut candidates = self.candidates(first, arch);
        for atom in atoms {
            let others = self.candidates(atom, arch);
            let others: BTreeSet<Digest> = others.iter().map(|other| other.sha256()).collect();
            candidates.retain(|package| others.contains(&package.sha256()));
        }
        self.pick(first.name, candidates)
    }

    /// Chooses one of these, in the newest version; whether there is any.
    fn pick(&mut self, name: &str, candidates: Vec<IndexedPackage<'a>>) -> bool {
        let mut each = candidates.iter();
        if each.any(|package| self.chosen.contains(&package.sha256())) {
            return true;
        }
        let has_name = candidates.iter().any(|package| package.name() == name);
        let mut newest: BTreeMap<(&str, &str), IndexedPackage<'a>> = BTreeMap::new();
        let family = self.index.family();
        for package in candidates {
            if has_name && package.name() != name {
                continue;
            }
            let key = (package.name(), package.arch());
            let best = newest.entry(key).or_insert(package);
            if version::compare(family, package.version(), best.version()).is_gt() {
                *best = package;
            }
        }
        let Some((first, _)) = newest.keys().next().copied() else {
            return false;
        };
        // A package of no architecture is for clients of all of them.
        for ((of, _), package) in newest {
            if of == first {
                self.want(package);
            }
        }
        true
    }

    /// Every package that meets an atom: by its name and version, or by what it provides.
    fn candidates(&self, atom: &Atom<'a>, arch: &str) -> Vec<IndexedPackage<'a>> {
        let family = self.index.family();
        let fits = |package: &IndexedPackage<'a>| {
            let of = package.arch();
            let allowed = self.archs.is_empty() || self.archs.iter().any(|one| one == of);
            is_of_none(of) || allowed && (is_of_none(arch) || of == arch)
        };
        let named = self.index.by_name(atom.name).filter(|package| {
            let allowed = atom.constraint.as_ref();
            allowed.is_none_or(|wanted| wanted.allows(family, package.version()))
        });
        let providers = self
            .index
            .providers(atom.name)
            .filter(|provider| atom.accepts_provide(family, provider.constraint.as_ref()));
        let providers = providers.map(|provider| provider.package);
        named.chain(providers).filter(fits).collect()
    }
}
