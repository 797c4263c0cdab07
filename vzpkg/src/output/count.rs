//! How many there are, in words: `1 package`, `2 packages`.

use std::fmt::Display;

/// A number of things, each of which is `one`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, one: &str) -> String {
    let ending = if number == N::from(1) { "" } else { "s" };
    format!("{number} {one}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_not_many() {
        for (number, words) in [(0_u64, "0 trees"), (1, "1 tree"), (2, "2 trees")] {
            assert_eq!(counted(number, "tree"), words);
        }
        assert_eq!(counted(1_usize, "private change"), "1 private change");
    }
}
