//! What the yum parsers take, and the attacks they refuse.

mod hostile;
mod lists;
mod primary;
mod properties;
mod root;

use super::primary as parser;

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

fn scan(text: &str) -> Result<Vec<String>, parser::PrimaryError> {
    let mut found = Vec::new();
    parser::scan(text.as_bytes(), &mut |record| {
        found.push(format!("{record:?}"));
    })?;
    Ok(found)
}
