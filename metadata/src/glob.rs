//! Shell globs over names: `*` and `?`, nothing else. Not for paths: a `/` is a character like any other.

/// Whether `text` matches `glob`. At most the product of both lengths in steps.
pub fn matches(glob: &str, text: &str) -> bool {
    let (mut glob, mut text) = (glob.as_bytes(), text.as_bytes());
    // After a star: how the glob goes on, and what the star has not swallowed yet.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match (glob, text) {
            ([b'*', after @ ..], _) => {
                star = Some((after, text));
                glob = after;
            }
            ([wanted, after @ ..], [found, rest @ ..]) if *wanted == b'?' || wanted == found => {
                glob = after;
                text = rest;
            }
            ([], []) => return true,
            _ => match star {
                Some((after, [_, rest @ ..])) => {
                    star = Some((after, rest));
                    glob = after;
                    text = rest;
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_a_shell() {
        for (glob, text, wanted) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("*b", "aab", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?", "", false),
            ("??", "ab", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("python3-*", "python3-apt", true),
        ] {
            assert_eq!(matches(glob, text), wanted, "{glob} {text}");
        }
    }

    #[test]
    fn a_hostile_glob_ends() {
        let text = "a".repeat(250);
        assert!(!matches(
            &"*a".repeat(100).replace("aa", "a*"),
            &format!("{text}b")
        ));
        assert!(matches(&"*?".repeat(100), &text));
    }
}
