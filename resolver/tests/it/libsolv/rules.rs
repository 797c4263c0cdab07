//! Results that are no transactions: the rules that a rich dependency becomes, and comparisons of versions.
//!
//! libsolv prints its rules as clauses over packages. Ours are others, but they must accept the same sets: every subset of
//! the packages is asked for by name, all others forbidden, and must be possible exactly where it keeps every clause.

use super::testcase::{Job, TestCase};
use crate::universe::{Universe, native};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::{Family, version};
use vzpkg_resolver::{Request, Solve};

pub(super) fn check(case: &TestCase, job: &Job) -> Result<(), String> {
    let [line] = job.lines.as_slice() else {
        return Err("one job was expected".to_owned());
    };
    let wanted = line
        .strip_prefix("job install name ")
        .ok_or_else(|| format!("`{line}` is no job of this kind"))?;
    let clauses = clauses(&job.rules);
    let packages = case.repositories.iter().flat_map(|(.., all)| all);
    let others: Vec<String> = packages
        .map(|package| package.name.clone())
        .filter(|name| name != wanted && !matches!(name.as_str(), "X" | "Y"))
        .collect();
    for subset in 0..1_u32 << others.len() {
        let (mut chosen, mut left) = (vec![wanted.to_owned()], Vec::new());
        for (number, name) in others.iter().enumerate() {
            let side = if subset >> number & 1 == 1 {
                &mut chosen
            } else {
                &mut left
            };
            side.push(name.clone());
        }
        let present: BTreeSet<&str> = chosen.iter().map(String::as_str).collect();
        let expected = clauses.values().all(|clause| {
            let mut literals = clause.iter();
            literals.any(|(name, positive)| present.contains(name.as_str()) == *positive)
        });
        let universe = Universe {
            family: Family::Rpm,
            arch: native(Family::Rpm).to_owned(),
            repositories: vec![("available".to_owned(), 99, case.repositories[0].2.clone())],
            repository_excludes: BTreeMap::new(),
            hotfixes: BTreeSet::new(),
            automatic: BTreeMap::new(),
            installed: Vec::new(),
            request: Request {
                install: chosen.clone(),
                remove: left,
                ..Request::default()
            },
            answer: String::new(),
        };
        let possible = matches!(universe.resolve(), Solve::Solved(_));
        if possible != expected {
            return Err(format!(
                "{chosen:?}: possible {possible}, by libsolv's rules {expected}"
            ));
        }
    }
    Ok(())
}

/// By the rule's number: names and whether they are to be there.
fn clauses(rules: &[String]) -> BTreeMap<&str, Vec<(String, bool)>> {
    let mut found: BTreeMap<&str, Vec<(String, bool)>> = BTreeMap::new();
    for rule in rules {
        let words: Vec<&str> = rule.split_whitespace().collect();
        let [_, number, literal] = words.as_slice() else {
            continue;
        };
        let package = literal.trim_start_matches('-');
        let name = package.rsplitn(3, '-').last().unwrap_or(package);
        let literal = (name.to_owned(), !literal.starts_with('-'));
        found.entry(number).or_default().push(literal);
    }
    found
}

pub(super) fn compare_versions(job: &Job) -> Result<(), String> {
    for (pair, expected) in &job.comparisons {
        let (a, b) = pair.split_once(' ').unwrap();
        let sign = match version::compare(Family::Rpm, a, b) {
            Ordering::Less => "<",
            Ordering::Equal => "=",
            Ordering::Greater => ">",
        };
        let got = format!("{a} {sign} {b}");
        if got != *expected {
            return Err(format!("{got}, expected {expected}"));
        }
    }
    Ok(())
}
