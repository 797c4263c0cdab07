//! Repositories, an installed set and a request as text, and the answer as text: the language of the case files.
//!
//! ```text
//! family deb                    or rpm; architecture is amd64 or x86_64
//! repo main 10                  name and priority (99 if none is given)
//! repo-exclude a-1*             of the repository above
//! repo-hotfixes                 module streams that are on hide nothing in the repository above
//! repo-not-automatic            deb: of the repository above nothing is taken unasked; repo-upgrades: only upgrades
//! stream-on m:1 a-0:1-1.noarch  also: stream-off; packages of a module stream
//! package a 1                   name, version, architecture (native if none is given)
//!   Depends: b (>= 1), c | d    deb: comma-separated; rpm: one per line
//!   Essential: yes
//! installed                     what follows is installed; a package line ends with its reason
//! package b 1 amd64 requested
//! install a b                   the request; one spec per word, or quoted
//! remove b
//! upgrade                       also: recommends, essential, autoremove, allow-downgrade, allow-erasing, best
//! install-only 2 kernel         so many versions of these stand beside each other
//! only b c=2                    only these move, to the best or to that version
//! exclude c*                    also: hold
//! fixed d=1                     this version or none
//! answer                        what follows is the expected answer
//! install b 2 dependency:a
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::index::{Index, IndexBuilder, IndexBytes};
use vzpkg_metadata::lock::{Lock, LockedPackage};
use vzpkg_metadata::package::{MultiArch, PackageRecord, Priority, RelationKind};
use vzpkg_metadata::transaction::{Action, Reason, Step};
use vzpkg_metadata::yum::module_filter::ModuleFilter;
use vzpkg_metadata::{Arch, ByteSize, Digest, Family};
use vzpkg_resolver::{
    InstallOnly, Installed, Repository, Request, Solve, Target, Upgrade, resolve, sequence,
};

/// One package as text.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) arch: String,
    pub(crate) reason: Reason,
    pub(crate) essential: bool,
    pub(crate) priority: Priority,
    pub(crate) multi_arch: MultiArch,
    pub(crate) relations: Vec<(RelationKind, String)>,
}

/// One case.
#[derive(Debug, Clone)]
pub(crate) struct Universe {
    pub(crate) family: Family,
    pub(crate) arch: String,
    pub(crate) repositories: Vec<(String, i32, Vec<Package>)>,
    pub(crate) repository_excludes: BTreeMap<String, Vec<String>>,
    pub(crate) hotfixes: BTreeSet<String>,
    pub(crate) automatic: BTreeMap<String, Automatic>,
    pub(crate) installed: Vec<Package>,
    pub(crate) request: Request,
    pub(crate) answer: String,
}

impl Package {
    pub(crate) fn new(family: Family, name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: native(family).to_owned(),
            reason: Reason::Requested,
            essential: false,
            priority: Priority::Optional,
            multi_arch: MultiArch::No,
            relations: Vec::new(),
        }
    }

    fn record(&self, family: Family) -> PackageRecord<'_> {
        PackageRecord {
            family,
            name: &self.name,
            version: self.version.as_str().into(),
            arch: &self.arch,
            source: &self.name,
            section: "",
            location: "pool/x",
            size: 1000,
            installed_size: 4000,
            sha256: self.digest(),
            essential: self.essential,
            protected: false,
            multi_arch: self.multi_arch,
            priority: self.priority,
            summary: "",
            relations: self
                .relations
                .iter()
                .map(|(kind, text)| (*kind, text.as_str().into()))
                .collect(),
        }
    }

    fn digest(&self) -> Digest {
        // Two builds of one version differ in their bytes.
        let Self {
            name,
            version,
            arch,
            relations,
            ..
        } = self;
        Digest::of(format!("{name} {version} {arch} {relations:?}").as_bytes())
    }
}

pub(crate) const fn native(family: Family) -> &'static str {
    match family {
        Family::Deb => "amd64",
        Family::Rpm => "x86_64",
    }
}

impl Universe {
    /// What a case says of the repository above.
    fn tell_of_repository(&mut self, word: &str, words: &[String]) {
        let (name, ..) = self.repositories.last().unwrap();
        let name = name.clone();
        match word {
            "repo-exclude" => {
                let excludes = self.repository_excludes.entry(name);
                excludes.or_default().extend(words.iter().cloned());
            }
            "repo-hotfixes" => drop(self.hotfixes.insert(name)),
            "repo-upgrades" => drop(self.automatic.insert(name, Automatic::Upgrades)),
            _ => drop(self.automatic.insert(name, Automatic::Never)),
        }
    }

