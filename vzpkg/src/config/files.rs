//! Configuration files: `vzpkg.toml`, then `conf.d/*.toml` by name. Later values win; unknown keys are refused.

use super::Key;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::{self, FileError};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("cannot read the configuration")]
    Read(#[from] FileError),
    /// A file that is not TOML.
    #[error("`{}` is not TOML", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A key that does not exist.
    #[error("`{}` sets `{key}`, which is no setting{}", path.display(), nearest.map(|key| format!("; did you mean `{}`?", key.name())).unwrap_or_default())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The nearest key that exists.
        nearest: Option<Key>,
    },
    /// A value of the wrong kind.
    #[error("setting `{key}` is `{value}` ({origin}), expected {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is expected.
        wanted: &'static str,
        /// Where it was given.
        origin: String,
    },
}

/// The files that exist below `directory`, in the order they apply.
pub(super) fn present(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let main = directory.join("vzpkg.toml");
    let mut files: Vec<PathBuf> = main.exists().then_some(main).into_iter().collect();
    let parts = directory.join("conf.d");
    if let Ok(entries) = std::fs::read_dir(&parts) {
        let mut found = Vec::new();
        for entry in entries {
            let path = entry
                .map_err(FileError::on("read directory", &parts))?
                .path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                found.push(path);
            }
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// The settings of one file.
pub(super) fn read(path: &Path) -> Result<Vec<(Key, String)>, ConfigError> {
    let bytes = durable::read_file(path, 1 << 20)?;
    let text = String::from_utf8_lossy(&bytes);
    let table: toml::Table = text.parse().map_err(|source| ConfigError::Syntax {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let mut settings = Vec::new();
    for (name, value) in table {
        let key = Key::find(&name).ok_or_else(|| ConfigError::Unknown {
            path: path.to_owned(),
            nearest: Key::nearest(&name),
            key: name.clone(),
        })?;
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            other => {
                return Err(ConfigError::Value {
                    key: key.name(),
                    value: other.to_string(),
                    wanted: key.wanted(),
                    origin: path.display().to_string(),
                });
            }
        };
        settings.push((key, value));
    }
    Ok(settings)
}
