//! Aligned columns without lines or decoration; the last column is never padded.

/// Rows of equal length, printed with two blanks between columns.
#[derive(Debug, Default, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// A table whose first row is `header` (capitals, by convention).
    pub fn with_header<const N: usize>(header: [&str; N]) -> Self {
        Self {
            rows: vec![header.map(str::to_owned).into()],
            right: Vec::new(),
        }
    }

    /// Aligns the column with this index to the right: numbers and sizes.
    #[must_use]
    pub fn right(mut self, column: usize) -> Self {
        self.right.push(column);
        self
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Whether there is no row but the header.
    pub fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }

    /// The text, a line for each row.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| shown_width(cell))
                .max()
        };
        let widths: Vec<usize> = (0..columns)
            .map(|column| width(column).unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let pad = widths[column].saturating_sub(shown_width(cell));
                let (before, after) = if self.right.contains(&column) {
                    (pad, 0)
                } else {
                    (0, pad)
                };
                line.push_str(&format!(
                    "{}{cell}{}  ",
                    " ".repeat(before),
                    " ".repeat(after)
                ));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// How many columns a cell takes. The escapes that colour it (`ESC [ … m`) take none.
fn shown_width(cell: &str) -> usize {
    let mut in_escape = false;
    let takes_room = |c: &char| {
        let hidden = in_escape || *c == '\u{1b}';
        in_escape = hidden && *c != 'm';
        !hidden
    };
    cell.chars().filter(takes_room).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_room() {
        let table = |word: &str| {
            let mut table = Table::with_header(["NAME", "STATE", "PID"]).right(1);
            table.row(["a".into(), word.into(), "7".into()]);
            table.row(["b".into(), "stopped".into(), String::new()]);
            table.row([word.into(), String::new(), "7".into()]);
            table.render()
        };
        let painted = "\u{1b}[1;32mrunning\u{1b}[0m";
        assert_eq!(table(painted).replace(painted, "running"), table("running"));
    }

    #[test]
    fn columns_align_and_lines_have_no_trailing_blanks() {
        let mut table = Table::with_header(["NAME", "SIZE", "NOTE"]).right(1);
        table.row(["a".into(), "1.5 MiB".into(), String::new()]);
        table.row(["longer".into(), "7 B".into(), "x".into()]);
        insta::assert_snapshot!(table.render(), @r"
        NAME       SIZE  NOTE
        a       1.5 MiB
        longer      7 B  x
        ");
    }
}
