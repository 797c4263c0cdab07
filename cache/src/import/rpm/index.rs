//! What the three indexes of a yum repository say of one package, from its header: `primary`, `filelists`, `other`.
//!
//! The texts are elements as `createrepo_c` writes them: dnf, yum and libsolv read nothing else.

use super::RpmError;
use super::header::{self, FileInfo, HeaderError, RpmHeader};
use super::record;
use std::fmt::Write as _;
use std::io::Read;
use vzpkg_metadata::Digest;

/// Entries of a changelog that are told, the newest.
const CHANGES: usize = 10;

/// `RPMSENSE_PREREQ`, `_SCRIPT_PRE`, `_SCRIPT_POST`: needed before the package's scripts run.
const BEFORE_SCRIPTS: u64 = 1 << 6 | 1 << 9 | 1 << 10;

/// Elements of `format` with the tags of names, flags and versions.
const RELATIONS: [(&str, [u32; 3]); 8] = [
    ("provides", [1047, 1112, 1113]),
    ("requires", [1049, 1048, 1050]),
    ("conflicts", [1054, 1053, 1055]),
    ("obsoletes", [1090, 1114, 1115]),
    ("suggests", [5049, 5051, 5050]),
    ("enhances", [5055, 5057, 5056]),
    ("recommends", [5046, 5048, 5047]),
    ("supplements", [5052, 5054, 5053]),
];

/// What the header does not know about its file.
#[derive(Debug, Clone, Copy)]
pub(in crate::import) struct Place<'a> {
    pub(in crate::import) location: &'a str,
    pub(in crate::import) digest: Digest,
    pub(in crate::import) size: u64,
    /// Seconds since 1970.
    pub(in crate::import) modified: u64,
}

/// Name, version and architecture of a package, and its elements in the three indexes.
pub(in crate::import) fn describe(
    file: &mut dyn Read,
    place: &Place<'_>,
) -> Result<([String; 3], Vec<String>), RpmError> {
    let header = header::read(file)?;
    let files = header.files()?;
    let package = [
        record::name(&header)?,
        record::version(&header)?,
        record::arch(&header)?,
    ];
    let texts = vec![
        primary(&header, &files, place)?,
        filelists(&header, &files, place)?,
        other(&header, place)?,
    ];
    Ok((package, texts))
}

fn primary(
    header: &RpmHeader,
    files: &[FileInfo],
    place: &Place<'_>,
) -> Result<String, HeaderError> {
    let text = |tag| escaped(&header.text(tag).unwrap_or_default());
    let number = |tags: &[u32]| tags.iter().find_map(|tag| header.number(*tag)).unwrap_or(0);
    let mut xml = String::from("<package type=\"rpm\">\n");
    element(&mut xml, "name", &escaped(&record::name(header)?));
    element(&mut xml, "arch", &escaped(&record::arch(header)?));
    let _ = writeln!(xml, "  {}", version(header)?);
    let digest = place.digest;
    let _ = writeln!(
        xml,
        "  <checksum type=\"sha256\" pkgid=\"YES\">{digest}</checksum>"
    );
    for (name, tag) in [
        ("summary", 1004),
        ("description", 1005),
        ("packager", 1015),
        ("url", 1020),
    ] {
        element(&mut xml, name, &text(tag));
    }
    let (modified, built) = (place.modified, number(&[1006]));
    let _ = writeln!(xml, "  <time file=\"{modified}\" build=\"{built}\"/>");
    let (size, installed, archive) = (
        place.size,
        number(&[5009, 1009]),
        number(&[271, 1046, 1007]),
    );
    let _ = writeln!(
        xml,
        "  <size package=\"{size}\" installed=\"{installed}\" archive=\"{archive}\"/>"
    );
    let _ = writeln!(
        xml,
        "  <location href=\"{}\"/>\n  <format>",
        escaped(place.location)
    );
    for (name, tag) in [
        ("license", 1014),
        ("vendor", 1011),
        ("group", 1016),
        ("buildhost", 1007),
        ("sourcerpm", 1044),
    ] {
        element(&mut xml, &format!("rpm:{name}"), &text(tag));
    }
    let start = header.lead.len();
    let end = start + header.bytes.len();
    let _ = writeln!(
        xml,
        "    <rpm:header-range start=\"{start}\" end=\"{end}\"/>"
    );
    for (name, tags) in RELATIONS {
        relations(&mut xml, header, name, tags);
    }
    for file in files
        .iter()
        .filter(|file| is_primary(&file.path.to_string()))
    {
        xml.push_str(&file_element(file));
    }
    xml.push_str("  </format>\n</package>\n");
    Ok(xml)
}

