//! The order of Debian versions (Debian policy 5.6.12, deb-version(7)).

use super::{compare_digits, split_epoch, split_run};
use std::cmp::Ordering;

/// Compares `[epoch:]upstream[-revision]` as dpkg does.
///
/// ```
/// use std::cmp::Ordering;
/// use vzpkg_metadata::version::deb::compare;
/// assert_eq!(compare("1.0~rc1-1", "1.0-1"), Ordering::Less);
/// assert_eq!(compare("1:0.9", "2.0"), Ordering::Greater);
/// ```
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left_epoch, left) = split_epoch(left);
    let (right_epoch, right) = split_epoch(right);
    let (left_upstream, left_revision) = split_revision(left);
    let (right_upstream, right_revision) = split_revision(right);
    left_epoch
        .cmp(&right_epoch)
        .then_with(|| compare_part(left_upstream.as_bytes(), right_upstream.as_bytes()))
        .then_with(|| compare_part(left_revision.as_bytes(), right_revision.as_bytes()))
}

/// Splits at the last dash; one that begins the text is part of the version, as in apt.
fn split_revision(text: &str) -> (&str, &str) {
    match text.rsplit_once('-') {
        Some((upstream, revision)) if !upstream.is_empty() => (upstream, revision),
        _ => (text, ""),
    }
}

/// Compares alternating runs of non-digits and digits.
fn compare_part(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = split_run(left, |byte| !byte.is_ascii_digit());
        let (right_text, right_rest) = split_run(right, |byte| !byte.is_ascii_digit());
        let (left_number, left_rest) = split_run(left_rest, |byte| byte.is_ascii_digit());
        let (right_number, right_rest) = split_run(right_rest, |byte| byte.is_ascii_digit());
        let order = compare_text(left_text, right_text)
            .then_with(|| compare_digits(left_number, right_number));
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

/// `~` before the end, the end before letters, letters before everything else.
fn compare_text(left: &[u8], right: &[u8]) -> Ordering {
    let rank = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte).saturating_add(256),
    };
    (0..left.len().max(right.len()))
        .map(|index| rank(left.get(index)).cmp(&rank(right.get(index))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_from_the_policy_are_in_order() {
        let ascending = ["~~", "~~a", "~", "", "a"];
        for pair in ascending.windows(2) {
            assert_eq!(
                compare_part(pair[0].as_bytes(), pair[1].as_bytes()),
                Ordering::Less,
                "{pair:?}"
            );
        }
        assert_eq!(compare("1.0-0", "1.0"), Ordering::Equal);
        assert_eq!(compare("1.010", "1.10"), Ordering::Equal);
        assert_eq!(compare("1.2+b1", "1.2"), Ordering::Greater);
        assert_eq!(compare("2.0a", "2.0+"), Ordering::Less);
    }
}
