//! `modules.yaml` (modulemd): the module streams of a yum repository, of which one a module can be on. Packages of streams
//! that are off are hidden, and so is what would take the place of packages of a stream that is on.
//!
//! Which streams are on is for the template to say and for the repository's defaults; [`Modules::filter`] draws the
//! conclusion for packages. Documents for builders, translators and planners of obsolescence are passed over.

use super::yaml::{self, Value, YamlError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

/// Streams of one repository, versions counted. EL 8 has 500.
const STREAMS: usize = 20_000;

/// A repository's modules after decompression. EL 8 has 7 MB.
pub const BYTES: u64 = 256 << 20;

/// Why bytes are no module documents.
#[derive(Debug, thiserror::Error)]
pub enum ModulesError {
    /// Not the YAML we take.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A stream without what tells it from others.
    #[error("module document number {number} has no usable `{field}`")]
    Missing {
        /// Counted from 1.
        number: usize,
        /// What is missing.
        field: &'static str,
    },
    /// More than a distribution can mean.
    #[error("the repository has too many module streams")]
    TooMany,
    /// The source of the bytes failed, or they are no text.
    #[error("the module documents cannot be read to their end")]
    Read {
        /// What the source said.
        source: io::Error,
    },
    /// More than [`BYTES`].
    #[error("the module documents have more than {BYTES} bytes")]
    TooLarge,
}

/// The module streams of one repository, or of several together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modules {
    /// All versions of all streams.
    pub streams: Vec<Stream>,
    /// By module: what is on and installed where nobody says anything.
    pub defaults: BTreeMap<String, Defaults>,
}

/// One version of one stream, for one context.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stream {
    /// Of the module.
    pub name: String,
    /// `1.24`, `rhel8`.
    pub stream: String,
    /// A number that grows.
    pub version: u64,
    /// Tells builds for different dependencies apart.
    pub context: String,
    /// Empty where it does not matter.
    pub arch: String,
    /// Alternatives, of which one must be met: modules and which streams of them will do (none named: any; `-x`: not x).
    pub requires: Vec<BTreeMap<String, BTreeSet<String>>>,
    /// Its packages as `name-epoch:version-release.arch`.
    pub artifacts: BTreeSet<String>,
    /// Packages that belong together, by name.
    pub profiles: BTreeMap<String, BTreeSet<String>>,
}

/// What a repository says about a module where nobody says anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defaults {
    /// The stream that is on.
    pub stream: Option<String>,
    /// By stream: the profiles that `@module:stream` means.
    pub profiles: BTreeMap<String, BTreeSet<String>>,
}

