//! How long an index takes to build from a `Packages` text, and to open. `VZPKG_BENCH_PACKAGES` names an unpacked
//! `Packages` file (Debian's main: 50 MB); without it a made-up one of 20,000 packages is read.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::fmt::Write as _;
use std::hint::black_box;
use vzpkg_metadata::index::{Index, IndexBuilder, IndexBytes};
use vzpkg_metadata::{Family, apt};

#[expect(
    clippy::disallowed_methods,
    reason = "a bench has no settings file; the variable names its input"
)]
fn input() -> String {
    if let Ok(path) = std::env::var("VZPKG_BENCH_PACKAGES") {
        return std::fs::read_to_string(path).expect("the variable names a readable text file");
    }
    let mut text = String::new();
    for n in 0..20_000 {
        writeln!(
            text,
            "Package: package-{n}\nVersion: 1:{n}.2-3+b1\nArchitecture: amd64\nProvides: virtual-{n}, other (= 2)\n\
             Depends: libc6 (>= 2.36), libgcc-s1 (>= 3.0), a-{n} | b-{n} (<< 4), debconf (>= 0.5) | debconf-2.0\n\
             Description: package number {n} of the made-up index\n\
             Filename: pool/main/p/package-{n}/package-{n}_{n}.2-3+b1_amd64.deb\nSize: {n}\nSHA256: {n:064x}\n"
        )
        .expect("a String takes any text");
    }
    text
}

fn build(text: &str) -> IndexBytes {
    let mut builder = IndexBuilder::new(Family::Deb);
    apt::packages::scan(text, &mut |record| builder.add(record)).expect("the input is an index");
    builder.finish().expect("it fits")
}

fn index(criterion: &mut Criterion) {
    let text = input();
    let bytes = build(&text);
    let mut group = criterion.benchmark_group("index");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("build", |bencher| bencher.iter(|| build(black_box(&text))));
    group.finish();
    criterion.bench_function("access", |bencher| {
        bencher.iter(|| Index::access(black_box(&bytes)).map(Index::len));
    });
    let index = Index::access(&bytes).expect("it was built here");
    criterion.bench_function("search", |bencher| {
        bencher.iter(|| index.search(black_box(&["package", "number"])).len());
    });
}

criterion_group!(benches, index);
criterion_main!(benches);
