//! `primary.xml`: what becomes a record, and what is refused as no package.

use super::super::primary;
use super::{SHA256, index, package, scan};
use crate::package::RelationKind;

#[test]
fn a_package_of_primary_becomes_a_record() {
    let text = index(&package("", ""));
    let mut count = 0;
    primary::scan(text.as_bytes(), &mut |record| {
        count += 1;
        assert_eq!((record.name, record.arch), ("bash", "x86_64"));
        assert_eq!(record.version, "4.2-1.el7");
        assert_eq!(
            (record.source, record.summary),
            ("bash", "The shell & more")
        );
        assert_eq!((record.size, record.installed_size), (10, 20));
        assert_eq!(record.location, "Packages/bash.rpm");
        assert_eq!(record.sha256.to_string(), SHA256);
        let all: Vec<(RelationKind, &str)> = record
            .relations
            .iter()
            .map(|(kind, text)| (*kind, text.as_ref()))
            .collect();
        assert_eq!(
            all,
            [
                (RelationKind::Provides, "bash = 4.2-1.el7"),
                (RelationKind::Depends, "libc.so.6(GLIBC_2.2)(64bit)"),
                (RelationKind::PreDepends, "rtld >= 2:1"),
                (RelationKind::Depends, "(a if b < 2)"),
                (RelationKind::File, "/bin/bash"),
                (RelationKind::File, "/etc/skel"),
            ]
        );
    })
    .unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_base_of_its_own_makes_the_location_a_url() {
    let based = package(
        "href=\"Packages/bash.rpm\"",
        "xml:base=\"http://other/r/\" href=\"b.rpm\"",
    );
    let mut location = String::new();
    primary::scan(index(&based).as_bytes(), &mut |record| {
        record.location.clone_into(&mut location);
    })
    .unwrap();
    assert_eq!(location, "http://other/r/b.rpm");
}

#[test]
fn a_package_that_is_not_whole_is_refused_by_name() {
    for (from, to, message) in [
        (
            "<name>bash</name>",
            "",
            "package 1 of the index (``) has no `name`",
        ),
        (
            "<arch>x86_64</arch>",
            "",
            "package 1 of the index (`bash`) has no `arch`",
        ),
        (
            "<name>bash</name>",
            "<name>bash</name><name>b</name>",
            "package 1 of the index (`bash`) has `name` twice",
        ),
        (
            "<size ",
            "<size package=\"1\" installed=\"1\"/><size ",
            "package 1 of the index (`bash`) has `size` twice",
        ),
        (
            " rel=\"1.el7\"",
            "",
            "package 1 of the index (`bash`) has no `version rel`",
        ),
        (
            "ver=\"4.2\"",
            "ver=\"4-2\"",
            "package 1 of the index (`bash`): `version ver` cannot be `4-2`",
        ),
        (
            "epoch=\"0\"",
            "epoch=\"-1\"",
            "package 1 of the index (`bash`): `version epoch` cannot be `-1`",
        ),
        (
            "package=\"10\"",
            "package=\"+10\"",
            "package 1 of the index (`bash`): `size package` cannot be `+10`",
        ),
        (
            "href=\"Packages/bash.rpm\"",
            "",
            "package 1 of the index (`bash`) has no `location href`",
        ),
        (
            SHA256,
            "00",
            "package 1 of the index (`bash`): `checksum` cannot be `00`",
        ),
        (
            "type=\"sha256\"",
            "type=\"sha\"",
            "package 1 of the index (`bash`) is identified by `sha`, which proves nothing here: sha256 is needed",
        ),
        (
            "type=\"sha256\"",
            "type=\"md5\"",
            "package 1 of the index (`bash`) is identified by `md5`, which proves nothing here: sha256 is needed",
        ),
        (
            "flags=\"GE\"",
            "flags=\"XX\"",
            "package 1 of the index (`bash`): `rpm:entry` cannot be `flags=\"XX\"`",
        ),
        (
            "ver=\"1\" pre",
            "pre",
            "package 1 of the index (`bash`): `rpm:entry` cannot be `rtld >= `",
        ),
        (
            "<file>/bin",
            "<file>bin",
            "package 1 of the index (`bash`): `file` cannot be `bin/bash`",
        ),
        (
            ">bash<",
            ">../bash<",
            "package 1 of the index (`../bash`): `name` cannot be `../bash`",
        ),
        (
            ">x86_64<",
            ">x86/64<",
            "package 1 of the index (`bash`): `arch` cannot be `x86/64`",
        ),
    ] {
        let error = scan(&index(&package(from, to))).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
