//! `url.map`: which server stands for each token in the repositories of templates.
//!
//! Replacement is literal and in order, as in the original (VZPKG-REFERENCE §1.9): a token may go on after its name
//! (`$MY_SERVER/extra`). Nothing here knows a server; what the host's own sources say comes in as a value.

use super::error::{LineProblem, TemplateError};
use super::files::{Line, lines};
use std::collections::BTreeMap;
use std::path::Path;

/// Replacements of one token in one line; more would be a map that names itself.
const REPLACEMENTS: usize = 10;

/// Tokens and what replaces them, in the order they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UrlMap {
    entries: Vec<(String, String)>,
}

impl UrlMap {
    /// Reads the text of a `url.map`; `file` is only named in errors.
    ///
    /// # Errors
    /// [`TemplateError::Line`] for a line that is not a token and a replacement.
    pub fn parse(text: &str, file: &Path) -> Result<Self, TemplateError> {
        let entries = lines(text)
            .map(|line| {
                parse_line(line).map_err(|source| TemplateError::Line {
                    file: file.to_owned(),
                    line: line.number,
                    source,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// The map that is shipped: general public mirrors.
    pub fn shipped() -> Self {
        super::shipped::url_map()
    }

    /// Tokens and replacements, in the order they are tried.
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
        let mut result = line.to_owned();
        for (token, url) in &self.entries {
            result = result.replacen(token.as_str(), url, REPLACEMENTS);
        }
        result
    }
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
    if !super::repositories::is_url(url) {
        return Err(LineProblem::Url(url.to_owned()));
    }
    Ok((token.to_owned(), url.to_owned()))
}

/// Suites from which a mirror with an unusual path is known to serve Debian.
const DEBIAN_SUITES: [&str; 5] = ["bookworm", "trixie", "forky", "sid", "stable"];

/// What the host's own apt sources say about the tokens: from (URI, suite) of each source, the token and its server.
/// A URI whose last component is `debian`, `debian-security` or `ubuntu` names its server; another one that offers a
/// suite of Debian stands for the token with its path, `$DEB_SERVER/debian`. The first source of a kind counts;
/// everything but `http` and `https` is passed over: what lies on this node is not what templates
/// of other nodes mean.
pub fn host_tokens<'a>(
    sources: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, String> {
    let mut tokens = BTreeMap::new();
    for (uri, suite) in sources {
        let uri = uri.trim_end_matches('/');
        let is_web = uri.starts_with("http") && super::repositories::is_url(uri);
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

fn unusual(uri: &str, suite: &str) -> Option<(String, String)> {
    let release = suite.split(['-', '/']).next().unwrap_or_default();
    if !DEBIAN_SUITES.contains(&release) {
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
