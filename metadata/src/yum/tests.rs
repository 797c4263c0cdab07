//! What the yum parsers take, and the attacks they refuse.

use super::xml::DEPTH;
use super::*;
use crate::package::RelationKind;
use crate::{Digest, limits};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::io::{BufReader, Cursor, Read as _};

const SHA256: &str = "1f2e3d4c5b6a79880123456789abcdef1f2e3d4c5b6a79880123456789abcdef";

/// A package with one part replaced.
fn package(from: &str, to: &str) -> String {
    let whole = format!(
        "<package type=\"rpm\"><name>bash</name><arch>x86_64</arch><version epoch=\"0\" ver=\"4.2\" rel=\"1.el7\"/>\
         <checksum type=\"sha256\" pkgid=\"YES\">{SHA256}</checksum><summary>The shell &amp; more\nsecond</summary>\
         <description>x</description><size package=\"10\" installed=\"20\" archive=\"30\"/>\
         <location href=\"Packages/bash.rpm\"/><format><rpm:sourcerpm>bash-4.2-1.el7.src.rpm</rpm:sourcerpm>\
         <rpm:provides><rpm:entry name=\"bash\" flags=\"EQ\" epoch=\"0\" ver=\"4.2\" rel=\"1.el7\"/></rpm:provides>\
         <rpm:requires><rpm:entry name=\"libc.so.6(GLIBC_2.2)(64bit)\"/>\
         <rpm:entry name=\"rtld\" flags=\"GE\" epoch=\"2\" ver=\"1\" pre=\"1\"/>\
         <rpm:entry name=\"(a if b &lt; 2)\"/></rpm:requires><file>/bin/bash</file><file type=\"dir\">/etc/skel</file>\
         </format></package>"
    );
    assert!(whole.contains(from), "{from}");
    whole.replacen(from, to, 1)
}

fn index(packages: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata xmlns:rpm=\"r\" packages=\"1\">{packages}</metadata>\n"
    )
}

fn scan(text: &str) -> Result<Vec<String>, primary::PrimaryError> {
    let mut found = Vec::new();
    primary::scan(text.as_bytes(), &mut |record| {
        found.push(format!("{record:?}"));
    })?;
    Ok(found)
}

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
fn filelists_name_the_owner_of_each_path() {
    let text = format!(
        "<filelists packages=\"1\"><package pkgid=\"{SHA256}\" name=\"a\" arch=\"x\"><version ver=\"1\"/>\
         <file>/bin/a&amp;b</file><file type=\"ghost\">/run/x</file></package></filelists>"
    );
    let mut found = Vec::new();
    filelists::scan(text.as_bytes(), &mut |owner, path| {
        found.push((*owner, path.to_owned()));
    })
    .unwrap();
    let owner: Digest = SHA256.parse().unwrap();
    assert_eq!(
        found,
        [(owner, "/bin/a&b".into()), (owner, "/run/x".into())]
    );
    for (from, to) in [
        (SHA256, "d41d8cd98f00b204e9800998ecf8427e"),
        ("/bin/a", "bin/a"),
        ("</filelists>", ""),
        ("<filelists", "<filelist"),
    ] {
        let text = text.replace(from, to);
        assert!(
            filelists::scan(text.as_bytes(), &mut |_, _| {}).is_err(),
            "{to}"
        );
    }
}

#[test]
fn only_security_advisories_are_told() {
    let package = "<package name=\"bash\" version=\"4.2\" release=\"1\" epoch=\"0\" arch=\"x86_64\"><filename>f</filename></package>";
    let text = format!(
        "<updates><update type=\"bugfix\"><pkglist><collection>{package}</collection></pkglist></update>\
         <update type=\"security\"><id>X</id><references><reference/></references><pkglist><collection>\
         <name>c</name>{package}<package name=\"bind\" version=\"9\" release=\"1\" epoch=\"32\" arch=\"noarch\"/>\
         </collection></pkglist></update><update/></updates>"
    );
    let mut found = Vec::new();
    let mut visit = |advised: updateinfo::Advised| {
        found.push(format!(
            "{} {} {}",
            advised.name, advised.version, advised.arch
        ));
    };
    updateinfo::scan(text.as_bytes(), &mut visit).unwrap();
    assert_eq!(found, ["bash 4.2-1 x86_64", "bind 32:9-1 noarch"]);
    for (from, to) in [
        ("version=\"9\"", ""),
        ("name=\"bind\"", "name=\"\""),
        ("</updates>", ""),
        ("updates>", "update>"),
        ("</collection>", "</pkglist>"),
    ] {
        assert!(text.contains(from), "{from}");
        let text = text.replace(from, to);
        assert!(
            updateinfo::scan(text.as_bytes(), &mut |_| {}).is_err(),
            "{to}"
        );
    }
}

