//! `url.map`: which server stands for each token in the repositories of templates.
//!
//! Replacement is literal and in order, as in the original (VZPKG-REFERENCE §1.9): a token may go on after its name
//! (`$MY_SERVER/extra`). Nothing here knows a server; what the host's own sources say comes in as a value.
//!
//! A line of ours, which the original has not, is about one whole address and some suites of it:
//! `$DEB_SERVER/debian[bookworm,bookworm-updates] URL`. It comes before all others and leaves longer addresses and other
//! suites alone; with nothing in the brackets it is about every suite, and about yum repositories, which have none.

use super::error::{LineProblem, TemplateError};
use super::files::{Line, lines};
use std::collections::BTreeMap;
use std::path::Path;

/// Replacements of one token in one line; more would be a map that names itself.
const REPLACEMENTS: usize = 10;

/// Tokens and what replaces them, in the order they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UrlMap {
    exact: Vec<Exact>,
    entries: Vec<(String, String)>,
}

/// A line about one whole address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exact {
    /// As templates write it: `$DEB_SERVER/debian`.
    address: String,
    /// Of which suites; empty for all.
    suites: Vec<String>,
    url: String,
}

impl UrlMap {
    /// Reads the text of a `url.map`; `file` is only named in errors.
    ///
    /// # Errors
    /// [`TemplateError::Line`] for a line that is not a token and a replacement.
    pub fn parse(text: &str, file: &Path) -> Result<Self, TemplateError> {
        let mut map = Self::default();
        for line in lines(text) {
            let (token, url) = parse_line(line).map_err(|source| TemplateError::Line {
                file: file.to_owned(),
                line: line.number,
                source,
            })?;
            let inside = token.strip_suffix(']');
            match inside.and_then(|token| token.split_once('[')) {
                Some((address, suites)) => map.exact.push(Exact {
                    address: address.to_owned(),
                    suites: suites
                        .split(',')
                        .filter(|suite| !suite.is_empty())
                        .map(str::to_owned)
                        .collect(),
                    url,
                }),
                None => map.entries.push((token, url)),
            }
        }
        Ok(map)
    }

    /// The map that is shipped: general public mirrors.
    pub fn shipped() -> Self {
        super::shipped::url_map()
    }

    /// Tokens and replacements, in the order they are tried; without lines about whole addresses.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(token, url)| (token.as_str(), url.as_str()))
    }

    /// Puts the host's own servers before the shipped defaults. A line that differs from the shipped one was written by
    /// the administrator and stays in force. Host tokens with a path (`$DEB_SERVER/debian`) are tried longest first.
    #[must_use]
    pub fn with_host_defaults(mut self, host: &BTreeMap<String, String>) -> Self {
        let shipped = Self::shipped();
        self.entries
            .retain(|entry| !shipped.entries.contains(entry) || !host.contains_key(&entry.0));
        let decided: Vec<String> = self
            .entries
            .iter()
            .filter(|entry| !shipped.entries.contains(entry))
            .map(|(token, _)| server_of(token).to_owned())
            .collect();
        let mut added: Vec<(String, String)> = host
            .iter()
            .filter(|(token, _)| !decided.iter().any(|server| server == server_of(token)))
            .map(|(token, url)| (token.clone(), url.clone()))
            .collect();
        added.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
        added.append(&mut self.entries);
        self.entries = added;
        self
    }

    /// Replaces every token in one line of a repository file.
    pub fn apply(&self, line: &str) -> String {
        let mut result = self.apply_exact(line);
        for (token, url) in &self.entries {
            result = result.replacen(token.as_str(), url, REPLACEMENTS);
        }
        result
    }
}

impl UrlMap {
    /// Replaces whole addresses. The suite is the word after the address; a line without one is a yum repository's.
    fn apply_exact(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let suite = words.get(1).copied().unwrap_or_default();
        let replaced = words.iter().map(|word| {
            let mut exact = self.exact.iter();
            let found = exact.find(|exact| {
                let is_for = exact.suites.is_empty() || exact.suites.iter().any(|of| of == suite);
                exact.address == word.trim_end_matches('/') && is_for
            });
            found.map_or(*word, |exact| exact.url.as_str())
        });
        replaced.collect::<Vec<_>>().join(" ")
    }
}

/// The text of a `url.map` with lines that one owner put in front, in place of those it had there before; without lines,
/// what it had is taken away. Everything else stays as it is.
pub fn with_lines_of(text: &str, owner: &str, lines: &[(String, String)]) -> String {
    let (begin, end) = (
        format!("# begin of {owner}, which changes these lines"),
        format!("# end of {owner}"),
    );
    let mut own = false;
    let mut rest = Vec::new();
    for line in text.lines() {
        own |= line == begin;
        if !own {
            rest.push(line);
        }
        own &= line != end;
    }
    let mut result = String::new();
    if !lines.is_empty() {
        let lines = lines.iter().map(|(token, url)| format!("{token} {url}"));
        let lines = lines.collect::<Vec<_>>().join("\n");
        result = format!("{begin}\n{lines}\n{end}\n");
    }
    for line in rest {
        result.push_str(line);
        result.push('\n');
    }
    result
}

