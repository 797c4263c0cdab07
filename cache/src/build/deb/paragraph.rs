//! Fields of one deb822 paragraph as text: enough to find, keep and write them. Meaning is `metadata::apt`'s.

/// The fields of `text` in order: name and value with its continuation lines as they stand, without the final newline.
pub fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let mut end = 0;
            for line in rest.split_inclusive('\n') {
                if end > 0 && !line.starts_with([' ', '\t']) {
                    break;
                }
                end += line.len();
            }
            let (field, after) = rest.split_at(end);
            rest = after;
            if let Some((name, value)) = field.split_once(':') {
                return Some((name.trim(), value.trim()));
            }
        }
    })
}

/// The value of the field `name`, whose case does not count; of a field of several lines, all of them.
pub fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    fields(text)
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// The paragraphs of a file such as dpkg's `status`.
pub fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n")
        .map(|paragraph| paragraph.trim_start_matches('\n'))
        .filter(|paragraph| !paragraph.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_continuation_lines() {
        let text = "Package: a\nDescription: short\n long\n .\n more\nVersion:1\n";
        let found: Vec<(&str, &str)> = fields(text).collect();
        assert_eq!(
            found,
            [
                ("Package", "a"),
                ("Description", "short\n long\n .\n more"),
                ("Version", "1")
            ]
        );
        assert_eq!(field(text, "version"), Some("1"));
        assert_eq!(field(text, "Source"), None);
        assert_eq!(paragraphs("a: 1\n\n\nb: 2\n").count(), 2);
    }
}
