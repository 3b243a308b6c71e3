//! Commits of a suite's history, as people name them.

use std::str::FromStr;

use deb_index::{
    digest::Sha256,
    suite::{commit::Commit, layout},
};
use futures::TryStreamExt as _;
use jiff::{Timestamp, civil, tz::TimeZone};

use crate::{Error, Head, Missing, Past, Suite};

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

/// A commit that a revision means.
#[derive(Debug)]
pub struct Found {
    pub id: Sha256,
    pub commit: Commit,
    /// The last of the commits between it and the head that are lost, if some are: no signature vouches for it then.
    pub lost: Option<Sha256>,
}

impl Revision {
    /// Whether it is a commit's whole name, so that it means this one and no other.
    fn is_whole_name(&self) -> bool {
        matches!(&self.meaning, Meaning::Digits(digits) if digits.len() == 64)
    }
}

impl Meaning {
    /// Whether it is a time at which a commit of this one was there already.
    fn is_at(&self, commit: Timestamp) -> bool {
        matches!(self, Self::At(time) if commit <= *time)
    }
}

impl Suite<'_> {
    /// The commit that a revision means, to build on it: `head`, or one in its history.
    ///
    /// # Errors
    /// As [`Suite::find_revision`]; [`Error::Unproven`], unless the revision is the whole name of the commit.
    pub async fn revision(
        &self,
        head: &Head,
        revision: &Revision,
    ) -> Result<(Sha256, Commit), Error> {
        let Found { id, commit, lost } = self.find_revision(head, revision).await?;
        match lost.filter(|_| !revision.is_whole_name()) {
            None => Ok((id, commit)),
            Some(lost) => Err(Error::Unproven {
                suite: self.name.clone(),
                commit: id,
                lost,
            }),
        }
    }

    /// The commit that a revision means, to look at it.
    ///
    /// # Errors
    /// [`Missing::Revision`]; [`Missing::Time`]; [`Error::AmbiguousRevision`]; [`Error::CommitLost`]; those of reading.
    pub async fn find_revision(
        &self,
        head: &Head,
        Revision { text, meaning }: &Revision,
    ) -> Result<Found, Error> {
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
        let mut past = std::pin::pin!(self.past(head.id()));
        let (mut back, mut lost, mut oldest) = (0, None, head.commit.time);
        while let Some(step) = past.try_next().await? {
            let (Past::Commit(id, _) | Past::Lost(id)) = step;
            let name = id.to_string();
            let is_named = match meaning {
                Meaning::Back(wanted) => *wanted == back,
                Meaning::Digits(digits) => name.starts_with(digits),
                Meaning::At(_) => false,
            };
            match step {
                Past::Commit(id, commit) if is_named || meaning.is_at(commit.time) => {
                    let commit = *commit;
                    return Ok(Found { id, commit, lost });
                }
                Past::Commit(_, commit) => oldest = commit.time,
                Past::Lost(id) if is_named => {
                    return Err(Error::CommitLost {
                        suite: self.name.clone(),
                        commit: id,
                    });
                }
                Past::Lost(id) => lost = Some(id),
            }
            back += 1;
        }
        let suite = self.name.clone();
        Err(Error::Missing(match meaning {
            Meaning::At(time) => Missing::Time {
                suite,
                time: *time,
                oldest,
            },
            Meaning::Back(_) | Meaning::Digits(_) => Missing::Revision {
                suite,
                revision: text.clone(),
            },
        }))
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