    /// Reads a case.
    pub(crate) fn parse(text: &str) -> Self {
        let mut universe = Self {
            family: Family::Deb,
            arch: native(Family::Deb).to_owned(),
            repositories: Vec::new(),
            repository_excludes: BTreeMap::new(),
            hotfixes: BTreeSet::new(),
            automatic: BTreeMap::new(),
            installed: Vec::new(),
            request: Request::default(),
            answer: String::new(),
        };
        let mut in_installed = false;
        let mut lines = text.lines();
        for line in lines.by_ref() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            let words = || split_words(rest);
            match word {
                "family" => {
                    universe.family = rest.parse().unwrap();
                    native(universe.family).clone_into(&mut universe.arch);
                }
                "repo" => {
                    let (name, priority) = rest.split_once(' ').unwrap_or((rest, "99"));
                    let priority = priority.parse().unwrap();
                    let repository = (name.to_owned(), priority, Vec::new());
                    universe.repositories.push(repository);
                }
                "repo-exclude" | "repo-hotfixes" | "repo-not-automatic" | "repo-upgrades" => {
                    universe.tell_of_repository(word, &words());
                }
                "stream-on" | "stream-off" => {
                    let modules = Arc::make_mut(&mut universe.request.modules);
                    add_stream(modules, word == "stream-on", &words());
                }
                "installed" => in_installed = true,
                "package" => {
                    let package = package_line(universe.family, rest);
                    if in_installed {
                        universe.installed.push(package);
                    } else {
                        universe.repositories.last_mut().unwrap().2.push(package);
                    }
                }
                "install" => universe.request.install.extend(words()),
                "if-present" => universe.request.if_present.extend(words()),
                "remove" => universe.request.remove.extend(words()),
                "exclude" => universe.request.excludes.extend(words()),
                "hold" => universe.request.holds.extend(words()),
                "upgrade" => universe.request.upgrade = Upgrade::All,
                "only" => {
                    let targets = words().into_iter().map(target).collect();
                    universe.request.upgrade = Upgrade::Only(targets);
                }
                "fixed" => {
                    let fixed = words().into_iter().map(|word| named_version(&word));
                    universe.request.fixed.extend(fixed);
                }
                "recommends" => universe.request.recommends = true,
                "essential" => universe.request.essential = true,
                "autoremove" => universe.request.autoremove = true,
                "allow-downgrade" => universe.request.allow_downgrade = true,
                "allow-erasing" => universe.request.allow_erasing = true,
                "best" => universe.request.best = true,
                "install-only" => {
                    let (limit, names) = rest.split_once(' ').unwrap();
                    universe.request.install_only = InstallOnly {
                        names: split_words(names),
                        limit: limit.parse().unwrap(),
                    };
                }
                "answer" => break,
                field if field.ends_with(':') => {
                    let last = if in_installed {
                        universe.installed.last_mut()
                    } else {
                        universe.repositories.last_mut().unwrap().2.last_mut()
                    };
                    field_line(universe.family, last.unwrap(), field, rest);
                }
                other => panic!("unknown word `{other}`"),
            }
        }
        universe.answer = lines.collect::<Vec<_>>().join("\n");
        universe
    }

    /// Resolves it and says the answer as text.
    pub(crate) fn solve(&self) -> String {
        match self.resolve() {
            Solve::Solved(transaction) => {
                let lines: Vec<String> = transaction
                    .steps
                    .iter()
                    .map(|step| {
                        let action = match &step.action {
                            Action::Install => "install".to_owned(),
                            Action::Upgrade { from } => format!("upgrade {from} →"),
                            Action::Downgrade { from } => format!("downgrade {from} →"),
                            Action::Remove => "remove".to_owned(),
                        };
                        let package = &step.package;
                        let arch = if package.arch.as_str() == native(self.family)
                            || package.arch.is_independent()
                        {
                            String::new()
                        } else {
                            format!(".{}", package.arch)
                        };
                        let (name, version) = (&package.name, &package.version);
                        match step.action {
                            Action::Install | Action::Remove => {
                                format!("{action} {name}{arch} {version} {}", step.reason)
                            }
                            _ => {
                                let action = action.replacen(' ', &format!(" {name}{arch} "), 1);
                                format!("{action} {version} {}", step.reason)
                            }
                        }
                    })
                    .collect();
                lines.join("\n")
            }
            Solve::Impossible(conflict) => conflict.to_string(),
        }
    }

    fn indexes(&self) -> Vec<IndexBytes> {
        let packages = self.repositories.iter().map(|(_, _, packages)| packages);
        packages
            .map(|packages| built(self.family, packages))
            .collect()
    }

    fn views<'b>(&self, indexes: &'b [IndexBytes]) -> Vec<Repository<'b>> {
        let repositories = self.repositories.iter().zip(indexes);
        repositories
            .map(|((name, priority, _), bytes)| Repository {
                id: name.parse().unwrap(),
                index: Index::access(bytes).unwrap(),
                priority: *priority,
                excludes: self
                    .repository_excludes
                    .get(name)
                    .cloned()
                    .unwrap_or_default(),
                hotfixes: self.hotfixes.contains(name),
                automatic: self.automatic.get(name).copied().unwrap_or_default(),
            })
            .collect()
    }

    /// Puts steps in order.
    pub(crate) fn sequence(&self, steps: Vec<Step>) -> Vec<Step> {
        let arch: Arch = self.arch.parse().unwrap();
        let indexes = self.indexes();
        sequence(self.family, &arch, &self.views(&indexes), steps)
    }

    /// Resolves it.
    pub(crate) fn resolve(&self) -> Solve {
        let indexes = self.indexes();
        let repositories = self.views(&indexes);
        let arch: Arch = self.arch.parse().unwrap();
        let installed = built(self.family, &self.installed);
        let lock = self.lock(&arch);
        let installed = Installed {
            index: Index::access(&installed).unwrap(),
            lock: &lock,
        };
        let installed = (!self.installed.is_empty()).then_some(installed);
        resolve(
            self.family,
            &arch,
            &repositories,
            installed.as_ref(),
            &self.request,
        )
        .unwrap()
    }

    fn lock(&self, arch: &Arch) -> Lock {
        let mut lock = Lock::empty(self.family, arch.clone());
        for package in &self.installed {
            lock.packages.push(LockedPackage {
                name: package.name.parse().unwrap(),
                arch: package.arch.parse().unwrap(),
                version: package.version.clone(),
                sha256: package.digest(),
                size: ByteSize(1000),
                reason: package.reason.clone(),
            });
        }
        lock.packages.sort();
        lock
    }
}

