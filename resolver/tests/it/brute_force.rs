//! Small random universes: the resolver must find an answer exactly where trying everything finds one, and what it
//! answers must hold.

use crate::universe::{Package, Universe};
use proptest::prelude::*;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::Family;
use vzpkg_metadata::dependency::{Atom, Expression};
use vzpkg_metadata::package::RelationKind;
use vzpkg_metadata::transaction::{Reason, Transaction};
use vzpkg_metadata::version;
use vzpkg_resolver::{Request, Solve, Upgrade};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const VIRTUALS: [&str; 2] = ["v", "w"];

/// An atom as text.
fn atom(family: Family) -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => prop::sample::select(&NAMES[..]),
        1 => prop::sample::select(&VIRTUALS[..]),
    ];
    let comparison = match family {
        Family::Deb => ["<<", "<=", "=", ">=", ">>"],
        Family::Rpm => ["<", "<=", "=", ">=", ">"],
    };
    let constraint = prop::option::weighted(0.4, (prop::sample::select(comparison.to_vec()), 1..4));
    (name, constraint).prop_map(move |(name, constraint)| match (constraint, family) {
        (None, _) => name.to_owned(),
        (Some((operator, version)), Family::Deb) => format!("{name} ({operator} {version})"),
        (Some((operator, version)), Family::Rpm) => format!("{name} {operator} {version}-1"),
    })
}

fn clause(family: Family) -> BoxedStrategy<String> {
    let one = atom(family);
    match family {
        Family::Deb => prop::collection::vec(one, 1..3)
            .prop_map(|atoms| atoms.join(" | "))
            .boxed(),
        Family::Rpm => {
            let rich = (
                prop::sample::select(vec!["and", "or", "if", "unless", "with", "without"]),
                atom(family),
                atom(family),
            )
                .prop_map(|(operator, left, right)| format!("({left} {operator} {right})"))
                .boxed();
            let nested = (
                prop::sample::select(vec!["and", "or", "if", "unless"]),
                atom(family),
                rich.clone(),
                any::<bool>(),
            )
                .prop_map(|(operator, left, right, turned)| {
                    if turned {
                        format!("({left} {operator} {right})")
                    } else {
                        format!("({right} {operator} {left})")
                    }
                });
            prop_oneof![5 => one, 2 => rich, 1 => nested].boxed()
        }
    }
}

fn relation(family: Family) -> impl Strategy<Value = (RelationKind, String)> {
    let needs = clause(family).prop_map(|text| (RelationKind::Depends, text));
    let pre = clause(family).prop_map(|text| (RelationKind::PreDepends, text));
    let conflicts = atom(family).prop_map(|text| (RelationKind::Conflicts, text));
    let replaces = atom(family).prop_map(move |text| match family {
        Family::Deb => (RelationKind::Breaks, text),
        Family::Rpm => (RelationKind::Obsoletes, text),
    });
    let provides = (
        prop::sample::select(&VIRTUALS[..]),
        prop::option::of(1_u32..4),
    )
        .prop_map(move |(name, version)| {
            let text = match (version, family) {
                (None, _) => name.to_owned(),
                (Some(version), Family::Deb) => format!("{name} (= {version})"),
                (Some(version), Family::Rpm) => format!("{name} = {version}-1"),
            };
            (RelationKind::Provides, text)
        });
    prop_oneof![5 => needs, 1 => pre, 2 => conflicts, 1 => replaces, 3 => provides]
}

/// A universe of at most ten packages and a request for one to three names.
fn universe(family: Family) -> impl Strategy<Value = Universe> {
    let package = (
        prop::sample::select(&NAMES[..]),
        1_u32..4,
        prop::collection::vec(relation(family), 0..4),
    );
    let packages = prop::collection::vec(package, 1..10);
    let wanted = prop::collection::btree_set(prop::sample::select(&NAMES[..]), 1..4);
    (packages, wanted).prop_map(move |(packages, wanted)| {
        let mut all: Vec<Package> = Vec::new();
        for (name, version, relations) in packages {
            let version = match family {
                Family::Deb => version.to_string(),
                Family::Rpm => format!("{version}-1"),
            };
            // Installing an obsolete name means its successor: a case of its own, not of this test.
            let mut relations = relations;
            relations.retain(|(kind, text)| {
                let name = text.split(' ').next().unwrap_or_default();
                *kind != RelationKind::Obsoletes || !wanted.contains(name)
            });
            if all
                .iter()
                .all(|it| (&*it.name, &it.version) != (name, &version))
            {
                let mut package = Package::new(family, name, &version);
                package.relations = relations;
                all.push(package);
            }
        }
        Universe {
            family,
            arch: crate::universe::native(family).to_owned(),
            repositories: vec![("main".to_owned(), 99, all)],
            repository_excludes: BTreeMap::new(),
            hotfixes: BTreeSet::new(),
            automatic: BTreeMap::new(),
            installed: Vec::new(),
            request: Request {
                install: wanted.into_iter().map(str::to_owned).collect(),
                ..Request::default()
            },
            answer: String::new(),
        }
    })
}

