//! What somebody probably meant who mistyped a name.

/// The most characters that may differ.
const DISTANCE: usize = 3;

/// The one of `names` that is nearest to `typed`, if any is near.
pub fn of<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.into_iter().map(|name| (distance(name, typed), name));
    near.min()
        .filter(|(distance, name)| *distance <= DISTANCE && *distance < name.chars().count())
        .map(|(_, name)| name)
}

/// The number of single-character changes that turn one text into the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_is_near_and_another_word_is_not() {
        let names = ["stable", "testing", "a"];
        for (typed, wanted) in [
            ("stabel", Some("stable")),
            ("tasting", Some("testing")),
            ("experimental", None),
            ("b", None),
        ] {
            assert_eq!(of(typed, names), wanted, "{typed}");
        }
    }
}
