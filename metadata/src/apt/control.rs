//! One control paragraph: the `control` member of a .deb, or a package of dpkg's `status`; and its conffiles.

use super::deb822::{Reader, SyntaxError};
use super::fields::{Draft, FieldProblem, Known};
use crate::package::PackageRecord;
use crate::path::PathError;
use crate::text::excerpt;
use crate::{Digest, RelPath, limits};

/// What a control paragraph does not say about the file it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageFile<'a> {
    /// SHA-256 of the .deb.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Where it lies below a repository; empty if it lies in none.
    pub location: &'a str,
}

/// Why a text is no control paragraph.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ControlError {
    /// More than [`limits::CONTROL_BYTES`].
    #[error("control data of {0} bytes is too large")]
    TooLarge(usize),
    /// A line that is none of a control paragraph.
    #[error("the control data cannot be read")]
    Syntax(#[from] SyntaxError),
    /// Text after the one paragraph that there is.
    #[error("the control data goes on after its end")]
    Trailing,
    /// A field that must be there.
    #[error("the control data has no field `{0}`")]
    Missing(&'static str),
    /// A field whose value is not what it must be.
    #[error("field `{field}` of the control data is {problem}")]
    Field {
        /// The field, as written.
        field: String,
        /// What is wrong with its value.
        problem: FieldProblem,
    },
    /// A line of `conffiles` that names no file of a package.
    #[error("`{line}` is no line of a list of conffiles")]
    Conffile {
        /// The line.
        line: String,
        /// What is wrong with its path; `None` where there is no absolute path, or only the root.
        source: Option<PathError>,
    },
}

/// Reads one control paragraph: `Package`, `Version` and `Architecture` must be there, and nothing after it.
///
/// # Errors
/// [`ControlError`] by what is wrong.
pub fn parse<'a>(text: &'a str, file: PackageFile<'a>) -> Result<PackageRecord<'a>, ControlError> {
    if text.len() as u64 > limits::CONTROL_BYTES {
        return Err(ControlError::TooLarge(text.len()));
    }
    let mut reader = Reader::new(text);
    let mut draft = Draft::new();
    reader.next_paragraph();
    while let Some(field) = reader.next_field()? {
        draft.take(field).map_err(|problem| ControlError::Field {
            field: field.name.to_owned(),
            problem,
        })?;
    }
    if reader.next_paragraph() {
        return Err(ControlError::Trailing);
    }
    for (known, field) in [
        (Known::Package, "Package"),
        (Known::Version, "Version"),
        (Known::Architecture, "Architecture"),
    ] {
        if !draft.has(known) {
            return Err(ControlError::Missing(field));
        }
    }
    let mut record = draft.record;
    record.sha256 = file.sha256;
    record.size = file.size;
    record.location = file.location;
    Ok(record)
}

/// One field of a control paragraph, its name compared without regard to case; `None` if absent. For the few fields
/// that a [`PackageRecord`] does not carry (`Status`, `Conffiles`, `Homepage`, …).
///
/// # Errors
/// [`ControlError::Syntax`].
pub fn field<'a>(text: &'a str, name: &str) -> Result<Option<&'a str>, ControlError> {
    let mut reader = Reader::new(text);
    reader.next_paragraph();
    while let Some(field) = reader.next_field()? {
        if field.name.eq_ignore_ascii_case(name) {
            return Ok(Some(field.value));
        }
    }
    Ok(None)
}

/// Splits dpkg's `status`, or any file of paragraphs, at its blank lines. Each part can go to [`parse`] or [`field`].
pub fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n")
        .map(|paragraph| paragraph.trim_matches('\n'))
        .filter(|paragraph| !paragraph.is_empty())
}

/// One conffile of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conffile {
    /// Its path, without the leading `/`.
    pub path: RelPath,
    /// `remove-on-upgrade`: not shipped any more; dpkg removes it.
    pub remove_on_upgrade: bool,
}

/// Reads the `conffiles` member of a .deb: one absolute path per line, maybe after the flag `remove-on-upgrade`.
///
/// # Errors
/// [`ControlError::Conffile`] for any other line.
pub fn conffiles(text: &str) -> Result<Vec<Conffile>, ControlError> {
    let mut files = Vec::new();
    for line in text.split('\n').map(str::trim_ascii) {
        if line.is_empty() {
            continue;
        }
        let (remove_on_upgrade, path) = match line.strip_prefix("remove-on-upgrade ") {
            Some(path) => (true, path.trim_ascii_start()),
            None => (false, line),
        };
        let failed = |source| ControlError::Conffile {
            line: excerpt(line),
            source,
        };
        let path = path.strip_prefix('/').ok_or_else(|| failed(None))?;
        let path = RelPath::parse(path.as_bytes()).map_err(|source| failed(Some(source)))?;
        if path.is_root() {
            return Err(failed(None));
        }
        files.push(Conffile {
            path,
            remove_on_upgrade,
        });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::RelationKind;

    const FILE: PackageFile<'_> = PackageFile {
        sha256: Digest::from_bytes([7; 32]),
        size: 12,
        location: "",
    };

    #[test]
    fn a_control_member_becomes_a_record() {
        let text = "package: adduser\nVersion: 3.134\nArchitecture: all\nPre-depends: a,\n b (>= 1) |\n c\n\
            Source: adduser-src (3)\nInstalled-Size: 2\nDescription: add users\n and groups\n .\n more\n";
        let record = parse(text, FILE).unwrap();
        assert_eq!(
            (record.name, record.source, record.summary),
            ("adduser", "adduser-src", "add users")
        );
        assert_eq!((record.size, record.installed_size), (12, 2048));
        let wanted: Vec<&str> = record.relations_of(RelationKind::PreDepends).collect();
        assert_eq!(wanted, ["a", "b (>= 1) |  c"]);
    }

    #[test]
    fn incomplete_or_longer_control_data_is_refused() {
        let whole = "Package: a\nVersion: 1\nArchitecture: all\n";
        assert!(parse(whole, FILE).is_ok());
        assert_eq!(
            parse("Package: a\nVersion: 1\n", FILE),
            Err(ControlError::Missing("Architecture"))
        );
        let two = format!("{whole}\n{whole}");
        assert_eq!(parse(&two, FILE), Err(ControlError::Trailing));
        assert_eq!(paragraphs(&two).count(), 2);
        let twice = format!("{whole}package: b\n");
        assert!(matches!(
            parse(&twice, FILE),
            Err(ControlError::Field {
                problem: FieldProblem::Twice,
                ..
            })
        ));
    }

    #[test]
    fn fields_are_found_without_regard_to_case() {
        let text = "Package: a\nStatus: install ok installed\n";
        assert_eq!(field(text, "status"), Ok(Some("install ok installed")));
        assert_eq!(field(text, "Homepage"), Ok(None));
    }

    #[test]
    fn conffiles_stay_inside_the_root() {
        let files = conffiles("/etc/a\n\nremove-on-upgrade /etc/b c\n").unwrap();
        let shown: Vec<_> = files
            .iter()
            .map(|file| (file.path.to_string(), file.remove_on_upgrade))
            .collect();
        assert_eq!(shown, [("etc/a".into(), false), ("etc/b c".into(), true)]);
        for text in ["etc/a", "/etc/../../x", "remove-on-upgrade", "//x", "/"] {
            assert!(conffiles(text).is_err(), "{text}");
        }
    }
}