fn built(family: Family, packages: &[Package]) -> IndexBytes {
    let mut builder = IndexBuilder::new(family);
    for package in packages {
        builder.add(&package.record(family));
    }
    assert_eq!(builder.left_out(), 0);
    builder.finish().unwrap()
}

fn split_words(text: &str) -> Vec<String> {
    // Quoted parts stay together.
    let mut words = Vec::new();
    for (number, part) in text.split('"').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn package_line(family: Family, rest: &str) -> Package {
    let mut words = rest.split_whitespace();
    let (name, version) = (words.next().unwrap(), words.next().unwrap());
    let mut package = Package::new(family, name, version);
    if let Some(arch) = words.next() {
        arch.clone_into(&mut package.arch);
    }
    if let Some(reason) = words.next() {
        package.reason = reason.parse().unwrap();
    }
    package
}

fn field_line(family: Family, package: &mut Package, field: &str, value: &str) {
    use RelationKind as Kind;
    let kind = match field.trim_end_matches(':') {
        "Essential" => {
            package.essential = true;
            return;
        }
        "Priority" => {
            package.priority = match value {
                "required" => Priority::Required,
                "important" => Priority::Important,
                "standard" => Priority::Standard,
                _ => Priority::Extra,
            };
            return;
        }
        "Multi-Arch" => {
            package.multi_arch = match value {
                "same" => MultiArch::Same,
                "foreign" => MultiArch::Foreign,
                _ => MultiArch::Allowed,
            };
            return;
        }
        "Pre-Depends" | "Requires(pre)" => Kind::PreDepends,
        "Depends" | "Requires" => Kind::Depends,
        "Recommends" => Kind::Recommends,
        "Suggests" => Kind::Suggests,
        "Supplements" => Kind::Supplements,
        "Enhances" => Kind::Enhances,
        "Conflicts" => Kind::Conflicts,
        "Breaks" => Kind::Breaks,
        "Obsoletes" => Kind::Obsoletes,
        "Replaces" => Kind::Replaces,
        "Provides" => Kind::Provides,
        "File" => Kind::File,
        other => panic!("unknown field `{other}`"),
    };
    let one = [value.to_owned()];
    let all: Vec<String> = match family {
        Family::Deb => value.split(',').map(|it| it.trim().to_owned()).collect(),
        Family::Rpm => one.to_vec(),
    };
    package
        .relations
        .extend(all.into_iter().map(|text| (kind, text)));
}

fn add_stream(modules: &mut ModuleFilter, is_on: bool, words: &[String]) {
    let (stream, artifacts) = words.split_first().unwrap();
    for artifact in artifacts {
        if is_on {
            let name = artifact.rsplitn(3, '-').last().unwrap();
            modules.on.insert(artifact.clone());
            modules.replaced.insert(name.to_owned(), stream.clone());
        } else {
            modules.off.insert(artifact.clone(), stream.clone());
        }
    }
}

/// `name` or `name=version`.
fn target(word: String) -> Target {
    let (name, version) = match word.split_once('=') {
        Some((name, version)) => (name.to_owned(), Some(version.to_owned())),
        None => (word, None),
    };
    Target { name, version }
}

fn named_version(word: &str) -> (String, String) {
    let (name, version) = word.split_once('=').unwrap();
    (name.to_owned(), version.to_owned())
}
