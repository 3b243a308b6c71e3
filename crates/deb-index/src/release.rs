//! `Release`: what a suite is and which index files it has, each with its size and digest. Once signed it is `InRelease`, the
//! head of a suite.
//!
//! Format: <https://wiki.debian.org/DebianRepository/Format>. We write SHA-256 only, list the plain `Packages` although it is not
//! stored (apt checks what it unpacks against it), and ask for indexes by hash. `X-Debucket-Commit` names the commit that made
//! it. Nothing here has white space at the end of a line: OpenPGP's cleartext signatures would lose it.

use std::fmt::{Display, Write as _};

use jiff::{Timestamp, civil::DateTime, fmt::strtime, tz::TimeZone};

use crate::{
    commit::{Commit, Stored},
    digest::Sha256,
    name::SuiteName,
    paragraph::{Paragraph, ParagraphError},
    pool,
};

/// Field that names the commit.
const COMMIT_FIELD: &str = "X-Debucket-Commit";

/// How `Date` reads, without its zone: `Mon, 23 Nov 2026 10:00:00`.
const DATE_FORMAT: &str = "%a, %d %b %Y %H:%M:%S";

/// What a publisher needs of a `Release` that it finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// When it was made.
    pub date: Timestamp,
    /// The commit that it is the face of.
    pub commit: Sha256,
}

/// Why a `Release` cannot be built upon.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Not a control paragraph.
    #[error("the Release file is malformed: {0}")]
    Malformed(#[from] ParagraphError),
    /// No date, or not one.
    #[error("the Release file has no valid Date")]
    NoDate,
    /// Another program's.
    #[error("the Release file was not written by debucket (it has no valid {COMMIT_FIELD} field)")]
    NotOurs,
}

impl Release {
    /// Reads the bytes of a `Release`.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ReleaseError> {
        let paragraph = Paragraph::parse(bytes)?;
        let commit = paragraph
            .get_str(COMMIT_FIELD)
            .and_then(|text| text.parse().ok())
            .ok_or(ReleaseError::NotOurs)?;
        let date = paragraph
            .get_str("Date")
            .and_then(parse_date)
            .ok_or(ReleaseError::NoDate)?;
        Ok(Self { date, commit })
    }
}

/// Renders the `Release` of `suite` as `commit`, stored as `id`, leaves it.
pub fn render(suite: &SuiteName, commit: &Commit, id: &Sha256) -> Vec<u8> {
    let settings = &commit.settings;
    let words = &settings.description;
    let mut text = String::new();
    let mut field = |name: &str, value: Option<&dyn Display>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{name}: {value}");
        }
    };
    field("Origin", words.origin.as_ref().map(|line| line as _));
    field("Label", words.label.as_ref().map(|line| line as _));
    field("Suite", Some(suite));
    field("Codename", Some(suite));
    field("Date", Some(&format_date(commit.time)));
    field("Acquire-By-Hash", Some(&"yes"));
    field("Architectures", Some(&join(&settings.architectures)));
    field("Components", Some(&join(&settings.components)));
    field(
        "Description",
        words.description.as_ref().map(|line| line as _),
    );
    field(COMMIT_FIELD, Some(id));
    text.push_str("SHA256:\n");
    let mut line = |stored: &Stored, path: &str| {
        let _ = writeln!(text, " {} {:>8} {path}", stored.sha256, stored.size);
    };
    for index in &commit.indexes {
        let path = |format| pool::index_path(&index.component, &index.architecture, format);
        line(&index.plain, &path(None));
        for (format, stored) in &index.files {
            line(stored, &path(Some(*format)));
        }
    }
    text.into_bytes()
}

fn join<T: ToString>(names: &[T]) -> String {
    names
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// `time` as `Release` writes it, in UTC.
pub fn format_date(time: Timestamp) -> String {
    format!(
        "{} UTC",
        strtime::format(DATE_FORMAT, &time.to_zoned(TimeZone::UTC)).unwrap_or_default()
    )
}

fn parse_date(text: &str) -> Option<Timestamp> {
    let date: DateTime = strtime::parse(DATE_FORMAT, text.strip_suffix(" UTC")?)
        .ok()?
        .to_datetime()
        .ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_it_was_written() {
        let time = Timestamp::from_second(1_764_000_000).unwrap();
        assert_eq!(format_date(time), "Mon, 24 Nov 2025 16:00:00 UTC");
        assert_eq!(parse_date(&format_date(time)), Some(time));
        assert_eq!(parse_date("yesterday"), None);
    }

    #[test]
    fn the_work_of_another_program_is_told_apart() {
        let text = b"Suite: stable\nDate: Mon, 24 Nov 2025 16:00:00 UTC\n";
        assert!(matches!(Release::parse(text), Err(ReleaseError::NotOurs)));
        let text = format!("Date: never\n{COMMIT_FIELD}: {}\n", Sha256::of(b"x"));
        assert!(matches!(
            Release::parse(text.as_bytes()),
            Err(ReleaseError::NoDate)
        ));
    }
}
