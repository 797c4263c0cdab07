//! What holds mean for an update: which packages stay back although the repositories have newer ones, and why.

use crate::output::{clean, day_of};
use vzpkg_cache::store::Hold;
use vzpkg_metadata::lock::Lock;
use vzpkg_metadata::{PackageName, version};
use vzpkg_repo_client::Repository;

/// A package that would be updated were it not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldBack {
    /// The package.
    pub(crate) name: PackageName,
    /// The version that stays.
    pub(crate) version: String,
    /// The newest one that a repository has.
    pub(crate) newer: String,
    /// What holds it.
    pub(crate) hold: Hold,
}

impl std::fmt::Display for HeldBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            version,
            newer,
            hold,
        } = self;
        let pattern = if hold.pattern.as_str() == name.as_str() {
            String::new()
        } else {
            format!(", held as {}", hold.pattern)
        };
        write!(
            f,
            "{name} {version}, there is {newer}{pattern}{}",
            terms(hold)
        )
    }
}

impl HeldBack {
    /// For JSON.
    pub(crate) fn document(&self, now: i64) -> serde_json::Value {
        serde_json::json!({
            "package": self.name, "version": self.version, "newer": self.newer, "hold": document(&self.hold, now),
        })
    }
}

/// Until when and why: ` until 2026-12-31: nginx does not start`; empty where nothing of it was said.
pub(crate) fn terms(hold: &Hold) -> String {
    let until = hold
        .until
        .map_or_else(String::new, |until| format!(" until {}", day_of(until - 1)));
    let reason = if hold.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", clean(&hold.reason))
    };
    until + &reason
}

/// A hold for JSON; `until` is the first second at which it is over.
pub(crate) fn document(hold: &Hold, now: i64) -> serde_json::Value {
    serde_json::json!({
        "pattern": hold.pattern, "until": hold.until, "reason": hold.reason, "since": hold.since,
        "active": hold.is_active(now),
    })
}

/// The packages of `lock` that holds keep from a newer version, by name.
pub(crate) fn find(
    holds: &[Hold],
    lock: &Lock,
    repositories: &[Repository],
    now: i64,
) -> Vec<HeldBack> {
    let mut found: Vec<HeldBack> = Vec::new();
    for package in &lock.packages {
        let mut active = holds.iter().filter(|hold| hold.is_active(now));
        let Some(hold) = active.find(|hold| hold.pattern.matches(&package.name)) else {
            continue;
        };
        let offered = repositories.iter().flat_map(|repository| {
            let index = repository.index.as_index();
            let packages = index.by_name(package.name.as_str());
            packages
                .map(|package| package.version().to_owned())
                .collect::<Vec<_>>()
        });
        let newest = offered.max_by(|a, b| version::compare(lock.family, a, b));
        let newer =
            newest.filter(|newest| version::compare(lock.family, newest, &package.version).is_gt());
        if let Some(newer) = newer
            && found.last().is_none_or(|last| last.name != package.name)
        {
            found.push(HeldBack {
                name: package.name.clone(),
                version: package.version.clone(),
                newer,
                hold: hold.clone(),
            });
        }
    }
    found
}
