//! The case files of `tests/cases`: each is resolved and must give exactly its answer.

use crate::universe::Universe;
use std::path::{Path, PathBuf};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "case")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn run(folder: &str) {
    let mut wrong = Vec::new();
    for file in files(folder) {
        let universe = Universe::parse(&std::fs::read_to_string(&file).unwrap());
        let answer = universe.solve();
        if answer != universe.answer.trim_end() {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            wrong.push(format!("== {name}: got\n{answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_deb_case_gives_its_answer() {
    run("deb");
}

#[test]
fn every_rpm_case_gives_its_answer() {
    run("rpm");
}
