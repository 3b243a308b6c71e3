//! Text for people: tables, sizes, short names, and nothing that a terminal would obey.

use std::borrow::Cow;

use deb_index::digest::Sha256;

/// Digits of a commit's name that are shown to people.
const SHORT: usize = 12;

/// Text without the characters that a terminal obeys.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let is_obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if is_obeyed(c) { '\u{fffd}' } else { c };
    Cow::Owned(text.chars().map(shown).collect())
}

/// The name of a commit for people.
pub(crate) fn short(id: &Sha256) -> String {
    id.to_string().chars().take(SHORT).collect()
}

/// A number of bytes for people: `999 B`, `1.2 kB`, `70.0 MB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    // What would be shown as 1000.0 is 1.0 of the next unit.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Lines whose cells are aligned in columns.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    /// All lines, with two spaces between the columns and nothing at the end of a line.
    pub(crate) fn render(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for line in &self.0 {
            let padded = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::default();
        table.line(["a".into(), "1".into(), "x".into()]);
        table.line(["long".into(), "22".into()]);
        assert_eq!(table.render(), "a     1   x\nlong  22\n");
        assert_eq!(Table::default().render(), "");
    }

    #[test]
    fn sizes_are_short() {
        for (count, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (4288, "4.3 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (70_400_000, "70.4 MB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }

    #[test]
    fn a_terminal_is_not_given_orders() {
        assert_eq!(printable("plain\n\ttext ä"), "plain\n\ttext ä");
        assert_eq!(
            printable("\u{1b}[31mred\r\u{9b}2J\u{7}"),
            "\u{fffd}[31mred\u{fffd}\u{fffd}2J\u{fffd}"
        );
    }
}
