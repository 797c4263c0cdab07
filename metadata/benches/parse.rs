//! How long the big indexes take to read. `VZPKG_BENCH_PACKAGES` names an unpacked `Packages` file and
//! `VZPKG_BENCH_PRIMARY` an unpacked `primary.xml`; without them, made-up ones of 20,000 packages are read.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::fmt::Write as _;
use std::hint::black_box;
use vzpkg_metadata::{apt, yum};

#[expect(
    clippy::disallowed_methods,
    reason = "a bench has no settings file; the variable names its input"
)]
fn input(variable: &str, made_up: fn() -> String) -> String {
    match std::env::var(variable) {
        Ok(path) => std::fs::read_to_string(path).expect("the variable names a readable text file"),
        Err(_) => made_up(),
    }
}

fn packages() -> String {
    let mut text = String::new();
    for n in 0..20_000 {
        writeln!(
            text,
            "Package: package-{n}\nSource: source-{n}\nVersion: 1:{n}.2-3+b1\nInstalled-Size: {n}\n\
             Maintainer: A Team <team@lists.example.org>\nArchitecture: amd64\nProvides: virtual-{n}, other (= 2)\n\
             Depends: libc6 (>= 2.36), libgcc-s1 (>= 3.0), a-{n} | b-{n} (<< 4), debconf (>= 0.5) | debconf-2.0\n\
             Description: package number {n} of the made-up index\nMulti-Arch: same\nSection: misc\nPriority: optional\n\
             Filename: pool/main/p/package-{n}/package-{n}_{n}.2-3+b1_amd64.deb\nSize: {n}\n\
             MD5sum: d41d8cd98f00b204e9800998ecf8427e\nSHA256: {n:064x}\n"
        )
        .expect("a String takes any text");
    }
    text
}

fn primary() -> String {
    let mut text = String::from(
        "<metadata xmlns=\"http://linux.duke.edu/metadata/common\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" \
         packages=\"20000\">\n",
    );
    for n in 0..20_000 {
        write!(
            text,
            "<package type=\"rpm\">\n  <name>package-{n}</name>\n  <arch>x86_64</arch>\n  \
             <version epoch=\"0\" ver=\"{n}\" rel=\"1.el9\"/>\n  \
             <checksum type=\"sha256\" pkgid=\"YES\">{n:064x}</checksum>\n  <summary>Number {n} &amp; more</summary>\n  \
             <description>One of the made-up packages of this index, with a text of some length.</description>\n  \
             <packager>nobody</packager>\n  <url>https://example.org</url>\n  <time file=\"1\" build=\"1\"/>\n  \
             <size package=\"{n}\" installed=\"{n}\" archive=\"{n}\"/>\n  <location href=\"Packages/p-{n}.rpm\"/>\n  \
             <format>\n    <rpm:license>MIT</rpm:license>\n    <rpm:sourcerpm>source-{n}-1-1.src.rpm</rpm:sourcerpm>\n    \
             <rpm:provides>\n      <rpm:entry name=\"package-{n}\" flags=\"EQ\" epoch=\"0\" ver=\"{n}\" rel=\"1.el9\"/>\n    \
             </rpm:provides>\n    <rpm:requires>\n      <rpm:entry name=\"libc.so.6()(64bit)\"/>\n      \
             <rpm:entry name=\"bash\" flags=\"GE\" epoch=\"0\" ver=\"4\" pre=\"1\"/>\n    </rpm:requires>\n    \
             <file>/usr/bin/package-{n}</file>\n  </format>\n</package>\n"
        )
        .expect("a String takes any text");
    }
    text.push_str("</metadata>\n");
    text
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.sample_size(10);

    let text = input("VZPKG_BENCH_PACKAGES", packages);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("Packages", |bencher| {
        bencher.iter(|| {
            let mut relations = 0;
            apt::packages::scan(black_box(&text), &mut |record| {
                relations += record.relations.len();
            })
            .expect("the input is a `Packages` file");
            relations
        });
    });

    let text = input("VZPKG_BENCH_PRIMARY", primary);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("primary.xml", |bencher| {
        bencher.iter(|| {
            let mut relations = 0;
            yum::primary::scan(black_box(text.as_bytes()), &mut |record| {
                relations += record.relations.len();
            })
            .expect("the input is a `primary.xml` file");
            relations
        });
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
