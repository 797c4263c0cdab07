//! Repositories that were made to hurt: what they ask for takes its time, but it ends, and nothing falls over.

use crate::universe::Universe;
use std::fmt::Write as _;
use vzpkg_resolver::Solve;

/// More packages in a row than a stack has room for. (The solver's own debug assertions take quadratic time.)
const LONG: usize = 8_000;

/// `p0` needs `p1` needs … as many packages; the last needs `end`.
fn chain(length: usize, end: &str) -> Universe {
    let mut text = "family rpm\nrepo main\n".to_owned();
    for number in 0..length {
        let next = number + 1;
        let needed = if next == length {
            end.to_owned()
        } else {
            format!("p{next}")
        };
        writeln!(text, "package p{number} 1-1\n  Requires: {needed}").unwrap();
    }
    text.push_str("install p0\nanswer\n");
    Universe::parse(&text)
}

#[test]
fn a_long_chain_is_installed_from_its_end() {
    let Solve::Solved(transaction) = chain(LONG, "p0").resolve() else {
        panic!("a ring can be installed");
    };
    assert_eq!(transaction.steps.len(), LONG);
    let Solve::Solved(transaction) = chain(LONG, &format!("p{}", LONG - 1)).resolve() else {
        panic!("a chain can be installed");
    };
    let names = transaction
        .steps
        .iter()
        .map(|step| step.package.name.as_str());
    let expected: Vec<String> = (0..LONG).rev().map(|number| format!("p{number}")).collect();
    assert!(names.eq(expected.iter().map(String::as_str)));
}

#[test]
fn why_a_long_chain_cannot_be_met_is_told_up_to_a_depth() {
    let told = chain(LONG, "missing").solve();
    assert!(told.contains("p28 1-1 needs `p29`"), "{told}");
    assert!(told.contains("… and so on"), "{told}");
    assert!(told.lines().count() < 50, "{told}");
    let told = chain(20, "missing").solve();
    assert!(
        told.contains("p19 1-1 needs `missing`, which no package provides"),
        "{told}"
    );
}

#[test]
fn provides_with_and_without_a_release_have_one_order() {
    // "2" equals every "2-N", which are not equal to each other.
    let mut text = "family rpm\nrepo main\n".to_owned();
    for number in 0..40 {
        let release = if number % 2 == 0 {
            String::new()
        } else {
            format!("-{}", number * 7 % 40)
        };
        writeln!(text, "package p{number:02} 1-1\n  Provides: v = 2{release}").unwrap();
    }
    text.push_str("package a 1-1\n  Requires: v\ninstall a\nanswer\n");
    let expected = "install p17 1-1 dependency:a\ninstall a 1-1 requested";
    assert_eq!(Universe::parse(&text).solve(), expected);
}
