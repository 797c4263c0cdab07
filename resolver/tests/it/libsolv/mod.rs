//! The solver cases of libsolv's own test suite (`../shared/fixtures/libsolv-cases`): what we claim of each must hold.
//!
//! [`testcase`] reads the format (`testsolv(1)`), [`jobs`] puts a job as one of our requests, [`rules`] compares what a
//! rich dependency means. A job that asks for something no command of ours can ask for is not claimed; the table below
//! says which jobs those are and why, and `docs/rpm.md` repeats it.

mod jobs;
mod rules;
mod testcase;

use crate::fixture_centos::fixtures;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use testcase::TestCase;

/// Which jobs (counted from 1; none named: all) of which files are not claimed, and why.
const NOT_CLAIMED: [(&str, &[usize], &str); 17] = [
    (
        "blacklist/ptf.t",
        &[],
        "blacklists that a direct request overrides",
    ),
    (
        "blacklist/retracted.t",
        &[],
        "blacklists that a direct request overrides",
    ),
    ("favor/recommends.t", &[], "jobs that favour a package"),
    ("favor/recommends2.t", &[], "jobs that favour a package"),
    ("favor/requires.t", &[], "jobs that favour a package"),
    ("favor/single.t", &[], "jobs that favour a package"),
    ("favor/supplements.t", &[], "jobs that favour a package"),
    ("forcebest/forcebest_dup.t", &[], "distupgrade jobs"),
    (
        "forcebest/forcebest_up.t",
        &[2],
        "vendors: who built a package decides nothing here",
    ),
    (
        "lockstep/lockstep_install.t",
        &[],
        "a foreign package brings its native twin",
    ),
    (
        "namespace/namespaceprovides.t",
        &[],
        "locale namespaces of zypper",
    ),
    ("sat/assert.t", &[], "weak jobs"),
    (
        "sat/mm-test.t",
        &[],
        "verify jobs: the installed set is broken to begin with",
    ),
    (
        "strictrepoprio/strictrepoprio.t",
        &[2],
        "a direct request that overrides a priority",
    ),
    ("targeted/targeted_dup.t", &[], "distupgrade jobs"),
    (
        "targeted/targeted_up.t",
        &[1, 3, 4, 5, 7],
        "one of several obsoleting packages (dnf takes all); updates of what is not installed; flags for where an update \
         may lead; an update that cannot be is told here, not left out",
    ),
    (
        "yumobs/split.t",
        &[1],
        "one of several obsoleting packages: dnf takes all, as job 2 does",
    ),
];

fn cases() -> BTreeMap<String, PathBuf> {
    let root = fixtures().join("libsolv-cases");
    let mut found = BTreeMap::new();
    for folder in std::fs::read_dir(&root).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "t") {
                let name = path.strip_prefix(&root).unwrap();
                found.insert(name.to_string_lossy().into_owned(), path);
            }
        }
    }
    found
}

/// Runs the jobs of one file that are claimed; how many that are, and what was wrong.
fn run(name: &str, path: &Path) -> (usize, usize, Vec<String>) {
    let case = TestCase::read(path);
    let row = NOT_CLAIMED.iter().find(|(file, ..)| *file == name);
    let mut ran = 0;
    let mut wrong = Vec::new();
    for (job, number) in case.jobs.iter().zip(1..) {
        if row.is_some_and(|(_, jobs, _)| jobs.is_empty() || jobs.contains(&number)) {
            continue;
        }
        ran += 1;
        let outcome = if case.has_rich_dependencies {
            rules::check(&case, job)
        } else if job.comparisons.is_empty() {
            jobs::check(&case, job)
        } else {
            rules::compare_versions(job)
        };
        if let Err(text) = outcome {
            wrong.push(format!("== {name}, job {number}: {text}"));
        }
    }
    (ran, case.jobs.len(), wrong)
}

#[test]
#[ignore = "needs the fixtures: make check runs it"]
fn fixtures_cases_of_libsolv_give_libsolvs_answers() {
    let cases = cases();
    assert_eq!(cases.len(), 36);
    let (mut wrong, mut whole, mut part) = (Vec::new(), 0, 0);
    for (name, path) in &cases {
        let (ran, jobs, problems) = run(name, path);
        wrong.extend(problems);
        whole += usize::from(ran == jobs);
        part += usize::from(ran > 0 && ran < jobs);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((whole, part), (19, 4));
}
