//! How long a request takes: access to the index and resolving, as every command does it.
//!
//! `VZPKG_BENCH_PACKAGES` names an unpacked `Packages` file (Debian's main: 50 MB); without it a made-up one of 60,000
//! packages is used, in which each package needs a few others.

use criterion::{Criterion, criterion_group, criterion_main};
use std::fmt::Write as _;
use std::hint::black_box;
use vzpkg_metadata::apt::release::Automatic;
use vzpkg_metadata::index::{Index, IndexBuilder, IndexBytes};
use vzpkg_metadata::{Arch, Family, apt};
use vzpkg_resolver::{Repository, Request, Solve, resolve};

fn made_up() -> String {
    let mut text = String::new();
    for n in 0..60_000_u32 {
        let essential = if n < 25 { "Essential: yes\n" } else { "" };
        let needs: Vec<String> = (1..5)
            .map(|step| n.wrapping_mul(7).wrapping_add(step * 13) % (n / 2 + 1))
            .map(|on| format!("package-{on} (>= 1) | other-{on}"))
            .collect();
        writeln!(
            text,
            "Package: package-{n}\nVersion: 1.{n}-1\nArchitecture: amd64\n{essential}Depends: {}\n\
             Provides: virtual-{}\nConflicts: old-{n}\nDescription: package number {n}\n\
             Filename: pool/main/p/package-{n}_1.{n}-1_amd64.deb\nSize: {n}\nSHA256: {n:064x}\n",
            needs.join(", "),
            n % 500
        )
        .expect("a String takes any text");
    }
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench has no settings file; the variable names its input"
)]
fn index() -> (IndexBytes, [&'static str; 2]) {
    let (text, wanted) = match std::env::var("VZPKG_BENCH_PACKAGES") {
        Ok(path) => {
            let text = std::fs::read_to_string(path).expect("the variable names a readable file");
            (text, ["apt", "gnome"])
        }
        Err(_) => (made_up(), ["package-100", "package-50000"]),
    };
    let mut builder = IndexBuilder::new(Family::Deb);
    apt::packages::scan(&text, &mut |record| builder.add(record)).expect("the input is an index");
    (builder.finish().expect("it fits"), wanted)
}

fn solve(criterion: &mut Criterion) {
    let (bytes, wanted) = index();
    let arch: Arch = "amd64".parse().expect("an architecture");
    for (name, install) in [("base", &wanted[..1]), ("large", &wanted[..])] {
        let request = Request {
            install: install.iter().map(|&spec| spec.to_owned()).collect(),
            essential: true,
            ..Request::default()
        };
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let index = Index::access(black_box(&bytes)).expect("it was built here");
                let repository = Repository {
                    id: "main".parse().expect("an id"),
                    index,
                    priority: 99,
                    excludes: Vec::new(),
                    hotfixes: false,
                    automatic: Automatic::Always,
                };
                let answer = resolve(Family::Deb, &arch, &[repository], None, &request);
                let Ok(Solve::Solved(transaction)) = answer else {
                    unreachable!("the made-up packages can be installed");
                };
                transaction.steps.len()
            });
        });
    }
}

criterion_group!(benches, solve);
criterion_main!(benches);
