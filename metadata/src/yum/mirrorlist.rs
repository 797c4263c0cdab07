//! Mirror lists: one base URL per line, `#` comments.

/// The most mirrors that are taken from one list: the largest real lists have about 200.
const MIRRORS: usize = 1000;

/// Reads a mirror list: `http://`, `https://` and `file://` URLs in order, without doubles; comments and other lines
/// are dropped, as yum does. The result may be empty.
pub fn parse(text: &str) -> Vec<String> {
    let mut mirrors: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        let line = line.strip_suffix("repodata/repomd.xml").unwrap_or(line);
        if is_address(line) && !mirrors.iter().any(|known| known == line) {
            mirrors.push(line.to_owned());
        }
        if mirrors.len() >= MIRRORS {
            break;
        }
    }
    mirrors
}

/// Whether a text looks like an address that is followed; the client parses it strictly.
pub(super) fn is_address(text: &str) -> bool {
    ["http://", "https://", "file:///"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.len() <= crate::limits::PATH_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_are_taken_and_each_once() {
        let text = "# repo = baseos\r\nhttp://a/x/\r\nhttps://b/y/\nhttp://a/x/\nrsync://c/z/\n\n<html>\n\
            ../../etc\nfile:///srv/r\nhttp://e/\u{1b}[31m\nhttp://d/r/repodata/repomd.xml\n";
        assert_eq!(
            parse(text),
            [
                "http://a/x/",
                "https://b/y/",
                "file:///srv/r",
                "http://d/r/"
            ]
        );
    }

    #[test]
    fn endless_lists_are_cut() {
        let lines: Vec<String> = (0..5000).map(|n| format!("http://h{n}/")).collect();
        let text = lines.join("\n");
        assert_eq!(parse(&text).len(), MIRRORS);
    }
}
