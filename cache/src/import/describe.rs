//! What the index of a repository says of one package file: the words of its own control data, with its hash and place.
//!
//! For a deb a paragraph of `Packages`; for an rpm its elements in `primary`, `filelists` and `other`. Nothing is
//! unpacked but control data.

use super::deb::{self, DebError};
use super::rpm::{RpmError, index};
use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::path::{Path, PathBuf};
use vzpkg_metadata::apt::control;
use vzpkg_metadata::durable::FileError;
use vzpkg_metadata::{Digest, Family};

/// Fields that belong to the index and not to the package.
const INDEX_FIELDS: [&str; 7] = [
    "filename", "size", "md5sum", "sha1", "sha256", "sha512", "status",
];

/// One package file in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Of its bytes.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Name, version and architecture.
    pub package: [String; 3],
    /// What each index says of it: one text for a deb, three for an rpm.
    pub texts: Vec<String>,
}

/// Why a file cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no usable deb.
    #[error("`{}` is no usable deb package", path.display())]
    Deb {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: DebError,
    },
    /// It is no usable rpm.
    #[error("`{}` is no usable rpm package", path.display())]
    Rpm {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: RpmError,
    },
    /// Its control data cannot be put into an index.
    #[error("the control file of `{}` {problem}", path.display())]
    Control {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Reads one package file; `location` is where it lies below the repository.
///
/// # Errors
/// [`DescribeError`] by what is wrong.
pub fn describe(family: Family, path: &Path, location: &str) -> Result<Described, DescribeError> {
    let file = File::open(path).map_err(FileError::on("open", path))?;
    let metadata = file.metadata().map_err(FileError::on("inspect", path))?;
    let mut file = BufReader::with_capacity(128 << 10, file);
    let hashed = Digest::of_reader(&mut file);
    let (digest, size) = hashed.map_err(FileError::on("read", path))?;
    file.rewind().map_err(FileError::on("read", path))?;
    let (package, texts) = match family {
        Family::Deb => {
            let control = deb::control(&mut file).map_err(|source| DescribeError::Deb {
                path: path.to_owned(),
                source,
            })?;
            let place = (location, digest, size);
            paragraph(&control, place).map_err(|problem| DescribeError::Control {
                path: path.to_owned(),
                problem,
            })?
        }
        Family::Rpm => {
            let modified = metadata.modified().ok();
            let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            let place = index::Place {
                location,
                digest,
                size,
                modified: since.map_or(0, |since| since.as_secs()),
            };
            index::describe(&mut file, &place).map_err(|source| DescribeError::Rpm {
                path: path.to_owned(),
                source,
            })?
        }
    };
    Ok(Described {
        digest,
        size,
        package,
        texts,
    })
}

type Words = ([String; 3], Vec<String>);

/// The package's own paragraph with what the index adds.
fn paragraph(bytes: &[u8], (location, digest, size): (&str, Digest, u64)) -> Result<Words, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("is no text: {error}"))?;
    let text = text.replace('\r', "");
    let file = control::PackageFile {
        sha256: digest,
        size,
        location,
    };
    let record = control::parse(&text, file);
    let record = record.map_err(|error| format!("cannot be understood: {error}"))?;
    let package = [
        record.name.to_owned(),
        record.version.to_string(),
        record.arch.to_owned(),
    ];
    let mut lines: Vec<&str> = Vec::new();
    let mut left_out = false;
    for line in text
        .trim_end()
        .lines()
        .filter(|line| !line.trim().is_empty())
    {
        let goes_on = line.starts_with([' ', '\t']);
        if !goes_on {
            let name = line.split(':').next().unwrap_or_default().trim();
            left_out = INDEX_FIELDS.contains(&name.to_ascii_lowercase().as_str());
        }
        if !left_out {
            lines.push(line);
        }
    }
    let own = lines.join("\n");
    let text = format!("{own}\nFilename: {location}\nSize: {size}\nSHA256: {digest}\n");
    Ok((package, vec![text]))
}
