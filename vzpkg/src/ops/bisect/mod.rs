//! Looking for what made a version bad: which version, then which package.
//!
//! [`search`] is the whole of it. [`first_bad`] halves, over anything that can be judged; [`mixed`] makes the sets of
//! packages between two versions; [`trial`] judges a tree by a command in a container that is thrown away.

pub(crate) mod mixed;
pub(crate) mod search;
pub(crate) mod trial;

use crate::error::CommandResult;
use std::ops::RangeInclusive;

/// What a test says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works.
    Good,
    /// It does not.
    Bad,
    /// That cannot be said of this one.
    Skip,
}

impl Verdict {
    /// Its word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Skip => "skipped",
        }
    }
}

/// The first bad one of `count` things of which the last is known to be bad, and what would come before the first to be
/// good. More than one where the ones in between could not be judged. Judges about log2 of `count`.
///
/// # Errors
/// The first error of `judge`.
pub(crate) fn first_bad(
    count: usize,
    judge: &mut dyn FnMut(usize) -> CommandResult<Verdict>,
) -> CommandResult<RangeInclusive<usize>> {
    let (mut first, mut last) = (0_usize, count.saturating_sub(1));
    let mut skipped: Vec<usize> = Vec::new();
    loop {
        let middle = first.midpoint(last);
        // The last of the range is known; of the others the one that is nearest to the middle.
        let mut open: Vec<usize> = (first..last).filter(|at| !skipped.contains(at)).collect();
        open.sort_by_key(|at| at.abs_diff(middle));
        let Some(&at) = open.first() else {
            return Ok(first..=last);
        };
        match judge(at)? {
            Verdict::Good => first = at + 1,
            Verdict::Bad => last = at,
            Verdict::Skip => skipped.push(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_one_is_found_with_few_questions() {
        for count in 1..40_usize {
            for culprit in 0..count {
                let mut asked = 0;
                let found = first_bad(count, &mut |at| {
                    asked += 1;
                    let is_bad = at >= culprit;
                    Ok(if is_bad { Verdict::Bad } else { Verdict::Good })
                });
                assert_eq!(found.unwrap(), culprit..=culprit, "of {count}");
                assert!(asked <= count.ilog2() + 1, "{asked} questions for {count}");
            }
        }
    }

    #[test]
    fn what_cannot_be_judged_widens_the_answer_by_no_more_than_that() {
        for skipped in 0_u32..256 {
            for culprit in 0..9 {
                let is_skipped = |at: usize| at < 8 && skipped & (1 << at) != 0;
                let found = first_bad(9, &mut |at| {
                    assert!(at < 8, "the last is known");
                    Ok(match at >= culprit {
                        _ if is_skipped(at) => Verdict::Skip,
                        true => Verdict::Bad,
                        false => Verdict::Good,
                    })
                });
                let found = found.unwrap();
                assert!(found.contains(&culprit), "{found:?}");
                let mut before_last = *found.start()..*found.end();
                assert!(before_last.all(is_skipped), "{found:?}");
            }
        }
    }
}
