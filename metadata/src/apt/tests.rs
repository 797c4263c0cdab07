//! What the parsers of `Packages` and `Release` take, and the attacks they refuse.

use super::packages::{PackagesError, scan};
use super::release::{Release, ReleaseError};
use super::*;
use crate::package::{MultiArch, Priority, RelationKind};
use proptest::prelude::*;

const SHA256: &str = "1f2e3d4c5b6a79880123456789abcdef1f2e3d4c5b6a79880123456789abcdef";

fn paragraph() -> String {
    format!(
        "Package: libc6\nSource: glibc (2.41-12)\nVersion: 2.41-12\nInstalled-Size: 13\nArchitecture: amd64\n\
         Depends: libgcc-s1,\n libcrypt1 (>= 1:4.4.10-10~) | other\nBreaks: a (<< 1), b\nProvides: libc6-2.41,\n\
         Essential: yes\nMulti-Arch: same\nPriority: required\nDescription: GNU C Library\nUnknown: x\n\
         Filename: pool/main/g/glibc/libc6_2.41-12_amd64.deb\nSize: 2847604\nSHA256: {SHA256}\n"
    )
}

#[test]
fn a_paragraph_of_packages_becomes_a_record() {
    let text = format!("{0}\n{0}\n\n{0}", paragraph());
    let mut count = 0;
    scan(&text, &mut |record| {
        count += 1;
        assert_eq!(
            (record.name, record.arch, record.source),
            ("libc6", "amd64", "glibc")
        );
        assert_eq!((record.size, record.installed_size), (2_847_604, 13 * 1024));
        assert_eq!(record.sha256.to_string(), SHA256);
        assert_eq!((record.essential, record.protected), (true, false));
        assert_eq!(
            (record.multi_arch, record.priority),
            (MultiArch::Same, Priority::Required)
        );
        assert_eq!(record.summary, "GNU C Library");
        let all: Vec<(RelationKind, &str)> = record
            .relations
            .iter()
            .map(|(kind, text)| (*kind, text.as_ref()))
            .collect();
        assert_eq!(
            all,
            [
                (RelationKind::Depends, "libgcc-s1"),
                (RelationKind::Depends, "libcrypt1 (>= 1:4.4.10-10~) | other"),
                (RelationKind::Breaks, "a (<< 1)"),
                (RelationKind::Breaks, "b"),
                (RelationKind::Provides, "libc6-2.41"),
            ]
        );
    })
    .unwrap();
    assert_eq!(count, 3);
}

