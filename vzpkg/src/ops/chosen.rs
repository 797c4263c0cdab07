//! Which packages of a version a user means who names some to be updated alone.

use crate::error::{CommandError, CommandResult, Kind};
use crate::ops::held_back;
use crate::output::nearest;
use std::collections::BTreeSet;
use vzpkg_cache::store::{Hold, VersionRecord};
use vzpkg_metadata::{PackageName, PackagePattern};
use vzpkg_repo_client::Repository;
use vzpkg_resolver::Target;

/// The packages of `base` that `patterns` name, and that are not held.
///
/// # Errors
/// [`Kind::Unmet`] for a name that is not in that version, with the one that was probably meant; and for one that is
/// held: a pattern of several passes those over.
pub(crate) fn targets(
    base: &VersionRecord,
    repositories: &[Repository],
    holds: &[Hold],
    patterns: &[PackagePattern],
) -> CommandResult<Vec<Target>> {
    let mut chosen = BTreeSet::new();
    for pattern in patterns {
        let packages = base.lock.packages.iter().map(|package| &package.name);
        let named: Vec<&PackageName> = packages.filter(|name| pattern.matches(name)).collect();
        if named.is_empty() {
            return Err(unknown(base, repositories, pattern));
        }
        for name in named {
            match holds.iter().find(|hold| hold.pattern.matches(name)) {
                Some(hold) if pattern.as_str() == name.as_str() => {
                    return Err(held(base, name, hold));
                }
                Some(_) => {}
                None => {
                    chosen.insert(name.to_string());
                }
            }
        }
    }
    let target = |name| Target {
        name,
        version: None,
    };
    Ok(chosen.into_iter().map(target).collect())
}

fn held(base: &VersionRecord, name: &PackageName, hold: &Hold) -> CommandError {
    let terms = held_back::terms(hold);
    let text = format!("{name} of `{}` is held{terms}", base.template);
    let pattern = &hold.pattern;
    CommandError::message(Kind::Unmet, text)
        .hint(format!("vzpkg unhold {} '{pattern}'", base.template))
}

fn unknown(
    base: &VersionRecord,
    repositories: &[Repository],
    pattern: &PackagePattern,
) -> CommandError {
    let text = format!("no package of {} is called `{pattern}`", base.name());
    let error = CommandError::message(Kind::Unmet, text);
    let mut repositories = repositories.iter();
    let is_offered = repositories.any(|repository| {
        let index = repository.index.as_index();
        index.by_name(pattern.as_str()).next().is_some()
    });
    if is_offered {
        let template = &base.template;
        return error.hint(format!(
            "there is such a package; to have it, name it in the file `packages` of `{template}` and run `vzpkg update {template}`"
        ));
    }
    let names = base.lock.packages.iter();
    let near = nearest::of(pattern.as_str(), names.map(|package| package.name.as_str()));
    match near {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!(
            "its packages: vzpkg list --packages {}",
            base.name()
        )),
    }
}