/// Whether a package satisfies an atom, by name or by what it provides. Written apart from the product on purpose.
fn satisfies(family: Family, package: &Package, atom: &Atom<'_>, names_only: bool) -> bool {
    let holds = |version_text: &str| {
        atom.constraint.is_none_or(|wanted| {
            let order = version::compare(family, version_text, wanted.version);
            let wanted = wanted.comparison.as_str(family);
            match order {
                Ordering::Less => wanted.starts_with('<'),
                Ordering::Equal => wanted.ends_with('='),
                Ordering::Greater => wanted.starts_with('>'),
            }
        })
    };
    if package.name == atom.name && holds(&package.version) {
        return true;
    }
    let provided = package
        .relations
        .iter()
        .filter(|(kind, _)| *kind == RelationKind::Provides);
    !names_only
        && provided.into_iter().any(|(_, text)| {
            let mut words = text
                .split([' ', '(', ')', '='])
                .filter(|word| !word.is_empty());
            let name = words.next();
            name == Some(atom.name)
                && match words.next() {
                    Some(version_text) => holds(version_text),
                    None => atom.constraint.is_none() || family == Family::Rpm,
                }
        })
}

fn selects(family: Family, package: &Package, expression: &Expression<'_>) -> bool {
    match expression {
        Expression::Atom(atom) => satisfies(family, package, atom, false),
        Expression::Or(parts) => parts.iter().any(|part| selects(family, package, part)),
        Expression::With(parts) => parts.iter().all(|part| selects(family, package, part)),
        Expression::Without(parts) => {
            selects(family, package, &parts.0) && !selects(family, package, &parts.1)
        }
        _ => panic!("not a set of packages"),
    }
}

fn holds(family: Family, chosen: &[&Package], expression: &Expression<'_>) -> bool {
    match expression {
        Expression::And(parts) => parts.iter().all(|part| holds(family, chosen, part)),
        Expression::Or(parts) => parts.iter().any(|part| holds(family, chosen, part)),
        Expression::If(branches) => {
            if holds(family, chosen, &branches.condition) {
                holds(family, chosen, &branches.then)
            } else {
                let otherwise = branches.otherwise.as_ref();
                otherwise.is_none_or(|part| holds(family, chosen, part))
            }
        }
        Expression::Unless(branches) => {
            if holds(family, chosen, &branches.condition) {
                let otherwise = branches.otherwise.as_ref();
                otherwise.is_some_and(|part| holds(family, chosen, part))
            } else {
                holds(family, chosen, &branches.then)
            }
        }
        set => chosen.iter().any(|package| selects(family, package, set)),
    }
}

/// Why a set of packages is no answer; `None` if it is one.
fn fault(universe: &Universe, chosen: &[&Package]) -> Option<String> {
    let family = universe.family;
    for wanted in &universe.request.install {
        if !holds(family, chosen, &Expression::Atom(Atom::named(wanted))) {
            return Some(format!("`{wanted}` is missing"));
        }
    }
    for (number, package) in chosen.iter().enumerate() {
        let twin = chosen[..number]
            .iter()
            .find(|other| other.name == package.name);
        if twin.is_some() {
            return Some(format!("`{}` twice", package.name));
        }
        for (kind, text) in &package.relations {
            let expression = Expression::parse(family, text).unwrap();
            let others: Vec<&Package> = chosen
                .iter()
                .copied()
                .filter(|other| other.name != package.name)
                .collect();
            let wrong = match kind {
                RelationKind::Depends | RelationKind::PreDepends => {
                    !holds(family, chosen, &expression)
                }
                RelationKind::Conflicts | RelationKind::Breaks => {
                    holds(family, &others, &expression)
                }
                RelationKind::Obsoletes => {
                    let Expression::Atom(atom) = &expression else {
                        panic!("{text}");
                    };
                    others
                        .iter()
                        .any(|other| satisfies(family, other, atom, true))
                }
                _ => false,
            };
            if wrong {
                return Some(format!(
                    "{} {}: {kind:?} {text}",
                    package.name, package.version
                ));
            }
        }
    }
    None
}

/// Packages that may be chosen: for deb only the highest version of each name.
fn candidates(universe: &Universe) -> Vec<&Package> {
    let all = &universe.repositories[0].2;
    let highest = |package: &&Package| {
        universe.family == Family::Rpm
            || all.iter().all(|other| {
                other.name != package.name
                    || version::compare(universe.family, &other.version, &package.version).is_le()
            })
    };
    all.iter().filter(highest).collect()
}

fn any_answer_exists(universe: &Universe) -> bool {
    let candidates = candidates(universe);
    (0_u32..1 << candidates.len()).any(|bits| {
        let chosen: Vec<&Package> = candidates
            .iter()
            .enumerate()
            .filter(|(number, _)| bits >> number & 1 == 1)
            .map(|(_, package)| *package)
            .collect();
        fault(universe, &chosen).is_none()
    })
}