/// `$MY_SERVER` of `$MY_SERVER/extra`.
fn server_of(token: &str) -> &str {
    token.split('/').next().unwrap_or(token)
}

fn parse_line(line: Line<'_>) -> Result<(String, String), LineProblem> {
    let problem = || LineProblem::UrlMap(line.text.to_owned());
    let mut words = line.text.split_whitespace();
    let (Some(token), Some(url), None) = (words.next(), words.next(), words.next()) else {
        return Err(problem());
    };
    if !token.starts_with('$') || token.len() < 2 {
        return Err(problem());
    }
    if !super::address::is_url(url) {
        return Err(LineProblem::Url(url.to_owned()));
    }
    Ok((token.to_owned(), url.to_owned()))
}

/// Suites by which a mirror is known to serve Debian.
const DEBIAN_SUITES: [&str; 12] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "unstable",
    "testing",
    "stable",
    "oldstable",
    "oldoldstable",
    "experimental",
];

/// What the host's own apt sources say about the tokens: from (URI, suite) of each source, the token and its server.
/// A URI whose last component is `debian`, `debian-security` or `ubuntu` names its server, if the suite is one of the
/// distribution and not of a vendor who adds to it (`.../stable/deb/debian any-version`, a PPA); another one that offers a
/// suite of Debian stands for the token with its path, `$DEB_SERVER/debian`. The first source of a kind counts;
/// everything but `http` and `https` is passed over: what lies on this node is not what templates
/// of other nodes mean.
pub fn host_tokens<'a>(
    sources: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, String> {
    let mut tokens = BTreeMap::new();
    for (uri, suite) in sources {
        let uri = uri.trim_end_matches('/');
        let is_web = uri.starts_with("http") && super::address::is_url(uri);
        if !is_web || uri.contains('$') {
            continue;
        }
        let known = [
            ("/debian", "$DEB_SERVER"),
            ("/debian-security", "$DEB_SECURITY_SERVER"),
            ("/ubuntu", "$UBU_SERVER"),
        ];
        let server = known.iter().find_map(|(end, token)| {
            let server = uri.strip_suffix(end)?;
            let of_a_vendor = if *end == "/ubuntu" {
                uri.contains("://ppa.")
            } else {
                !is_of_debian(suite)
            };
            if of_a_vendor {
                return None;
            }
            Some(((*token).to_owned(), server.to_owned()))
        });
        let found = server.or_else(|| unusual(uri, suite));
        if let Some((token, url)) = found {
            tokens.entry(token).or_insert(url);
        }
    }
    if tokens.contains_key("$DEB_SERVER/debian") {
        // Literal replacement would take the token for a part of this one, which older templates use.
        let security = "$DEB_SECURITY_SERVER/debian-security";
        let url = tokens.get(security).map_or(security, String::as_str);
        tokens.insert("$DEB_SERVER/debian-security".to_owned(), url.to_owned());
    }
    tokens
}

fn is_of_debian(suite: &str) -> bool {
    let release = suite.split(['-', '/']).next().unwrap_or_default();
    DEBIAN_SUITES.contains(&release)
}

