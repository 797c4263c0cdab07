//! Repository lines of both families: options, `url.map` tokens, package manager variables, ids.
//!
//! `repositories` of a deb template: `[options] URL suite component…`. Of an rpm template: `[options] URL…`, the URLs
//! being alternatives of one repository; `mirrorlist` the same with the URLs of mirror lists. The options in brackets
//! are ours (docs/templates.md); the original has none.

use super::address::{is_url, shown_address};
use super::error::LineProblem;
use super::url_map::UrlMap;
use crate::{Arch, Family, RepoId};
use std::collections::BTreeMap;
use std::fmt;

/// What a line says beside where the repository is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryOptions {
    /// `priority=N`: a lower number wins, as in dnf; 99 where absent.
    pub priority: Option<i32>,
    /// `excludepkgs=A,B`: patterns of packages that are not taken from here.
    pub excludes: Vec<String>,
    /// `module_hotfixes=yes` (rpm): module streams hide no package of this repository.
    pub module_hotfixes: bool,
    /// `check-valid-until=no`: an archive whose `Valid-Until` has passed for ever.
    pub ignore_valid_until: bool,
    /// `metadata=unsigned` (rpm): nothing signs `repomd.xml`; every package must carry a pinned key's signature.
    pub unsigned_metadata: bool,
    /// `signatures=legacy`: the signature formats and hashes of old distributions are accepted here.
    pub legacy_signatures: bool,
}

/// One apt repository: one suite below one URL. Debugging shows its address without user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct AptSource {
    /// `base0`, `nginx1` …
    pub id: RepoId,
    /// Where `dists/` lies; `http`, `https` or `file`.
    pub uri: String,
    /// `bookworm`, `bookworm-security`, or a path that ends in `/` for a flat repository.
    pub suite: String,
    /// `main`, `contrib` …; empty for a flat repository.
    pub components: Vec<String>,
    /// `trusted=yes`: used without any signature.
    pub trusted: bool,
    /// The rest of the options.
    pub options: RepositoryOptions,
}

/// One yum repository: alternatives of one content. Debugging shows its addresses without user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct YumSource {
    /// `base0`, `httpd1` …
    pub id: RepoId,
    /// Where `repodata/` lies, best first; empty for a line of `mirrorlist`.
    pub base_urls: Vec<String>,
    /// Lists of mirrors, tried in turn; empty for a line of `repositories`.
    pub mirror_lists: Vec<String>,
    /// `trusted=yes`: used without any signature.
    pub trusted: bool,
    /// The rest of the options.
    pub options: RepositoryOptions,
}

impl fmt::Debug for AptSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AptSource")
            .field("id", &self.id)
            .field("uri", &shown_address(&self.uri))
            .field("suite", &self.suite)
            .field("components", &self.components)
            .field("trusted", &self.trusted)
            .field("options", &self.options)
            .finish()
    }
}

impl fmt::Debug for YumSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |urls: &[String]| {
            urls.iter()
                .map(|url| shown_address(url))
                .collect::<Vec<_>>()
        };
        f.debug_struct("YumSource")
            .field("id", &self.id)
            .field("base_urls", &shown(&self.base_urls))
            .field("mirror_lists", &shown(&self.mirror_lists))
            .field("trusted", &self.trusted)
            .field("options", &self.options)
            .finish()
    }
}

/// One repository of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryLine {
    /// Of a deb template.
    Apt(AptSource),
    /// Of an rpm template.
    Yum(YumSource),
}

impl RepositoryLine {
    /// The id of the repository.
    pub const fn id(&self) -> &RepoId {
        match self {
            Self::Apt(source) => &source.id,
            Self::Yum(source) => &source.id,
        }
    }

    /// Whether the line says `trusted=yes`.
    pub const fn is_trusted(&self) -> bool {
        match self {
            Self::Apt(source) => source.trusted,
            Self::Yum(source) => source.trusted,
        }
    }

