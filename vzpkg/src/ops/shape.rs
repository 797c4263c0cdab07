//! What a container is given, from what a user typed to its configuration: limits, variables, mounts, network.

use crate::cli::{LimitOptions, Net, SurroundingOptions};
use crate::error::{CommandError, CommandResult, Kind};
use std::path::{Component, Path, PathBuf};
use vzpkg_metadata::ByteSize;
use vzpkg_runtime::container::config::Bind;
use vzpkg_runtime::container::{Config, Network};

/// The word for no limit.
const MAX: &str = "max";

/// Less memory than this starts nothing.
const LEAST_MEMORY: ByteSize = ByteSize(4 << 20);

/// Places that are the kernel's or the runtime's own in a container.
const TAKEN: [&str; 4] = ["/proc", "/sys", "/dev", "/"];

fn wrong(text: String) -> CommandError {
    CommandError::message(Kind::Usage, text)
}

/// Changes limits; those that were not given stay.
///
/// # Errors
/// [`Kind::Usage`] for a value that is none.
pub(crate) fn limit(config: &mut Config, options: &LimitOptions) -> CommandResult {
    let limits = &mut config.limits;
    if let Some(text) = &options.memory {
        limits.memory = unless_max(text, |text| size("--memory", text))?;
        if limits.memory.is_some_and(|memory| memory < LEAST_MEMORY) {
            return Err(wrong(format!(
                "`--memory {text}` is less than {LEAST_MEMORY}"
            )));
        }
    }
    if let Some(text) = &options.cpus {
        limits.milli_cpus = unless_max(text, processors)?;
    }
    if let Some(text) = &options.pids {
        limits.processes = unless_max(text, |text| {
            let count = text.parse().ok().filter(|&count: &u32| count > 0);
            count.ok_or_else(|| wrong(format!("`--pids {text}` is no number of processes")))
        })?;
    }
    if let Some(text) = &options.io {
        limits.io = unless_max(text, |text| size("--io", text))?;
    }
    if let Some(text) = &options.disk {
        limits.disk = unless_max(text, |text| size("--disk", text))?;
    }
    Ok(())
}

fn unless_max<T>(
    text: &str,
    parse: impl FnOnce(&str) -> CommandResult<T>,
) -> CommandResult<Option<T>> {
    if text == MAX {
        Ok(None)
    } else {
        parse(text).map(Some)
    }
}

fn size(option: &str, text: &str) -> CommandResult<ByteSize> {
    let size: ByteSize = text
        .parse()
        .map_err(|error| CommandError::new(Kind::Usage, error))?;
    if size.0 == 0 {
        return Err(wrong(format!("`{option} {text}` allows nothing at all")).hint("no limit: max"));
    }
    Ok(size)
}

/// Thousandths of a processor: `2`, `0.5`, `1.25`.
fn processors(text: &str) -> CommandResult<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let part_of = |part: &str| {
        let plain = !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
        plain
            .then(|| format!("{part:0<3}").parse::<u32>().ok())
            .flatten()
    };
    let thousandths = || {
        let whole: u32 = whole.parse().ok()?;
        whole.checked_mul(1000)?.checked_add(part_of(part)?)
    };
    // The kernel gives out no less than a millisecond of each period of 100.
    let least = |&thousandths: &u32| (10..=1_000_000).contains(&thousandths);
    thousandths().filter(least).ok_or_else(|| {
        wrong(format!(
            "`--cpus {text}` is no number of processors; from 0.01 to 1000, with up to three decimals"
        ))
    })
}

/// Changes what a container sees of the node; what was not given stays.
///
/// # Errors
/// [`Kind::Usage`] for what is no variable or mount; `root` is that of vzpkg, of which nothing may show inside.
pub(crate) fn surround(
    config: &mut Config,
    options: &SurroundingOptions,
    root: &Path,
) -> CommandResult {
    for pair in &options.env {
        let (name, value) = variable(pair)?;
        config.environment.insert(name, value);
    }
    for text in &options.mount {
        let bind = bind(text, root)?;
        config.binds.retain(|other| other.target != bind.target);
        config.binds.push(bind);
    }
    if let Some(net) = options.net {
        config.network = match net {
            Net::Host => Network::Host,
            Net::None => Network::None,
        };
    }
    Ok(())
}

