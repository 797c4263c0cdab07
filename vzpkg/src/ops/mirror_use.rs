//! Templates read a mirror instead of its upstream: lines in `url.map`, which `--undo` takes away again.
//!
//! A line is about one address as templates write it and the suites that the mirror has, so templates of other suites
//! keep their servers.

use super::mirror_lines::{self, Mirror};
use super::{host, node};
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use vzpkg_metadata::durable::{self, FileError};
use vzpkg_metadata::guard::{FileGuard, Share};
use vzpkg_metadata::template::shipped::URL_MAP_PATH;
use vzpkg_metadata::template::url_map::with_lines_of;
use vzpkg_metadata::template::{Template, TemplateArea, UrlMap, WrittenUrl};
use vzpkg_metadata::{Family, MirrorName};
use vzpkg_repo_client::mirror::{Part, Upstream};

/// A map is written by hand.
const MAP_BYTES: u64 = 1 << 20;

/// What is in force afterwards.
#[derive(Debug, Default)]
pub(crate) struct Used {
    /// Lines of `url.map`: what templates write, and what it now means.
    pub(crate) lines: Vec<(String, String)>,
    /// Templates that read the mirror.
    pub(crate) templates: BTreeSet<String>,
    /// Addresses that no map can change, for they are written out.
    pub(crate) fixed: BTreeSet<String>,
}

/// Makes templates use a mirror.
///
/// # Errors
/// [`Kind::Unmet`] where no template names what it mirrors; [`Kind::Usage`] where one wants more of a suite than it has.
pub(crate) fn start(
    context: &Context,
    name: &MirrorName,
    mirror: Mirror<'_>,
) -> CommandResult<Used> {
    let area = node::templates(context)?;
    let _guard = guard(context, &area)?;
    let text = text(&area)?;
    let without = with_lines_of(&text, &owner(name), &[]);
    let path = map_path(&area);
    let map = UrlMap::parse(&without, &path)?;
    let map = map.with_host_defaults(&host::apt_servers(Path::new(node::ETC_APT)));
    let mut used = Used::default();
    let mut suites: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for location in area.list()? {
        let template = area.load_at(&location, &map)?;
        for url in template.written_urls(&map) {
            let Some(part) = part_of(&mirror, &url) else {
                continue;
            };
            check(&template, part, &url)?;
            if !url.written.starts_with('$') {
                used.fixed.insert(url.written);
                continue;
            }
            let place = mirror_lines::below(mirror.published, part);
            suites
                .entry((url.written, place))
                .or_default()
                .extend(url.suite);
            used.templates.insert(template.name.to_string());
        }
    }
    used.lines = suites
        .into_iter()
        .map(|((written, place), suites)| {
            let suites: Vec<String> = suites.into_iter().collect();
            (format!("{written}[{}]", suites.join(",")), place)
        })
        .collect();
    if used.lines.is_empty() {
        let text = format!("no template reads what mirror `{name}` mirrors");
        return Err(CommandError::message(Kind::Unmet, text)
            .hint("mirror what a template reads: vzpkg mirror add NAME --for TEMPLATE"));
    }
    write(
        context,
        &path,
        &with_lines_of(&text, &owner(name), &used.lines),
    )?;
    Ok(used)
}

/// Takes the lines of a mirror away; whether there were any.
///
/// # Errors
/// [`Kind::Environment`] where the map cannot be read or written.
pub(crate) fn stop(context: &Context, name: &MirrorName) -> CommandResult<bool> {
    let area = node::templates(context)?;
    if !map_path(&area).exists() {
        return Ok(false);
    }
    let _guard = guard(context, &area)?;
    let before = text(&area)?;
    let after = with_lines_of(&before, &owner(name), &[]);
    let there_were = before != after;
    if there_were {
        write(context, &map_path(&area), &after)?;
    }
    Ok(there_were)
}

fn owner(name: &MirrorName) -> String {
    format!("vzpkg mirror use {name}")
}

fn map_path(area: &TemplateArea) -> PathBuf {
    area.path().join(URL_MAP_PATH)
}

/// The directory of the map, locked: between reading and writing it nobody else changes it. Held for an instant; none in a
/// dry run, which is a reader.
fn guard(context: &Context, area: &TemplateArea) -> CommandResult<Option<FileGuard>> {
    if context.settings.dry_run {
        return Ok(None);
    }
    let map = map_path(area);
    let directory = map.parent().unwrap_or_else(|| area.path());
    let guard = File::open(directory).and_then(|file| FileGuard::wait(file, Share::Exclusive));
    Ok(Some(guard.map_err(FileError::on("lock", directory))?))
}

fn text(area: &TemplateArea) -> CommandResult<String> {
    let bytes = durable::read_file(&map_path(area), MAP_BYTES)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn write(context: &Context, path: &Path, text: &str) -> CommandResult {
    if !context.settings.dry_run {
        durable::write_file(path, 0o644, text.as_bytes())?;
    }
    Ok(())
}

/// The repository of the mirror that this address is about.
fn part_of<'a>(mirror: &Mirror<'a>, url: &WrittenUrl) -> Option<&'a Part> {
    let mut parts = mirror.config.parts().iter();
    parts.find(|part| {
        let is_it = part
            .upstream
            .urls()
            .any(|of| mirror_lines::is_same(of, &url.url));
        let listed = match &part.upstream {
            Upstream::Yum(yum) => yum.mirror_lists.contains(&url.url),
            Upstream::Apt(_) | Upstream::Folder(_) => false,
        };
        let has_suite = match (&part.upstream, &url.suite) {
            (Upstream::Apt(apt), Some(suite)) => apt.suites.contains(suite),
            (Upstream::Yum(_), None) => true,
            _ => false,
        };
        (is_it || listed) && has_suite
    })
}

/// That the mirror has of a suite all that a template reads.
fn check(template: &Template, part: &Part, url: &WrittenUrl) -> CommandResult {
    let Upstream::Apt(apt) = &part.upstream else {
        return Ok(());
    };
    let arch = template.arch.in_family(Family::Deb);
    let mut components = url.components.iter();
    let missing = components.find(|component| !apt.components.contains(component));
    let missing = match missing {
        Some(component) => format!("component {component}"),
        None if !apt.architectures.contains(&arch) => format!("architecture {arch}"),
        None => return Ok(()),
    };
    let text = format!(
        "template `{}` reads {missing} of {}, which this mirror has not",
        template.name, url.written
    );
    Err(CommandError::message(Kind::Usage, text)
        .hint("remove the mirror and add it with what the template reads"))
}
