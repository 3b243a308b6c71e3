//! Commits of a suite's history, as people name them.

use std::str::FromStr;

use deb_index::{
    digest::Sha256,
    suite::{commit::Commit, layout},
};
use futures::TryStreamExt as _;
use jiff::{Timestamp, civil, tz::TimeZone};

use crate::{Error, Head, Missing, Suite};

/// The fewest digits that stand for a commit.
const DIGITS: usize = 6;

/// A commit, seen from the head of a suite.
///
/// Written as the first digits of its name; as `@`, the head, or `@~3`, three commits before it; or as a time, for the commit that
/// was the head then: `2026-11-30T10:00:00Z`, or without a zone in UTC, `2026-11-30 10:00`, `2026-11-30` (its first moment).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    text: String,
    meaning: Meaning,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    Back(usize),
    Digits(String),
    At(Timestamp),
}

/// The text is not a [`Revision`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the first digits of a commit (at least {DIGITS}), @~N, or a time such as 2026-11-30T10:00:00Z"
)]
pub struct InvalidRevision;

impl FromStr for Revision {
    type Err = InvalidRevision;

    fn from_str(text: &str) -> Result<Self, InvalidRevision> {
        Ok(Self {
            text: text.to_owned(),
            meaning: text.parse()?,
        })
    }
}

impl FromStr for Meaning {
    type Err = InvalidRevision;

    fn from_str(text: &str) -> Result<Self, InvalidRevision> {
        if let Some(back) = text.strip_prefix('@') {
            let back = match back.strip_prefix('~') {
                None if back.is_empty() => Ok(0),
                Some("") => Ok(1),
                Some(number) => number.parse(),
                None => return Err(InvalidRevision),
            };
            return back.map(Self::Back).map_err(|_| InvalidRevision);
        }
        let digits = text.to_ascii_lowercase();
        let is_digit = |c: char| c.is_ascii_hexdigit();
        if (DIGITS..=64).contains(&digits.len()) && digits.chars().all(is_digit) {
            return Ok(Self::Digits(digits));
        }
        let local = |time: civil::DateTime| {
            time.to_zoned(TimeZone::UTC)
                .ok()
                .map(|time| time.timestamp())
        };
        let time = text.parse().ok();
        let time = time.or_else(|| text.parse().ok().and_then(local));
        time.map(Self::At).ok_or(InvalidRevision)
    }
}

impl Suite<'_> {
    /// The commit that a revision means: `head`, or one in its history.
    ///
    /// # Errors
    /// [`Missing::Revision`]; [`Error::AmbiguousRevision`]; those of reading.
    pub async fn revision(
        &self,
        head: &Head,
        Revision { text, meaning }: &Revision,
    ) -> Result<(Sha256, Commit), Error> {
        if let Meaning::Digits(digits) = meaning {
            let prefix = format!("{}{digits}", layout::commits(&self.name));
            let listed = self.repository.storage.list(&prefix, None);
            let commits = listed.try_filter(|entry| {
                std::future::ready(layout::commit_at(&self.name, entry.key()).is_some())
            });
            let mut commits = std::pin::pin!(commits);
            if commits.try_next().await?.is_some() && commits.try_next().await?.is_some() {
                return Err(Error::AmbiguousRevision(text.clone()));
            }
        }
        let mut history = std::pin::pin!(self.history(head.id()));
        let mut back = 0;
        while let Some((id, commit)) = history.try_next().await? {
            let name = id.to_string();
            let is_meant = match meaning {
                Meaning::Back(wanted) => *wanted == back,
                Meaning::Digits(digits) => name.starts_with(digits),
                Meaning::At(time) => commit.time <= *time,
            };
            if is_meant {
                return Ok((id, commit));
            }
            back += 1;
        }
        Err(Missing::Revision {
            suite: self.name.clone(),
            revision: text.clone(),
        }
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_read_as_people_write_them() {
        let at = |text: &str| Ok(Meaning::At(text.parse().unwrap()));
        for (text, expected) in [
            ("@", Ok(Meaning::Back(0))),
            ("@~", Ok(Meaning::Back(1))),
            ("@~12", Ok(Meaning::Back(12))),
            ("ABCDEF", Ok(Meaning::Digits("abcdef".to_owned()))),
            ("20261130", Ok(Meaning::Digits("20261130".to_owned()))),
            ("2026-11-30T10:00:00Z", at("2026-11-30T10:00:00Z")),
            ("2026-11-30T12:00:00+02:00", at("2026-11-30T10:00:00Z")),
            ("2026-11-30 10:00", at("2026-11-30T10:00:00Z")),
            ("2026-11-30", at("2026-11-30T00:00:00Z")),
            ("abc", Err(InvalidRevision)),
            ("@1", Err(InvalidRevision)),
            ("@~-1", Err(InvalidRevision)),
            ("yesterday", Err(InvalidRevision)),
            ("", Err(InvalidRevision)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }
}