/// A variable with its value.
///
/// # Errors
/// [`Kind::Usage`] for what is not NAME=VALUE.
pub(crate) fn variable(pair: &str) -> CommandResult<(String, String)> {
    let (name, value) = pair
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| wrong(format!("`{pair}` is not NAME=VALUE")))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn bind(text: &str, root: &Path) -> CommandResult<Bind> {
    let bind = if text.contains('=') {
        long(text)?
    } else {
        short(text)?
    };
    let source = std::fs::canonicalize(&bind.source).map_err(|error| {
        let what = format!("`{}` of `--mount {text}`: {error}", bind.source.display());
        CommandError::message(Kind::Unmet, what).hint("make it first: mkdir -p DIR")
    })?;
    let root = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    if source.starts_with(&root) || root.starts_with(&source) {
        let what = format!("`--mount {text}` would show the store and other containers inside");
        return Err(wrong(what));
    }
    Ok(Bind { source, ..bind })
}

/// `SOURCE:TARGET`, `SOURCE:TARGET:ro`
fn short(text: &str) -> CommandResult<Bind> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [source, target] | [source, target, "rw"] => checked(text, source, target, false),
        [source, target, "ro"] => checked(text, source, target, true),
        _ => Err(wrong(format!(
            "`--mount {text}` is not SOURCE:TARGET or SOURCE:TARGET:ro"
        ))),
    }
}

/// `type=bind,source=SOURCE,target=TARGET,ro`, with the other names that podman knows for these.
fn long(text: &str) -> CommandResult<Bind> {
    let (mut source, mut target, mut read_only) = (None, None, false);
    for part in text.split(',') {
        match part.split_once('=').unwrap_or((part, "true")) {
            ("type", "bind") => {}
            ("source" | "src", path) => source = Some(path),
            ("target" | "dst" | "destination", path) => target = Some(path),
            ("ro" | "readonly", "true") => read_only = true,
            ("ro" | "readonly", "false") | ("rw", "true") => read_only = false,
            _ => {
                let what = format!("`{part}` of `--mount {text}` is not known here");
                return Err(wrong(what).hint("type=bind,source=SOURCE,target=TARGET[,ro]"));
            }
        }
    }
    match (source, target) {
        (Some(source), Some(target)) => checked(text, source, target, read_only),
        _ => Err(wrong(format!(
            "`--mount {text}` needs a source and a target"
        ))),
    }
}

fn checked(text: &str, source: &str, target: &str, read_only: bool) -> CommandResult<Bind> {
    if !Path::new(source).is_absolute() {
        return Err(wrong(format!(
            "`{source}` of `--mount {text}` is no absolute path"
        )));
    }
    Ok(Bind {
        source: source.into(),
        target: place(target)?,
        read_only,
    })
}

/// Every limit as its option writes it, without the dashes.
pub(crate) fn limits_of(config: &Config) -> [(&'static str, String); 5] {
    let limits = &config.limits;
    let or_max = |text: Option<String>| text.unwrap_or_else(|| MAX.to_owned());
    let cpus = limits.milli_cpus.map(|thousandths| {
        let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    });
    [
        ("memory", or_max(limits.memory.map(exact))),
        ("cpus", or_max(cpus)),
        (
            "pids",
            or_max(limits.processes.map(|count| count.to_string())),
        ),
        ("io", or_max(limits.io.map(exact))),
        ("disk", or_max(limits.disk.map(exact))),
    ]
}

/// A size without loss, in the largest unit that fits.
fn exact(size: ByteSize) -> String {
    let units = [
        (1 << 40, "T"),
        (1 << 30, "G"),
        (1 << 20, "M"),
        (1 << 10, "K"),
    ];
    let fits = |&&(unit, _): &&(u64, &str)| size.0 >= unit && size.0.is_multiple_of(unit);
    match units.iter().find(fits) {
        Some((unit, letter)) => format!("{}{letter}", size.0 / unit),
        None => size.0.to_string(),
    }
}

/// A mount as its option writes it.
pub(crate) fn shown(bind: &Bind) -> String {
    let access = if bind.read_only { ":ro" } else { "" };
    format!(
        "{}:{}{access}",
        bind.source.display(),
        bind.target.display()
    )
}

/// A network as its option writes it.
pub(crate) const fn network(network: Network) -> &'static str {
    match network {
        Network::None => "none",
        Network::Host => "host",
    }
}

