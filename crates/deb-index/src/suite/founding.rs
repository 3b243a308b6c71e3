//! `suite.json`: what a folder below `dists/` is. It decides between first publishers, before there is a head; between suites that
//! want the same alias; and whether a suite that was deleted is gone.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::SuiteName;

/// What `suite.json` says. A later program may say more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Founding {
    /// The folder is that of a suite.
    Suite { signed: bool },
    /// It is that of an alias, which this suite holds.
    AliasOf(SuiteName),
    /// What is in it is being deleted.
    Deleting(Deleting),
    /// It is empty, and anyone's.
    Deleted,
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
    /// The bytes of the file. Earlier versions of this program know only `signed`, and stop where it is missing.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let value = match self {
            Self::Suite { signed } => return format!("{{\"signed\": {signed}}}\n").into(),
            Self::AliasOf(suite) => serde_json::json!({ "alias_of": suite }),
            Self::Deleting(deleting) => serde_json::json!({ "deleting": deleting }),
            Self::Deleted => serde_json::json!({ "deleted": true }),
        };
        format!("{value}\n").into()
    }

    /// Reads the file; none if it says none of these.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct File {
            signed: Option<bool>,
            alias_of: Option<SuiteName>,
            deleting: Option<Deleting>,
            deleted: Option<bool>,
        }
        let file: File = serde_json::from_slice(bytes).ok()?;
        let deleting = file.deleting.map(Self::Deleting);
        let alias = file.alias_of.map(Self::AliasOf);
        let deleted = file.deleted.filter(|deleted| *deleted);
        let deleted = deleted.map(|_| Self::Deleted);
        let suite = file.signed.map(|signed| Self::Suite { signed });
        deleting.or(alias).or(deleted).or(suite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written_and_with_more() {
        let name = || "trixie".parse().unwrap();
        for founding in [
            Founding::Suite { signed: true },
            Founding::Suite { signed: false },
            Founding::AliasOf(name()),
            Founding::Deleting(Deleting {
                aliases: BTreeSet::from([name()]),
                by: u64::MAX,
                busy_until: Timestamp::from_second(1).unwrap(),
            }),
            Founding::Deleted,
        ] {
            assert_eq!(Founding::parse(&founding.to_bytes()), Some(founding));
        }
        let later = Founding::parse(b"{\"requires\": [\"x\"], \"signed\":true}");
        assert_eq!(later, Some(Founding::Suite { signed: true }));
        for bytes in [
            &b""[..],
            b"{}",
            b"true",
            b"{\"signed\": 1}",
            b"{\"alias_of\": \"../x\"}",
        ] {
            assert_eq!(Founding::parse(bytes), None);
        }
    }
}
