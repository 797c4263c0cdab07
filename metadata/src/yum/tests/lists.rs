//! `filelists.xml` and `updateinfo.xml`.

use super::super::{filelists, updateinfo};
use super::SHA256;
use crate::Digest;

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
