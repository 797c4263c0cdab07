//! Repository lines: options, `url.map` tokens, addresses.
//!
//! `repositories` of a deb template: `[options] URL suite component…`. Of an rpm template: `[options] URL…`, the URLs
//! being alternatives of one repository; `mirrorlist` the same with the URLs of mirror lists. The options in brackets
//! are ours (docs/templates.md); the original has none.

use super::variables::replace_variables;
use super::{
    AptSource, Context, RepositoryFile, RepositoryLine, RepositoryOptions, WrittenUrl, YumSource,
};
use crate::template::address::{is_url, shown_address};
use crate::template::error::LineProblem;
use crate::{Family, RepoId};

/// The addresses of one line; none where it cannot be understood.
pub(in crate::template) fn written_urls(line: &str, context: &Context<'_>) -> Vec<WrittenUrl> {
    let Ok((_, rest)) = split_options(line) else {
        return Vec::new();
    };
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (addresses, suite, components) = match context.family {
        Family::Deb => (
            words.get(..1).unwrap_or_default(),
            words.get(1).copied(),
            words.get(2..).unwrap_or_default(),
        ),
        Family::Rpm => (&*words, None, &[][..]),
    };
    let url = |written: &&str| {
        let with_suite = [Some(*written), suite].into_iter().flatten();
        let replaced = context
            .url_map
            .apply(&with_suite.collect::<Vec<_>>().join(" "));
        let replaced = replace_variables(&replaced, context).ok()?;
        Some(WrittenUrl {
            written: written.trim_end_matches('/').to_owned(),
            url: replaced.split_whitespace().next()?.to_owned(),
            suite: suite.map(str::to_owned),
            components: components.iter().map(ToString::to_string).collect(),
        })
    };
    addresses.iter().filter_map(url).collect()
}

/// Understands one line.
pub(in crate::template) fn parse(
    line: &str,
    file: RepositoryFile,
    id: RepoId,
    context: &Context<'_>,
) -> Result<RepositoryLine, LineProblem> {
    let (flags, rest) = split_options(line)?;
    let replaced = context.url_map.apply(rest);
    let replaced = replace_variables(&replaced, context)?;
    let words: Vec<String> = replaced.split_whitespace().map(str::to_owned).collect();
    match (context.family, file) {
        (Family::Deb, RepositoryFile::Repositories) => apt_line(words, id, flags),
        (Family::Deb, RepositoryFile::MirrorList) => Err(LineProblem::WrongFamily {
            file: file.file_name(),
            family: context.family,
        }),
        (Family::Rpm, _) => yum_line(words, file, id, flags),
    }
}

type Flags = (bool, RepositoryOptions);

fn apt_line(
    words: Vec<String>,
    id: RepoId,
    (trusted, options): Flags,
) -> Result<RepositoryLine, LineProblem> {
    let mut words = words.into_iter();
    let uri = words.next().ok_or(LineProblem::NoUrl)?;
    if !is_url(&uri) {
        return Err(LineProblem::Url(shown_address(&uri)));
    }
    let Some(suite) = words.next() else {
        return Err(LineProblem::NoSuite(shown_address(&uri)));
    };
    let components: Vec<String> = words.collect();
    let flat = suite.ends_with('/');
    if let Some(bad) = std::iter::once(&suite)
        .chain(&components)
        .find(|name| !is_suite(name))
    {
        return Err(LineProblem::SuiteName(bad.clone()));
    }
    if flat != components.is_empty() {
        return Err(LineProblem::NoComponent(suite));
    }
    Ok(RepositoryLine::Apt(AptSource {
        id,
        uri,
        suite,
        components,
        trusted,
        options,
    }))
}

fn yum_line(
    urls: Vec<String>,
    file: RepositoryFile,
    id: RepoId,
    (trusted, options): Flags,
) -> Result<RepositoryLine, LineProblem> {
    if urls.is_empty() {
        return Err(LineProblem::NoUrl);
    }
    if let Some(bad) = urls.iter().find(|url| !is_url(url)) {
        return Err(LineProblem::Url(shown_address(bad)));
    }
    let (base_urls, mirror_lists) = match file {
        RepositoryFile::Repositories => (urls, Vec::new()),
        RepositoryFile::MirrorList => (Vec::new(), urls),
    };
    Ok(RepositoryLine::Yum(YumSource {
        id,
        base_urls,
        mirror_lists,
        trusted,
        options,
    }))
}

/// A suite or component: names and `/` between them; `./` and `/` for flat repositories.
fn is_suite(text: &str) -> bool {
    if matches!(text, "./" | "/") {
        return true;
    }
    let text = text.strip_suffix('/').unwrap_or(text);
    let text = text.strip_prefix("./").unwrap_or(text);
    text.split('/').all(|part| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-._~".contains(c))
    })
}

fn split_options(line: &str) -> Result<(Flags, &str), LineProblem> {
    let mut flags = Flags::default();
    let Some(rest) = line.strip_prefix('[') else {
        return Ok((flags, line));
    };
    let (inside, rest) = rest.split_once(']').ok_or(LineProblem::OpenOptions)?;
    for word in inside.split_whitespace() {
        let unknown = || LineProblem::Option(word.to_owned());
        let (trusted, options) = &mut flags;
        match word.split_once('=') {
            Some(("trusted", value)) => *trusted = yes_no(value).ok_or_else(unknown)?,
            Some(("priority", value)) => {
                options.priority = Some(value.parse().ok().ok_or_else(unknown)?);
            }
            Some(("excludepkgs", value)) if !value.is_empty() => {
                let patterns = value.split(',').filter(|it| !it.is_empty());
                options.excludes.extend(patterns.map(str::to_owned));
            }
            Some(("module_hotfixes", value)) => {
                options.module_hotfixes = yes_no(value).ok_or_else(unknown)?;
            }
            Some(("check-valid-until", value)) => {
                options.ignore_valid_until = !yes_no(value).ok_or_else(unknown)?;
            }
            Some(("metadata", "unsigned")) => options.unsigned_metadata = true,
            Some(("signatures", "legacy")) => options.legacy_signatures = true,
            _ => return Err(unknown()),
        }
    }
    Ok((flags, rest))
}

/// `yes`, `no`, `1`, `0`; anything else is `None`.
pub(in crate::template) fn yes_no(text: &str) -> Option<bool> {
    match text {
        "yes" | "1" => Some(true),
        "no" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_and_passwords_are_never_shown() {
        for (text, shown) in [
            ("http://user:open-sesame@host/a", "http://host/a"),
            ("user:open-sesame@host", "host"),
            ("http://host/a", "http://host/a"),
        ] {
            assert_eq!(shown_address(text), shown);
        }
        let id: RepoId = "base0".parse().unwrap();
        let address = || "http://user:open-sesame@host/a".to_owned();
        let apt = AptSource {
            id: id.clone(),
            uri: address(),
            suite: "x".to_owned(),
            components: Vec::new(),
            trusted: false,
            options: RepositoryOptions::default(),
        };
        let yum = YumSource {
            id: id.clone(),
            base_urls: vec![address()],
            mirror_lists: vec![address()],
            trusted: false,
            options: RepositoryOptions::default(),
        };
        let without_suite = apt_line(vec![address()], id, Flags::default()).unwrap_err();
        for text in [
            format!("{apt:?}"),
            format!("{yum:?}"),
            without_suite.to_string(),
        ] {
            assert!(
                text.contains("host/a") && !text.contains("sesame"),
                "{text}"
            );
        }
    }
}
