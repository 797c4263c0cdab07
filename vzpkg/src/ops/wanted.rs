//! From the words of a template to what the resolver is asked: groups and profiles of modules become their packages, module
//! streams become what they hide.
//!
//! A group's members may be missing from the repositories, as they may for dnf; a group, module or profile may not.

use crate::error::{CommandError, CommandResult, Kind};
use crate::output::nearest;
use std::sync::Arc;
use vzpkg_metadata::template::Template;
use vzpkg_metadata::yum::comps::{Comps, Group};
use vzpkg_metadata::yum::module_filter::{ModuleFilter, ModuleRequest};
use vzpkg_metadata::yum::modules::Modules;
use vzpkg_repo_client::{Repository, read_groups, read_modules};

/// The pseudo module that stands for the distribution.
const PLATFORM: &str = "platform";

/// What a template wants.
#[derive(Debug, Default)]
pub(crate) struct WantedPackages {
    /// Specs that must be met.
    pub(crate) install: Vec<String>,
    /// Specs that must be met where anything can meet them.
    pub(crate) if_present: Vec<String>,
    /// What module streams hide.
    pub(crate) modules: Arc<ModuleFilter>,
}

/// What the files of a template name.
///
/// # Errors
/// [`Kind::Unmet`] for a group, module or profile that no repository has, and for streams that cannot be on together;
/// [`Kind::Environment`] where what is known of them cannot be read.
pub(crate) fn of(
    template: &Template,
    repositories: &[Repository],
) -> CommandResult<WantedPackages> {
    let words = template
        .packages_0
        .iter()
        .flatten()
        .chain(&template.packages_1)
        .chain(&template.packages);
    let mut words: Vec<&str> = words.map(String::as_str).collect();
    words.sort_unstable();
    words.dedup();
    let modules = modules_of(repositories)?;
    let request = module_request(template, &words);
    let conflict = |error| CommandError::new(Kind::Unmet, error);
    let mut wanted = WantedPackages::default();
    if !modules.is_empty() || !request.enabled.is_empty() {
        wanted.modules = Arc::new(modules.filter(&request).map_err(conflict)?);
    }
    let mut groups = None;
    for word in words {
        let Some(name) = word.strip_prefix('@') else {
            wanted.install.push(word.to_owned());
            continue;
        };
        if name.contains(':') {
            wanted.install.extend(profile(name, &modules, &request)?);
            continue;
        }
        let comps: &Comps = match &groups {
            Some(known) => known,
            None => groups.insert(groups_of(repositories)?),
        };
        if let Some(found) = comps.groups_of(name) {
            for group in found {
                wanted.if_present.extend(members(group));
            }
        } else if let Some(stream) = modules.active(&request).map_err(conflict)?.get(name) {
            let name = format!("{name}:{stream}");
            wanted.install.extend(profile(&name, &modules, &request)?);
        } else {
            return Err(no_group(name, comps));
        }
    }
    Ok(wanted)
}

/// What is installed of a group: all but what is optional.
fn members(group: &Group) -> Vec<String> {
    let plain = group.mandatory.iter().chain(&group.default).cloned();
    let conditional = group.conditional.iter().map(|(name, requires)| {
        if requires.is_empty() {
            name.clone()
        } else {
            format!("({name} if {requires})")
        }
    });
    plain.chain(conditional).collect()
}

/// The packages of `module:stream` or `module:stream/profile`.
fn profile(name: &str, modules: &Modules, request: &ModuleRequest) -> CommandResult<Vec<String>> {
    let (stream, profile) = match name.split_once('/') {
        Some((stream, profile)) => (stream, Some(profile)),
        None => (name, None),
    };
    let (module, stream) = stream.split_once(':').unwrap_or((stream, ""));
    let found = modules.profile(module, stream, profile, request);
    let found = found.ok_or_else(|| {
        let text = match profile {
            Some(profile) => format!("the module stream `{module}:{stream}` has no profile `{profile}`"),
            None => format!("no profile of the module stream `{module}:{stream}` is its default"),
        };
        CommandError::message(Kind::Unmet, text).hint(format!(
            "`@{module}:{stream}/PROFILE` in `packages` names one; `{module}:{stream}` in the file `modules` only turns the \
             stream on"
        ))
    })?;
    Ok(found.into_iter().collect())
}

fn module_request(template: &Template, words: &[&str]) -> ModuleRequest {
    let mut request = ModuleRequest {
        platform: None,
        arch: template.arch.in_family(template.family).to_string(),
        enabled: std::collections::BTreeMap::new(),
    };
    let named = words.iter().filter_map(|word| word.strip_prefix('@'));
    let named = named.map(|name| name.split('/').next().unwrap_or(name));
    let files = template.modules.iter().map(String::as_str);
    for text in named.chain(files) {
        match text.split_once(':') {
            Some((PLATFORM, stream)) => request.platform = Some(stream.to_owned()),
            Some((module, stream)) => {
                let module = module.to_owned();
                request
                    .enabled
                    .entry(module)
                    .or_insert_with(|| stream.to_owned());
            }
            None => {}
        }
    }
    request
}

fn modules_of(repositories: &[Repository]) -> CommandResult<Modules> {
    let mut all = Modules::default();
    for path in repositories.iter().filter_map(|it| it.modules.as_ref()) {
        let found = read_modules(path);
        all.merge(found.map_err(|error| CommandError::new(Kind::Environment, error))?);
    }
    Ok(all)
}

fn groups_of(repositories: &[Repository]) -> CommandResult<Comps> {
    let mut all = Comps::default();
    for path in repositories.iter().filter_map(|it| it.groups.as_ref()) {
        let found = read_groups(path);
        all.merge(found.map_err(|error| CommandError::new(Kind::Environment, error))?);
    }
    Ok(all)
}

fn no_group(name: &str, comps: &Comps) -> CommandError {
    let text = format!("no repository has a group or module `{name}`");
    let error = CommandError::message(Kind::Unmet, text);
    let known = comps.groups.keys().chain(comps.environments.keys());
    match nearest::of(name, known.map(String::as_str)) {
        Some(near) => error.hint(format!("`@{near}` is one")),
        None => error,
    }
}
