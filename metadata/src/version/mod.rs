//! Package versions of both families. Two orders exist, so there is no order on versions in general: compare through
//! [`deb::compare`] or [`evr::compare`], or through [`compare`] with the family at hand.

pub mod deb;
pub mod evr;
#[cfg(test)]
mod tests;

use crate::Family;
use std::cmp::Ordering;

/// Compares two version texts by the rules of `family`. Never fails: dpkg and rpm order malformed versions too, and so
/// does this. Costs no allocation.
pub fn compare(family: Family, left: &str, right: &str) -> Ordering {
    match family {
        Family::Deb => deb::compare(left, right),
        Family::Rpm => evr::compare(left, right),
    }
}

/// Splits `epoch:rest`; a missing or non-numeric epoch is 0.
fn split_epoch(text: &str) -> (u64, &str) {
    match text.split_once(':') {
        Some((epoch, rest)) => match epoch.parse() {
            Ok(epoch) => (epoch, rest),
            Err(_) if epoch.is_empty() => (0, rest),
            Err(_) => (0, text),
        },
        None => (0, text),
    }
}

/// Compares two runs of digits of any length by value.
fn compare_digits(left: &[u8], right: &[u8]) -> Ordering {
    let strip = |digits: &[u8]| digits.iter().take_while(|&&digit| digit == b'0').count();
    let left = left.get(strip(left)..).unwrap_or_default();
    let right = right.get(strip(right)..).unwrap_or_default();
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// Splits off the longest prefix whose bytes satisfy `wanted`.
fn split_run(text: &[u8], wanted: fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|&byte| !wanted(byte))
        .unwrap_or(text.len());
    text.split_at(end)
}
