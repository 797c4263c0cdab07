//! The files of a repository that this node makes itself: indexes and the signed root of both families, from what the
//! packages say.
//!
//! ```text
//! dists/stable/InRelease Release Release.gpg               main/binary-<arch>/Packages.{gz,xz} and by-hash
//! repodata/repomd.xml repomd.xml.asc                       <sha256>-{primary,filelists,other}.xml.gz
//! ```

use super::error::MirrorError;
use crate::sign::OwnKey;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use vzpkg_metadata::{Digest, Family, MirrorName};

/// Its only suite.
const SUITE: &str = "stable";

/// xz as apt's own archives have it.
const XZ_LEVEL: u32 = 6;

/// One package of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words<'a> {
    pub(super) arch: &'a str,
    pub(super) texts: &'a [String],
}

/// A file below the repository.
pub(super) type File = (String, Vec<u8>);

/// The indexes: what changes only when packages do.
pub(super) fn indexes(
    family: Family,
    packages: &[Words<'_>],
    host_arch: &str,
) -> Result<Vec<File>, MirrorError> {
    let made = match family {
        Family::Deb => deb_indexes(packages, host_arch),
        Family::Rpm => rpm_indexes(packages),
    };
    made.map_err(|error| MirrorError::Config(format!("the indexes cannot be made: {error}")))
}

/// The signed root of these indexes.
pub(super) fn root(
    family: Family,
    name: &MirrorName,
    indexes: &[File],
    date: i64,
    key: &OwnKey,
) -> Result<Vec<File>, MirrorError> {
    match family {
        Family::Deb => {
            let release = release(name, indexes, date);
            let at = |file: &str| format!("dists/{SUITE}/{file}");
            let detached = key.detached(release.as_bytes())?;
            let inline = key.inline(&release)?;
            Ok(vec![
                (at("InRelease"), inline),
                (at("Release"), release.into_bytes()),
                (at("Release.gpg"), detached),
            ])
        }
        Family::Rpm => {
            let repomd = repomd(indexes, date)?;
            let detached = key.detached(repomd.as_bytes())?;
            Ok(vec![
                ("repodata/repomd.xml".to_owned(), repomd.into_bytes()),
                ("repodata/repomd.xml.asc".to_owned(), detached),
            ])
        }
    }
}

fn deb_indexes(packages: &[Words<'_>], host_arch: &str) -> io::Result<Vec<File>> {
    let mut archs: BTreeSet<&str> = packages.iter().map(|package| package.arch).collect();
    archs.remove("all");
    if archs.is_empty() {
        archs.insert(host_arch);
    }
    let mut files = Vec::new();
    for arch in archs {
        // Every architecture has those of none, as archives without a separate index of `all` do.
        let own = packages
            .iter()
            .filter(|package| package.arch == arch || package.arch == "all");
        let texts: Vec<&str> = own
            .flat_map(|package| package.texts.iter().map(String::as_str))
            .collect();
        let text = texts.join("\n");
        let directory = format!("dists/{SUITE}/main/binary-{arch}");
        for (ending, bytes) in [
            ("", text.clone().into_bytes()),
            (".gz", gz(text.as_bytes())?),
            (".xz", xz(text.as_bytes())?),
        ] {
            let digest = Digest::of(&bytes);
            files.push((
                format!("{directory}/by-hash/SHA256/{digest}"),
                bytes.clone(),
            ));
            files.push((format!("{directory}/Packages{ending}"), bytes));
        }
    }
    Ok(files)
}

fn release(name: &MirrorName, indexes: &[File], date: i64) -> String {
    let below = format!("dists/{SUITE}/");
    let named = indexes.iter().filter_map(|(path, bytes)| {
        let path = path.strip_prefix(&below)?;
        (!path.contains("/by-hash/")).then_some((path, bytes))
    });
    let named: Vec<_> = named.collect();
    let archs = named.iter().filter_map(|(path, _)| {
        let rest = path.strip_prefix("main/binary-")?;
        rest.split('/').next()
    });
    let archs: BTreeSet<&str> = archs.collect();
    let archs: Vec<&str> = archs.into_iter().collect();
    let time = jiff::Timestamp::from_second(date).unwrap_or_default();
    let time = time.strftime("%a, %d %b %Y %H:%M:%S UTC");
    let mut text = format!(
        "Origin: vzpkg\nLabel: {name}\nSuite: {SUITE}\nCodename: {SUITE}\nDate: {time}\n\
         Architectures: {}\nComponents: main\nNo-Support-for-Architecture-all: Packages\n\
         Acquire-By-Hash: yes\nSHA256:\n",
        archs.join(" ")
    );
    for (path, bytes) in named {
        let (digest, size) = (Digest::of(bytes), bytes.len());
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, " {digest} {size} {path}");
    }
    text
}

/// The indexes of a yum repository with the root element of each.
const RPM_INDEXES: [(&str, &str); 3] = [
    (
        "primary",
        "metadata xmlns=\"http://linux.duke.edu/metadata/common\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\"",
    ),
    (
        "filelists",
        "filelists xmlns=\"http://linux.duke.edu/metadata/filelists\"",
    ),
    (
        "other",
        "otherdata xmlns=\"http://linux.duke.edu/metadata/other\"",
    ),
];

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn rpm_indexes(packages: &[Words<'_>]) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for (number, (kind, element)) in RPM_INDEXES.into_iter().enumerate() {
        let end = element.split(' ').next().unwrap_or_default();
        let mut xml = format!("{XML}<{element} packages=\"{}\">\n", packages.len());
        for package in packages {
            xml.push_str(package.texts.get(number).map_or("", String::as_str));
        }
        // Writing to a `String` cannot fail.
        let _ = writeln!(xml, "</{end}>");
        let packed = gz(xml.as_bytes())?;
        let digest = Digest::of(&packed);
        files.push((format!("repodata/{digest}-{kind}.xml.gz"), packed));
    }
    Ok(files)
}

fn repomd(indexes: &[File], date: i64) -> Result<String, MirrorError> {
    let mut xml = format!(
        "{XML}<repomd xmlns=\"http://linux.duke.edu/metadata/repo\" \
         xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">\n  <revision>{date}</revision>\n"
    );
    for (path, bytes) in indexes {
        let mut kinds = RPM_INDEXES.iter().map(|(kind, _)| *kind);
        let kind = kinds.find(|kind| path.ends_with(&format!("-{kind}.xml.gz")));
        let Some(kind) = kind else { continue };
        let mut open = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(bytes.as_slice());
        io::Read::read_to_end(&mut reader, &mut open)
            .map_err(|error| MirrorError::Config(format!("an index cannot be read: {error}")))?;
        let (digest, size) = (Digest::of(bytes), bytes.len());
        let (open_digest, open_size) = (Digest::of(&open), open.len());
        let _ = write!(
            xml,
            "  <data type=\"{kind}\">\n    <checksum type=\"sha256\">{digest}</checksum>\n    \
             <open-checksum type=\"sha256\">{open_digest}</open-checksum>\n    \
             <location href=\"{path}\"/>\n    <timestamp>{date}</timestamp>\n    \
             <size>{size}</size>\n    <open-size>{open_size}</open-size>\n  </data>\n"
        );
    }
    xml.push_str("</repomd>\n");
    Ok(xml)
}

fn gz(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn xz(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), XZ_LEVEL);
    encoder.write_all(bytes)?;
    encoder.finish()
}
