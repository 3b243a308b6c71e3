//! Results on standard output: for people, or as JSON for programs.
//!
//! Each command has a file below this one that renders its result in both forms. A JSON result is
//! one document; its fields are in snake_case, documented at the types they come from, and only
//! ever added to. Times are RFC 3339 in UTC, sizes are bytes, digests are in lower case
//! hexadecimal. Diagnostics and progress go to standard error, so the two never mix. Text for
//! people has no colours, so a file and a terminal get the same.

use std::{
    io::{self, Write as _},
    ops::ControlFlow,
};

use deb_index::digest::Sha256;
use serde::Serialize;

use crate::error::Error;

pub mod client_config;
pub mod list;
pub mod log;
pub mod publish;
pub mod show;

/// Digits of a commit's name that are shown to people.
const SHORT: usize = 12;

/// Writes text. `Break` if nobody reads on, as behind `| head`: that is no error, but a reason to
/// stop.
///
/// # Errors
/// [`Error::File`].
pub fn text(text: impl AsRef<[u8]>) -> Result<ControlFlow<()>, Error> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_ref())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(source) => Err(Error::File {
            path: "standard output".to_owned(),
            source,
        }),
    }
}

/// Writes a JSON document.
///
/// # Errors
/// [`Error::File`].
pub fn json(document: &impl Serialize) -> Result<(), Error> {
    let failed = |error: serde_json::Error| Error::File {
        path: "standard output".to_owned(),
        source: error.into(),
    };
    let mut bytes = serde_json::to_vec_pretty(document).map_err(failed)?;
    bytes.push(b'\n');
    text(bytes).map(|_| ())
}

/// The name of a commit for people.
pub fn short(id: &Sha256) -> String {
    id.to_string().chars().take(SHORT).collect()
}

/// A number of bytes for people: `999 B`, `1.2 kB`, `70.0 MB`.
pub fn bytes(count: u64) -> String {
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

/// Lines whose cells stand below each other.
#[derive(Debug, Default)]
pub struct Table(Vec<Vec<String>>);

impl Table {
    /// Adds a line.
    pub fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    /// All lines, two spaces between the columns and nothing at the end of a line.
    pub fn render(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.0
                .iter()
                .filter_map(|line| line.get(column))
                .map(|cell| cell.chars().count())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
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
            (u64::MAX, "18446744.1 TB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }
}
