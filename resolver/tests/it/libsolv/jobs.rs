//! A job of libsolv as a request of ours, and our answer as libsolv's transaction.

use super::testcase::{Job, TestCase};
use crate::universe::{Universe, native};
use std::collections::{BTreeMap, BTreeSet};
use vzpkg_metadata::Family;
use vzpkg_metadata::transaction::{Action, Step, Transaction};
use vzpkg_resolver::{Request, Solve, Target, Upgrade};

/// The request that a job is; `None` if it is none. libsolv takes recommended packages unless told otherwise.
fn request(job: &Job) -> Option<Request> {
    let mut request = Request {
        recommends: !job.flags.iter().any(|flag| flag == "ignorerecommended"),
        allow_erasing: job.flags.iter().any(|flag| flag == "allowuninstall"),
        ..Request::default()
    };
    let mut targets = Vec::new();
    for line in &job.lines {
        let (text, options) = match line.split_once(" [") {
            Some((text, options)) => (text, options.trim_end_matches(']')),
            None => (line.as_str(), ""),
        };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "forcebest" => request.best = true,
                "setevr" | "setarch" => {}
                _ => return None,
            }
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["job", "install", "name" | "provides", spec @ ..] => {
                request.install.push(spec.join(" "));
            }
            ["job", "install", "pkg" | "oneof", package] => {
                request.install.push(without_repository(package).to_owned());
            }
            ["job", "erase", "name", name] => request.remove.push((*name).to_owned()),
            ["job", "update", "all", "packages"] => request.upgrade = Upgrade::All,
            ["job", "update", "name", name] => targets.push(target(name, None)),
            ["job", "update", "name", name, "=", version] => {
                targets.push(target(name, Some(version)));
            }
            _ => return None,
        }
    }
    if !targets.is_empty() {
        request.upgrade = Upgrade::Only(targets);
    }
    Some(request)
}

fn target(name: &str, version: Option<&str>) -> Target {
    Target {
        name: name.to_owned(),
        version: version.map(str::to_owned),
    }
}

fn without_repository(package: &str) -> &str {
    package
        .split_once('@')
        .map_or(package, |(package, _)| package)
}

fn universe(case: &TestCase, request: Request) -> Universe {
    let (installed, available): (Vec<_>, Vec<_>) = case
        .repositories
        .iter()
        .cloned()
        .partition(|(name, ..)| name == "system");
    let mut repositories: Vec<_> = available
        .into_iter()
        .enumerate()
        // Names may repeat, and a higher priority wins there.
        .map(|(number, (name, priority, packages))| {
            (format!("{name}{number}"), 99 - priority, packages)
        })
        .collect();
    // Without priorities the highest version wins everywhere; with the strict flag priorities hide, as they do here.
    if repositories.is_empty() {
        repositories.push(("none".to_owned(), 99, Vec::new()));
    }
    Universe {
        family: Family::Rpm,
        arch: match case.arch.as_str() {
            "" | "unset" => native(Family::Rpm).to_owned(),
            arch => arch.to_owned(),
        },
        repositories,
        repository_excludes: BTreeMap::new(),
        hotfixes: BTreeSet::new(),
        automatic: BTreeMap::new(),
        installed: installed
            .into_iter()
            .flat_map(|(.., packages)| packages)
            .collect(),
        request,
        answer: String::new(),
    }
}

/// An error if our answer is another.
pub(super) fn check(case: &TestCase, job: &Job) -> Result<(), String> {
    let request = request(job).ok_or_else(|| format!("no request of ours: {:?}", job.lines))?;
    let universe = universe(case, request);
    match universe.resolve() {
        Solve::Impossible(_) if job.has_problems => Ok(()),
        Solve::Impossible(conflict) => Err(format!("impossible: {conflict}")),
        Solve::Solved(transaction) => {
            let got = lines(&transaction);
            if job.has_problems {
                return Err(format!("a problem was expected, got {got:?}"));
            }
            // `install X@system` says that it stays; `erase` names what obsoletes it.
            let expected = job
                .transaction
                .iter()
                .filter(|line| !(line.starts_with("install ") && line.ends_with("@system")));
            let expected: BTreeSet<String> = expected.map(|line| short(line)).collect();
            if got == expected {
                return Ok(());
            }
            let missing: Vec<_> = expected.difference(&got).collect();
            let more: Vec<_> = got.difference(&expected).collect();
            Err(format!("missing {missing:?}, more {more:?}"))
        }
    }
}

/// Without repositories, and without what takes the place of an erased package.
fn short(line: &str) -> String {
    let mut words: Vec<&str> = line.split_whitespace().map(without_repository).collect();
    if words[0] == "erase" {
        words.truncate(2);
    }
    words.join(" ")
}

fn lines(transaction: &Transaction) -> BTreeSet<String> {
    let line = |step: &Step| {
        let package = &step.package;
        let called = |version: &str| format!("{}-{version}.{}", package.name, package.arch);
        let new = called(&package.version);
        match &step.action {
            Action::Install => format!("install {new}"),
            Action::Remove => format!("erase {new}"),
            Action::Upgrade { from } => format!("upgrade {} {new}", called(from)),
            Action::Downgrade { from } => format!("downgrade {} {new}", called(from)),
        }
    };
    transaction.steps.iter().map(line).collect()
}
