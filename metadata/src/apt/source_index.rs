//! `Sources`: the files of every source package of one component, for who copies them.
//!
//! Not for building: relations and lists of binaries are passed over. Strict in what fetching and verifying needs.

use super::deb822::{Field, Reader};
use super::packages::PackagesError;
use super::{FieldProblem, fields};
use crate::Digest;

/// One file of a source package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceFile<'a> {
    /// The source package.
    pub package: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Where its files lie below the repository.
    pub directory: &'a str,
    /// The file in there.
    pub name: &'a str,
    /// Its SHA-256.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// What a paragraph says, as far as it counts here.
#[derive(Debug, Default)]
struct Draft<'a> {
    package: Option<&'a str>,
    version: Option<&'a str>,
    directory: Option<&'a str>,
    files: Option<Field<'a>>,
}

/// Reads `text` and hands each file of each package to `visit`, in order; texts borrow from `text`. How many packages
/// there are.
///
/// # Errors
/// [`PackagesError`], which names the package. `visit` has then seen the files of the packages before it.
pub fn scan<'a>(
    text: &'a str,
    visit: &mut dyn FnMut(&SourceFile<'a>),
) -> Result<usize, PackagesError> {
    let mut reader = Reader::new(text);
    let mut number = 0_usize;
    while reader.next_paragraph() {
        number = number.saturating_add(1);
        let draft = read_paragraph(&mut reader, number)?;
        let name = || draft.package.unwrap_or_default().to_owned();
        let missing = |field| PackagesError::Missing {
            number,
            name: name(),
            field,
        };
        let package = draft.package.ok_or_else(|| missing("Package"))?;
        let version = draft.version.ok_or_else(|| missing("Version"))?;
        let directory = draft.directory.ok_or_else(|| missing("Directory"))?;
        let files = draft.files.ok_or_else(|| missing("Checksums-Sha256"))?;
        for line in files.continuation() {
            let file = entry(line).map_err(|problem| PackagesError::Field {
                number,
                name: name(),
                field: files.name.to_owned(),
                problem,
            })?;
            let (sha256, size, name) = file;
            visit(&SourceFile {
                package,
                version,
                directory,
                name,
                sha256,
                size,
            });
        }
    }
    Ok(number)
}

fn read_paragraph<'a>(reader: &mut Reader<'a>, number: usize) -> Result<Draft<'a>, PackagesError> {
    let mut draft = Draft::default();
    loop {
        let name = || draft.package.unwrap_or_default().to_owned();
        let field = reader
            .next_field()
            .map_err(|source| PackagesError::Syntax {
                number,
                name: name(),
                source,
            })?;
        let Some(field) = field else {
            return Ok(draft);
        };
        let taken = draft.take(field);
        taken.map_err(|problem| PackagesError::Field {
            number,
            name: draft.package.unwrap_or_default().to_owned(),
            field: field.name.to_owned(),
            problem,
        })?;
    }
}

impl<'a> Draft<'a> {
    fn take(&mut self, field: Field<'a>) -> Result<(), FieldProblem> {
        let place = match field.name.to_ascii_lowercase().as_str() {
            "package" => &mut self.package,
            "version" => &mut self.version,
            "directory" => &mut self.directory,
            "checksums-sha256" if self.files.is_some() => return Err(FieldProblem::Twice),
            "checksums-sha256" => {
                self.files = Some(field);
                return Ok(());
            }
            _ => return Ok(()),
        };
        if place.is_some() {
            return Err(FieldProblem::Twice);
        }
        *place = Some(fields::line(field.value)?);
        Ok(())
    }
}

/// `digest size name`.
fn entry(line: &str) -> Result<(Digest, u64, &str), FieldProblem> {
    let mut words = line.split_ascii_whitespace();
    let (Some(digest), Some(size), Some(name), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(FieldProblem::Empty);
    };
    let digest = digest.parse().map_err(|_not_one| FieldProblem::Digest)?;
    let digits = size.bytes().all(|byte| byte.is_ascii_digit());
    let size = size.parse().ok().filter(|_| digits);
    // A file of a package lies in its directory.
    if name.contains('/') {
        return Err(FieldProblem::Character);
    }
    Ok((digest, size.ok_or(FieldProblem::Number)?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paragraph(name: &str, files: &str) -> String {
        format!(
            "Package: {name}\nBinary: a, b\nVersion: 1.0-1\nFiles:\n 0123 5 {name}.dsc\nDirectory: pool/main/{name}\n\
             Checksums-Sha256:{files}\nPriority: optional\n\n"
        )
    }

    fn files(text: &str) -> Result<Vec<(String, u64)>, PackagesError> {
        let mut found = Vec::new();
        scan(text, &mut |file| {
            let path = format!("{} {}/{}", file.version, file.directory, file.name);
            found.push((path, file.size));
        })?;
        Ok(found)
    }

    #[test]
    fn every_file_of_every_package_is_found() {
        let digest = "a".repeat(64);
        let one = format!("\n {digest} 5 x.dsc\n {digest} 1000 x.tar.xz");
        let text = paragraph("x", &one) + &paragraph("y", &format!("\n {digest} 7 y.dsc"));
        let expected = [("x/x.dsc", 5), ("x/x.tar.xz", 1000), ("y/y.dsc", 7)];
        let expected = expected.map(|(path, size)| (format!("1.0-1 pool/main/{path}"), size));
        assert_eq!(files(&text).unwrap(), expected);
        assert_eq!(files("").unwrap(), []);
    }

    #[test]
    fn what_cannot_be_verified_is_refused_with_the_name_of_the_package() {
        let digest = "a".repeat(64);
        for lines in [
            "\n 0123 5 x.dsc".to_owned(),
            format!("\n {digest} five x.dsc"),
            format!("\n {digest} +5 x.dsc"),
            format!("\n {digest} 5"),
            format!("\n {digest} 5 x.dsc more"),
            format!("\n {digest} 5 ../x.dsc"),
        ] {
            let error = files(&paragraph("x", &lines)).unwrap_err().to_string();
            assert!(error.contains("`x`"), "{error}");
        }
        let whole = paragraph("x", &format!("\n {digest} 5 x.dsc"));
        for field in ["Package", "Version", "Directory", "Checksums-Sha256"] {
            let without = whole.replace(&format!("{field}:"), &format!("X-{field}:"));
            let error = files(&without).unwrap_err();
            assert!(matches!(error, PackagesError::Missing { .. }), "{error}");
        }
        let twice = whole.replace("Priority: optional", "Directory: pool/other");
        let error = files(&twice).unwrap_err().to_string();
        assert!(error.contains("given twice"), "{error}");
    }
}
