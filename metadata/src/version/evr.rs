//! The order of rpm versions: epoch, version, release, each compared by `rpmvercmp` (rpm-version(7)).

use super::{compare_digits, split_epoch, split_run};
use std::cmp::Ordering;

/// Compares `[epoch:]version[-release]`. A side without a release equals every release of the same version, which is
/// what a dependency such as `foo = 1.0` means.
///
/// ```
/// use std::cmp::Ordering;
/// use vzpkg_metadata::version::evr::compare;
/// assert_eq!(compare("1.0~rc1-1", "1.0-1"), Ordering::Less);
/// assert_eq!(compare("1.0^git1-1", "1.0-1"), Ordering::Greater);
/// assert_eq!(compare("1.0", "1.0-5"), Ordering::Equal);
/// ```
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left_epoch, left) = split_epoch(left);
    let (right_epoch, right) = split_epoch(right);
    let (left_version, left_release) = split_release(left);
    let (right_version, right_release) = split_release(right);
    left_epoch
        .cmp(&right_epoch)
        .then_with(|| compare_segment(left_version, right_version))
        .then_with(|| match (left_release, right_release) {
            (Some(left), Some(right)) => compare_segment(left, right),
            _ => Ordering::Equal,
        })
}

/// As [`compare`], but a side without a release comes before every release of the same version: a total order, to sort by.
///
/// ```
/// use std::cmp::Ordering;
/// use vzpkg_metadata::version::evr::compare_strictly;
/// assert_eq!(compare_strictly("1.0", "1.0-5"), Ordering::Less);
/// assert_eq!(compare_strictly("1:1.0-5", "1:1.0-5"), Ordering::Equal);
/// ```
pub fn compare_strictly(left: &str, right: &str) -> Ordering {
    let release = |text| split_release(split_epoch(text).1).1.is_some();
    compare(left, right).then_with(|| release(left).cmp(&release(right)))
}

/// Splits `version-release` at the last dash.
fn split_release(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('-') {
        Some((version, release)) => (version, Some(release)),
        None => (text, None),
    }
}

/// `rpmvercmp`: compares one version or one release.
pub fn compare_segment(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    let separator = |byte: u8| !(byte.is_ascii_alphanumeric() || byte == b'~' || byte == b'^');
    loop {
        left = split_run(left, separator).1;
        right = split_run(right, separator).1;
        match (left.first(), right.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                left = left.get(1..).unwrap_or_default();
                right = right.get(1..).unwrap_or_default();
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            // `^` is newer than the end and older than anything else.
            (Some(b'^'), other) => {
                return if other.is_none() {
                    Ordering::Greater
                } else {
                    Ordering::Less
                };
            }
            (other, Some(b'^')) => {
                return if other.is_none() {
                    Ordering::Less
                } else {
                    Ordering::Greater
                };
            }
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left_byte), Some(right_byte)) => {
                match (left_byte.is_ascii_digit(), right_byte.is_ascii_digit()) {
                    // A run of digits is newer than a run of letters.
                    (true, false) => return Ordering::Greater,
                    (false, true) => return Ordering::Less,
                    (digits, _) => {
                        let (order, left_rest, right_rest) = compare_runs(left, right, digits);
                        if order.is_ne() {
                            return order;
                        }
                        (left, right) = (left_rest, right_rest);
                    }
                }
            }
        }
    }
}

/// Compares the leading runs of digits or of letters and returns what follows them.
fn compare_runs<'a>(
    left: &'a [u8],
    right: &'a [u8],
    digits: bool,
) -> (Ordering, &'a [u8], &'a [u8]) {
    let wanted: fn(u8) -> bool = if digits {
        |byte| byte.is_ascii_digit()
    } else {
        |byte| byte.is_ascii_alphabetic()
    };
    let (left_run, left_rest) = split_run(left, wanted);
    let (right_run, right_rest) = split_run(right, wanted);
    let order = if digits {
        compare_digits(left_run, right_run)
    } else {
        left_run.cmp(right_run)
    };
    (order, left_rest, right_rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_pairs_are_in_order() {
        for (left, right, order) in [
            ("1.0", "1.0", Ordering::Equal),
            ("1.0", "2.0", Ordering::Less),
            ("2.0.1a", "2.0.1", Ordering::Greater),
            ("5.5p1", "5.5p10", Ordering::Less),
            ("10xyz", "10.1xyz", Ordering::Less),
            ("xyz.4", "8", Ordering::Less),
            ("1.0~rc1", "1.0", Ordering::Less),
            ("1.0^", "1.0", Ordering::Greater),
            ("1.0^git1", "1.01", Ordering::Less),
            ("1_0", "1.0", Ordering::Equal),
        ] {
            assert_eq!(compare_segment(left, right), order, "{left} {right}");
            assert_eq!(
                compare_segment(right, left),
                order.reverse(),
                "{right} {left}"
            );
        }
    }
}