    /// The options of the line.
    pub const fn options(&self) -> &RepositoryOptions {
        match self {
            Self::Apt(source) => &source.options,
            Self::Yum(source) => &source.options,
        }
    }

    /// Whether both lines read the same content, whatever their ids: the second is then dropped (VZPKG-REFERENCE §2.4).
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Apt(a), Self::Apt(b)) => {
                (&a.uri, &a.suite, &a.components) == (&b.uri, &b.suite, &b.components)
            }
            (Self::Yum(a), Self::Yum(b)) => {
                (&a.base_urls, &a.mirror_lists) == (&b.base_urls, &b.mirror_lists)
            }
            _ => false,
        }
    }
}

/// Which file a line stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RepositoryFile {
    Repositories,
    MirrorList,
}

impl RepositoryFile {
    pub(super) const fn file_name(self) -> &'static str {
        match self {
            Self::Repositories => "repositories",
            Self::MirrorList => "mirrorlist",
        }
    }
}

/// What the words of a line may refer to.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) family: Family,
    pub(super) version: &'a str,
    pub(super) arch: &'a Arch,
    pub(super) environment: &'a [(String, String)],
    pub(super) url_map: &'a UrlMap,
}

/// An address as a template writes it, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenUrl {
    /// As written, without a final `/`: `$DEB_SERVER/debian`.
    pub written: String,
    /// What it is with a `url.map` and the variables of the template.
    pub url: String,
    /// The suite of an apt repository.
    pub suite: Option<String>,
    /// The components of an apt repository.
    pub components: Vec<String>,
}

/// The addresses of one line; none where it cannot be understood.
pub(super) fn written_urls(line: &str, context: &Context<'_>) -> Vec<WrittenUrl> {
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
pub(super) fn parse(
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
pub(super) fn yes_no(text: &str) -> Option<bool> {
    match text {
        "yes" | "1" => Some(true),
        "no" | "0" => Some(false),
        _ => None,
    }
}

/// Replaces the package manager's variables; a `$word` that is none of them is refused.
fn replace_variables(text: &str, context: &Context<'_>) -> Result<String, LineProblem> {
    let values = variables(context);
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        let (name, behind) = split_word(after);
        if let Some(value) = values.get(name) {
            result.push_str(value);
        } else if is_yum_variable(name) {
            return Err(LineProblem::UnsetVariable(format!("${name}")));
        } else {
            let token = format!("${name}");
            return Err(LineProblem::UnresolvedWord { token });
        }
        rest = behind;
    }
    result.push_str(rest);
    Ok(result)
}

/// The name after a `$`, and what follows. `$(ARCH)` and `${basearch}` lose their brackets.
fn split_word(text: &str) -> (&str, &str) {
    for (open, close) in [('(', ')'), ('{', '}')] {
        if let Some((name, rest)) = text
            .strip_prefix(open)
            .and_then(|inside| inside.split_once(close))
        {
            return (name, rest);
        }
    }
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn variables(context: &Context<'_>) -> BTreeMap<&'static str, String> {
    let packages = context.arch.in_family(context.family).to_string();
    let mut values = BTreeMap::new();
    match context.family {
        Family::Deb => {
            values.insert("ARCH", packages);
        }
        Family::Rpm => {
            values.insert("releasever", context.version.to_owned());
            // rpm packages of 32-bit x86 say i686, their repositories i386.
            let base = if packages == "i686" {
                "i386"
            } else {
                &packages
            };
            values.insert("basearch", base.to_owned());
            values.insert("arch", packages);
            for name in YUM_VARIABLES {
                let value = context.environment.iter().find(|(key, _)| key == name);
                if let Some((_, value)) = value {
                    values.insert(name, value.clone());
                }
            }
        }
    }
    values
}

const YUM_VARIABLES: [&str; 10] = [
    "YUM0", "YUM1", "YUM2", "YUM3", "YUM4", "YUM5", "YUM6", "YUM7", "YUM8", "YUM9",
];

fn is_yum_variable(name: &str) -> bool {
    YUM_VARIABLES.contains(&name)
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
