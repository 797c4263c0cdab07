//! A template as it was: its repositories as local mirrors had them at a date, or under the name of a snapshot.

use super::mirror_lines::{self, Mirror};
use super::mirrors;
use crate::commands::Context;
use crate::error::{CommandError, CommandResult, Kind};
use crate::output::local_time;
use std::path::PathBuf;
use vzpkg_metadata::MirrorName;
use vzpkg_metadata::name::NameError;
use vzpkg_metadata::template::{RepositoryLine, Template};
use vzpkg_repo_client::mirror::{MirrorInfo, Moment};
use vzpkg_repo_client::source::BaseUrl;

/// Directories that hold past states, and when they were judged.
pub(crate) type Judged = Vec<(PathBuf, i64)>;

/// A moment as a user typed it: a date (the end of that day), a date with a time, or the name of a snapshot.
///
/// # Errors
/// [`Kind::Usage`] for what is none of them.
pub(crate) fn moment(typed: &str) -> CommandResult<Moment> {
    if let Ok(timestamp) = typed.parse::<jiff::Timestamp>() {
        return Ok(Moment::At(timestamp.as_second()));
    }
    if let Ok(date) = typed.parse::<jiff::civil::Date>()
        && let Ok(begin) = date.to_zoned(jiff::tz::TimeZone::UTC)
        && let Ok(next) = begin.tomorrow()
    {
        return Ok(Moment::At(next.timestamp().as_second() - 1));
    }
    typed
        .parse()
        .map(Moment::Snapshot)
        .map_err(|error: NameError| {
            CommandError::new(Kind::Usage, error)
                .hint("a date is 2026-05-01 or 2026-05-01T12:00:00Z; names: vzpkg mirror info NAME")
        })
}

/// Puts every repository of the template back to that moment.
///
/// # Errors
/// [`Kind::Unmet`] where one is in no mirror, or its mirror has no such state.
pub(crate) fn apply(
    context: &Context,
    template: &mut Template,
    moment: &Moment,
) -> CommandResult<Judged> {
    let mirrors = mirrors::open_for_writing(context)?;
    let names = mirrors.names()?;
    let infos = names.iter().map(|name| mirrors.info(name));
    let infos: Vec<MirrorInfo> = infos.collect::<Result<_, _>>()?;
    let mut judged = Judged::new();
    let (arch, name) = (template.arch.clone(), template.name.clone());
    for line in &mut template.repositories {
        let found = infos.iter().find_map(|info| {
            let (config, published) = (&info.config, info.directory.as_path());
            let part = Mirror { config, published }.part_of(line, &arch)?;
            Some((info, part))
        });
        let Some((info, part)) = found else {
            let text = format!(
                "no mirror has the past of `{}`, which `{name}` reads",
                address(line)
            );
            return Err(CommandError::message(Kind::Unmet, text).hint(format!(
                "mirror it from now on: vzpkg mirror add NAME --for {name}"
            )));
        };
        let view = mirrors.view(&info.name, moment)?;
        told(context, &info.name, view.judged);
        *line = mirror_lines::moved(line, mirror_lines::below(&view.directory, part));
        judged.push((view.directory, view.judged));
    }
    Ok(judged)
}

fn told(context: &Context, mirror: &MirrorName, judged: i64) {
    if context.printer.is_verbose() {
        let text = format_args!("mirror {mirror} as it was synced at {}", local_time(judged));
        context.printer.note(text);
    }
}

/// The address of a line, without credentials.
fn address(line: &RepositoryLine) -> String {
    let url = match line {
        RepositoryLine::Apt(source) => source.uri.clone(),
        RepositoryLine::Yum(source) => {
            let mut urls = source.base_urls.iter().chain(&source.mirror_lists);
            urls.next().cloned().unwrap_or_default()
        }
    };
    BaseUrl::parse(&url).map_or(url, |base| base.to_string())
}
