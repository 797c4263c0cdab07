//! `ct.toml`: what a container was asked to be. Written durably, read strictly: unknown keys are refused.
//!
//! The link is not here: its one truth is the state database ([`super::LinkJournal`]).

use super::{ContainerError, ContainerPaths, settle};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::{ByteSize, ContainerId};

/// The format number this code writes.
pub const FORMAT: u32 = 1;

/// How many ids a container with a user namespace has.
pub const ID_COUNT: u32 = 65_536;

/// A configuration is written by hand at most; a megabyte is a mistake.
const CONFIG_BYTES: u64 = 1 << 20;

/// Which user namespace a container runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserNamespace {
    /// Its own: id 0 inside is `first_id` outside, and so on for [`ID_COUNT`] ids.
    Private {
        /// The host's id for the container's root.
        first_id: u32,
    },
    /// The host's: root inside is root outside.
    Host,
}

/// Which network a container sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Its own, with a loopback interface only.
    #[default]
    None,
    /// The host's own, as it is. In a user namespace of its own a container cannot listen on ports below 1024 there.
    Host,
}

/// A directory or file of the host that shows in the container.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// Where it lies on the host; absolute.
    pub source: PathBuf,
    /// Where it shows inside; absolute.
    pub target: PathBuf,
    /// Whether the container may only read it.
    #[serde(default)]
    pub read_only: bool,
}

/// Limits; what is `None` is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Processor time in thousandths of one processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milli_cpus: Option<u32>,
    /// Number of processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Bytes a second that are read from the disk of the private area, and as many that are written to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<ByteSize>,
    /// Bytes on disk of its private area.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<ByteSize>,
}

/// What a container was asked to be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// [`FORMAT`]
    pub format: u32,
    /// Its name.
    pub id: ContainerId,
    /// What `hostname` says inside.
    pub hostname: String,
    /// When it was created, in seconds since 1970.
    pub created: i64,
    /// The command that runs as process 1; empty: `/sbin/init` where the template has one, else a process that only
    /// keeps the container alive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub init: Vec<String>,
    /// Which network it sees.
    #[serde(default)]
    pub network: Network,
    /// Variables for process 1 and for `exec`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Whose user ids it has.
    pub user_namespace: UserNamespace,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
    /// Directories of the host that show inside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub binds: Vec<Bind>,
}

/// Why a configuration cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not UTF-8, no TOML, an unknown key, a value of the wrong kind.
    #[error("`{}` is no container configuration", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// Written by a newer vzpkg.
    #[error("`{}` has format {format}; this vzpkg knows {FORMAT}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format number.
        format: u32,
    },
    /// A value that TOML cannot hold.
    #[error("the configuration cannot be written as TOML")]
    Write {
        /// Which.
        source: toml::ser::Error,
    },
}

impl Config {
    /// A configuration with defaults: a network of its own, no limits, the template's own init.
    pub fn new(id: ContainerId, created: i64, user_namespace: UserNamespace) -> Self {
        Self {
            format: FORMAT,
            hostname: id.to_string(),
            id,
            created,
            init: Vec::new(),
            network: Network::default(),
            environment: BTreeMap::new(),
            user_namespace,
            limits: Limits::default(),
            binds: Vec::new(),
        }
    }

    /// The configuration of a container.
    ///
    /// # Errors
    /// [`ContainerError::NeverMade`]; [`ContainerError::Config`]
    pub fn of(paths: &ContainerPaths) -> Result<Self, ContainerError> {
        let Some(path) = settle::current(paths) else {
            return Err(ContainerError::NeverMade(paths.id.clone()));
        };
        match Self::read(&path) {
            // It has settled between the two calls.
            Err(ConfigError::File(error)) if error.source.kind() == io::ErrorKind::NotFound => {
                Ok(Self::read(&paths.config())?)
            }
            read => Ok(read?),
        }
    }

    /// Reads `ct.toml`.
    ///
    /// # Errors
    /// [`ConfigError::File`], [`ConfigError::Parse`], [`ConfigError::Newer`]
    pub fn read(path: &std::path::Path) -> Result<Self, ConfigError> {
        let bytes = durable::read_file(path, CONFIG_BYTES)?;
        let parse = |source| ConfigError::Parse {
            path: path.to_owned(),
            source,
        };
        let config: Self = toml::from_slice(&bytes).map_err(parse)?;
        if config.format == FORMAT {
            Ok(config)
        } else {
            Err(ConfigError::Newer {
                path: path.to_owned(),
                format: config.format,
            })
        }
    }

    /// Writes `ct.toml`, durably.
    ///
    /// # Errors
    /// [`ConfigError::File`], [`ConfigError::Write`]
    pub fn write(&self, path: &std::path::Path) -> Result<(), ConfigError> {
        Ok(durable::write_file(
            path,
            0o600,
            self.to_text()?.as_bytes(),
        )?)
    }

    /// What [`Self::write`] writes.
    ///
    /// # Errors
    /// [`ConfigError::Write`]
    pub(super) fn to_text(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|source| ConfigError::Write { source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Config {
        let private = UserNamespace::Private { first_id: 100_000 };
        let mut config = Config::new("web".parse().unwrap(), 7, private);
        config.limits.memory = Some(ByteSize(1 << 30));
        config.limits.io = Some(ByteSize(1 << 20));
        config.environment.insert("A".into(), "b c".into());
        config.binds.push(Bind {
            source: "/srv".into(),
            target: "/srv/data".into(),
            read_only: true,
        });
        config
    }

    #[test]
    fn a_configuration_reads_back_as_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ct.toml");
        for config in [
            sample(),
            Config::new("x".parse().unwrap(), 0, UserNamespace::Host),
        ] {
            config.write(&path).unwrap();
            assert_eq!(Config::read(&path).unwrap(), config);
        }
    }

    #[test]
    fn unknown_keys_and_newer_formats_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ct.toml");
        let text = toml::to_string(&sample()).unwrap();
        std::fs::write(&path, format!("colour = \"blue\"\n{text}")).unwrap();
        assert!(matches!(
            Config::read(&path),
            Err(ConfigError::Parse { .. })
        ));
        std::fs::write(&path, text.replace("format = 1", "format = 9")).unwrap();
        assert!(matches!(
            Config::read(&path),
            Err(ConfigError::Newer { format: 9, .. })
        ));
    }
}
