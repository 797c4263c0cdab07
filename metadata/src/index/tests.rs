//! What goes in comes out; what is damaged is refused or harmless.

use super::*;
use crate::dependency::Comparison;
use crate::package::{MultiArch, PackageRecord, Priority, RelationKind};
use crate::{Digest, Family};

fn record<'a>(
    family: Family,
    name: &'a str,
    version: &'a str,
    relations: &[(RelationKind, &'a str)],
) -> PackageRecord<'a> {
    PackageRecord {
        family,
        name,
        version: version.into(),
        arch: if family == Family::Deb {
            "amd64"
        } else {
            "x86_64"
        },
        source: "source",
        section: "",
        location: "pool/x",
        size: 5 << 32,
        installed_size: 7,
        sha256: Digest::of(format!("{name} {version}").as_bytes()),
        essential: true,
        protected: false,
        multi_arch: MultiArch::Allowed,
        priority: Priority::Extra,
        summary: "A Summary",
        relations: relations
            .iter()
            .map(|(kind, text)| (*kind, (*text).into()))
            .collect(),
    }
}

fn built(family: Family, records: &[PackageRecord<'_>]) -> IndexBytes {
    let mut builder = IndexBuilder::new(family);
    for record in records {
        builder.add(record);
    }
    builder.finish().unwrap()
}

#[test]
fn an_index_returns_what_was_put_in() {
    use RelationKind as Kind;
    let relations = [
        (Kind::PreDepends, "libc6 (>= 2.36)"),
        (Kind::Depends, "b | c:any (<< 3)"),
        (Kind::Depends, "broken (clause"),
        (Kind::Provides, "virtual (= 2)"),
    ];
    let bytes = built(
        Family::Deb,
        &[
            record(Family::Deb, "a", "2:1.0-1", &relations),
            record(Family::Deb, "a", "2:1.1-1", &relations),
            record(Family::Deb, "b", "1", &[(Kind::Provides, "virtual")]),
        ],
    );
    let index = Index::access(&bytes).unwrap();
    assert_eq!((index.len(), index.family()), (3, Family::Deb));
    let first = index.package(0).unwrap();
    assert_eq!(
        (first.name(), first.version(), first.arch()),
        ("a", "2:1.0-1", "amd64")
    );
    assert_eq!((first.size(), first.installed_size()), (5 << 32, 7));
    assert_eq!(first.sha256(), Digest::of(b"a 2:1.0-1"));
    assert_eq!(first.multi_arch(), MultiArch::Allowed);
    assert_eq!(first.priority(), Priority::Extra);
    assert!(first.essential() && !first.protected());
    assert_eq!(first.summary(), "A Summary");
    let seen: Vec<_> = first
        .relations()
        .map(|(kind, clause)| (kind, clause.text()))
        .collect();
    assert_eq!(seen, relations.map(|(kind, text)| (kind, text.to_owned())));
    let parsed: Vec<_> = first
        .relations_of(Kind::Depends)
        .map(Clause::expression)
        .map(|parsed| parsed.map(|parsed| parsed.display(Family::Deb).to_string()))
        .collect();
    assert_eq!(parsed, [Some("b | c:any (<< 3)".to_owned()), None]);
    let versions: Vec<_> = index.by_name("a").map(IndexedPackage::version).collect();
    assert_eq!(versions, ["2:1.0-1", "2:1.1-1"]);
    let providers: Vec<_> = index
        .providers("virtual")
        .map(|one| {
            (
                one.package.id(),
                one.constraint.map(|c| (c.comparison, c.version)),
            )
        })
        .collect();
    let equal_two = Some((Comparison::Equal, "2"));
    assert_eq!(providers, [(0, equal_two), (1, equal_two), (2, None)]);
    assert_eq!(index.by_name("nothing").count(), 0);
    assert_eq!(index.search(&["SUMMARY", "b"]).len(), 1);
}

#[test]
fn rich_dependencies_survive() {
    let text = "((a with b = 3) if (c or d >= 1) else (e unless f))";
    let relations = [(RelationKind::Depends, text)];
    let bytes = built(Family::Rpm, &[record(Family::Rpm, "x", "1-1", &relations)]);
    let index = Index::access(&bytes).unwrap();
    let clause = index.package(0).unwrap().relations().next().unwrap().1;
    let expression = clause.expression().unwrap();
    assert_eq!(expression.display(Family::Rpm).to_string(), text);
}

#[test]
fn paths_that_are_asked_for_can_be_added_later() {
    use RelationKind as Kind;
    let mut builder = IndexBuilder::new(Family::Rpm);
    let wants = [
        (Kind::Depends, "/bin/sh"),
        (Kind::Depends, "(/etc/x or /usr/lib/y)"),
    ];
    builder.add(&record(Family::Rpm, "a", "1-1", &wants));
    builder.add(&record(
        Family::Rpm,
        "bash",
        "5-1",
        &[(Kind::File, "/bin/sh")],
    ));
    builder.add_file(&Digest::of(b"a 1-1"), "/usr/lib/y");
    builder.add_file(&Digest::of(b"unknown"), "/etc/x");
    let bytes = builder.finish().unwrap();
    let index = Index::access(&bytes).unwrap();
    assert_eq!(index.providers("/usr/lib/y").count(), 1);
    assert_eq!(index.providers("/bin/sh").count(), 1);
    assert_eq!(index.providers("/etc/x").count(), 0);
}

#[test]
fn packages_that_cannot_be_named_are_left_out() {
    let mut builder = IndexBuilder::new(Family::Deb);
    builder.add(&record(Family::Deb, "../evil", "1", &[]));
    builder.add(&record(Family::Deb, "a", "1/2", &[]));
    builder.add(&record(Family::Deb, "a", "", &[]));
    builder.add(&record(Family::Rpm, "a", "1", &[]));
    builder.add(&record(Family::Deb, "good", "1", &[]));
    assert_eq!(builder.left_out(), 4);
    let bytes = builder.finish().unwrap();
    assert_eq!(Index::access(&bytes).unwrap().len(), 1);
}

#[test]
fn relations_of_a_kind_come_with_the_packages_that_have_them() {
    use RelationKind as Kind;
    let bytes = built(
        Family::Rpm,
        &[
            record(Family::Rpm, "none", "1", &[]),
            record(
                Family::Rpm,
                "a",
                "1",
                &[
                    (Kind::Depends, "old"),
                    (Kind::Obsoletes, "other < 3"),
                    (Kind::Obsoletes, "old < 2"),
                ],
            ),
            record(Family::Rpm, "empty", "1", &[]),
            record(Family::Rpm, "b", "1", &[(Kind::Obsoletes, "(old or x)")]),
            record(Family::Rpm, "c", "1", &[(Kind::Obsoletes, "old")]),
            record(Family::Rpm, "last", "1", &[]),
        ],
    );
    let index = Index::access(&bytes).unwrap();
    let of = |kind| -> Vec<String> {
        let found = index.with_relation(kind);
        found
            .map(|(package, clause)| format!("{}: {}", package.name(), clause.text()))
            .collect()
    };
    assert_eq!(
        of(Kind::Obsoletes),
        ["a: other < 3", "a: old < 2", "b: (old or x)", "c: old"]
    );
    assert_eq!(of(Kind::Depends), ["a: old"]);
    assert_eq!(of(Kind::Conflicts), [""; 0]);
}

#[test]
fn paths_are_those_names_that_begin_as_one() {
    use RelationKind as Kind;
    let relations = [
        (Kind::File, "/usr/bin/a"),
        (Kind::Depends, "/bin/sh"),
        (Kind::Depends, "(/opt/x if b)"),
        (Kind::Provides, "lib/x"),
    ];
    let bytes = built(Family::Rpm, &[record(Family::Rpm, "a", "1", &relations)]);
    let mut paths: Vec<&str> = Index::access(&bytes).unwrap().paths().collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/bin/sh", "/opt/x", "/usr/bin/a"]);
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let records: Vec<String> = (0..3000).map(|number| format!("package{number}")).collect();
    let records: Vec<_> = records
        .iter()
        .map(|name| record(Family::Deb, name, "1", &[(RelationKind::Depends, name)]))
        .collect();
    let bytes = built(Family::Deb, &records);
    assert_eq!(*bytes, *built(Family::Deb, &records));
    let index = Index::access(&bytes).unwrap();
    for record in &records {
        assert_eq!(index.by_name(record.name).count(), 1, "{}", record.name);
    }
}

#[test]
fn bytes_that_are_no_index_are_refused() {
    let bytes = built(Family::Deb, &[record(Family::Deb, "a", "1", &[])]);
    let error = |bytes: &[u8]| Index::access(&IndexBytes::copy_from(bytes)).unwrap_err();
    assert_eq!(error(b""), IndexError::NotAnIndex);
    assert_eq!(error(b"Package: apt\nVersion: 1\n"), IndexError::NotAnIndex);
    let mut newer = bytes.to_vec();
    newer[12] = 99;
    let expected = IndexError::Format {
        found: 99,
        expected: FORMAT,
    };
    assert_eq!(error(&newer), expected);
    for length in (HEADER_BYTES..bytes.len()).step_by(7) {
        assert_eq!(error(&bytes[..length]), IndexError::Damaged, "{length}");
    }
    let mut shifted = IndexBytes::copy_from(&[&[0; 8], &*bytes].concat());
    shifted.0.resize(bytes.len() + 8, 0);
    assert_eq!(
        Index::access(&shifted[8..]).unwrap_err(),
        IndexError::Misaligned
    );
}

#[test]
fn damaged_numbers_are_harmless() {
    let relations = [
        (RelationKind::Depends, "b | c"),
        (RelationKind::Provides, "v (= 1)"),
    ];
    let bytes = built(
        Family::Deb,
        &[
            record(Family::Deb, "a", "1", &relations),
            record(Family::Deb, "b", "1", &relations),
        ],
    );
    for position in HEADER_BYTES..bytes.len() {
        for value in [0, 0x7f, 0xff] {
            let mut damaged = bytes.clone();
            damaged.0[position] = value;
            let Ok(index) = Index::access(&damaged) else {
                continue;
            };
            drop(IndexBuilder::resume(index));
            for package in index.packages().take(10) {
                assert!(!format!("{package:?} {}", package.summary()).is_empty());
                for (_, clause) in package.relations().take(10) {
                    drop(clause.expression());
                }
            }
            let _ = (index.by_name("a").count(), index.providers("v").count());
            let _ = index.with_relation(RelationKind::Depends).count();
            let _ = index.paths().count();
            let _ = (index.by_name("zzz").count(), index.names().take(10).count());
        }
    }
}

#[test]
fn a_builder_that_goes_on_gives_the_bytes_of_one_that_never_stopped() {
    use RelationKind as Kind;
    let first = [
        record(
            Family::Rpm,
            "bash",
            "5-1",
            &[
                (Kind::Provides, "bash = 5-1"),
                (Kind::Depends, "(a if b)"),
                (Kind::Depends, "x>=2"),
                (Kind::Depends, "broken ("),
                (Kind::File, "/usr/bin/sh"),
            ],
        ),
        record(Family::Rpm, "dash", "1-1", &[(Kind::Depends, "/opt/path")]),
    ];
    let second = record(
        Family::Rpm,
        "zsh",
        "1-1",
        &[(Kind::Depends, "x>=2"), (Kind::Depends, "new = 1")],
    );
    let go_on = |builder: &mut IndexBuilder| {
        builder.add_file(&first[0].sha256, "/opt/path");
        builder.add_file(&first[1].sha256, "/opt/other");
        builder.add_file(&Digest::of(b"nobody"), "/opt/third");
        builder.add(&second);
        builder.add_file(&second.sha256, "/opt/path");
    };
    let mut whole = IndexBuilder::new(Family::Rpm);
    for record in &first {
        whole.add(record);
    }
    go_on(&mut whole);
    let stopped = built(Family::Rpm, &first);
    let mut resumed = IndexBuilder::resume(Index::access(&stopped).unwrap()).unwrap();
    go_on(&mut resumed);
    let (whole, resumed) = (whole.finish().unwrap(), resumed.finish().unwrap());
    assert!(*whole == *resumed);
    let index = Index::access(&resumed).unwrap();
    let owners: Vec<&str> = index
        .providers("/opt/path")
        .map(|provider| provider.package.name())
        .collect();
    assert_eq!(owners, ["bash", "zsh"]);
}
