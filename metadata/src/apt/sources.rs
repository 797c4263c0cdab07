//! `sources.list` lines and deb822 `.sources` files: text in, a list of repositories out. Which files there are, and
//! what their URIs are for, is the caller's business.

use super::deb822::{Reader, SyntaxError};

/// One entry: a `deb` line, or a paragraph of a `.sources` file. `deb-src` alone is not listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// Base URLs, tried in order.
    pub uris: Vec<String>,
    /// Suites, or flat paths that end in `/`.
    pub suites: Vec<String>,
    /// Components; empty for a flat repository.
    pub components: Vec<String>,
    /// `Enabled`, yes unless it says no.
    pub enabled: bool,
    /// `Signed-By`: paths, fingerprints or an embedded key, as written.
    pub signed_by: Option<String>,
    /// `Architectures`; empty for the native ones.
    pub architectures: Vec<String>,
    /// `Trusted: yes`.
    pub trusted: bool,
}

/// Why a text is no list of sources.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SourcesError {
    /// A line of `sources.list`.
    #[error("line {number}: {problem}")]
    Line {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A paragraph of a `.sources` file.
    #[error("paragraph {number}: {problem}")]
    Paragraph {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A paragraph that is none.
    #[error("paragraph {number} cannot be read")]
    Syntax {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        source: SyntaxError,
    },
}

/// Reads the one-line format, `deb [options] uri suite component…`. Comments and `deb-src` lines are passed over.
///
/// # Errors
/// [`SourcesError::Line`].
pub fn parse_list(text: &str) -> Result<Vec<Source>, SourcesError> {
    let mut sources = Vec::new();
    for (line, number) in text.split('\n').zip(1_usize..) {
        let read = parse_line(line).map_err(|problem| SourcesError::Line { number, problem })?;
        sources.extend(read);
    }
    Ok(sources)
}

fn parse_line(line: &str) -> Result<Option<Source>, &'static str> {
    let mut rest = line.trim_ascii();
    let (kind, after) = take_word(rest);
    match kind {
        "" | "deb-src" => return Ok(None),
        comment if comment.starts_with('#') => return Ok(None),
        "deb" => rest = after,
        _ => return Err("expected `deb` or `deb-src`"),
    }
    let mut source = Source {
        enabled: true,
        ..Source::default()
    };
    if let Some(options) = rest.strip_prefix('[') {
        let (options, after) = options.split_once(']').ok_or("`[` without `]`")?;
        take_options(&mut source, options)?;
        rest = after.trim_ascii_start();
    }
    let mut words = Vec::new();
    loop {
        let (word, after) = take_word(rest);
        if word.is_empty() || word.starts_with('#') {
            break;
        }
        words.push(word.to_owned());
        rest = after;
    }
    let mut words = words.into_iter();
    source.uris = vec![words.next().ok_or("no URI")?];
    source.suites = vec![words.next().ok_or("no suite")?];
    source.components = words.collect();
    check_shape(&source)?;
    Ok(Some(source))
}

/// The next word and what follows it. Blanks inside brackets belong to the word: `cdrom:[Debian 13 …]/`.
fn take_word(text: &str) -> (&str, &str) {
    let mut inside = false;
    let end = text.bytes().position(|byte| {
        match byte {
            b'[' => inside = true,
            b']' => inside = false,
            _ => {}
        }
        !inside && byte.is_ascii_whitespace()
    });
    let (word, rest) = end
        .and_then(|end| text.split_at_checked(end))
        .unwrap_or((text, ""));
    (word, rest.trim_ascii_start())
}

fn take_options(source: &mut Source, options: &str) -> Result<(), &'static str> {
    for option in options.split_ascii_whitespace() {
        let (name, value) = option.split_once('=').ok_or("an option without `=`")?;
        match name {
            "arch" => source.architectures = value.split(',').map(str::to_owned).collect(),
            "signed-by" => source.signed_by = Some(value.to_owned()),
            "trusted" => source.trusted = is_yes(value),
            _ => {}
        }
    }
    Ok(())
}

/// Reads the deb822 format. Lines that start with `#` are comments; paragraphs without the type `deb` are passed over.
///
/// # Errors
/// [`SourcesError::Paragraph`], [`SourcesError::Syntax`].
pub fn parse_deb822(text: &str) -> Result<Vec<Source>, SourcesError> {
    let lines = text.split('\n').filter(|line| !line.starts_with('#'));
    let text: Vec<&str> = lines.map(str::trim_ascii_end).collect();
    let text = text.join("\n");
    let mut reader = Reader::new(&text);
    let mut sources = Vec::new();
    let mut number = 0_usize;
    while reader.next_paragraph() {
        number = number.saturating_add(1);
        let mut source = Source {
            enabled: true,
            ..Source::default()
        };
        let mut types = Vec::new();
        while let Some(field) = reader
            .next_field()
            .map_err(|source| SourcesError::Syntax { number, source })?
        {
            take_field(&mut source, &mut types, field.name, field.value);
        }
        let failed = |problem| SourcesError::Paragraph { number, problem };
        if types.is_empty() {
            return Err(failed("no field `Types`"));
        }
        if types.iter().any(|kind| kind == "deb") {
            check_shape(&source).map_err(failed)?;
            sources.push(source);
        }
    }
    Ok(sources)
}

