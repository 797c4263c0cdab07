//! YAML as the module documents of a repository use it, over `saphyr-parser`: texts, lists and maps, document by document.
//! Strict where an attacker would be generous: no anchors and aliases, no deep nesting, a bounded number of values.

use crate::text::excerpt;
use saphyr_parser::{Event, Parser, ScanError, StrInput};

/// Values inside each other. Module documents nest 7 deep.
const DEPTH: usize = 32;

/// Values of one document. The largest module of EL 8 has 3,000.
const VALUES: usize = 1_000_000;

/// Pairs of one map, whose keys are compared with each other. The largest map of EL 8 has a few hundred.
const PAIRS: usize = 10_000;

/// Why a text is not the YAML we take.
#[derive(Debug, thiserror::Error)]
pub enum YamlError {
    /// Not YAML.
    #[error("the YAML is not well-formed")]
    Syntax {
        /// Where and what.
        source: ScanError,
    },
    /// An anchor or alias: a text of a few bytes could stand for millions.
    #[error("the YAML has an anchor or alias at line {line}, which no repository needs")]
    Alias {
        /// Counted from 1.
        line: usize,
    },
    /// Lists and maps nested deeper than any module nests them, or more of them.
    #[error("the YAML has too many values at line {line}")]
    TooMany {
        /// Counted from 1.
        line: usize,
    },
    /// A map with something else than a text for a key, or one key twice.
    #[error("a map has the key `{key}` twice, or one that is no text, at line {line}")]
    Key {
        /// The key, as far as it is one.
        key: String,
        /// Counted from 1.
        line: usize,
    },
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Value {
    /// The value of a key of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.pairs()
            .find(|(name, _)| *name == key)
            .map(|(_, it)| it)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The pairs of a map; nothing of anything else.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &Self)> {
        let pairs = match self {
            Self::Map(pairs) => pairs.as_slice(),
            Self::Text(_) | Self::List(_) => &[],
        };
        pairs.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The values of a list; nothing of anything else.
    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Text(_) | Self::Map(_) => &[],
        }
    }

    /// The texts of a list.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.items().iter().filter_map(Self::text)
    }
}

/// A list or map that is not at its end, and the key that waits for its value.
enum Open {
    List(Vec<Value>),
    Map(Vec<(String, Value)>, Option<String>),
}

/// Hands each document of `text` to `visit`.
pub(super) fn documents<E: From<YamlError>>(
    text: &str,
    visit: &mut dyn FnMut(Value) -> Result<(), E>,
) -> Result<(), E> {
    let parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut values = 0_usize;
    for event in parser {
        let (event, span) = event.map_err(|source| YamlError::Syntax { source })?;
        let line = span.start.line();
        let done = match event {
            Event::Alias(_) => return Err(YamlError::Alias { line }.into()),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                return Err(YamlError::Alias { line }.into());
            }
            Event::DocumentStart(_) => {
                values = 0;
                continue;
            }
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => {
                push(&mut open, Open::List(Vec::new()), line)?;
                continue;
            }
            Event::MappingStart(..) => {
                push(&mut open, Open::Map(Vec::new(), None), line)?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items)) => Value::List(items),
                Some(Open::Map(pairs, _)) => Value::Map(pairs),
                None => continue,
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
        };
        values = values.saturating_add(1);
        if values > VALUES {
            return Err(YamlError::TooMany { line }.into());
        }
        match open.last_mut() {
            Some(inner) => inner.add(done, line)?,
            None => visit(done)?,
        }
    }
    Ok(())
}

fn push(open: &mut Vec<Open>, value: Open, line: usize) -> Result<(), YamlError> {
    if open.len() >= DEPTH {
        return Err(YamlError::TooMany { line });
    }
    open.push(value);
    Ok(())
}

impl Open {
    fn add(&mut self, value: Value, line: usize) -> Result<(), YamlError> {
        match self {
            Self::List(items) => items.push(value),
            Self::Map(pairs, key) => {
                if let Some(key) = key.take() {
                    pairs.push((key, value));
                } else {
                    let Value::Text(text) = value else {
                        let key = String::new();
                        return Err(YamlError::Key { key, line });
                    };
                    if pairs.len() >= PAIRS {
                        return Err(YamlError::TooMany { line });
                    }
                    if pairs.iter().any(|(known, _)| *known == text) {
                        let key = excerpt(&text);
                        return Err(YamlError::Key { key, line });
                    }
                    *key = Some(text);
                }
            }
        }
        Ok(())
    }
}
