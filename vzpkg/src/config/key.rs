//! The settings there are: name, default, environment variable, meaning.

use crate::output::nearest;

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Where everything lies.
    Root,
    /// Threads for unpacking and hashing.
    Threads,
    /// Parallel downloads.
    Connections,
    /// Bytes per second.
    Bandwidth,
    /// Seconds that repository metadata stays valid.
    MetadataExpire,
    /// Seconds to wait for a guard.
    Wait,
    /// Proxy for repositories.
    Proxy,
    /// The OCI runtime binary.
    Runtime,
    /// Where the running containers' bundles lie.
    RunDirectory,
    /// Seconds one package script may run.
    ScriptTimeout,
    /// Whether recommended packages are installed.
    Recommends,
    /// Whether only the best versions will do.
    Best,
    /// Whether requested packages may be removed for others.
    AllowErasing,
    /// How many of the newest versions of each template gc leaves.
    KeepLast,
    /// Up to which age gc leaves versions.
    KeepDays,
    /// text or json.
    Format,
    /// auto, always or never.
    Color,
}

impl Key {
    /// Every setting, in the order `vzpkg config` prints them.
    pub const ALL: [Self; 17] = [
        Self::Root,
        Self::Threads,
        Self::Connections,
        Self::Bandwidth,
        Self::MetadataExpire,
        Self::Wait,
        Self::Proxy,
        Self::Runtime,
        Self::RunDirectory,
        Self::ScriptTimeout,
        Self::Recommends,
        Self::Best,
        Self::AllowErasing,
        Self::KeepLast,
        Self::KeepDays,
        Self::Format,
        Self::Color,
    ];

    /// (name in files, default, what is expected, meaning)
    const fn row(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Root => (
                "root",
                "/vz",
                "a directory",
                "templates, store and containers",
            ),
            Self::Threads => (
                "threads",
                "0",
                "a number, 0 for one each processor",
                "threads that unpack and hash",
            ),
            Self::Connections => ("connections", "8", "a number", "parallel downloads"),
            Self::Bandwidth => (
                "bandwidth",
                "0",
                "a number of bytes, or one of kilobytes or megabytes such as `500K`, `10M`",
                "what all downloads together may take each second; 0: all they can",
            ),
            Self::MetadataExpire => (
                "metadata-expire",
                "86400",
                "a number of seconds",
                "how long repository metadata stays valid",
            ),
            Self::Wait => (
                "wait",
                "600",
                "seconds, or a duration such as `90s`, `10m`, `1h30m`",
                "how long to wait for a guard of another process",
            ),
            Self::Proxy => (
                "proxy",
                "",
                "a URL",
                "proxy for all repositories; else the usual variables",
            ),
            Self::Runtime => (
                "runtime",
                "auto",
                "`auto`, a name or a path",
                "the OCI runtime binary",
            ),
            Self::RunDirectory => (
                "run-directory",
                "/run/vzpkg",
                "a directory",
                "bundles of running containers",
            ),
            Self::ScriptTimeout => (
                "script-timeout",
                "1800",
                "a number of seconds",
                "how long one package script may run",
            ),
            Self::Recommends => (
                "recommends",
                "false",
                "`true` or `false`",
                "install recommended packages",
            ),
            Self::Best => (
                "best",
                "false",
                "`true` or `false`",
                "nothing but the best versions of the template's packages will do",
            ),
            Self::AllowErasing => (
                "allow-erasing",
                "false",
                "`true` or `false`",
                "an update may remove requested packages that stand in its way",
            ),
            Self::KeepLast => (
                "keep-last",
                "5",
                "a number",
                "newest versions of each template that gc leaves, used or not",
            ),
            Self::KeepDays => (
                "keep-days",
                "0",
                "a number of days",
                "gc leaves versions that are not older, used or not",
            ),
            Self::Format => (
                "format",
                "text",
                "`text` or `json`",
                "how reading verbs print",
            ),
            Self::Color => (
                "color",
                "auto",
                "`auto`, `always` or `never`",
                "colours on a terminal",
            ),
        }
    }

    /// The name in configuration files.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The built-in value.
    pub const fn default(self) -> &'static str {
        self.row().1
    }

    /// What a value must be.
    pub const fn wanted(self) -> &'static str {
        self.row().2
    }

    /// What it is for.
    pub const fn meaning(self) -> &'static str {
        self.row().3
    }

    /// The environment variable: `VZPKG_METADATA_EXPIRE`.
    pub fn variable(self) -> String {
        format!(
            "VZPKG_{}",
            self.name().to_ascii_uppercase().replace('-', "_")
        )
    }

    /// The setting of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// The setting whose name is nearest to `name`, if any is near.
    pub fn nearest(name: &str) -> Option<Self> {
        nearest::of(name, Self::ALL.iter().map(|key| key.name())).and_then(Self::find)
    }
}