fn packages_of<'u>(universe: &'u Universe, transaction: &Transaction) -> Vec<&'u Package> {
    let find = |name: &str, version: &str| {
        let all = universe.repositories.iter().flat_map(|(_, _, all)| all);
        all.into_iter()
            .find(|package| package.name == name && package.version == version)
            .unwrap()
    };
    transaction
        .incoming()
        .map(|step| find(step.package.name.as_str(), &step.package.version))
        .collect()
}

fn check(universe: &Universe) -> Result<(), TestCaseError> {
    match universe.resolve() {
        Solve::Solved(transaction) => {
            let chosen = packages_of(universe, &transaction);
            prop_assert_eq!(fault(universe, &chosen), None);
            // A replayed lock is put in the same order.
            let mut steps = transaction.steps.clone();
            steps.reverse();
            prop_assert_eq!(universe.sequence(steps), transaction.steps.clone());
            // Nothing is there that the request does not lead to.
            let unasked = transaction.steps.iter().find(|step| {
                step.reason == Reason::Requested
                    && !universe
                        .request
                        .install
                        .contains(&step.package.name.to_string())
            });
            prop_assert_eq!(unasked, None);
        }
        Solve::Impossible(conflict) => {
            prop_assert!(
                !any_answer_exists(universe),
                "there is an answer, but: {conflict}"
            );
            prop_assert!(!conflict.problems.is_empty());
        }
    }
    Ok(())
}

/// The same universe with packages, relations' owners and requests in another order.
fn turned(universe: &Universe) -> Universe {
    let mut other = universe.clone();
    for (_, _, packages) in &mut other.repositories {
        packages.reverse();
    }
    other.request.install.reverse();
    other
}

/// `base` as it would be installed, facing the packages of `newer`; `None` if it cannot be installed.
fn installed(base: &Universe, newer: &Universe) -> Option<Universe> {
    let Solve::Solved(transaction) = base.resolve() else {
        return None;
    };
    let mut universe = newer.clone();
    for (package, step) in packages_of(base, &transaction)
        .into_iter()
        .zip(transaction.incoming())
    {
        let mut package = package.clone();
        package.reason = step.reason.clone();
        // As above: an installed successor is what installing the obsolete name means.
        package
            .relations
            .retain(|(kind, _)| *kind != RelationKind::Obsoletes);
        universe.installed.push(package);
    }
    universe.request = Request::default();
    Some(universe)
}

/// What is there after the transaction.
fn after(universe: &Universe, transaction: &Transaction) -> Vec<Package> {
    let mut packages = universe.installed.clone();
    for step in &transaction.steps {
        let name = step.package.name.as_str();
        packages.retain(|package| package.name != name);
    }
    packages.extend(packages_of(universe, transaction).into_iter().cloned());
    packages
}

fn check_change(universe: &Universe) -> Result<(), TestCaseError> {
    match universe.resolve() {
        Solve::Solved(transaction) => {
            let packages = after(universe, &transaction);
            let chosen: Vec<&Package> = packages.iter().collect();
            prop_assert_eq!(fault(universe, &chosen), None);
            for package in &universe.installed {
                let there = chosen.iter().any(|other| other.name == package.name);
                let must = package.reason == Reason::Requested && universe.family == Family::Deb;
                prop_assert!(there || !must, "{} is gone", package.name);
            }
        }
        // Leaving everything as it is satisfies an upgrade.
        Solve::Impossible(conflict) => {
            prop_assert!(!universe.request.install.is_empty(), "{conflict}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deb_answers_agree_with_trying_everything(universe in universe(Family::Deb)) {
        check(&universe)?;
    }

    #[test]
    fn rpm_answers_agree_with_trying_everything(universe in universe(Family::Rpm)) {
        check(&universe)?;
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(
        deb in universe(Family::Deb),
        rpm in universe(Family::Rpm),
    ) {
        for universe in [deb, rpm] {
            prop_assert_eq!(universe.solve(), turned(&universe).solve());
        }
    }

    #[test]
    fn upgrades_and_additions_leave_a_whole_system(
        family in prop::sample::select(vec![Family::Deb, Family::Rpm]),
        seeds in (universe(Family::Deb), universe(Family::Deb), universe(Family::Rpm), universe(Family::Rpm)),
    ) {
        let (base, newer) = match family {
            Family::Deb => (&seeds.0, &seeds.1),
            Family::Rpm => (&seeds.2, &seeds.3),
        };
        if let Some(mut universe) = installed(base, newer) {
            universe.request.install.clone_from(&newer.request.install);
            check_change(&universe)?;
            universe.request.install.clear();
            universe.request.upgrade = Upgrade::All;
            check_change(&universe)?;
        }
    }
}
