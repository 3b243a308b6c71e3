//! Text for people: tables, sizes, short names, and nothing that a terminal would obey.

use std::borrow::Cow;

use deb_index::digest::Sha256;

/// Digits of a commit's name that are shown to people.
const SHORT: usize = 12;

/// Whether a terminal would obey a character, or show what follows in another order than it is in.
pub(crate) fn is_obeyed(c: char) -> bool {
    let is_bidi = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    c.is_control() || is_bidi || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Text without the characters that a terminal obeys, but for newlines and tabs.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    replace(text, |c| is_obeyed(c) && c != '\n' && c != '\t')
}

/// A text of unknown origin as a part of one line.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    replace(text, is_obeyed)
}

fn replace(text: &str, is_hidden: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if is_hidden(c) { '\u{fffd}' } else { c };
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

/// A number for people: `63,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Characters of the widest column. A longer cell moves only the rest of its own line.
const WIDEST: usize = 40;

/// Lines whose cells are aligned in columns.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| one_line(&cell).into_owned());
        self.0.push(cells.collect());
    }

    /// All lines, with two spaces between the columns and nothing at the end of a line.
    pub(crate) fn render(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|line| line.get(column));
            let lengths = cells.map(|cell| cell.chars().count());
            lengths
                .filter(|length| *length <= WIDEST)
                .max()
                .unwrap_or(0)
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

/// A word as a shell takes it for one.
pub(crate) fn shell_word(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
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
        table.line(["y".repeat(41), "3".into(), "z".into()]);
        let long = format!("a     1   x\nlong  22\n{}  3   z\n", "y".repeat(41));
        assert_eq!(table.render(), long);
    }

    #[test]
    fn a_shell_takes_a_word_as_it_is() {
        for word in [
            "",
            "plain-1.0",
            "two words",
            "it's",
            "$HOME",
            "`id`",
            "a\\b",
        ] {
            let script = format!("printf %s {}", shell_word(word));
            let shell = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(shell.stdout, word.as_bytes());
        }
        assert_eq!(shell_word("plain-1.0"), "plain-1.0");
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
    fn numbers_are_grouped() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), shown);
        }
    }

    #[test]
    fn a_terminal_is_not_given_orders() {
        assert_eq!(printable("plain\n\ttext ä"), "plain\n\ttext ä");
        assert_eq!(
            printable("\u{1b}[31mred\r\u{9b}2J\u{7}"),
            "\u{fffd}[31mred\u{fffd}\u{fffd}2J\u{fffd}"
        );
        let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{2028}\u{85}";
        assert_eq!(printable(bidi), "\u{fffd}".repeat(9));
        assert_eq!(one_line("a\nb\tc"), "a\u{fffd}b\u{fffd}c");
        let mut table = Table::default();
        table.line(["a\nb".into()]);
        assert_eq!(table.render(), "a\u{fffd}b\n");
    }
}
