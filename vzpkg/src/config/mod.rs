//! Settings from every place they can come from: flag over environment over file over default, each with its origin.
//!
//! The only module of the workspace that reads the environment.

mod environment;
mod files;
mod key;

pub use environment::Environment;
pub use files::ConfigError;
pub use key::Key;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag of this command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// The text of every setting and where it was said last.
#[derive(Debug, Clone)]
pub struct Layers {
    values: BTreeMap<Key, (String, Origin)>,
}

impl Layers {
    /// Reads defaults, then `vzpkg.toml` and `conf.d/*.toml` below `directory`, then `VZPKG_*` variables.
    ///
    /// # Errors
    /// [`ConfigError`] names file, key and what is wrong; unknown keys are refused.
    pub fn read(directory: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let defaults = Key::ALL.map(|key| (key, (key.default().to_owned(), Origin::Default)));
        let mut layers = Self {
            values: defaults.into(),
        };
        for path in files::present(directory)? {
            for (key, value) in files::read(&path)? {
                layers.set(key, value, Origin::File(path.clone()));
            }
        }
        for key in Key::ALL {
            if let Some(value) = environment.get(&key.variable()) {
                layers.set(key, value.to_owned(), Origin::Environment(key.variable()));
            }
        }
        Ok(layers)
    }

    /// Overrides one value.
    pub fn set(&mut self, key: Key, value: String, origin: Origin) {
        self.values.insert(key, (value, origin));
    }

    /// The text of a setting and its origin.
    pub fn get(&self, key: Key) -> (&str, &Origin) {
        self.values
            .get(&key)
            .map_or((key.default(), &Origin::Default), |(value, origin)| {
                (value.as_str(), origin)
            })
    }

    /// A setting as a value of its type.
    ///
    /// # Errors
    /// [`ConfigError::Value`] where the text does not parse.
    pub fn parse<T: std::str::FromStr>(&self, key: Key) -> Result<T, ConfigError> {
        let (text, origin) = self.get(key);
        text.parse().map_err(|_source| ConfigError::Value {
            key: key.name(),
            value: text.to_owned(),
            wanted: key.wanted(),
            origin: origin.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_layers_win_and_are_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("vzpkg.toml"),
            "root = \"/a\"\nthreads = 3\n",
        )
        .unwrap();
        std::fs::create_dir(directory.path().join("conf.d")).unwrap();
        std::fs::write(directory.path().join("conf.d/10.toml"), "root = \"/b\"\n").unwrap();
        let environment = Environment::from_pairs([("VZPKG_THREADS", "5")]);
        let layers = Layers::read(directory.path(), &environment).unwrap();
        assert_eq!(layers.get(Key::Root).0, "/b");
        assert_eq!(
            layers.get(Key::Threads),
            ("5", &Origin::Environment("VZPKG_THREADS".into()))
        );
        assert_eq!(layers.get(Key::Wait).1, &Origin::Default);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("vzpkg.toml"), "thread = 3\n").unwrap();
        let error = Layers::read(directory.path(), &Environment::default()).unwrap_err();
        assert!(error.to_string().contains("`thread`"), "{error}");
        assert!(error.to_string().contains("`threads`"), "{error}");
    }
}
