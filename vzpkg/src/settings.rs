//! What the commands see: every setting resolved once, typed. No command looks at flags, files or the environment.

use crate::cli::{Format, Global};
use crate::config::{ConfigError, Environment, Key, Layers, Origin};
use crate::output::{Verbosity, span};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where configuration files lie, unless `VZPKG_CONFIG` names another directory.
const CONFIG_DIRECTORY: &str = "/etc/vzpkg";

/// Every setting of this run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where templates, store and containers lie.
    pub root: PathBuf,
    /// Threads that unpack and hash, as configured; 0: as many as there are processors. See [`Self::threads`].
    pub threads: usize,
    /// Parallel downloads; at least 1.
    pub connections: usize,
    /// Bytes per second that downloads may take together; 0: all they can.
    pub bandwidth: u64,
    /// How long repository metadata stays valid.
    pub metadata_expire: Duration,
    /// How long to wait for a guard of another process.
    pub wait: Duration,
    /// Proxy for all repositories.
    pub proxy: Option<String>,
    /// The OCI runtime binary; `None`: the first that passes a self-test.
    pub runtime: Option<String>,
    /// Where bundles of running containers lie.
    pub run_directory: PathBuf,
    /// How long one package script may run.
    pub script_timeout: Duration,
    /// Whether recommended packages are installed.
    pub recommends: bool,
    /// Whether nothing but the best versions of what is wanted will do.
    pub best: bool,
    /// Whether an update may remove requested packages that stand in its way.
    pub allow_erasing: bool,
    /// How many of the newest versions of each template gc leaves, used or not.
    pub keep_last: usize,
    /// gc leaves versions that are not older than so many days; 0: age alone keeps nothing.
    pub keep_days: u32,
    /// How reading verbs print.
    pub format: Format,
    /// Whether results on stdout get colours.
    pub color_out: bool,
    /// Whether stderr gets colours.
    pub color_err: bool,
    /// How much is printed.
    pub verbosity: Verbosity,
    /// Print the plan, change nothing.
    pub dry_run: bool,
    /// Answer questions with yes.
    pub yes: bool,
    /// Never use the network.
    pub offline: bool,
    /// Always ask the repositories.
    pub refresh: bool,
    /// Write progress events to this descriptor.
    pub progress_fd: Option<i32>,
    /// Whether bars may be drawn.
    pub bars: bool,
    /// `SOURCE_DATE_EPOCH`, if set.
    pub source_date_epoch: Option<i64>,
    /// Everything with its origin, for `vzpkg config`.
    pub layers: Layers,
}

impl Settings {
    /// Joins flags, environment and files.
    ///
    /// # Errors
    /// [`ConfigError`] for a file or value that cannot be used.
    pub fn resolve(global: &Global, environment: &Environment) -> Result<Self, ConfigError> {
        let directory = environment.get("VZPKG_CONFIG").unwrap_or(CONFIG_DIRECTORY);
        let mut layers = Layers::read(Path::new(directory), environment)?;
        if let Some(root) = &global.root {
            layers.set(
                Key::Root,
                root.display().to_string(),
                Origin::Flag("--root"),
            );
        }
        if let Some(wait) = &global.wait {
            layers.set(Key::Wait, wait.clone(), Origin::Flag("--wait"));
        }
        if global.no_wait {
            layers.set(Key::Wait, "0".to_owned(), Origin::Flag("--no-wait"));
        }
        if let Some(format) = global.format {
            let name = if format == Format::Json {
                "json"
            } else {
                "text"
            };
            layers.set(Key::Format, name.to_owned(), Origin::Flag("--format"));
        }
        Self::from_layers(layers, global, environment)
    }