const REPOMD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<repomd xmlns=\"http://linux.duke.edu/metadata/repo\"><revision>1608245317</revision>
<tags><distro cpeid=\"x\">y</distro></tags>
<data type=\"primary\"><checksum type=\"sha256\">1f2e3d4c5b6a79880123456789abcdef1f2e3d4c5b6a79880123456789abcdef</checksum>
<location href=\"repodata/primary.xml.gz\"/><timestamp>1608245318.5</timestamp><size>48877</size><open-size>327570</open-size></data>
<data type=\"other\"><checksum type=\"sha\">00</checksum><location href=\"repodata/other.xml.gz\"/></data></repomd>";

#[test]
fn repomd_names_files_and_their_checksums() {
    let repomd = repomd::parse(REPOMD.as_bytes()).unwrap();
    assert_eq!(
        (repomd.revision.as_str(), repomd.date()),
        ("1608245317", 1_608_245_318)
    );
    let primary = &repomd.files["primary"];
    assert_eq!(primary.checksum, SHA256.parse().ok());
    assert_eq!(
        (primary.size, primary.open_size),
        (Some(48877), Some(327_570))
    );
    let other = &repomd.files["other"];
    assert_eq!(
        (other.checksum, other.weak_checksum.as_str()),
        (None, "sha")
    );
}

#[test]
fn duplicate_or_broken_entries_of_repomd_are_refused() {
    for (from, to) in [
        ("type=\"other\"", "type=\"primary\""),
        ("type=\"other\"", ""),
        ("<size>", "<size>1</size><size>"),
        ("48877", "-1"),
        ("48877", "99999999999999999999"),
        ("1608245317", "a\u{7f}b"),
        ("<location href=\"repodata/other.xml.gz\"/>", ""),
        ("1f2e3d", "1f2e3g"),
        ("</repomd>", ""),
        ("</repomd>", "</repomd><repomd/>"),
    ] {
        assert!(
            repomd::parse(REPOMD.replacen(from, to, 1).as_bytes()).is_err(),
            "{to}"
        );
    }
}

/// A path that leaves the repository is only text here; the client's `BaseUrl::append` refuses it.
#[test]
fn evil_repomd_path_stays_text() {
    let text = REPOMD.replace("repodata/primary.xml.gz", "../../etc/passwd");
    let repomd = repomd::parse(text.as_bytes()).unwrap();
    assert_eq!(repomd.files["primary"].location, "../../etc/passwd");
}

const METALINK: &str = "<metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\" xmlns:mm0=\"m\"><files>
<file name=\"repomd.xml\"><mm0:timestamp>1700000000</mm0:timestamp><size>3000</size>
<verification><hash type=\"md5\">00</hash><hash type=\"sha256\">1f2e3d4c5b6a79880123456789abcdef1f2e3d4c5b6a79880123456789abcdef</hash></verification>
<mm0:alternates><mm0:alternate><mm0:timestamp>1600000000</mm0:timestamp><size>1</size>
<verification><hash type=\"sha256\">2f2e3d4c5b6a79880123456789abcdef1f2e3d4c5b6a79880123456789abcdef</hash></verification></mm0:alternate></mm0:alternates>
<resources maxconnections=\"1\"><url protocol=\"rsync\" preference=\"100\">rsync://a/repodata/repomd.xml</url>
<url protocol=\"http\" preference=\"90\">http://b/x/repodata/repomd.xml</url>
<url protocol=\"https\" preference=\"95\">https://c/y/repodata/repomd.xml</url></resources></file></files></metalink>";

