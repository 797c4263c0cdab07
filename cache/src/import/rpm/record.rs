//! The text form of an rpm package's record, as manifests hold it: `keyword value` lines, written at import and parsed
//! into a [`PackageRecord`] when the packages of a base are shown to the resolver.
//!
//! Ours, for rpm has no text form of its own. Files are not repeated here but for ghosts, which no tree has:
//! [`of_manifest`] takes the rest from the tree.

use super::header::{FileInfo, HeaderError, RpmHeader};
use crate::store::PackageManifest;
use std::borrow::Cow;
use vzpkg_metadata::package::{MultiArch, PackageRecord, Priority, RelationKind};
use vzpkg_metadata::{Digest, Family};

/// Relation keywords, the meaning of each, and its tags: names, flags, versions.
const RELATIONS: [(&str, RelationKind, [u32; 3]); 10] = [
    ("requires", RelationKind::Depends, [1049, 1048, 1050]),
    ("provides", RelationKind::Provides, [1047, 1112, 1113]),
    ("conflicts", RelationKind::Conflicts, [1054, 1053, 1055]),
    ("obsoletes", RelationKind::Obsoletes, [1090, 1114, 1115]),
    ("recommends", RelationKind::Recommends, [5046, 5048, 5047]),
    ("suggests", RelationKind::Suggests, [5049, 5051, 5050]),
    ("supplements", RelationKind::Supplements, [5052, 5054, 5053]),
    ("enhances", RelationKind::Enhances, [5055, 5057, 5056]),
    ("requires-pre", RelationKind::PreDepends, [0, 0, 0]),
    ("ghost", RelationKind::File, [0, 0, 0]),
];

/// `RPMSENSE_PREREQ`, `_SCRIPT_PRE`, `_SCRIPT_POST`: needed before the package's scripts run.
const BEFORE_SCRIPTS: u64 = 1 << 6 | 1 << 9 | 1 << 10;

/// `RPMSENSE_RPMLIB`: a feature of rpm itself.
const RPMLIB: u64 = 1 << 24;

/// Writes the record of a package.
///
/// # Errors
/// [`HeaderError::Missing`], [`HeaderError::Length`].
pub(super) fn write(header: &RpmHeader, files: &[FileInfo]) -> Result<String, HeaderError> {
    let mut lines = Vec::new();
    let mut add = |keyword: &str, value: &str| {
        // One line per value, whatever a package says.
        let value = value.replace(['\n', '\r'], " ");
        lines.push(format!("{keyword} {value}\n"));
    };
    add("name", &name(header)?);
    add("version", &version(header)?);
    add("arch", &arch(header)?);
    add("source", &source(header));
    add("summary", &header.text(1004).unwrap_or_default());
    let installed = header.number(5009).or_else(|| header.number(1009));
    add("installed-size", &installed.unwrap_or_default().to_string());
    for (keyword, kind, [names, flags, versions]) in RELATIONS {
        if names == 0 {
            continue;
        }
        for (relation, flags) in relations(header, names, flags, versions)? {
            if flags & RPMLIB != 0 || relation.starts_with("rpmlib(") {
                continue;
            }
            let before = kind == RelationKind::Depends && flags & BEFORE_SCRIPTS != 0;
            add(if before { "requires-pre" } else { keyword }, &relation);
        }
    }
    for file in files.iter().filter(|file| file.flags.is_ghost()) {
        add("ghost", &format!("/{}", file.path));
    }
    Ok(lines.concat())
}

pub(super) fn name(header: &RpmHeader) -> Result<String, HeaderError> {
    header.text(1000).ok_or(HeaderError::Missing("name"))
}

pub(super) fn arch(header: &RpmHeader) -> Result<String, HeaderError> {
    header
        .text(1022)
        .ok_or(HeaderError::Missing("architecture"))
}

/// `[epoch:]version-release` with a zero epoch left out.
pub(super) fn version(header: &RpmHeader) -> Result<String, HeaderError> {
    let version = header.text(1001).ok_or(HeaderError::Missing("version"))?;
    let release = header.text(1002).ok_or(HeaderError::Missing("release"))?;
    Ok(match header.number(1003) {
        None | Some(0) => format!("{version}-{release}"),
        Some(epoch) => format!("{epoch}:{version}-{release}"),
    })
}

/// `bash` of `bash-4.2-1.src.rpm`.
fn source(header: &RpmHeader) -> String {
    let file = header.text(1044).unwrap_or_default();
    let mut parts = file.rsplitn(3, '-');
    parts.nth(2).unwrap_or_default().to_owned()
}

fn relations(
    header: &RpmHeader,
    names: u32,
    flags: u32,
    versions: u32,
) -> Result<Vec<(String, u64)>, HeaderError> {
    let names = header.texts(names);
    let mut flags = header.numbers(flags);
    let mut versions = header.texts(versions);
    // Old packages leave both out.
    flags.resize(names.len().max(flags.len()), 0);
    versions.resize(names.len().max(versions.len()), String::new());
    if flags.len() != names.len() || versions.len() != names.len() {
        return Err(HeaderError::Length {
            tag: "dependencies",
            found: flags.len().max(versions.len()),
            files: names.len(),
        });
    }
    let each = names.into_iter().zip(flags).zip(versions);
    Ok(each
        .map(|((name, flags), version)| (relation(name, flags, &version), flags))
        .collect())
}

fn relation(name: String, flags: u64, version: &str) -> String {
    let operator = match flags & 0b1110 {
        0b0010 => "<",
        0b0100 => ">",
        0b1000 => "=",
        0b1010 => "<=",
        0b1100 => ">=",
        _ => return name,
    };
    if version.is_empty() || name.starts_with('(') {
        return name;
    }
    format!("{name} {operator} {version}")
}

/// The record of an imported package, for the index of what a base holds. Every path of the package is a
/// [`RelationKind::File`].
pub fn of_manifest(manifest: &PackageManifest) -> PackageRecord<'_> {
    let mut record = parse(&manifest.record, manifest.sha256, manifest.size);
    record
        .relations
        .extend(manifest.tree.iter().map(|(path, _)| {
            let path = Cow::Owned(format!("/{path}"));
            (RelationKind::File, path)
        }));
    record
}

/// Parses the text form; lines it does not know are passed over.
fn parse(text: &str, sha256: Digest, size: u64) -> PackageRecord<'_> {
    let mut record = PackageRecord {
        family: Family::Rpm,
        name: "",
        version: Cow::Borrowed(""),
        arch: "",
        source: "",
        section: "",
        location: "",
        size,
        installed_size: 0,
        sha256,
        essential: false,
        protected: false,
        multi_arch: MultiArch::No,
        priority: Priority::Optional,
        summary: "",
        relations: Vec::new(),
    };
    for line in text.lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        match keyword {
            "name" => record.name = value,
            "version" => record.version = Cow::Borrowed(value),
            "arch" => record.arch = value,
            "source" => record.source = value,
            "summary" => record.summary = value,
            "installed-size" => record.installed_size = value.parse().unwrap_or_default(),
            _ => {
                let known = RELATIONS.iter().find(|(known, ..)| *known == keyword);
                if let Some((_, kind, _)) = known {
                    record.relations.push((*kind, Cow::Borrowed(value)));
                }
            }
        }
    }
    record
}

#[cfg(test)]
pub(super) fn parse_for_tests(text: &str) -> PackageRecord<'_> {
    parse(text, Digest::of(b""), 0)
}