/// A place in a container at which something of the node may show.
///
/// # Errors
/// [`Kind::Usage`]
pub(crate) fn place(target: &str) -> CommandResult<PathBuf> {
    let path = Path::new(target);
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    if !path.is_absolute() || !path.components().all(plain) {
        return Err(wrong(format!(
            "`{target}` is no absolute path of a container without `..`"
        )));
    }
    let path: PathBuf = path.components().collect();
    let taken = TAKEN.iter().any(|taken| match *taken {
        "/" => path == Path::new("/"),
        taken => path.starts_with(taken),
    });
    if taken {
        return Err(wrong(format!(
            "nothing can be mounted at `{target}` of a container"
        )));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vzpkg_runtime::container::UserNamespace;

    fn config() -> Config {
        Config::new("web".parse().unwrap(), 0, UserNamespace::Host)
    }

    #[test]
    fn processors_are_counted_in_thousandths() {
        for (text, expected) in [
            ("2", Some(2000)),
            ("0.5", Some(500)),
            ("1.25", Some(1250)),
            ("0.01", Some(10)),
            ("0", None),
            ("0.001", None),
            ("-1", None),
            ("1.", None),
            ("1.2345", None),
            ("1e3", None),
            ("9999999", None),
        ] {
            assert_eq!(processors(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_limit_is_set_changed_and_taken_away() {
        let mut config = config();
        let options = |memory: &str| LimitOptions {
            memory: Some(memory.to_owned()),
            ..LimitOptions::default()
        };
        limit(&mut config, &options("512M")).unwrap();
        limit(&mut config, &LimitOptions::default()).unwrap();
        assert_eq!(config.limits.memory, Some(ByteSize(512 << 20)));
        limit(&mut config, &options("max")).unwrap();
        assert_eq!(config.limits.memory, None);
        for wrong in ["0", "1k", "much"] {
            assert_eq!(
                limit(&mut config, &options(wrong)).unwrap_err().kind,
                Kind::Usage
            );
        }
    }

    #[test]
    fn limits_are_written_as_they_are_typed() {
        let mut config = config();
        let options = LimitOptions {
            memory: Some("1536k".to_owned()),
            cpus: Some("1.250".to_owned()),
            pids: None,
            io: Some("4097".to_owned()),
            disk: Some("2G".to_owned()),
        };
        limit(
            &mut config,
            &LimitOptions {
                memory: Some("5M".to_owned()),
                ..options.clone()
            },
        )
        .unwrap();
        let written = limits_of(&config).map(|(_, text)| text);
        assert_eq!(written, ["5M", "1.25", "max", "4097", "2G"]);
        assert_eq!(exact(ByteSize(1536 << 10)), "1536K");
        assert!(limit(&mut config, &options).is_err(), "too little memory");
    }

    #[test]
    fn both_spellings_of_a_mount_are_one() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().canonicalize().unwrap();
        let root = Path::new("/nowhere/vz");
        let shown = source.display();
        for text in [
            format!("{shown}:/srv/data:ro"),
            format!("type=bind,source={shown},target=/srv/data,ro"),
            format!("src={shown},dst=/srv//data/,readonly=true"),
        ] {
            let bind = bind(&text, root).unwrap();
            assert_eq!(
                (&bind.source, bind.target.as_path(), bind.read_only),
                (&source, Path::new("/srv/data"), true),
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_mounted_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("vz");
        std::fs::create_dir_all(root.join("store")).unwrap();
        let shown = directory.path().display();
        for text in [
            "/".to_owned(),
            "/etc:".to_owned(),
            "relative:/x".to_owned(),
            "/etc:relative".to_owned(),
            "/etc:/a/../b".to_owned(),
            "/etc:/".to_owned(),
            "/etc:/proc/x".to_owned(),
            "/etc:/x:rx".to_owned(),
            "type=tmpfs,target=/x".to_owned(),
            "source=/etc".to_owned(),
            format!("{shown}:/x"),
            format!("{shown}/vz/store:/x"),
        ] {
            assert_eq!(bind(&text, &root).unwrap_err().kind, Kind::Usage, "{text}");
        }
        let missing = bind(&format!("{shown}/none:/x"), &root).unwrap_err();
        assert_eq!(missing.kind, Kind::Unmet);
    }
}
