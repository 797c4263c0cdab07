//! From the streams that are on to the packages that may be chosen.
//!
//! A stream is on because somebody says so, because it is its module's default, or because a stream that is on needs it.
//! Every version of it whose dependencies are met counts. All packages of other streams are hidden; so is every other
//! package that has a name which the streams that are on have too, or provides one: a module replaces the distribution's
//! own package also where that is newer. Repositories of hotfixes (`module_hotfixes`) are spared the second.

use super::modules::{Modules, Stream};
use std::collections::{BTreeMap, BTreeSet};

/// What a request asks of modules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleRequest {
    /// The stream of the pseudo module `platform`: `el9`, `f43`. `None`: not looked at.
    pub platform: Option<String>,
    /// Of the packages.
    pub arch: String,
    /// By module: the stream that is to be on.
    pub enabled: BTreeMap<String, String>,
}

/// Which packages are hidden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleFilter {
    /// By `name-epoch:version-release.arch`: the stream (`nginx:1.24`) that is off.
    pub off: BTreeMap<String, String>,
    /// Packages of streams that are on, in the same form.
    pub on: BTreeSet<String>,
    /// By name: the stream that is on and has packages of this name.
    pub replaced: BTreeMap<String, String>,
}

/// Why streams cannot be on together.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ModuleConflict {
    /// Nobody has it.
    #[error("no repository has the module stream `{0}`")]
    Unknown(String),
    /// No version of it has its dependencies met.
    #[error("the module stream `{stream}` needs {needs}")]
    Unmet {
        /// Which one.
        stream: String,
        /// What it needs, of the alternatives the first.
        needs: String,
    },
}

impl ModuleFilter {
    /// Whether it hides nothing.
    pub fn is_empty(&self) -> bool {
        self.off.is_empty() && self.replaced.is_empty()
    }
}

impl Modules {
    /// The streams that are on, by module.
    ///
    /// # Errors
    /// [`ModuleConflict`] where a stream that was asked for cannot be.
    pub fn active(
        &self,
        request: &ModuleRequest,
    ) -> Result<BTreeMap<String, String>, ModuleConflict> {
        let mut on = request.enabled.clone();
        for (module, stream) in &request.enabled {
            if !self.of(module, stream, request).any(|_| true) {
                return Err(ModuleConflict::Unknown(format!("{module}:{stream}")));
            }
        }
        for (module, defaults) in &self.defaults {
            if let Some(stream) = &defaults.stream
                && self.of(module, stream, request).any(|_| true)
            {
                on.entry(module.clone()).or_insert_with(|| stream.clone());
            }
        }
        // What is needed comes on; every round adds a module or is the last.
        while let Some((module, stream)) = self.needed(&on, request) {
            on.insert(module, stream);
        }
        let unmet = |(module, stream): &(&String, &String)| {
            !self
                .of(module, stream, request)
                .any(|it| it.is_met(&on, request))
        };
        let failed: Vec<_> = on.iter().filter(unmet).collect();
        let asked = failed
            .iter()
            .find(|(module, _)| request.enabled.contains_key(*module));
        if let Some((module, stream)) = asked {
            let first = self.of(module, stream, request).next();
            return Err(ModuleConflict::Unmet {
                stream: format!("{module}:{stream}"),
                needs: first.map(Stream::needs).unwrap_or_default(),
            });
        }
        let failed: BTreeSet<String> = failed.iter().map(|(module, _)| (*module).clone()).collect();
        on.retain(|module, _| !failed.contains(module));
        Ok(on)
    }

    /// What the streams that are on mean for packages.
    ///
    /// # Errors
    /// As [`Modules::active`].
    pub fn filter(&self, request: &ModuleRequest) -> Result<ModuleFilter, ModuleConflict> {
        let on = self.active(request)?;
        let mut filter = ModuleFilter::default();
        for stream in &self.streams {
            let is_on = on.get(&stream.name) == Some(&stream.stream)
                && stream.is_of(&request.arch)
                && stream.is_met(&on, request);
            let label = stream.label();
            for artifact in &stream.artifacts {
                if !is_on {
                    filter.off.insert(artifact.clone(), label.clone());
                    continue;
                }
                filter.on.insert(artifact.clone());
                if let Some(name) = name_of(artifact) {
                    filter.replaced.insert(name.to_owned(), label.clone());
                }
            }
        }
        let ModuleFilter { off, on, .. } = &mut filter;
        off.retain(|artifact, _| !on.contains(artifact));
        Ok(filter)
    }