    /// How many threads unpack and hash; at least 1. Counting processors reads half a dozen files, which most verbs need
    /// not do.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    fn from_layers(
        layers: Layers,
        global: &Global,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let text = |key| {
            Some(layers.get(key).0)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let seconds = |key| layers.parse(key).map(Duration::from_secs);
        let wrong = |key: Key| ConfigError::Value {
            key: key.name(),
            value: layers.get(key).0.to_owned(),
            wanted: key.wanted(),
            origin: layers.get(key).1.to_string(),
        };
        let format = match layers.get(Key::Format).0 {
            "text" => Format::Text,
            "json" => Format::Json,
            _ => return Err(wrong(Key::Format)),
        };
        let terminal = rustix::termios::isatty(std::io::stderr());
        let color = |terminal| {
            let colored = colored(layers.get(Key::Color).0, terminal, environment);
            colored.ok_or_else(|| wrong(Key::Color))
        };
        let verbosity = match (global.quiet, global.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, level) => Verbosity::Verbose(level),
        };
        Ok(Self {
            root: std::path::absolute(layers.get(Key::Root).0)
                .unwrap_or_else(|_| layers.get(Key::Root).0.into()),
            threads: layers.parse(Key::Threads)?,
            connections: layers.parse::<usize>(Key::Connections)?.max(1),
            bandwidth: rate(layers.get(Key::Bandwidth).0).ok_or_else(|| wrong(Key::Bandwidth))?,
            metadata_expire: seconds(Key::MetadataExpire)?,
            wait: span(layers.get(Key::Wait).0).ok_or_else(|| wrong(Key::Wait))?,
            proxy: text(Key::Proxy),
            runtime: text(Key::Runtime).filter(|runtime| runtime != "auto"),
            run_directory: layers.get(Key::RunDirectory).0.into(),
            script_timeout: seconds(Key::ScriptTimeout)?,
            recommends: layers.parse(Key::Recommends)?,
            best: layers.parse(Key::Best)?,
            allow_erasing: layers.parse(Key::AllowErasing)?,
            keep_last: layers.parse(Key::KeepLast)?,
            keep_days: layers.parse(Key::KeepDays)?,
            format,
            color_out: color(rustix::termios::isatty(std::io::stdout()))?,
            color_err: color(terminal)?,
            verbosity,
            dry_run: global.dry_run,
            yes: global.yes,
            offline: global.offline,
            refresh: global.refresh,
            progress_fd: global.progress_fd,
            bars: terminal
                && verbosity != Verbosity::Quiet
                && environment.get("VZPKG_NO_PROGRESS").is_none(),
            source_date_epoch: environment
                .get("SOURCE_DATE_EPOCH")
                .and_then(|seconds| seconds.parse().ok()),
            layers,
        })
    }
}

/// Whether a stream gets colours; `None` for a word that the setting does not have. Each stream by itself: results go into
/// pipes and files while stderr is on a terminal.
fn colored(word: &str, terminal: bool, environment: &Environment) -> Option<bool> {
    match word {
        "auto" => {
            let is_plain = environment.get("TERM") == Some("dumb");
            Some(terminal && !is_plain && environment.get("NO_COLOR").is_none())
        }
        "always" => Some(true),
        "never" => Some(false),
        _ => None,
    }
}

/// Bytes per second as a user writes them: `800000`, `500K`, `10M`, `1G`, in steps of 1024.
pub(crate) fn rate(text: &str) -> Option<u64> {
    let units = [("K", 10), ("M", 20), ("G", 30)];
    let found = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (digits, shift) = found.unwrap_or((text, 0));
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::{Environment, colored, rate};

    #[test]
    fn a_stream_is_coloured_if_it_is_a_terminal_and_nobody_objects() {
        let of = |word, terminal, variables: &[(&str, &str)]| {
            let environment = Environment::from_pairs(variables.iter().copied());
            colored(word, terminal, &environment)
        };
        for (word, terminal, variables, expected) in [
            ("auto", true, &[][..], Some(true)),
            ("auto", false, &[], Some(false)),
            ("auto", true, &[("NO_COLOR", "1")], Some(false)),
            ("auto", true, &[("NO_COLOR", "")], Some(true)),
            ("auto", true, &[("TERM", "dumb")], Some(false)),
            ("always", false, &[("NO_COLOR", "1")], Some(true)),
            ("never", true, &[], Some(false)),
            ("perhaps", true, &[], None),
        ] {
            let found = of(word, terminal, variables);
            assert_eq!(found, expected, "{word}, {terminal}, {variables:?}");
        }
    }

    #[test]
    fn a_rate_is_bytes_or_has_a_unit() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("500K", Some(512_000)),
            ("2M", Some(2 << 20)),
            ("1G", Some(1 << 30)),
            ("x", None),
            ("1T", None),
            ("99999999999G", None),
            ("", None),
        ] {
            assert_eq!(rate(text), bytes, "{text}");
        }
    }
}
