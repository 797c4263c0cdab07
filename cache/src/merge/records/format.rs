//! How files of records are cut: into lines, groups of lines or paragraphs, each with its key.

/// How a file is cut into records and what each one's key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::merge) enum Format {
    /// Lines of fields between `:`, the first one the key; these fields are lists between `,`.
    Accounts {
        /// The number of each list field, from 0.
        lists: &'static [usize],
    },
    /// Lines that are their own key.
    Lines,
    /// Lines whose key is the first word.
    FirstWord,
    /// Lines whose key is the last word.
    LastWord,
    /// Three lines each, the first one the key: dpkg's diversions.
    Triples,
    /// Paragraphs between blank lines; the key is these fields.
    Paragraphs(&'static [&'static str]),
}

/// Records with their keys, in the order of the file.
pub(super) type Records<'a> = Vec<(Vec<u8>, &'a [u8])>;

/// Cuts a file into records with their keys.
pub(super) fn records(format: Format, bytes: &[u8]) -> Records<'_> {
    let lines = bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty());
    let word = |line: &[u8], last: bool| -> Vec<u8> {
        let mut words = line
            .split(|&byte| byte == b' ')
            .filter(|word| !word.is_empty());
        let word = if last {
            words.next_back()
        } else {
            words.next()
        };
        word.unwrap_or_default().to_vec()
    };
    match format {
        Format::Accounts { .. } => lines
            .map(|line| {
                (
                    line.split(|&byte| byte == b':')
                        .next()
                        .unwrap_or_default()
                        .to_vec(),
                    line,
                )
            })
            .collect(),
        Format::Lines => lines.map(|line| (line.to_vec(), line)).collect(),
        Format::FirstWord => lines.map(|line| (word(line, false), line)).collect(),
        Format::LastWord => lines.map(|line| (word(line, true), line)).collect(),
        Format::Triples => triples(bytes),
        Format::Paragraphs(keys) => paragraphs(bytes)
            .map(|paragraph| (paragraph_key(paragraph, keys), paragraph))
            .collect(),
    }
}

fn triples(bytes: &[u8]) -> Records<'_> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let ends = rest
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(at, _)| at);
        let end = ends.take(3).last().unwrap_or(rest.len());
        let (record, after) = rest.split_at(end);
        let key = record
            .split(|&byte| byte == b'\n')
            .next()
            .unwrap_or_default();
        if !record.is_empty() {
            records.push((key.to_vec(), record));
        }
        rest = after.get(1..).unwrap_or_default();
    }
    records
}

/// The paragraphs of a file in Debian's control format, without the blank lines between them.
pub(crate) fn paragraphs(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let start = rest.iter().position(|&byte| byte != b'\n')?;
            rest = rest.get(start..)?;
            let end = rest.windows(2).position(|pair| pair == b"\n\n");
            let (paragraph, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            let paragraph = paragraph.strip_suffix(b"\n").unwrap_or(paragraph);
            if !paragraph.is_empty() {
                return Some(paragraph);
            }
        }
    })
}

fn paragraph_key(paragraph: &[u8], names: &[&str]) -> Vec<u8> {
    let values: Vec<&[u8]> = names
        .iter()
        .map(|name| field(paragraph, name).unwrap_or_default())
        .collect();
    values.join(&b' ')
}

/// The value of a field that stands on one line.
pub(crate) fn field<'a>(paragraph: &'a [u8], name: &str) -> Option<&'a [u8]> {
    paragraph.split(|&byte| byte == b'\n').find_map(|line| {
        let (head, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        head.eq_ignore_ascii_case(name.as_bytes())
            .then(|| value.trim_ascii())
    })
}
