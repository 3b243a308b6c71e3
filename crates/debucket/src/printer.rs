//! What the program prints: results on standard output, for people or as JSON; everything else on standard error.
//!
//! A JSON result is one document. Its fields are in snake_case and only ever added to. Times are RFC 3339 in UTC, sizes are bytes,
//! digests are in lower-case hexadecimal. Text for people has no colours and no control characters: names and messages come from
//! other people, and a terminal would obey them.

use std::{
    borrow::Cow,
    fmt,
    io::{self, IsTerminal as _, Write as _},
    ops::ControlFlow,
};

use clap::ValueEnum;
use deb_index::digest::Sha256;
use serde::Serialize;

use crate::error::Error;

/// Digits of a commit's name that are shown to people.
const SHORT: usize = 12;

/// How results are shown.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputOptions {
    /// Print results as text for people, or as one JSON document for programs
    #[arg(long, value_enum, default_value_t, global = true)]
    pub output: OutputFormat,
    /// Print errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print details: lost races, the source of credentials, corrected settings
    #[arg(long, short, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

/// Form of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    #[default]
    Human,
    Json,
}

/// Prints for the readers that the options name.
#[derive(Debug)]
pub struct Printer(OutputOptions);

/// A result that is printed in one of two forms.
pub(crate) trait Report: Serialize {
    /// The text for people.
    fn text(&self) -> String;
}

impl Printer {
    #[must_use]
    pub fn new(options: OutputOptions) -> Self {
        Self(options)
    }

    pub(crate) fn is_json(&self) -> bool {
        self.0.output == OutputFormat::Json
    }

    /// Whether progress is of interest.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.0.quiet && !self.is_json()
    }

    /// Prints the result of a command that was run for it.
    pub(crate) fn result(&self, report: &impl Report) -> Result<(), Error> {
        if self.is_json() {
            self.json(report)
        } else {
            self.text(&report.text()).map(drop)
        }
    }

    /// Prints the result of a command that was run for its effect: nothing for people who asked for quiet.
    pub(crate) fn outcome(&self, report: &impl Report) -> Result<(), Error> {
        if self.0.quiet && !self.is_json() {
            return Ok(());
        }
        self.result(report)
    }

    pub(crate) fn json(&self, document: &impl Serialize) -> Result<(), Error> {
        let mut bytes =
            serde_json::to_vec_pretty(document).map_err(|error| Error::Output(error.into()))?;
        bytes.push(b'\n');
        self.raw(&bytes).map(drop)
    }

    /// Prints text for people. `Break` if the reader has closed the pipe, which is a reason to stop, but no error.
    pub(crate) fn text(&self, text: &str) -> Result<ControlFlow<()>, Error> {
        self.raw(printable(text).as_bytes())
    }

    /// Prints bytes as they are into a file or a pipe, and as text on a terminal.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<ControlFlow<()>, Error> {
        if io::stdout().is_terminal() {
            self.text(&String::from_utf8_lossy(bytes))
        } else {
            self.raw(bytes)
        }
    }

    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<ControlFlow<()>, Error> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            Err(error) => Err(Error::Output(error)),
        }
    }

    pub(crate) fn warn(&self, warning: impl fmt::Display) {
        if !self.0.quiet {
            eprint_line(&format!("warning: {warning}"));
        }
    }

    pub(crate) fn note(&self, note: &str) {
        if self.shows_progress() {
            eprint_line(&format!("note: {note}"));
        }
    }
}

/// Prints a line on standard error.
pub(crate) fn eprint_line(text: &str) {
    // There is no place left to report that standard error cannot be written.
    let _ = writeln!(io::stderr(), "{}", printable(text));
}

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
