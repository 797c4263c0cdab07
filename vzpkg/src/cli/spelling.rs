//! Both spellings of two-word verbs: `vzpkg create cache X` is `vzpkg create-cache X`, as users of the original type it.

use std::ffi::{OsStr, OsString};

/// The verbs that the original writes as two words.
const TWO_WORDS: [(&str, &str); 13] = [
    ("create", "cache"),
    ("update", "cache"),
    ("remove", "cache"),
    ("create", "appcache"),
    ("update", "appcache"),
    ("remove", "appcache"),
    ("list", "appcache"),
    ("install", "template"),
    ("update", "template"),
    ("remove", "template"),
    ("new", "template"),
    ("update", "metadata"),
    ("create", "image"),
];

/// Global options that take a value as the next word.
const VALUED: [&str; 4] = ["--root", "--format", "--wait", "--progress-fd"];

/// Joins the two words of such a verb; everything else stays as typed. `update-cache` is called `update` here.
pub fn join(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = arguments.into_iter().collect();
    let Some(first) = next_word(&words, 1) else {
        return words;
    };
    if let Some(second) = next_word(&words, first + 1) {
        let pair = |(a, b): &&(&str, &str)| words[first] == *a && words[second] == *b;
        if let Some((a, b)) = TWO_WORDS.iter().find(pair) {
            words[first] = format!("{a}-{b}").into();
            words.remove(second);
        }
    }
    if words[first] == "update-cache" {
        words[first] = "update".into();
    }
    words
}

/// The index of the first word from `start` on that is neither an option nor an option's value.
fn next_word(words: &[OsString], start: usize) -> Option<usize> {
    let mut skip = false;
    for (index, word) in words.iter().enumerate().skip(start) {
        if std::mem::take(&mut skip) {
            continue;
        }
        if word == OsStr::new("--") {
            return None;
        }
        if !word.as_encoded_bytes().starts_with(b"-") {
            return Some(index);
        }
        skip = VALUED.iter().any(|option| word == OsStr::new(option));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(line: &str) -> String {
        let words = join(line.split(' ').map(OsString::from));
        words
            .iter()
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn both_spellings_are_one_verb() {
        for (typed, meant) in [
            ("vzpkg create cache x", "vzpkg create-cache x"),
            (
                "vzpkg -q --root /x create -n cache x",
                "vzpkg -q --root /x create-cache -n x",
            ),
            ("vzpkg update metadata", "vzpkg update-metadata"),
            ("vzpkg update cache x", "vzpkg update x"),
            (
                "vzpkg ct exec web create cache",
                "vzpkg ct exec web create cache",
            ),
            ("vzpkg update web", "vzpkg update web"),
            ("vzpkg", "vzpkg"),
        ] {
            assert_eq!(joined(typed), meant);
        }
    }
}
