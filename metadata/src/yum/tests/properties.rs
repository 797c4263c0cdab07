//! What holds for any input: nothing panics, and what was written reads back.

use super::super::{filelists, metalink, primary, repomd, updateinfo};
use super::SHA256;
use crate::package::RelationKind;
use proptest::prelude::*;
use std::fmt::Write as _;

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
