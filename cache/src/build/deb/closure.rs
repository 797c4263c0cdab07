//! Which packages of a set must work first: the Essential ones and what they need.

use super::paragraph;
use crate::store::PackageManifest;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The positions in `packages` of the Essential ones and everything they depend on within the set, in order.
///
/// Of alternatives the first that the set has counts: the set is already a solution, so this only chooses what is
/// configured early.
pub(super) fn essential(packages: &[Arc<PackageManifest>]) -> BTreeSet<usize> {
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (position, package) in packages.iter().enumerate() {
        by_name
            .entry(package.name.as_str())
            .or_default()
            .push(position);
    }
    // Real names win over provided ones, so these come second.
    for (position, package) in packages.iter().enumerate() {
        for name in names(paragraph::field(&package.record, "Provides").unwrap_or_default()) {
            by_name.entry(name).or_default().push(position);
        }
    }
    let is_essential =
        |package: &PackageManifest| paragraph::field(&package.record, "Essential") == Some("yes");
    let mut wanted: Vec<usize> = (0..packages.len())
        .filter(|&position| {
            packages
                .get(position)
                .is_some_and(|package| is_essential(package))
        })
        .collect();
    let mut closure = BTreeSet::new();
    while let Some(position) = wanted.pop() {
        if !closure.insert(position) {
            continue;
        }
        let Some(package) = packages.get(position) else {
            continue;
        };
        for kind in ["Pre-Depends", "Depends"] {
            let field = paragraph::field(&package.record, kind).unwrap_or_default();
            for item in field.split(',') {
                let first = item
                    .split('|')
                    .find_map(|alternative| by_name.get(name(alternative))?.first());
                wanted.extend(first);
            }
        }
    }
    closure
}

fn names(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').map(name).filter(|name| !name.is_empty())
}

/// The name in `name:arch (>= version) [arch] <profile>`.
fn name(relation: &str) -> &str {
    let end = relation.trim().find([' ', ':', '(', '[', '<', '\t', '\n']);
    let relation = relation.trim();
    end.and_then(|end| relation.get(..end)).unwrap_or(relation)
}