fn take_field(source: &mut Source, types: &mut Vec<String>, name: &str, value: &str) {
    let words = || value.split_ascii_whitespace().map(str::to_owned).collect();
    match name.to_ascii_lowercase().as_str() {
        "types" => *types = words(),
        "uris" => source.uris = words(),
        "suites" => source.suites = words(),
        "components" => source.components = words(),
        "architectures" => source.architectures = words(),
        "enabled" => source.enabled = !is_no(value),
        "trusted" => source.trusted = is_yes(value),
        "signed-by" => source.signed_by = Some(value.to_owned()),
        _ => {}
    }
}

/// A suite that ends in `/` is a path and has no components; any other has.
fn check_shape(source: &Source) -> Result<(), &'static str> {
    if source.uris.is_empty() {
        return Err("no URI");
    }
    if source.suites.is_empty() {
        return Err("no suite");
    }
    let flat = source.suites.iter().filter(|suite| suite.ends_with('/'));
    match (flat.count(), source.components.is_empty()) {
        (0, true) => Err("no component"),
        (0, false) => Ok(()),
        (_, false) => Err("a suite that ends in `/` has no components"),
        (flat, true) if flat < source.suites.len() => Err("no component"),
        (_, true) => Ok(()),
    }
}

fn is_yes(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "yes" | "true" | "1" | "on" | "with" | "enable"
    )
}

fn is_no(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "no" | "false" | "0" | "off" | "without" | "disable"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_entries_are_read() {
        let text = "# comment\n\ndeb http://ftp.debian.org/debian trixie main contrib # tail\n\
            deb-src http://ftp.debian.org/debian trixie main\n\
            deb [ arch=amd64,arm64 signed-by=/usr/share/keyrings/x.gpg trusted=yes ] https://example.org/r ./\n\
            deb cdrom:[Debian GNU/Linux 13 amd64]/ trixie main\n";
        let sources = parse_list(text).unwrap();
        let shown: Vec<_> = sources
            .iter()
            .map(|s| (s.uris[0].as_str(), s.suites[0].as_str(), s.components.len()))
            .collect();
        assert_eq!(
            shown,
            [
                ("http://ftp.debian.org/debian", "trixie", 2),
                ("https://example.org/r", "./", 0),
                ("cdrom:[Debian GNU/Linux 13 amd64]/", "trixie", 1)
            ]
        );
        let flat = &sources[1];
        assert!(flat.trusted && flat.enabled);
        assert_eq!(flat.architectures, ["amd64", "arm64"]);
        assert_eq!(flat.signed_by.as_deref(), Some("/usr/share/keyrings/x.gpg"));
    }

    #[test]
    fn deb822_entries_are_read() {
        let text = "# the mirror\nTypes: deb deb-src\nURIs: http://a/debian\n  http://b/debian\n# in between\n\
            Suites: trixie trixie-updates\nComponents: main\nSigned-By: \n -----BEGIN PGP-----\n .\n x\n\n\
            Types: deb-src\nURIs: x\nSuites: y\nComponents: z\n\n\
            Types: deb\nEnabled: no\nURIs: file:/r\nSuites: ./\n";
        let sources = parse_deb822(text).unwrap();
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0].uris, ["http://a/debian", "http://b/debian"]);
        assert_eq!(sources[0].suites, ["trixie", "trixie-updates"]);
        assert!(sources[0].signed_by.as_deref().unwrap().contains("BEGIN"));
        assert!(!sources[1].enabled);
    }

    #[test]
    fn entries_that_cannot_work_are_refused_by_line() {
        for (text, number, problem) in [
            ("\nrpm http://a b c", 2, "expected `deb` or `deb-src`"),
            ("deb", 1, "no URI"),
            ("deb http://a", 1, "no suite"),
            ("deb http://a trixie", 1, "no component"),
            (
                "deb http://a ./ main",
                1,
                "a suite that ends in `/` has no components",
            ),
            ("deb [arch=amd64 http://a trixie main", 1, "`[` without `]`"),
            (
                "deb [arch] http://a trixie main",
                1,
                "an option without `=`",
            ),
        ] {
            let error = SourcesError::Line { number, problem };
            assert_eq!(parse_list(text), Err(error), "{text}");
        }
        assert_eq!(
            parse_deb822("URIs: http://a\n"),
            Err(SourcesError::Paragraph {
                number: 1,
                problem: "no field `Types`"
            })
        );
    }
}
