//! Replays the committed fuzz corpus through the fuzzed functions, so that every crash that was ever found, and every
//! shape worth keeping, is tried by the ordinary tests, without a fuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/targets.rs"]
#[expect(
    unreachable_pub,
    reason = "the same file is the library of the fuzz crate"
)]
mod targets;

fn fuzz(directory: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(directory)
}

fn names(directory: &Path) -> io::Result<BTreeSet<String>> {
    let entries = fs::read_dir(directory)?;
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let wanted: BTreeSet<String> = targets::TARGETS.map(|(name, _)| name.to_owned()).into();
    assert_eq!(
        wanted.len(),
        targets::TARGETS.len(),
        "a name is listed twice"
    );
    assert_eq!(names(&fuzz("corpus")).unwrap(), wanted);
    let programs = wanted.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&fuzz("fuzz_targets")).unwrap(), programs);
}

#[test]
fn the_corpus_finds_no_fault() {
    for (name, target) in targets::TARGETS {
        let directory = fuzz("corpus").join(name);
        let files = names(&directory).unwrap();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            let data = fs::read(directory.join(&file)).unwrap();
            println!("{name}/{file}");
            target(&data);
            // A cut is the commonest damage.
            target(&data[..data.len() / 2]);
        }
    }
}
