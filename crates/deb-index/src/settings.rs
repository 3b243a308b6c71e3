//! How a suite is set up. The settings travel in its commits, so every publisher agrees on them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    compression::Format,
    name::{Architecture, Component},
};

/// The settings of a suite.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What `Release` says of the suite.
    #[serde(flatten)]
    pub description: Description,
    /// Its components, in order of their appearance.
    pub components: Vec<Component>,
    /// Its architectures, without `all`.
    pub architectures: Vec<Architecture>,
    /// Formats that its indexes are stored in.
    pub formats: Vec<Format>,
    /// Fingerprints of the keys that sign it; empty for an unsigned suite.
    pub signing_keys: Vec<String>,
    /// Whether it lives in a store without conditional writes, whose only writer somebody vouches for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single_writer: bool,
}

/// Words about a suite in its `Release`, for people and for apt's pinning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// `Origin`: who made the packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Line>,
    /// `Label`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Line>,
    /// `Description`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Line>,
}

impl Description {
    /// This one, with the words of `newer` where it has any.
    #[must_use]
    pub fn updated(&self, newer: &Self) -> Self {
        Self {
            origin: newer.origin.clone().or_else(|| self.origin.clone()),
            label: newer.label.clone().or_else(|| self.label.clone()),
            description: newer
                .description
                .clone()
                .or_else(|| self.description.clone()),
        }
    }
}

/// A value on one line of a control file: not empty, no control characters, no white space at its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line(String);

/// Not a [`Line`].
#[derive(Debug, thiserror::Error)]
#[error("must be one line of text, without white space at its ends")]
pub struct NotALine;

impl FromStr for Line {
    type Err = NotALine;

    fn from_str(text: &str) -> Result<Self, NotALine> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for Line {
    type Error = NotALine;

    fn try_from(text: String) -> Result<Self, NotALine> {
        if text.is_empty() || text.trim() != text || text.contains(char::is_control) {
            return Err(NotALine);
        }
        Ok(Self(text))
    }
}

impl From<Line> for String {
    fn from(line: Line) -> Self {
        line.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_smuggle_a_field_in() {
        assert!("ACME Robots".parse::<Line>().is_ok());
        for bad in ["", " a", "a ", "a\nDate: x", "a\u{85}b", "a\tb"] {
            assert!(bad.parse::<Line>().is_err(), "{bad:?}");
            assert!(
                serde_json::from_value::<Line>(bad.into()).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn newer_words_win_and_silence_keeps() {
        let line = |text: &str| Some(text.parse::<Line>().unwrap());
        let old = Description {
            origin: line("a"),
            label: line("b"),
            description: None,
        };
        let newer = Description {
            origin: line("c"),
            ..Description::default()
        };
        assert_eq!(
            old.updated(&newer),
            Description {
                origin: line("c"),
                label: line("b"),
                description: None
            }
        );
    }
}
