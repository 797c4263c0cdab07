//! Foreign text in messages. Not for text that is stored, compared or parsed.

/// The most characters of [`excerpt`]: two digests, or most lines.
const LENGTH: usize = 160;

/// The first 160 characters of a foreign text, control characters replaced by U+FFFD: fit for a message, for it can
/// neither fill nor steer a terminal.
///
/// ```
/// assert_eq!(vzpkg_metadata::text::excerpt("a\u{1b}[31m"), "a\u{fffd}[31m");
/// ```
pub fn excerpt(text: &str) -> String {
    let text = text.chars().take(LENGTH);
    text.map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
