//! An error as it is printed: on standard error for people and, where the call asks for JSON, as the document on standard output.

use std::ffi::OsString;

use serde::Serialize;

use crate::{
    error::Error,
    printer::{eprint_line, print, rendered},
    text::one_line,
};

/// The JSON document of a command that fails before it has a result.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// What went wrong, on one line.
    error: String,
    /// What caused it, the nearest first.
    causes: Vec<String>,
    /// What to do next; null where nothing is advised.
    next: Option<String>,
    /// The program's exit code.
    exit_code: u8,
}

impl Failure {
    #[must_use]
    pub fn new(error: &Error, next: Option<String>) -> Self {
        let causes =
            std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let line = |text: String| one_line(&text).into_owned();
        Self {
            error: line(error.to_string()),
            causes: causes.map(|cause| line(cause.to_string())).collect(),
            next: next.map(line),
            exit_code: error.exit_code(),
        }
    }

    /// A call that the program does not take. What its parser says is in paragraphs: the error, then hints.
    #[must_use]
    pub fn of_call(error: &clap::Error, exit_code: u8) -> Self {
        let text = error.render().to_string();
        let paragraphs = text.split("\n\n").map(|paragraph| {
            let words: Vec<_> = paragraph.split_whitespace().collect();
            words.join(" ")
        });
        let mut paragraphs = paragraphs.filter(|paragraph| !paragraph.is_empty());
        let first = paragraphs.next().unwrap_or_default();
        let next: Vec<_> = paragraphs.collect();
        let next = next.join("; ");
        Self {
            error: first.trim_start_matches("error: ").to_owned(),
            causes: Vec::new(),
            next: Some(next).filter(|next| !next.is_empty()),
            exit_code,
        }
    }

    /// Prints it for people.
    pub fn eprint(&self) {
        eprint_line(&format!("error: {}", self.error));
        for cause in &self.causes {
            eprint_line(&format!("  caused by: {cause}"));
        }
        if let Some(next) = &self.next {
            eprint_line(&format!("  next: {next}"));
        }
    }

    /// Prints it for programs.
    pub fn print(&self) {
        if let Ok(document) = rendered(self) {
            // Where standard output cannot be written, standard error has it.
            let _ = print(document.as_bytes());
        }
    }
}

/// Whether a call whose arguments cannot be parsed asks for JSON.
pub fn asks_for_json(arguments: impl IntoIterator<Item = OsString>) -> bool {
    let mut is_value = false;
    let arguments = arguments.into_iter().skip(1);
    let mut arguments = arguments.take_while(|argument| argument != "--");
    arguments.any(|argument| {
        let is_json = argument == "--output=json" || (is_value && argument == "json");
        is_value = argument == "--output";
        is_json
    })
}
