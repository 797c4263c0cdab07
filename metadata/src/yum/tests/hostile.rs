//! The attacks on XML that every parser of this folder refuses, tried on `primary.xml`.

use super::super::xml::DEPTH;
use super::super::{XmlError, filelists, metalink, primary, repomd, updateinfo};
use super::{index, package, scan};
use crate::limits;
use std::fmt::Write as _;
use std::io::{BufReader, Cursor, Read as _};

#[test]
fn truncated_primary_is_never_taken_for_a_whole_one() {
    let text = index(&package("", ""));
    let end = text.trim_end().len();
    for length in 0..end {
        let Some(part) = text.get(..length) else {
            continue;
        };
        assert!(scan(part).is_err(), "{length} of {end} bytes");
    }
    assert!(scan(&text).is_ok());
    let two = text.replace("packages=\"1\"", "packages=\"2\"");
    assert_eq!(
        scan(&two).unwrap_err().to_string(),
        "the index promises 2 packages and has 1"
    );
}

#[test]
fn a_cut_stream_is_an_error_of_reading() {
    struct Cut;
    impl std::io::Read for Cut {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::UnexpectedEof.into())
        }
    }
    let text = index(&package("", ""));
    let stream = Cursor::new(&text.as_bytes()[..200]).chain(Cut);
    let error = primary::scan(BufReader::new(stream), &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, primary::PrimaryError::Xml(XmlError::Read { .. })),
        "{error:?}"
    );
}

#[test]
fn evil_entities_expand_to_nothing() {
    let mut laughs = String::from("<?xml version=\"1.0\"?><!DOCTYPE metadata [<!ENTITY a0 \"ha\">");
    for n in 1..30 {
        let last = n - 1;
        write!(laughs, "<!ENTITY a{n} \"&a{last};&a{last};\">").unwrap();
    }
    laughs.push_str("]><metadata packages=\"1\"><package><name>&a29;</name></package></metadata>");
    let outside = "<!DOCTYPE m SYSTEM \"file:///etc/passwd\"><metadata/>";
    for text in [laughs.as_str(), outside] {
        let error = scan(text).unwrap_err();
        assert!(
            matches!(error, primary::PrimaryError::Xml(XmlError::DocumentType)),
            "{error:?}"
        );
        assert!(repomd::parse(text.as_bytes()).is_err());
        assert!(metalink::parse(text.as_bytes()).is_err());
        assert!(filelists::scan(text.as_bytes(), &mut |_, _| {}).is_err());
        assert!(updateinfo::scan(text.as_bytes(), &mut |_| {}).is_err());
    }
    for (from, to) in [
        ("&amp;", "&unknown;"),
        ("&amp;", "&#0;"),
        ("&amp;", "&#x1b;"),
        ("&amp;", "&"),
        ("(a if b &lt; 2)", "&unknown;"),
    ] {
        assert!(scan(&index(&package(from, to))).is_err(), "{to}");
    }
}

#[test]
fn evil_names_are_refused() {
    for name in [
        "a\u{1b}[31m",
        "a\nb",
        "a b",
        "-rf",
        ".hidden",
        "a/b",
        "\u{e9}",
        "",
    ] {
        let text = index(&package(">bash<", &format!(">{name}<")));
        assert!(scan(&text).is_err(), "{name:?}");
    }
    for name in ["a&#27;[31m", "a\u{9b}31m", "a&#0;"] {
        let text = index(&package("name=\"bash\"", &format!("name=\"{name}\"")));
        assert!(scan(&text).is_err(), "{name:?}");
    }
}

#[test]
fn endless_lines_nesting_and_attributes_are_cut_off() {
    let long = "x".repeat(limits::XML_TOKEN_BYTES + 1);
    let deep = "<a>".repeat(DEPTH + 1);
    let many: Vec<String> = (0..100).map(|n| format!("a{n}=\"\"")).collect();
    let many = many.join(" ");
    for (text, wanted) in [
        (index(&package(">bash<", &format!(">{long}<"))), "TooLong"),
        (
            index(&package(">x<", &format!("><!--{long}--><"))),
            "TooLong",
        ),
        (
            index(&package("<name>", &format!("<name a=\"{long}\">"))),
            "TooLong",
        ),
        (index(&package(">x<", &format!(">{deep}<"))), "TooDeep"),
        (index(&deep), "TooDeep"),
        (
            index(&package("<version ", &format!("<version {many} "))),
            "TooManyAttributes",
        ),
    ] {
        let error = format!("{:?}", scan(&text).unwrap_err());
        assert!(error.contains(wanted), "{error:.200} instead of {wanted}");
    }
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    for (from, to) in [
        ("<version ", "<version ver=\"9\" "),
        ("</arch>", "</Arch>"),
        ("<arch>", "text<arch>"),
        ("<arch>", "<![CDATA[x]]><arch>"),
        ("<name>bash", "<name>ba<b/>sh"),
    ] {
        assert!(scan(&index(&package(from, to))).is_err(), "{to}");
    }
    let whole = index(&package("", ""));
    assert!(scan(&format!("{whole}<metadata/>")).is_err());
    assert!(scan(&format!("{whole}x")).is_err());
    assert!(scan(&whole.replace("UTF-8", "UTF-16")).is_err());
    assert!(
        scan(
            &whole
                .replace("<metadata", "<other")
                .replace("</metadata", "</other")
        )
        .is_err()
    );
    let mut latin = whole.into_bytes();
    let at = latin.len() / 2;
    latin[at] = 0xff;
    assert!(primary::scan(&latin[..], &mut |_| {}).is_err());
}

#[test]
fn bomb_maps_of_many_keys_are_refused() {
    let mut text = String::from("---\ndocument: modulemd\nversion: 2\ndata:\n");
    for number in 0..50_000 {
        writeln!(text, "  k{number}: 1").unwrap();
    }
    let error = crate::yum::modules::read(&mut text.as_bytes()).unwrap_err();
    let cause = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
    assert!(
        cause.contains("too many") || error.to_string().contains("too many"),
        "{error}: {cause}"
    );
}