#[test]
fn a_package_without_what_verifies_it_is_refused_by_name() {
    for field in [
        "Package",
        "Version",
        "Architecture",
        "Filename",
        "Size",
        "SHA256",
    ] {
        let lines = paragraph();
        let lines = lines
            .lines()
            .filter(|line| !line.starts_with(&format!("{field}:")));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        let text = format!("{}\n{text}", paragraph());
        let error = scan(&text, &mut |_| {}).unwrap_err();
        let PackagesError::Missing {
            number,
            field: missing,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!((number, missing), (2, field));
    }
}

#[test]
fn duplicate_fields_are_refused() {
    for field in [
        "Package: other",
        "SHA256: 00",
        "sha256: 00",
        "Depends: x",
        "Filename: y",
        "Size: 1",
    ] {
        let text = format!("{}{field}\n", paragraph());
        let error = scan(&text, &mut |_| {}).unwrap_err();
        assert!(
            matches!(
                error,
                PackagesError::Field {
                    problem: FieldProblem::Twice,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn security_archives_are_known_by_what_their_signers_call_them() {
    let release = |field: &str, value: &str| {
        let sum = "0".repeat(64);
        let date = "Sat, 15 Nov 2025 09:40:49 UTC";
        let text = format!("{field}: {value}\nDate: {date}\nSHA256:\n {sum} 0 main/x\n");
        Release::parse(&text).unwrap().is_security()
    };
    for (field, value) in [
        ("Suite", "stable-security"),
        ("Suite", "noble-security"),
        ("Codename", "trixie-security"),
        ("Label", "Debian-Security"),
        ("Origin", "Vendor-Security"),
    ] {
        assert!(release(field, value), "{field}: {value}");
    }
    for (field, value) in [
        ("Suite", "stable"),
        ("Suite", "stable-security-proposed"),
        ("Label", "Debian"),
        ("Description", "x-security"),
    ] {
        assert!(!release(field, value), "{field}: {value}");
    }
}

#[test]
fn evil_names_and_values_are_refused() {
    for (from, to) in [
        ("Package: libc6", "Package: ../../etc"),
        ("Package: libc6", "Package: a\u{1b}[31m"),
        ("Package: libc6", "Package: a b"),
        ("Package: libc6", "Package:"),
        ("Package: libc6", "Package: a\n b"),
        ("Version: 2", "Version: 2\u{7f}"),
        ("amd64\n", "am/d64\n"),
        ("pool/", "po\u{1}ol/"),
        ("Size: 2847604", "Size: +1"),
        ("Size: 2847604", "Size: 99999999999999999999"),
        ("Size: 2847604", "Size: 1 B"),
        ("SHA256: 1f", "SHA256: 1F"),
        ("SHA256: 1f", "SHA256: 1"),
        ("SHA256: 1f", "SHA256: 1g"),
        ("Multi-Arch: same", "Multi-Arch: maybe"),
        ("Unknown", "Un known"),
        ("Unknown: x", "Unknown: x\n \t"),
    ] {
        let text = paragraph().replacen(from, to, 1);
        assert!(scan(&text, &mut |_| {}).is_err(), "{to:?}");
    }
}

#[test]
fn evil_locations_stay_text() {
    let text = paragraph().replace("pool/main", "../../../etc");
    scan(&text, &mut |record| {
        assert!(record.location.starts_with("../../../etc"));
    })
    .unwrap();
}

#[test]
fn an_endless_line_costs_its_own_length_only() {
    let text = format!("{}X: {}\n", paragraph(), "x".repeat(10_000_000));
    let mut count = 0;
    scan(&text, &mut |_| count += 1).unwrap();
    assert_eq!(count, 1);
    let commas = paragraph().replace("Breaks: a", &format!("Breaks: {}", ",".repeat(1_000_000)));
    scan(&commas, &mut |record| assert!(record.relations.len() < 10)).unwrap();
}

const RELEASE: &str = "Origin: Debian\nLabel: Debian\nSuite: stable-updates\nVersion: 13.1\nCodename: trixie-updates\n\
    Date: Sat, 09 Nov 2024 10:04:41 UTC\nValid-Until: Sat, 16 Nov 2024 10:04:41 UTC\nAcquire-By-Hash: yes\n\
    Architectures: all amd64 arm64\nComponents: main contrib\nDescription: x\n\
    MD5Sum:\n 00000000000000000000000000000000 1 main/x\n\
    SHA256:\n 1f2e3d4c5b6a79880123456789abcdef1f2e3d4c5b6a79880123456789abcdef   12 main/binary-amd64/Packages.xz\n \
    0f2e3d4c5b6a79880123456789abcdef1f2e3d4c5b6a79880123456789abcdef 0 ./Contents-all\n";

#[test]
fn a_release_file_gives_dates_and_digests() {
    let release = Release::parse(RELEASE).unwrap();
    assert_eq!(
        (release.origin.as_str(), release.codename.as_str()),
        ("Debian", "trixie-updates")
    );
    assert_eq!(release.date, 1_731_146_681);
    assert_eq!(release.valid_until, Some(1_731_146_681 + 7 * 86400));
    assert!(release.acquire_by_hash);
    assert_eq!(release.architectures, ["all", "amd64", "arm64"]);
    let (digest, size) = release.files["main/binary-amd64/Packages.xz"];
    assert_eq!((digest.to_string().as_str(), size), (SHA256, 12));
    assert!(release.files.contains_key("Contents-all"));
}

#[test]
fn a_release_file_that_proves_nothing_is_refused() {
    for (from, to, wanted) in [
        (
            "Date: Sat, 09",
            "Dated: Sat, 09",
            "the `Release` file has no field `Date`",
        ),
        (
            "SHA256:",
            "SHA1:",
            "the `Release` file has no field `SHA256`",
        ),
        (
            "Sat, 09",
            "Sun, 09",
            "field `Date` of the `Release` file, `Sun, 09 Nov 2024 10:04:41 UTC`, is no date",
        ),
        (
            "Label: Debian",
            "Origin: Evil",
            "field `Origin` of the `Release` file is given twice",
        ),
        (
            "Origin: Debian",
            "Origin: De\u{1b}c",
            "field `Origin` of the `Release` file is a character that is not allowed",
        ),
        (
            "./Contents-all",
            "../../etc/passwd",
            "the `SHA256` table names `../../etc/passwd`",
        ),
        (
            "./Contents-all",
            "/etc/passwd",
            "the `SHA256` table names `/etc/passwd`",
        ),
        (
            "./Contents-all",
            "main/binary-amd64/Packages.xz",
            "the `SHA256` table has two entries for `main/binary-amd64/Packages.xz`",
        ),
        (
            " 0 ./",
            " -1 ./",
            "`0f2e3d4c5b6a79880123456789abcdef1f2e3d4c5b6a79880123456789abcdef -1 ./Contents-all` is no entry of a `SHA256` table",
        ),
        (
            "Description: x\n",
            "Description: x\n\nDescription: x\n",
            "the `Release` file goes on after its end",
        ),
    ] {
        let text = RELEASE.replacen(from, to, 1);
        assert_ne!(text, RELEASE, "{from}");
        assert_eq!(Release::parse(&text).unwrap_err().to_string(), wanted);
    }
    assert_eq!(
        Release::parse(&"x".repeat(17 << 20)),
        Err(ReleaseError::TooLarge(17 << 20))
    );
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in "[A-C: \n\t,#x\u{1b}\u{e9}]{0,200}") {
        let _unread = scan(&text, &mut |_| {});
        let _unread = Release::parse(&text);
        let _unread = sources::parse_list(&text);
        let _unread = sources::parse_deb822(&text);
        let _unread = control::conffiles(&text);
        let _unread = date::parse(&text);
    }

    /// Two readers that split paragraphs differently would see different packages: what is read is what was written.
    #[test]
    fn fields_read_back_as_they_were_written(
        fields in proptest::collection::vec(("[A-Za-z][A-Za-z0-9-]{0,8}", "[!-~]([ -~]{0,20}[!-~])?(\n [!-~]{1,9}){0,3}"), 1..9)
    ) {
        let text: String = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<Vec<_>>().concat();
        let mut reader = deb822::Reader::new(&text);
        prop_assert!(reader.next_paragraph());
        for (name, value) in &fields {
            let field = reader.next_field().unwrap().unwrap();
            prop_assert_eq!((field.name, field.value), (name.as_str(), value.as_str()));
        }
        prop_assert_eq!(reader.next_field(), Ok(None));
        prop_assert!(!reader.next_paragraph());
    }

    /// A whole paragraph with any one byte changed is either refused or still has everything that verifies it.
    #[test]
    fn a_changed_byte_never_yields_an_unverifiable_package(at in 0_usize..600, to in 1_u8..127) {
        let mut bytes = paragraph().into_bytes();
        let at = at % bytes.len();
        bytes[at] = to;
        let text = String::from_utf8(bytes).unwrap();
        let _refused = scan(&text, &mut |record| {
            assert!(!record.name.is_empty() && !record.arch.is_empty() && !record.location.is_empty());
            assert!(record.name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'));
        });
    }

    #[test]
    fn dates_count_every_second(seconds in 0_i64..253_402_300_799) {
        // The civil calendar, once more and in another way: count the days down year by year.
        let (mut days, rest) = (seconds / 86400, seconds % 86400);
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(days % 7).unwrap()];
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let mut year = 1970;
        while days >= 365 + i64::from(leap(year)) {
            days -= 365 + i64::from(leap(year));
            year += 1;
        }
        let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 0;
        while days >= lengths[month] {
            days -= lengths[month];
            month += 1;
        }
        let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month];
        let text = format!(
            "{weekday}, {:02} {name} {year} {:02}:{:02}:{:02} UTC",
            days + 1, rest / 3600, rest / 60 % 60, rest % 60
        );
        prop_assert_eq!(date::parse(&text), Some(seconds));
    }
}