#[test]
fn metalinks_give_hashes_and_mirrors_by_preference() {
    let metalink = metalink::parse(METALINK.as_bytes()).unwrap();
    assert_eq!(metalink.base_urls, ["https://c/y/", "http://b/x/"]);
    assert_eq!(metalink.digests.len(), 2);
    assert_eq!(metalink.digests[0].to_string(), SHA256);
    assert_eq!(
        (metalink.size, metalink.timestamp),
        (Some(3000), Some(1_700_000_000))
    );
}

#[test]
fn metalinks_without_a_strong_hash_are_refused() {
    let weak = METALINK.replace("sha256", "sha1");
    assert!(matches!(
        metalink::parse(weak.as_bytes()),
        Err(metalink::MetalinkError::NoDigest)
    ));
    for (from, to) in [
        ("repomd.xml\">", "other.xml\">"),
        ("1f2e3d", "xx"),
        ("3000", "x"),
        ("<files>", "<files><file name=\"repomd.xml\"/>"),
    ] {
        assert!(
            metalink::parse(METALINK.replacen(from, to, 1).as_bytes()).is_err(),
            "{to}"
        );
    }
}

/// Escapes what XML needs escaped, and some that it does not.
fn escape(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '&' => "&amp;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            'x' => "&#x78;".to_owned(),
            other => other.to_string(),
        })
        .collect::<Vec<_>>()
        .concat()
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in "[<>/&;!\\[\\]a-c=\"'# \n?-]{0,200}") {
        let bytes = bytes.as_bytes();
        let _unread = primary::scan(bytes, &mut |_| {});
        let _unread = filelists::scan(bytes, &mut |_, _| {});
        let _unread = updateinfo::scan(bytes, &mut |_| {});
        let _unread = repomd::parse(bytes);
        let _unread = metalink::parse(bytes);
    }

    #[test]
    fn packages_read_back_as_they_were_written(
        name in "[A-Za-z0-9_][A-Za-z0-9+._~^-]{0,20}",
        version in "[0-9a-z.~^]{1,9}",
        epoch in 0_u64..3,
        summary in "[ -~\u{e9}\u{4e00}]{0,40}",
        href in "[!-~]{1,40}",
        relations in proptest::collection::vec(("[!-~]{1,12}", 0_usize..6, "[!-~]{1,9}", any::<bool>()), 0..9),
    ) {
        let operators = [("", ""), ("LT", "<"), ("LE", "<="), ("EQ", "="), ("GE", ">="), ("GT", ">")];
        let mut wanted = Vec::new();
        let mut entries = String::new();
        for (target, operator, constraint, pre) in &relations {
            let (flags, sign) = operators[*operator];
            let kind = if *pre { RelationKind::PreDepends } else { RelationKind::Depends };
            let pre = if *pre { " pre=\"1\"" } else { "" };
            let (target_text, constraint_text) = (escape(target), escape(constraint));
            write!(entries, "<rpm:entry name=\"{target_text}\" flags=\"{flags}\" ver=\"{constraint_text}\"{pre}/>").unwrap();
            let text = if sign.is_empty() { target.clone() } else { format!("{target} {sign} {constraint}") };
            wanted.push((kind, text));
        }
        let text = format!(
            "<metadata><package><name>{}</name><arch>noarch</arch><version epoch=\"{epoch}\" ver=\"{version}\" rel=\"1\"/>\
             <checksum type=\"sha256\">{SHA256}</checksum><summary>{}</summary><size package=\"1\" installed=\"2\"/>\
             <location href=\"{}\"/><format><rpm:requires>{entries}</rpm:requires></format></package></metadata>",
            escape(&name), escape(&summary), escape(&href)
        );
        let mut count = 0;
        primary::scan(text.as_bytes(), &mut |record| {
            count += 1;
            assert_eq!((record.name, record.summary, record.location), (name.as_str(), summary.trim(), href.as_str()));
            let epoch = if epoch == 0 { String::new() } else { format!("{epoch}:") };
            assert_eq!(record.version, format!("{epoch}{version}-1"));
            let found: Vec<(RelationKind, String)> =
                record.relations.iter().map(|(kind, text)| (*kind, text.to_string())).collect();
            assert_eq!(found, wanted);
        }).unwrap();
        prop_assert_eq!(count, 1);
    }
}
