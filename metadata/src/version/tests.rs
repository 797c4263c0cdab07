//! The order tables of the test suites of apt and rpm, and the laws of an order.

use super::{compare, evr};
use crate::Family;
use proptest::prelude::*;
use std::cmp::Ordering;

fn table(text: &str) -> Vec<(&str, &str, Ordering)> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            // apt's own table has a blank too many in one place.
            let words: Vec<&str> = line.split('\t').map(str::trim).collect();
            let [left, right, order] = words[..] else {
                panic!("{line}");
            };
            let order = match order {
                "-1" => Ordering::Less,
                "0" => Ordering::Equal,
                "1" => Ordering::Greater,
                other => panic!("{other}"),
            };
            (left, right, order)
        })
        .collect()
}

#[test]
fn deb_versions_order_as_in_apts_own_table() {
    let rows = table(include_str!("../../tests/data/versions-deb.tsv"));
    assert!(rows.len() > 60);
    for (left, right, order) in rows {
        assert_eq!(compare(Family::Deb, left, right), order, "{left} {right}");
        assert_eq!(
            compare(Family::Deb, right, left),
            order.reverse(),
            "{right} {left}"
        );
    }
}

#[test]
fn rpm_versions_order_as_in_rpms_own_table() {
    let rows = table(include_str!("../../tests/data/versions-rpm.tsv"));
    assert!(rows.len() > 80);
    for (left, right, order) in rows {
        assert_eq!(evr::compare_segment(left, right), order, "{left} {right}");
        assert_eq!(
            evr::compare_segment(right, left),
            order.reverse(),
            "{right} {left}"
        );
    }
}

proptest! {
    #[test]
    fn both_orders_are_orders(
        a in "([0-3]:)?[0-2a~^+.]{0,5}(-[0-2.~]{1,3})",
        b in "([0-3]:)?[0-2a~^+.]{0,5}(-[0-2.~]{1,3})",
        c in "([0-3]:)?[0-2a~^+.]{0,5}(-[0-2.~]{1,3})",
    ) {
        for family in [Family::Deb, Family::Rpm] {
            prop_assert_eq!(compare(family, &a, &a), Ordering::Equal);
            prop_assert_eq!(compare(family, &a, &b), compare(family, &b, &a).reverse());
            if compare(family, &a, &b).is_le() && compare(family, &b, &c).is_le() {
                prop_assert!(compare(family, &a, &c).is_le(), "{a} {b} {c}");
            }
        }
    }
}
