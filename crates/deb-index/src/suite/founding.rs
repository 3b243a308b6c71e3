//! `suite.json`: what a folder below `dists/` is. It decides between first publishers, before there is a head; between suites that
//! want the same alias; and whether a suite that was deleted is gone.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::name::SuiteName;

/// How far ahead the end of a run can be: an hour, and as much for the clocks of a store's machines.
const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(2);

/// What `suite.json` says. A later program may say more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Founding {
    /// The folder is that of a suite.
    Suite {
        signed: bool,
        /// A number of its own, which tells it from another suite that had or gets the name.
        id: Option<u64>,
    },
    /// It is that of an alias, which this suite holds.
    AliasOf {
        suite: SuiteName,
        /// A number of its own, which tells it from an earlier claim of the same suite.
        id: Option<u64>,
    },
    /// What is in it is being deleted.
    Deleting(Deleting),
    /// It is empty, and anyone's.
    Deleted,
    /// None of these.
    Unknown,
}

/// A deletion that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleting {
    /// The aliases that go with the suite.
    pub aliases: BTreeSet<SuiteName>,
    /// Who deletes: a number of its own.
    pub by: u64,
    /// When everybody who has begun to delete is certainly done, by the store's clock.
    pub busy_until: Timestamp,
}

impl Founding {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let value = match self {
            Self::Suite { signed, id: None } => serde_json::json!({ "signed": signed }),
            Self::Suite { signed, id } => serde_json::json!({ "signed": signed, "id": id }),
            Self::AliasOf { suite, id } => serde_json::json!({ "alias_of": suite, "id": id }),
            Self::Deleting(deleting) => serde_json::json!({ "deleting": deleting }),
            Self::Deleted => serde_json::json!({ "deleted": true }),
            Self::Unknown => serde_json::json!({}),
        };
        format!("{value}\n").into()
    }

    /// The same as it counts when it is read at this time by the store's clock: a run that would end later than any can is none.
    #[must_use]
    pub fn as_of(mut self, now: Option<Timestamp>) -> Self {
        if let (Self::Deleting(deleting), Some(now)) = (&mut self, now)
            && deleting.busy_until.duration_since(now) > LONGEST_RUN
        {
            deleting.busy_until = Timestamp::UNIX_EPOCH;
        }
        self
    }

    /// Whether it is that of a suite that is signed, or not.
    #[must_use]
    pub fn is_suite(&self, is_signed: bool) -> bool {
        matches!(self, Self::Suite { signed, .. } if *signed == is_signed)
    }

    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        struct File {
            signed: Option<bool>,
            id: Option<u64>,
            alias_of: Option<SuiteName>,
            deleting: Option<Deleting>,
            deleted: Option<bool>,
        }
        let file: File = serde_json::from_slice(bytes).unwrap_or_default();
        let deleting = file.deleting.map(Self::Deleting);
        let deleted = file.deleted.filter(|deleted| *deleted);
        let deleted = deleted.map(|_| Self::Deleted);
        let id = file.id;
        let alias = file.alias_of.map(|suite| Self::AliasOf { suite, id });
        let suite = file.signed.map(|signed| Self::Suite { signed, id });
        let known = deleting.or(alias).or(deleted).or(suite);
        known.unwrap_or(Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_could_not_have_been_begun_is_none() {
        let time = |seconds| Timestamp::from_second(seconds).unwrap();
        let deleting = |busy_until| {
            Founding::Deleting(Deleting {
                aliases: BTreeSet::new(),
                by: 1,
                busy_until,
            })
        };
        let now = Some(time(10_000));
        for end in [0, 10_000, 17_200] {
            assert_eq!(deleting(time(end)).as_of(now), deleting(time(end)));
        }
        for end in [time(17_201), "2999-01-01T00:00:00Z".parse().unwrap()] {
            assert_eq!(deleting(end).as_of(now), deleting(time(0)));
            assert_eq!(deleting(end).as_of(None), deleting(end));
        }
    }

    #[test]
    fn is_read_as_it_was_written_and_with_more() {
        let name = || "trixie".parse().unwrap();
        for founding in [
            Founding::Suite {
                signed: true,
                id: Some(u64::MAX),
            },
            Founding::Suite {
                signed: false,
                id: None,
            },
            Founding::AliasOf {
                suite: name(),
                id: Some(1),
            },
            Founding::Deleting(Deleting {
                aliases: BTreeSet::from([name()]),
                by: u64::MAX,
                busy_until: Timestamp::from_second(1).unwrap(),
            }),
            Founding::Deleted,
        ] {
            assert_eq!(Founding::parse(&founding.to_bytes()), founding);
        }
        let later = Founding::parse(b"{\"requires\": [\"x\"], \"signed\":true}");
        let suite = Founding::Suite {
            signed: true,
            id: None,
        };
        assert_eq!(later, suite);
        for bytes in [
            &b""[..],
            b"{}",
            b"true",
            b"{\"signed\": 1}",
            b"{\"alias_of\": \"../x\"}",
        ] {
            assert_eq!(Founding::parse(bytes), Founding::Unknown);
        }
    }
}