fn unusual(uri: &str, suite: &str) -> Option<(String, String)> {
    if !is_of_debian(suite) {
        return None;
    }
    let security = suite.contains("security");
    let token = if security {
        "$DEB_SECURITY_SERVER/debian-security"
    } else {
        "$DEB_SERVER/debian"
    };
    Some((token.to_owned(), uri.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> UrlMap {
        UrlMap::parse(text, Path::new("url.map")).unwrap()
    }

    fn host(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        host_tokens(pairs.iter().copied())
    }

    #[test]
    fn replacement_is_literal_in_order_and_at_most_ten_times() {
        let map = map(
            "$MY_SERVER/extra file:///srv/extra\n$MY_SERVER http://a.example\n$LOOP http://$LOOP\n",
        );
        assert_eq!(map.apply("$MY_SERVER/extra/x"), "file:///srv/extra/x");
        assert_eq!(map.apply("$MY_SERVER/y"), "http://a.example/y");
        assert_eq!(map.apply("$MY_SERVERS"), "http://a.exampleS");
        let many = map.apply(&"$MY_SERVER ".repeat(12));
        assert_eq!(many.matches("$MY_SERVER").count(), 2);
        assert!(map.apply("$LOOP").len() < 100);
    }

    #[test]
    fn a_whole_address_of_some_suites_comes_first_and_leaves_others_alone() {
        let map = map(
            "$D http://d.example\n$D/debian[bookworm,bookworm-updates] file:///m/d\n$C/7/$basearch[] file:///m/c\n",
        );
        for (line, expected) in [
            ("$D/debian bookworm main", "file:///m/d bookworm main"),
            (
                "$D/debian/ bookworm-updates main",
                "file:///m/d bookworm-updates main",
            ),
            (
                "$D/debian trixie main",
                "http://d.example/debian trixie main",
            ),
            (
                "$D/debian-security bookworm main",
                "http://d.example/debian-security bookworm main",
            ),
            ("$C/7/$basearch", "file:///m/c"),
            ("$D/x $C/7/$basearch", "http://d.example/x file:///m/c"),
        ] {
            assert_eq!(map.apply(line), expected);
        }
        let host = host(&[("http://mirror.example/debian", "trixie")]);
        let map = UrlMap::parse("$DEB_SERVER/debian[bookworm] file:///m\n", Path::new("x"));
        let map = map.unwrap().with_host_defaults(&host);
        assert_eq!(
            map.apply("$DEB_SERVER/debian bookworm"),
            "file:///m bookworm"
        );
        assert_eq!(
            map.apply("$DEB_SERVER/debian trixie"),
            "http://mirror.example/debian trixie"
        );
    }

    #[test]
    fn lines_of_an_owner_come_and_go_and_others_stay() {
        let before = "# c\n\n$A http://a.example\n";
        let line = |url: &str| [("$A/x[s]".to_owned(), url.to_owned())];
        let one = with_lines_of(before, "mirror m", &line("file:///1"));
        assert!(
            one.ends_with(before) && one.contains("$A/x[s] file:///1\n"),
            "{one}"
        );
        let other = with_lines_of(&one, "mirror n", &line("file:///2"));
        let again = with_lines_of(&other, "mirror m", &line("file:///3"));
        assert!(
            again.contains("file:///2") && !again.contains("file:///1"),
            "{again}"
        );
        let gone = with_lines_of(&again, "mirror m", &[]);
        assert_eq!(with_lines_of(&gone, "mirror n", &[]), before);
    }

    #[test]
    fn a_line_that_is_no_token_and_url_is_named() {
        for (text, problem) in [
            ("$A", "no `$TOKEN URL`"),
            ("A http://x.example", "no `$TOKEN URL`"),
            ("$ http://x.example", "no `$TOKEN URL`"),
            ("$A http://x.example more", "no `$TOKEN URL`"),
            ("$A ftp://x.example", "no repository URL"),
            ("$A /srv/x", "no repository URL"),
        ] {
            let error = UrlMap::parse(&format!("# c\n{text}\n"), Path::new("url.map")).unwrap_err();
            let TemplateError::Line { line, source, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(line, 2);
            assert!(source.to_string().contains(problem), "{source}");
        }
    }

    #[test]
    fn the_host_comes_before_shipped_lines_and_after_the_administrators() {
        let sources = host(&[
            ("http://mirror.example/debian/", "trixie"),
            ("http://mirror.example/debian-security", "trixie-security"),
            ("http://later.example/debian", "trixie"),
            ("mirror+file:///etc/apt/mirrors.list", "trixie"),
        ]);
        // Vendors whose files come first, and whose paths end as the distribution's.
        let vendors = host(&[
            ("https://vendor.example/stable/deb/debian", "any-version"),
            ("https://ppa.example/them/ppa/ubuntu", "noble"),
            ("http://mirror.example/ubuntu", "noble"),
        ]);
        assert_eq!(vendors["$UBU_SERVER"], "http://mirror.example");
        assert!(!vendors.contains_key("$DEB_SERVER"), "{vendors:?}");
        let line = |map: &UrlMap, line: &str| map.apply(line);
        let shipped = UrlMap::shipped().with_host_defaults(&sources);
        assert_eq!(
            line(&shipped, "$DEB_SERVER/debian"),
            "http://mirror.example/debian"
        );
        assert_eq!(
            line(&shipped, "$DEB_SECURITY_SERVER/debian-security"),
            "http://mirror.example/debian-security"
        );
        assert!(line(&shipped, "$CE_SERVER/x").starts_with("http://"));
        let own = map("$DEB_SERVER http://own.example\n").with_host_defaults(&sources);
        assert_eq!(
            line(&own, "$DEB_SERVER/debian"),
            "http://own.example/debian"
        );
    }

    #[test]
    fn a_mirror_with_a_layout_of_its_own_is_used_as_it_is() {
        let sources = host(&[
            ("http://mirror.example/deb", "trixie"),
            ("http://mirror.example/sec", "trixie-security"),
            ("http://ppa.example/other", "stable-of-mine"),
            ("http://ppa.example/some", "noble"),
        ]);
        let map = UrlMap::shipped().with_host_defaults(&sources);
        for (line, expected) in [
            ("$DEB_SERVER/debian x", "http://mirror.example/deb x"),
            (
                "$DEB_SECURITY_SERVER/debian-security x",
                "http://mirror.example/sec x",
            ),
            (
                "$DEB_SERVER/debian-security x",
                "http://mirror.example/sec x",
            ),
        ] {
            assert_eq!(map.apply(line), expected);
        }
    }
}