    /// The packages of a profile of a stream, of its newest version that has it; without a name those of the default
    /// profiles. `None` if there is no such profile.
    pub fn profile(
        &self,
        module: &str,
        stream: &str,
        profile: Option<&str>,
        request: &ModuleRequest,
    ) -> Option<BTreeSet<String>> {
        let names: Vec<&str> = if let Some(profile) = profile {
            vec![profile]
        } else {
            let defaults = self.defaults.get(module)?;
            let names = defaults.profiles.get(stream)?;
            names.iter().map(String::as_str).collect()
        };
        let mut all = BTreeSet::new();
        for name in names {
            let streams = self.of(module, stream, request);
            let with_it = streams.filter(|it| it.profiles.contains_key(name));
            let newest = with_it.max_by_key(|it| it.version)?;
            all.extend(newest.profiles.get(name)?.iter().cloned());
        }
        Some(all)
    }

    fn of<'m>(
        &'m self,
        module: &'m str,
        stream: &'m str,
        request: &'m ModuleRequest,
    ) -> impl Iterator<Item = &'m Stream> {
        self.streams
            .iter()
            .filter(move |it| it.name == module && it.stream == stream && it.is_of(&request.arch))
    }

    /// A module that the newest version of some stream needs and that no stream is on of, with the stream to take.
    fn needed(
        &self,
        on: &BTreeMap<String, String>,
        request: &ModuleRequest,
    ) -> Option<(String, String)> {
        for (module, stream) in on {
            let versions = self.of(module, stream, request);
            let possible = versions.filter(|it| it.is_possible(on, request));
            let Some(newest) = possible.max_by_key(|it| it.version) else {
                continue;
            };
            if newest.is_met(on, request) {
                continue;
            }
            let alternatives = newest.requires.iter();
            let mut possible = alternatives.filter(|it| allows_all(it, on, request, true));
            let missing = possible
                .next()?
                .iter()
                .find(|(name, _)| name.as_str() != PLATFORM && !on.contains_key(*name));
            let Some((name, streams)) = missing else {
                continue;
            };
            let mut known = self.streams.iter().filter(|it| it.name == *name);
            let will_do = known.find(|it| allows(streams, &it.stream) && it.is_of(&request.arch));
            if let Some(found) = will_do {
                return Some((name.clone(), found.stream.clone()));
            }
        }
        None
    }
}

/// The pseudo module that stands for the distribution.
const PLATFORM: &str = "platform";

impl Stream {
    fn label(&self) -> String {
        format!("{}:{}", self.name, self.stream)
    }

    fn is_of(&self, arch: &str) -> bool {
        self.arch.is_empty() || self.arch == arch || self.arch == "noarch"
    }

    fn is_met(&self, on: &BTreeMap<String, String>, request: &ModuleRequest) -> bool {
        self.requires.is_empty()
            || self
                .requires
                .iter()
                .any(|all| allows_all(all, on, request, false))
    }

    /// Whether nothing that is on speaks against it.
    fn is_possible(&self, on: &BTreeMap<String, String>, request: &ModuleRequest) -> bool {
        self.requires.is_empty()
            || self
                .requires
                .iter()
                .any(|all| allows_all(all, on, request, true))
    }

    fn needs(&self) -> String {
        let first = self.requires.first().into_iter().flatten();
        let texts = first.map(|(name, streams)| {
            let streams: Vec<&str> = streams.iter().map(String::as_str).collect();
            format!("`{name}:{}`", streams.join(","))
        });
        texts.collect::<Vec<_>>().join(" and ")
    }
}

fn allows_all(
    all: &BTreeMap<String, BTreeSet<String>>,
    on: &BTreeMap<String, String>,
    request: &ModuleRequest,
    absent: bool,
) -> bool {
    all.iter().all(|(name, streams)| {
        let present = if name == PLATFORM {
            let Some(platform) = &request.platform else {
                return true;
            };
            Some(platform)
        } else {
            on.get(name)
        };
        present.map_or(absent, |stream| allows(streams, stream))
    })
}

/// Whether a list of streams allows one: it names it, or it names none that it must be, and not this as one that it must
/// not be.
fn allows(streams: &BTreeSet<String>, stream: &str) -> bool {
    let mut wanted = streams.iter().filter(|it| !it.starts_with('-')).peekable();
    if wanted.peek().is_some() {
        return wanted.any(|it| it == stream);
    }
    !streams
        .iter()
        .any(|it| it.strip_prefix('-') == Some(stream))
}

