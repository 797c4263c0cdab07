//! All packages of a request as numbered solvables, grouped by real name, and the sets of them that rules speak of.
//!
//! Nothing is copied from the indexes and nothing is looked at before it is needed: a name's candidates are gathered
//! when the name is first met. The number of a solvable is its number in its index plus an offset per source; no
//! decision may depend on it, for it changes when an index is written in another order. Packages that several sources
//! list with the same name, version, architecture and hash are one solvable: the first source's.

use crate::policy::{self, Exclusion, Rulebook};
use crate::request::{Installed, Repository};
use indexmap::{IndexMap, IndexSet};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use vzpkg_metadata::dependency::Constraint;
use vzpkg_metadata::index::{Index, IndexedPackage};
use vzpkg_metadata::{Arch, Family};

/// One package that could be chosen, or a stand-in that carries rules of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Solvable(pub(crate) u32);

/// A real name (for rpm with a foreign architecture): at most one solvable of a name is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(pub(crate) u32);

/// Number of a [`Set`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SetId(pub(crate) u32);

/// Number of a list of sets, one of which is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UnionId(pub(crate) u32);

/// Number of a [`Condition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConditionId(pub(crate) u32);

/// Solvables of one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Set {
    pub(crate) name: Name,
    /// Sorted by number.
    pub(crate) members: Vec<Solvable>,
    /// All of the name but `members`.
    pub(crate) inverse: bool,
}

/// What makes a rule apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Condition {
    Set(SetId),
    And(ConditionId, ConditionId),
    Or(ConditionId, ConditionId),
}

/// One of these must be chosen, the first preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Requirement {
    One(SetId),
    Any(UnionId),
}

/// A requirement, perhaps only under a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Need {
    pub(crate) requirement: Requirement,
    pub(crate) condition: Option<ConditionId>,
}

/// What choosing a solvable entails.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    pub(crate) needs: Vec<Need>,
    /// Whatever is chosen of the set's name must be in the set.
    pub(crate) forbids: Vec<SetId>,
}

/// Solvables of one name that satisfy something, in the order to try them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: Name,
    pub(crate) members: Vec<Solvable>,
}

/// Everything known about one name.
#[derive(Debug)]
pub(crate) struct NameEntry {
    pub(crate) label: String,
    /// In the order to try them.
    pub(crate) usable: Vec<Solvable>,
    pub(crate) excluded: Vec<(Solvable, Exclusion)>,
    /// What is installed of it.
    pub(crate) installed: Option<Solvable>,
}

/// One index and where its solvables begin.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    /// `None` for what is installed.
    pub(crate) repository: Option<&'a Repository<'a>>,
    pub(crate) index: Index<'a>,
    pub(crate) first: u32,
}

/// A solvable that stands for a rule.
#[derive(Debug)]
struct Pseudo {
    name: Name,
    rules: Rc<Rules>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Pool<'a> {
    pub(crate) family: Family,
    pub(crate) arch: Arch,
    pub(crate) rulebook: Rulebook,
    pub(crate) sources: Vec<Source<'a>>,
    packages: u32,
    /// Names of packages that do not replace their older versions.
    install_only: BTreeSet<&'a str>,
    lookup: IndexMap<(&'a str, &'a str), Name>,
    entries: Vec<NameEntry>,
    /// Duplicates and the solvable that stands for them.
    canonical: IndexMap<Solvable, Solvable>,
    pseudos: Vec<Pseudo>,
    sets: IndexSet<Set>,
    unions: IndexSet<Vec<SetId>>,
    conditions: IndexSet<Condition>,
    pub(crate) clauses: IndexMap<(usize, u32), Rc<Vec<Need>>>,
    rules: IndexMap<Solvable, Rc<Rules>>,
    /// Made when somebody first asks who obsoletes something.
    pub(crate) obsoletes: Option<Obsoletes<'a>>,
}

/// By name: the packages that obsolete it, with their source, and in which versions.
pub(crate) type Obsoletes<'a> =
    BTreeMap<&'a str, Vec<(usize, IndexedPackage<'a>, Option<Constraint<'a>>)>>;

