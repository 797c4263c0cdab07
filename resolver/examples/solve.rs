//! Builds indexes from repository metadata, and resolves requests against them: for trying things and for measuring.
//!
//! ```text
//! solve index deb|rpm OUT PACKAGES|primary.xml      (uncompressed)
//! solve deb|rpm ARCH INDEX… -- [--essential] [--recommends] SPEC…
//! ```
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a tool for the terminal")]
#![expect(clippy::print_stderr, reason = "a tool for the terminal")]

use std::error::Error;
use std::time::Instant;
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::index::{Index, IndexBuilder, IndexBytes};
use vzpkg_metadata::{Arch, Family, apt, yum};
use vzpkg_resolver::{Repository, Request, Solve, resolve};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["index", family, out, input] => build(family.parse()?, out, input),
        [family, arch, rest @ ..] => {
            let split = rest.iter().position(|word| *word == "--");
            let (indexes, specs) = rest.split_at(split.unwrap_or(rest.len()));
            solve(family.parse()?, &arch.parse()?, indexes, specs)
        }
        _ => Err("see the head of this file".into()),
    }
}

fn build(family: Family, out: &str, input: &str) -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(input)?;
    let start = Instant::now();
    let mut builder = IndexBuilder::new(family);
    match family {
        Family::Deb => {
            let text = std::str::from_utf8(&bytes)?;
            apt::packages::scan(text, &mut |record| builder.add(record))?;
        }
        Family::Rpm => yum::primary::scan(bytes.as_slice(), &mut |record| builder.add(record))?,
    }
    let scanned = start.elapsed();
    let left_out = builder.left_out();
    let index = builder.finish()?;
    let built = start.elapsed();
    let packages = Index::access(&index)?.len();
    eprintln!(
        "{packages} packages ({left_out} left out), {} bytes; scanned and added in {scanned:.1?}, finished after {built:.1?}",
        index.len()
    );
    std::fs::write(out, &*index)?;
    Ok(())
}

fn solve(
    family: Family,
    arch: &Arch,
    indexes: &[&str],
    specs: &[&str],
) -> Result<(), Box<dyn Error>> {
    let mut files = Vec::new();
    for path in indexes {
        files.push(IndexBytes::copy_from(&std::fs::read(path)?));
    }
    let start = Instant::now();
    let mut repositories = Vec::new();
    for (number, bytes) in files.iter().enumerate() {
        repositories.push(Repository {
            id: format!("repo{number}").parse()?,
            index: Index::access(bytes)?,
            priority: 99,
            excludes: Vec::new(),
            hotfixes: false,
            automatic: Automatic::Always,
        });
    }
    let accessed = start.elapsed();
    let flag = |name: &str| specs.contains(&name);
    let request = Request {
        install: specs
            .iter()
            .filter(|spec| !spec.starts_with("--"))
            .map(|&spec| spec.to_owned())
            .collect(),
        essential: flag("--essential"),
        recommends: flag("--recommends"),
        ..Request::default()
    };
    let answer = resolve(family, arch, &repositories, None, &request)?;
    let solved = start.elapsed();
    match &answer {
        Solve::Solved(transaction) => {
            for step in &transaction.steps {
                println!("{} {}", step.package, step.reason);
            }
            eprintln!("{} steps", transaction.steps.len());
        }
        Solve::Impossible(conflict) => println!("{conflict}"),
    }
    eprintln!("access {accessed:.1?}, access and resolve {solved:.1?}");
    Ok(())
}
