//! What the program prints: results on standard output, for people or as JSON; everything else on standard error.
//!
//! A JSON result is one document; where there is none, the error is one ([`crate::failure`]). Its fields are in snake_case and only
//! ever added to. Times are RFC 3339 in UTC, sizes are bytes, digests are in lower-case hexadecimal. Text for people
//! has no colours and no control characters: names and messages come from other people, and a terminal would obey them.

use std::{
    collections::HashSet,
    fmt,
    io::{self, IsTerminal as _, Write as _},
    ops::ControlFlow,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::ValueEnum;
use serde::Serialize;

use crate::{
    error::Error,
    given::Given,
    text::{is_obeyed, one_line, printable},
};

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
pub struct Printer {
    options: OutputOptions,
    /// Options that commands which are advised repeat.
    given: Given,
    /// Whether anything was printed on standard output.
    has_printed: AtomicBool,
    /// What was warned of: the same is found in several ways.
    warned: Mutex<HashSet<String>>,
}

/// A result that is printed in one of two forms.
pub(crate) trait Report: Serialize {
    /// The text for people.
    fn text(&self) -> String;
}

impl Printer {
    #[must_use]
    pub fn new(options: OutputOptions, given: Given) -> Self {
        Self {
            options,
            given,
            has_printed: AtomicBool::new(false),
            warned: Mutex::default(),
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.options.output == OutputFormat::Json
    }

    /// Whether progress is of interest.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.options.quiet && !self.is_json()
    }

    /// Prints the result of a command that was run for it.
    pub(crate) fn result(&self, report: &impl Report) -> Result<(), Error> {
        if self.is_json() {
            self.json(report)
        } else {
            self.text(&report.text()).map(drop)
        }
    }

    /// Prints the result of a command that was run for its effect: nothing for people who asked for quiet. `done` says what has
    /// happened, should it not be possible to print it.
    pub(crate) fn outcome(
        &self,
        report: &impl Report,
        done: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        if self.options.quiet && !self.is_json() {
            return Ok(());
        }
        self.result(report).map_err(|error| match error {
            Error::Output(source) => Error::Unprinted {
                result: done(),
                source,
            },
            error => error,
        })
    }

    pub(crate) fn json(&self, document: &impl Serialize) -> Result<(), Error> {
        self.raw(rendered(document)?.as_bytes()).map(drop)
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
        self.has_printed.store(true, Ordering::Relaxed);
        print(bytes)
    }

    /// Whether a document is still to be printed, now that the command has failed.
    pub(crate) fn lacks_document(&self) -> bool {
        self.is_json() && !self.has_printed.load(Ordering::Relaxed)
    }

    /// Advice whose commands reach the repository that this one reaches.
    pub(crate) fn complete(&self, advice: &str) -> String {
        self.given.complete(advice)
    }

    pub(crate) fn warn(&self, warning: impl fmt::Display) {
        let warning = self.complete(&warning.to_string());
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.options.quiet && warned.insert(warning.clone()) {
            eprint_line(&format!("warning: {warning}"));
        }
    }

    /// Prints what to do about the warning before it.
    pub(crate) fn next(&self, advice: &str) {
        if !self.options.quiet {
            eprint_line(&format!("  next: {}", self.complete(advice)));
        }
    }

    pub(crate) fn note(&self, note: &str) {
        if self.shows_progress() {
            eprint_line(&format!("note: {}", self.complete(note)));
        }
    }
}

/// Prints on standard output. `Break` if its reader has closed the pipe.
///
/// # Errors
/// [`Error::Output`].
pub fn print(bytes: &[u8]) -> Result<ControlFlow<()>, Error> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Error::Output(error)),
    }
}

/// The text of a JSON document.
pub(crate) fn rendered(document: &impl Serialize) -> Result<String, Error> {
    let json = serde_json::to_string_pretty(document);
    Ok(escaped(&json.map_err(|error| Error::Output(error.into()))?))
}

/// A JSON document and its newline, with escapes for what a terminal would obey. JSON itself escapes only the first 32.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if is_obeyed(c) && c != '\n' {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text.push('\n');
    text
}

/// Standard error for a log: what other people wrote is in it, too.
#[derive(Debug, Clone, Copy)]
pub struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        eprint(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints text on standard error.
pub fn eprint(text: &str) {
    // There is no place left to report that standard error cannot be written.
    let _ = io::stderr().write_all(printable(text).as_bytes());
}

/// Prints a line on standard error.
pub(crate) fn eprint_line(text: &str) {
    eprint(&format!("{}\n", one_line(text)));
}