impl<'a> Pool<'a> {
    /// A pool over `repositories`, best first, and what is installed.
    pub(crate) fn new(
        family: Family,
        arch: &Arch,
        repositories: &'a [Repository<'a>],
        installed: Option<&Installed<'a>>,
        rulebook: Rulebook,
    ) -> Self {
        let mut order: Vec<&Repository<'_>> = repositories.iter().collect();
        order.sort_by(|a, b| (a.priority, &a.id).cmp(&(b.priority, &b.id)));
        let indexes = order
            .into_iter()
            .map(|repository| (Some(repository), repository.index))
            .chain(installed.map(|installed| (None, installed.index)));
        let mut first = 0_u32;
        let mut sources = Vec::new();
        for (repository, index) in indexes {
            sources.push(Source {
                repository,
                index,
                first,
            });
            first = first.saturating_add(u32::try_from(index.len()).unwrap_or(u32::MAX));
        }
        // Name 0 has no candidates: what nothing provides refers to it.
        let nothing = NameEntry {
            label: String::new(),
            usable: Vec::new(),
            excluded: Vec::new(),
            installed: None,
        };
        Self {
            family,
            arch: arch.in_family(family),
            install_only: install_only(&rulebook.install_only, &sources),
            rulebook,
            sources,
            packages: first,
            lookup: IndexMap::new(),
            entries: vec![nothing],
            canonical: IndexMap::new(),
            pseudos: Vec::new(),
            sets: IndexSet::new(),
            unions: IndexSet::new(),
            conditions: IndexSet::new(),
            clauses: IndexMap::new(),
            rules: IndexMap::new(),
            obsoletes: None,
        }
    }

    /// The source of a solvable and its package there; `None` for a pseudo solvable.
    pub(crate) fn locate(&self, solvable: Solvable) -> Option<(usize, IndexedPackage<'a>)> {
        if solvable.0 >= self.packages {
            return None;
        }
        let after = self
            .sources
            .partition_point(|source| source.first <= solvable.0);
        let number = after.checked_sub(1)?;
        let source = &self.sources[number];
        let package = source.index.package(solvable.0 - source.first)?;
        Some((number, package))
    }

    /// The package of a solvable; `None` for a pseudo solvable.
    pub(crate) fn package(&self, solvable: Solvable) -> Option<IndexedPackage<'a>> {
        self.locate(solvable).map(|(_, package)| package)
    }

    /// The solvable of a package of source number `source`.
    pub(crate) fn solvable(&self, source: usize, package: IndexedPackage<'_>) -> Solvable {
        Solvable(self.sources[source].first + package.id())
    }

    /// The name of a package, with its candidates gathered; `None` if its architecture is of no use here.
    pub(crate) fn name_of(&mut self, package: IndexedPackage<'a>) -> Option<Name> {
        let class = self.class_of(package)?;
        let key = (package.name(), class);
        if let Some(&name) = self.lookup.get(&key) {
            return Some(name);
        }
        let entry = self.gather(key);
        Some(self.add_entry(key, entry))
    }

    /// Whether it is installed beside its older versions.
    pub(crate) fn is_install_only(&self, package: IndexedPackage<'_>) -> bool {
        self.install_only.contains(package.name())
            && policy::arch_class(self.family, &self.arch, package.arch()) == Some("")
    }

    /// Whether it is of the native architecture, or of none.
    pub(crate) fn is_native(&self, solvable: Solvable) -> bool {
        let package = self.package(solvable);
        let class = package.and_then(|it| policy::arch_class(self.family, &self.arch, it.arch()));
        class == Some("")
    }

    /// The priority of the repository that has it; `None` for what is only installed.
    pub(crate) fn repository_priority(&self, solvable: Solvable) -> Option<i32> {
        let (source, _) = self.locate(solvable)?;
        let repository = self.sources.get(source)?.repository?;
        Some(repository.priority)
    }

    /// Packages of one name and class exclude each other: those of an architecture, or of a version where versions stand
    /// beside each other.
    fn class_of(&self, package: IndexedPackage<'a>) -> Option<&'a str> {
        if self.is_install_only(package) {
            return Some(package.version());
        }
        policy::arch_class(self.family, &self.arch, package.arch())
    }

    /// All names (one per architecture, or per version of what is installed beside its older versions) under which packages called `text` stand.
    pub(crate) fn names_called(&mut self, text: &str) -> Vec<Name> {
        let mut names = Vec::new();
        for source in 0..self.sources.len() {
            for package in self.sources[source].index.by_name(text) {
                if let Some(name) = self.name_of(package)
                    && !names.contains(&name)
                {
                    names.push(name);
                }
            }
        }
        names
    }

    fn add_entry(&mut self, key: (&'a str, &'a str), entry: NameEntry) -> Name {
        let name = self.next_name();
        self.entries.push(entry);
        self.lookup.insert(key, name);
        name
    }

    fn next_name(&self) -> Name {
        Name(u32::try_from(self.entries.len()).unwrap_or(u32::MAX))
    }

    /// All candidates of a name, duplicates merged, judged by the policy.
    fn gather(&mut self, (name, class): (&'a str, &'a str)) -> NameEntry {
        let mut found: Vec<(Solvable, usize, IndexedPackage<'a>)> = Vec::new();
        for (number, source) in self.sources.iter().enumerate() {
            for package in source.index.by_name(name) {
                if self.class_of(package) == Some(class) {
                    found.push((self.solvable(number, package), number, package));
                }
            }
        }
        found.sort_by(|(_, a_source, a), (_, b_source, b)| {
            policy::preference(self.family, a, b)
                .then_with(|| a_source.cmp(b_source))
                .then_with(|| a.sha256().cmp(&b.sha256()))
        });
        let mut kept: Vec<(Solvable, usize, IndexedPackage<'a>)> = Vec::new();
        let mut installed = None;
        for (solvable, source, package) in found {
            let same = kept.iter().find(|(_, _, other)| {
                (other.version(), other.arch(), other.sha256())
                    == (package.version(), package.arch(), package.sha256())
            });
            let stands = if let Some(&(first, ..)) = same {
                self.canonical.insert(solvable, first);
                first
            } else {
                kept.push((solvable, source, package));
                solvable
            };
            if self.sources[source].repository.is_none() {
                installed = Some(stands);
            }
        }
        if self.family == Family::Rpm {
            policy::rpm::installed_first(&mut kept, installed);
        }
        let beside = |(.., package): &(_, _, IndexedPackage<'_>)| self.is_install_only(*package);
        let label = if class.is_empty() || kept.first().is_some_and(beside) {
            name.to_owned()
        } else {
            format!("{name}.{class}")
        };
        self.rulebook
            .judge(self.family, label, &kept, installed, &self.sources)
    }

    /// The solvable that stands for this one.
    pub(crate) fn canonical(&self, solvable: Solvable) -> Solvable {
        self.canonical.get(&solvable).copied().unwrap_or(solvable)
    }

    /// What is known about a name.
    pub(crate) fn entry(&self, name: Name) -> &NameEntry {
        &self.entries[name.0 as usize]
    }

    /// The name of a solvable.
    pub(crate) fn name(&self, solvable: Solvable) -> Name {
        let pseudo = || {
            let number = solvable.0.checked_sub(self.packages)? as usize;
            self.pseudos.get(number).map(|pseudo| pseudo.name)
        };
        let package = self.package(solvable);
        let known = package.and_then(|package| {
            let class = self.class_of(package)?;
            self.lookup.get(&(package.name(), class)).copied()
        });
        known.or_else(pseudo).unwrap_or(Name(0))
    }

    /// What was installed of each name that was met so far.
    pub(crate) fn is_installed(&self, solvable: Solvable) -> bool {
        self.entry(self.name(solvable)).installed == Some(solvable)
    }

    /// Whether it is installed and must not change.
    pub(crate) fn is_held(&self, solvable: Solvable) -> bool {
        let package = self.package(solvable);
        package.is_some_and(|package| self.rulebook.is_held(package.name()))
            && self.is_installed(solvable)
    }

    /// A new solvable that stands for `rules`.
    pub(crate) fn add_pseudo(&mut self, label: String, rules: Rules) -> Solvable {
        let number = u32::try_from(self.pseudos.len()).unwrap_or(u32::MAX);
        let solvable = Solvable(self.packages.saturating_add(number));
        let name = self.next_name();
        self.entries.push(NameEntry {
            label,
            usable: vec![solvable],
            excluded: Vec::new(),
            installed: None,
        });
        self.pseudos.push(Pseudo {
            name,
            rules: Rc::new(rules),
        });
        solvable
    }

    /// The rules of a solvable, made once.
    pub(crate) fn rules(&mut self, solvable: Solvable) -> Rc<Rules> {
        if let Some(rules) = self.rules.get(&solvable) {
            return Rc::clone(rules);
        }
        let rules = if let Some((source, package)) = self.locate(solvable) {
            Rc::new(self.compile(source, package))
        } else {
            let number = solvable.0.saturating_sub(self.packages) as usize;
            let pseudo = self.pseudos.get(number);
            pseudo.map_or_else(Rc::default, |pseudo| Rc::clone(&pseudo.rules))
        };
        self.rules.insert(solvable, Rc::clone(&rules));
        rules
    }

    /// The number of a set; equal sets have equal numbers.
    pub(crate) fn intern_set(&mut self, name: Name, members: &[Solvable], inverse: bool) -> SetId {
        let mut members = members.to_vec();
        members.sort_unstable();
        let set = Set {
            name,
            members,
            inverse,
        };
        let (number, _) = self.sets.insert_full(set);
        SetId(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// The set of that number.
    pub(crate) fn set(&self, id: SetId) -> &Set {
        &self.sets[id.0 as usize]
    }

    /// The requirement that one of `groups` is chosen. No groups: it can never be met.
    pub(crate) fn requirement(&mut self, groups: &[Group]) -> Requirement {
        let sets: Vec<SetId> = groups
            .iter()
            .map(|group| self.intern_set(group.name, &group.members, false))
            .collect();
        match sets.as_slice() {
            [] => Requirement::One(self.intern_set(Name(0), &[], false)),
            [one] => Requirement::One(*one),
            _ => self.intern_union(sets),
        }
    }

    /// The requirement of one of several sets, in order of preference.
    pub(crate) fn intern_union(&mut self, sets: Vec<SetId>) -> Requirement {
        let (number, _) = self.unions.insert_full(sets);
        Requirement::Any(UnionId(u32::try_from(number).unwrap_or(u32::MAX)))
    }

    /// The sets of a union, in order of preference.
    pub(crate) fn union(&self, id: UnionId) -> &[SetId] {
        &self.unions[id.0 as usize]
    }

    /// The sets of a requirement, in order of preference.
    pub(crate) fn sets_of(&self, requirement: Requirement) -> Vec<SetId> {
        match requirement {
            Requirement::One(set) => vec![set],
            Requirement::Any(union) => self.union(union).to_vec(),
        }
    }

    /// The number of a condition; equal ones have equal numbers.
    pub(crate) fn intern_condition(&mut self, condition: Condition) -> ConditionId {
        let (number, _) = self.conditions.insert_full(condition);
        ConditionId(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Whether any rule that was made so far has a condition.
    pub(crate) fn has_conditions(&self) -> bool {
        !self.rulebook.unconditional && !self.conditions.is_empty()
    }

    /// The condition of that number.
    pub(crate) fn condition(&self, id: ConditionId) -> Condition {
        self.conditions[id.0 as usize]
    }
}

/// The names of all packages that have one of `names` or provide it.
fn install_only<'a>(names: &[String], sources: &[Source<'a>]) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    for name in names {
        for source in sources {
            found.extend(source.index.by_name(name).map(IndexedPackage::name));
            let providers = source.index.providers(name);
            found.extend(providers.map(|provider| provider.package.name()));
        }
    }
    found
}