fn filelists(
    header: &RpmHeader,
    files: &[FileInfo],
    place: &Place<'_>,
) -> Result<String, HeaderError> {
    let mut xml = about(header, place)?;
    for file in files {
        xml.push_str(&file_element(file));
    }
    xml.push_str("</package>\n");
    Ok(xml)
}

fn other(header: &RpmHeader, place: &Place<'_>) -> Result<String, HeaderError> {
    let mut xml = about(header, place)?;
    let (times, names, texts) = (header.numbers(1080), header.texts(1081), header.texts(1082));
    // The header has the newest first, the index last.
    let changes = times.iter().zip(&names).zip(&texts).take(CHANGES);
    let changes: Vec<_> = changes.collect();
    for ((time, name), text) in changes.into_iter().rev() {
        let (name, text) = (escaped(name), escaped(text));
        let _ = writeln!(
            xml,
            "  <changelog author=\"{name}\" date=\"{time}\">{text}</changelog>"
        );
    }
    xml.push_str("</package>\n");
    Ok(xml)
}

/// How an element of `filelists` and `other` begins.
fn about(header: &RpmHeader, place: &Place<'_>) -> Result<String, HeaderError> {
    let (name, arch) = (record::name(header)?, record::arch(header)?);
    Ok(format!(
        "<package pkgid=\"{}\" name=\"{}\" arch=\"{}\">\n  {}\n",
        place.digest,
        escaped(&name),
        escaped(&arch),
        version(header)?
    ))
}

fn version(header: &RpmHeader) -> Result<String, HeaderError> {
    let part = |tag, name| header.text(tag).ok_or(HeaderError::Missing(name));
    let epoch = header.number(1003).unwrap_or(0);
    let (version, release) = (part(1001, "version")?, part(1002, "release")?);
    let (version, release) = (escaped(&version), escaped(&release));
    Ok(format!(
        "<version epoch=\"{epoch}\" ver=\"{version}\" rel=\"{release}\"/>"
    ))
}

fn relations(xml: &mut String, header: &RpmHeader, name: &str, [names, flags, versions]: [u32; 3]) {
    let (flags, versions) = (header.numbers(flags), header.texts(versions));
    let mut entries: Vec<String> = Vec::new();
    for (at, relation) in header.texts(names).iter().enumerate() {
        // What rpm itself must be able to do is no package's to provide.
        if relation.starts_with("rpmlib(") {
            continue;
        }
        let flags = flags.get(at).copied().unwrap_or(0);
        let version = versions.get(at).map_or("", String::as_str);
        let entry = entry(relation, flags, version, name == "requires");
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    if !entries.is_empty() {
        let _ = writeln!(
            xml,
            "    <rpm:{name}>\n{}    </rpm:{name}>",
            entries.concat()
        );
    }
}

fn entry(name: &str, flags: u64, version: &str, is_requirement: bool) -> String {
    let mut text = format!("      <rpm:entry name=\"{}\"", escaped(name));
    let operator = match flags & 0b1110 {
        0b0010 => "LT",
        0b0100 => "GT",
        0b1000 => "EQ",
        0b1010 => "LE",
        0b1100 => "GE",
        _ => "",
    };
    if !operator.is_empty() && !version.is_empty() {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (version, release) = match rest.rsplit_once('-') {
            Some((version, release)) => (version, Some(release)),
            None => (rest, None),
        };
        let (epoch, version) = (escaped(epoch), escaped(version));
        let _ = write!(
            text,
            " flags=\"{operator}\" epoch=\"{epoch}\" ver=\"{version}\""
        );
        if let Some(release) = release {
            let _ = write!(text, " rel=\"{}\"", escaped(release));
        }
    }
    if is_requirement && flags & BEFORE_SCRIPTS != 0 {
        text.push_str(" pre=\"1\"");
    }
    text.push_str("/>\n");
    text
}

/// Whether `primary` lists a path: what other packages may ask for without `filelists`.
fn is_primary(path: &str) -> bool {
    path.starts_with("etc/") || path.contains("bin/") || path == "usr/lib/sendmail"
}

fn file_element(file: &FileInfo) -> String {
    let path = escaped(&format!("/{}", file.path));
    let kind = if file.flags.is_ghost() {
        " type=\"ghost\""
    } else if file.mode & header::TYPE_MASK == 0o040_000 {
        " type=\"dir\""
    } else {
        ""
    };
    format!("  <file{kind}>{path}</file>\n")
}

fn element(xml: &mut String, name: &str, content: &str) {
    let _ = writeln!(xml, "  <{name}>{content}</{name}>");
}

/// As text of XML, without what XML cannot hold.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            other if other.is_control() || matches!(other, '\u{fffe}' | '\u{ffff}') => {}
            other => escaped.push(other),
        }
    }
    escaped
}