impl Modules {
    /// Adds what another repository says; of two defaults for one module the one that came first stays.
    pub fn merge(&mut self, other: Self) {
        self.streams.extend(other.streams);
        for (name, defaults) in other.defaults {
            let known = self.defaults.entry(name).or_default();
            known.stream = known.stream.take().or(defaults.stream);
            for (stream, profiles) in defaults.profiles {
                known.profiles.entry(stream).or_insert(profiles);
            }
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }
}

/// Reads module documents from a stream.
///
/// # Errors
/// [`ModulesError`] says what is wrong with the bytes.
pub fn read(reader: impl Read) -> Result<Modules, ModulesError> {
    let mut text = String::new();
    let mut bounded = reader.take(BYTES);
    bounded
        .read_to_string(&mut text)
        .map_err(|source| ModulesError::Read { source })?;
    if bounded.limit() == 0 {
        return Err(ModulesError::TooLarge);
    }
    parse(&text)
}

/// Reads module documents.
///
/// # Errors
/// [`ModulesError`] says what is wrong with the text.
pub fn parse(text: &str) -> Result<Modules, ModulesError> {
    let mut modules = Modules::default();
    let mut number = 0_usize;
    yaml::documents(text, &mut |document| {
        number = number.saturating_add(1);
        let kind = document.get("document").and_then(Value::text);
        let Some(data) = document.get("data") else {
            return Ok(());
        };
        match kind {
            Some("modulemd" | "modulemd-stream-v2") => modules.streams.push(stream(data, number)?),
            Some("modulemd-defaults") => {
                let (name, defaults) = defaults(data, number)?;
                modules.defaults.insert(name, defaults);
            }
            _ => {}
        }
        if modules.streams.len() > STREAMS || modules.defaults.len() > STREAMS {
            return Err(ModulesError::TooMany);
        }
        Ok(())
    })?;
    modules.streams.sort();
    modules.streams.dedup();
    Ok(modules)
}

fn field<'v>(data: &'v Value, field: &'static str, number: usize) -> Result<&'v str, ModulesError> {
    let text = data.get(field).and_then(Value::text);
    text.filter(|text| !text.is_empty())
        .ok_or(ModulesError::Missing { number, field })
}

fn stream(data: &Value, number: usize) -> Result<Stream, ModulesError> {
    let optional = |key| data.get(key).and_then(Value::text).unwrap_or_default();
    let version = field(data, "version", number)?;
    let field_name = "version";
    let version = version.parse().ok().ok_or(ModulesError::Missing {
        number,
        field: field_name,
    })?;
    let requires = data.get("dependencies").map_or(&[][..], Value::items);
    let artifacts = data.get("artifacts").and_then(|it| it.get("rpms"));
    let profiles = data.get("profiles").into_iter().flat_map(Value::pairs);
    Ok(Stream {
        name: field(data, "name", number)?.to_owned(),
        stream: field(data, "stream", number)?.to_owned(),
        version,
        context: optional("context").to_owned(),
        arch: optional("arch").to_owned(),
        requires: requires.iter().map(requirement).collect(),
        artifacts: artifacts.map(owned).unwrap_or_default(),
        profiles: profiles
            .map(|(name, profile)| (name.to_owned(), profile.get("rpms").map(owned)))
            .map(|(name, packages)| (name, packages.unwrap_or_default()))
            .collect(),
    })
}

fn requirement(dependency: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let requires = dependency.get("requires");
    let pairs = requires.into_iter().flat_map(Value::pairs);
    pairs
        .map(|(name, streams)| (name.to_owned(), owned(streams)))
        .collect()
}

fn defaults(data: &Value, number: usize) -> Result<(String, Defaults), ModulesError> {
    let name = field(data, "module", number)?.to_owned();
    let profiles = data.get("profiles").into_iter().flat_map(Value::pairs);
    let defaults = Defaults {
        stream: data.get("stream").and_then(Value::text).map(str::to_owned),
        profiles: profiles
            .map(|(stream, names)| (stream.to_owned(), owned(names)))
            .collect(),
    };
    Ok((name, defaults))
}

fn owned(list: &Value) -> BTreeSet<String> {
    list.texts().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "---
document: modulemd-defaults
version: 1
data:
  module: nginx
  stream: \"1.24\"
  profiles:
    1.24: [common]
...
---
document: modulemd
version: 2
data:
  name: nginx
  stream: 1.24
  version: 920240
  context: rhel9
  arch: x86_64
  description: >-
    Two
    lines: with a colon.
  dependencies:
  - buildrequires: {platform: [el9]}
    requires:
      platform: [el9]
      perl: []
  profiles:
    common:
      rpms:
      - nginx
  artifacts:
    rpms:
    - nginx-1:1.24.0-1.module_el9.x86_64
    - nginx-1:1.24.0-1.module_el9.src
...
---
document: modulemd-obsoletes
version: 1
data: {module: nginx}
...
";

    #[test]
    fn streams_and_defaults_are_read() {
        let modules = parse(TEXT).unwrap();
        let [stream] = modules.streams.as_slice() else {
            unreachable!("one stream is there");
        };
        assert_eq!(
            (stream.name.as_str(), stream.stream.as_str()),
            ("nginx", "1.24")
        );
        assert_eq!(
            (stream.version, stream.context.as_str()),
            (920_240, "rhel9")
        );
        assert_eq!(stream.arch, "x86_64");
        assert!(
            stream
                .artifacts
                .contains("nginx-1:1.24.0-1.module_el9.x86_64")
        );
        assert_eq!(
            stream.profiles["common"],
            BTreeSet::from(["nginx".to_owned()])
        );
        let platform = BTreeSet::from(["el9".to_owned()]);
        assert_eq!(stream.requires[0]["platform"], platform);
        assert_eq!(stream.requires[0]["perl"], BTreeSet::new());
        let defaults = &modules.defaults["nginx"];
        assert_eq!(defaults.stream.as_deref(), Some("1.24"));
        assert_eq!(
            defaults.profiles["1.24"],
            BTreeSet::from(["common".to_owned()])
        );
    }

    #[test]
    fn what_is_no_module_document_is_refused_or_passed_over() {
        let deep = format!("a: {}{}", "[".repeat(100), "]".repeat(100));
        for text in [
            "a: &x 1\nb: *x\n",
            "{a: 1, a: 2}",
            "{[a]: 1}",
            "a: [",
            "\"",
            "document: modulemd\ndata: {name: a, stream: b}",
            "document: modulemd\ndata: {name: a, stream: b, version: -1}",
            "document: modulemd\ndata: {name: '', stream: b, version: 1}",
            "document: modulemd-defaults\ndata: {}",
            deep.as_str(),
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in [
            "",
            "---\n...\n",
            "x",
            "[1, 2]",
            "document: modulemd",
            "data: 1",
        ] {
            assert_eq!(parse(text).unwrap(), Modules::default(), "{text}");
        }
    }

    #[test]
    fn of_two_repositories_the_first_default_counts() {
        let mut first = parse(TEXT).unwrap();
        let other = "document: modulemd-defaults\ndata: {module: nginx, stream: '1.26', profiles: {'1.26': [x]}}";
        first.merge(parse(other).unwrap());
        assert_eq!(first.defaults["nginx"].stream.as_deref(), Some("1.24"));
        assert_eq!(first.defaults["nginx"].profiles.len(), 2);
    }
}