/// The name of `name-epoch:version-release.arch`; `None` for a source package.
fn name_of(artifact: &str) -> Option<&str> {
    let (rest, release) = artifact.rsplit_once('-')?;
    let (_, arch) = release.rsplit_once('.')?;
    if arch == "src" {
        return None;
    }
    rest.rsplit_once('-').map(|(name, _version)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yum::modules;

    fn document(name: &str, stream: &str, version: u64, requires: &str, artifact: &str) -> String {
        format!(
            "---\ndocument: modulemd\ndata:\n  name: {name}\n  stream: {stream}\n  version: {version}\n  \
             arch: x86_64\n  dependencies: [{{requires: {{{requires}}}}}]\n  artifacts: {{rpms: [{artifact}]}}\n  \
             profiles: {{common: {{rpms: [{name}-{version}]}}}}\n...\n"
        )
    }

    fn modules() -> Modules {
        let text = [
            document("web", "a1", 1, "platform: [el9]", "web-0:1-1.x86_64, both-0:1-1.noarch, s-0:1-1.src"),
            document("web", "a1", 2, "platform: [el9]", "web-0:1-2.x86_64"),
            document("web", "a1", 9, "platform: [el8]", "web-0:1-9.x86_64"),
            document("web", "b2", 1, "platform: []", "web-0:2-1.x86_64, both-0:1-1.noarch"),
            document("app", "x", 1, "web: [b2], platform: [-el8]", "app-0:1-1.x86_64"),
            document("lone", "x", 1, "absent: [y]", "lone-0:1-1.x86_64"),
            "---\ndocument: modulemd-defaults\ndata: {module: web, stream: a1, profiles: {a1: [common]}}\n".to_owned(),
            "---\ndocument: modulemd-defaults\ndata: {module: lone, stream: x}\n".to_owned(),
        ];
        modules::parse(&text.concat()).unwrap()
    }

    fn request(platform: &str, enabled: &[(&str, &str)]) -> ModuleRequest {
        ModuleRequest {
            platform: Some(platform.to_owned()),
            arch: "x86_64".to_owned(),
            enabled: enabled
                .iter()
                .map(|(name, stream)| ((*name).to_owned(), (*stream).to_owned()))
                .collect(),
        }
    }

    fn off(filter: &ModuleFilter) -> Vec<&str> {
        filter.off.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_default_stream_is_on_and_hides_the_others() {
        let filter = modules().filter(&request("el9", &[])).unwrap();
        assert_eq!(
            off(&filter),
            [
                "app-0:1-1.x86_64",
                "lone-0:1-1.x86_64",
                "web-0:1-9.x86_64",
                "web-0:2-1.x86_64"
            ]
        );
        // Both versions of the stream are on; a source package replaces nothing.
        assert!(filter.on.contains("web-0:1-1.x86_64") && filter.on.contains("web-0:1-2.x86_64"));
        let replaced: Vec<_> = filter
            .replaced
            .iter()
            .map(|(name, by)| format!("{name} {by}"))
            .collect();
        assert_eq!(replaced, ["both web:a1", "web web:a1"]);
    }

    #[test]
    fn what_was_asked_for_and_what_it_needs_is_on() {
        let modules = modules();
        let on = modules
            .active(&request("el9", &[("web", "b2"), ("app", "x")]))
            .unwrap();
        assert_eq!(on.len(), 2);
        // The default of a needed module does not fit.
        assert_eq!(
            modules.active(&request("el9", &[("app", "x")])),
            Err(ModuleConflict::Unmet {
                stream: "app:x".to_owned(),
                needs: "`platform:-el8` and `web:b2`".to_owned(),
            })
        );
        let mut without_defaults = modules.clone();
        without_defaults.defaults.clear();
        let on = without_defaults
            .active(&request("el9", &[("app", "x")]))
            .unwrap();
        assert_eq!(on["web"], "b2");
        assert!(
            without_defaults
                .active(&request("el8", &[("app", "x")]))
                .is_err()
        );
        assert_eq!(
            modules.active(&request("el9", &[("web", "c")])),
            Err(ModuleConflict::Unknown("web:c".to_owned()))
        );
    }

    #[test]
    fn profiles_are_those_of_the_newest_version() {
        let modules = modules();
        let request = request("el9", &[]);
        let of = |stream: &str, profile| modules.profile("web", stream, profile, &request);
        assert_eq!(
            of("b2", Some("common")),
            Some(BTreeSet::from(["web-1".to_owned()]))
        );
        assert_eq!(of("a1", None), Some(BTreeSet::from(["web-9".to_owned()])));
        assert_eq!(of("b2", None), None);
        assert_eq!(of("a1", Some("absent")), None);
    }
}
